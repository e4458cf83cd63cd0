"""The file of the audit heads: private, appended to, not through links, of bounded size, and never in the way."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from store_builders import audit_row

from backfill_cli.core.heads import read_heads
from backfill_cli.errors import StoreError
from backfill_cli.store import heads as module
from backfill_cli.store import open_store
from backfill_cli.store.heads import HeadFile


def line(number: int) -> str:
    return f"{number}:{number:064x} 2024-01-31T11:20:00.000001+00:00\n"


@pytest.fixture
def heads(tmp_path: Path) -> HeadFile:
    return HeadFile(tmp_path / "bfill.db")


def test_each_commit_that_moves_the_chain_is_followed_by_a_line(path: Path) -> None:
    store = open_store(str(path), write=True)
    assert store.kept_heads() is None
    first = replace(audit_row(1), hash=f"{1:064x}")
    store.write(lambda w: w.add_audit(first))
    store.write(lambda w: w.set_pool("p", 1))
    kept = store.kept_heads()
    assert kept is not None
    assert read_heads(kept) == [(1, first.hash)]
    with pytest.raises(RuntimeError, match="undone"):
        store.write(_fails_behind_an_entry)
    assert store.kept_heads() == kept, "what was rolled back has no head"
    store.close()


def _fails_behind_an_entry(writer: object) -> None:
    writer.add_audit(audit_row(2))  # type: ignore[attr-defined]
    raise RuntimeError("undone")


def test_only_this_user_can_read_it_whatever_the_umask(heads: HeadFile) -> None:
    before = os.umask(0)
    try:
        assert heads.append([line(1)])
    finally:
        os.umask(before)
    assert stat.S_IMODE(heads.path.stat().st_mode) == 0o600


def test_half_a_line_is_not_gone_on_with(heads: HeadFile) -> None:
    heads.append([line(1)])
    heads.path.write_text(line(1) + line(2)[:30])
    heads.append([line(3)])
    assert [head.seq for head in read_heads(heads.lines() or ())] == [1, 3]


def test_a_link_in_its_place_is_refused_before_anything_is_written(path: Path) -> None:
    path.parent.mkdir(parents=True)
    elsewhere = path.parent / "elsewhere"
    elsewhere.write_text("mine\n")
    beside = path.with_name(path.name + ".heads")
    beside.symlink_to(elsewhere)
    with pytest.raises(StoreError, match="symbolic link") as refused:
        open_store(str(path), write=True)
    assert refused.value.exit_code == 4
    assert not path.exists()
    assert not HeadFile(path).append([line(1)])
    assert elsewhere.read_text() == "mine\n"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_plain_file_is_refused_and_nobody_waits_for_it(make: object, path: Path) -> None:
    path.parent.mkdir(parents=True)
    make(path.with_name(path.name + ".heads"))  # type: ignore[operator]
    with pytest.raises(StoreError, match="no plain file"):
        open_store(str(path), write=True)
    assert not HeadFile(path).append([line(1)])


def test_it_keeps_its_first_and_its_last_lines(heads: HeadFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 20_000)
    monkeypatch.setattr(module, "_KEPT_EACH_END", 50)
    for number in range(1, 1_001):
        assert heads.append([line(number)])
    found = [head.seq for head in read_heads(heads.lines() or ())]
    assert heads.path.stat().st_size < 25_000
    assert found[:50] == list(range(1, 51))
    assert found[-50:] == list(range(951, 1_001))
    assert stat.S_IMODE(heads.path.stat().st_mode) == 0o600
    assert [one.name for one in heads.path.parent.iterdir()] == [heads.path.name]


def test_a_file_that_cannot_be_written_stops_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit stands, and saying otherwise would be wrong; `audit verify` tells that the file lags."""
    store = open_store(str(path), write=True)

    def full(descriptor: int, text: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module.os, "write", full)
        store.write(lambda w: w.add_audit(audit_row(1)))
    assert store.read(lambda r: r.audit_head())[0] == 1
    store.close()


def test_a_store_that_is_read_makes_none(path: Path) -> None:
    open_store(str(path), write=True).close()
    reader = open_store(str(path), write=False)
    assert reader.kept_heads() is None
    reader.close()
    assert not path.with_name(path.name + ".heads").exists()
