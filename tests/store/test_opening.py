"""Paths, permissions, and files that are no store of ours."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from store_builders import claimed_backfill, day, names, opening, register, run_row

from backfill_cli.errors import StoreError
from backfill_cli.store import engines, migrations, open_store


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def picture(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return every file of a folder with its bytes and the time of its last change."""
    return {item.name: (item.read_bytes(), item.stat().st_mtime_ns) for item in folder.iterdir() if item.is_file()}


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_store_and_folders_are_private_whatever_the_umask(umask: int, path: Path) -> None:
    store = open_store(str(path), write=True)
    claimed_backfill(store)
    companions = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
    assert [mode_of(file) for file in companions] == [0o600] * 3
    assert mode_of(path.parent) == 0o700
    assert mode_of(path.parent / "locks") == 0o700
    assert mode_of(path.parent / "locks" / "own-1.lock") == 0o600
    store.close()


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    open_store(str(tmp_path / "bfill.db"), write=True).close()
    assert mode_of(tmp_path) == 0o755


def pragma(path: Path, name: str) -> object:
    # Closed by hand: from Python 3.13 on a forgotten connection is a warning, and warnings are errors.
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_store_at_rest_is_one_file(path: Path) -> None:
    store = open_store(str(path), write=True)
    register(store)
    assert (path.parent / "bfill.db-wal").exists()
    store.close()
    assert names(path.parent) == ["bfill.db"]
    assert pragma(path, "journal_mode") == "delete"


def test_reading_changes_no_byte_and_leaves_nothing_in_the_folder(path: Path) -> None:
    """Contract section 5: dry runs and reading commands leave the store byte for byte as it was."""
    store = open_store(str(path), write=True)
    claimed_backfill(store)
    store.write(lambda w: w.set_runs("daily_sales", [run_row(day(1))]))
    store.close()
    before = picture(path.parent)
    reader = open_store(str(path), write=False)
    assert reader.read(lambda r: len(list(r.runs("daily_sales", 0, day(9))))) == 1
    assert reader.read(lambda r: [row.is_alive for row in r.owners()]) == [False]
    assert picture(path.parent) == before
    reader.close()
    assert picture(path.parent) == before


def test_a_store_opened_for_reading_refuses_to_write(path: Path) -> None:
    open_store(str(path), write=True).close()
    for where in (path, path.with_name("missing.db")):
        reader = open_store(str(where), write=False)
        with pytest.raises(StoreError, match="read-only") as refused:
            reader.write(lambda w: w.set_pool("p", 1))
        assert refused.value.code == "store-read-only"
        reader.close()


def test_reading_a_store_that_does_not_exist_makes_nothing(path: Path) -> None:
    reader = open_store(str(path), write=False)
    assert reader.read(lambda r: (r.dags(), r.backfills(), r.owners(), r.audit_head())) == ([], [], [], (0, ""))
    assert (reader.location, reader.logs) == (str(path), str(path.parent / "logs"))
    reader.close()
    assert not path.parent.exists()


def test_readers_come_and_go_while_somebody_writes(path: Path) -> None:
    writer = open_store(str(path), write=True)
    register(writer)
    reader = open_store(str(path), write=False)

    def watch(r: object) -> tuple[int, int]:
        before = r.count_runs("daily_sales", 0, day(9))  # type: ignore[attr-defined]
        writer.write(lambda w: w.set_runs("daily_sales", [run_row(day(1))]))
        return len(before), len(r.count_runs("daily_sales", 0, day(9)))  # type: ignore[attr-defined]

    assert reader.read(watch) == (0, 0), "one read is one snapshot"
    assert reader.read(lambda r: len(r.count_runs("daily_sales", 0, day(9)))) == 1
    reader.close()
    writer.close()
    assert names(path.parent) == ["bfill.db"]


def test_two_writers_in_turn_leave_one_file_when_the_last_one_closes(path: Path) -> None:
    one, two = open_store(str(path), write=True), open_store(str(path), write=True)
    one.write(lambda w: w.set_pool("a", 1))
    two.write(lambda w: w.set_pool("b", 2))
    one.close()
    assert two.read(lambda r: {name: pool.slots for name, pool in r.pools().items()}) == {"a": 1, "b": 2}
    two.close()
    assert names(path.parent) == ["bfill.db"]


def test_an_empty_file_reads_as_an_empty_store_and_becomes_one_when_written(path: Path) -> None:
    """A kill between making the file and filling it."""
    path.parent.mkdir()
    path.touch()
    reader = open_store(str(path), write=False)
    assert reader.read(lambda r: r.dags()) == []
    reader.close()
    assert path.read_bytes() == b""
    writer = open_store(str(path), write=True)
    register(writer)
    writer.close()


def test_a_rollback_journal_left_by_a_kill_is_not_a_reason_to_fail(path: Path) -> None:
    store = open_store(str(path), write=True)
    register(store)
    # Closing behind the store's back: the file stays in WAL mode, as after SIGKILL.
    assert store._writer is not None
    store._writer.connection.close()
    store._writer = None
    again = open_store(str(path), write=True)
    assert again.read(lambda r: [row.dag_id for row in r.dags()]) == ["daily_sales"]
    again.write(lambda w: w.set_pool("p", 1))
    again.close()
    assert names(path.parent) == ["bfill.db"]


def test_reading_rolls_back_what_a_killed_process_left_in_a_rollback_journal(path: Path, tmp_path: Path) -> None:
    """Without it every reading command would fail until somebody happens to write."""
    store = open_store(str(path), write=True)
    register(store)
    store.close()
    committed = path.read_bytes()
    # A journal on disk and the change half done: the picture that a kill in the middle leaves.
    unlucky = engines.driver().connect(path, isolation_level=None)
    unlucky.execute("PRAGMA cache_spill = 1")
    unlucky.execute("PRAGMA cache_size = 1")
    unlucky.execute("BEGIN IMMEDIATE")
    unlucky.executemany("INSERT INTO meta VALUES (?, ?)", [(f"k{n}", "v" * 3_000) for n in range(50)])
    killed = tmp_path / "killed"
    shutil.copytree(path.parent, killed)
    unlucky.close()
    assert (killed / "bfill.db-journal").stat().st_size > 512
    assert (killed / "bfill.db").read_bytes() != committed
    reader = open_store(str(killed / "bfill.db"), write=False)
    assert reader.read(lambda r: [row.dag_id for row in r.dags()]) == ["daily_sales"]
    reader.close()
    assert (killed / "bfill.db").read_bytes() == committed
    assert names(killed) == ["bfill.db"]


# what is no store


@pytest.mark.parametrize("write", [True, False])
def test_a_file_that_is_no_database_is_refused_untouched(path: Path, write: bool) -> None:
    path.parent.mkdir()
    path.write_text("date,precipitation\n2012-01-01,0.0\n" * 200)
    before = picture(path.parent)
    with pytest.raises(StoreError, match="not a bfill store") as refused:
        open_store(str(path), write=write)
    assert refused.value.code == "store-not-bfill"
    assert picture(path.parent) == before


@pytest.mark.parametrize("write", [True, False])
def test_somebody_elses_database_is_refused_untouched(path: Path, write: bool) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE sales (day TEXT)")
    other.close()
    before = picture(path.parent)
    with pytest.raises(StoreError) as refused:
        open_store(str(path), write=write)
    assert refused.value.code == "store-not-bfill"
    assert picture(path.parent) == before


@pytest.mark.parametrize("write", [True, False])
def test_a_newer_store_is_refused_untouched(path: Path, write: bool) -> None:
    open_store(str(path), write=True).close()
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {migrations.latest() + 1}")
    newer.close()
    before = picture(path.parent)
    with pytest.raises(StoreError, match="newer bfill") as refused:
        open_store(str(path), write=write)
    assert refused.value.code == "store-newer"
    assert "upgrade" in refused.value.hint
    assert picture(path.parent) == before


def test_a_truncated_store_is_one_line(path: Path) -> None:
    store = open_store(str(path), write=True)
    register(store)
    store.write(lambda w: w.set_runs("daily_sales", [run_row(day(n)) for n in range(2_000)]))
    store.close()
    whole = path.read_bytes()
    for share in (0.02, 0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(StoreError) as refused:
            reader = open_store(str(path), write=False)
            reader.read(lambda r: (r.dags(), len(list(r.runs("daily_sales", 0, day(9_999))))))
        assert refused.value.code in ("store-damaged", "store-not-bfill")
        assert "\n" not in str(refused.value)


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    """Issue promise 14: symlinks at the store's path do not lead outside."""
    path.parent.mkdir()
    outside = tmp_path / "outside.db"
    path.symlink_to(outside)
    for write in (True, False):
        with pytest.raises(StoreError, match="symbolic link"):
            open_store(str(path), write=write)
    assert not outside.exists()


def test_what_is_no_file_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreError, match="no plain file"):
        open_store(str(path), write=True)
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    with pytest.raises(StoreError, match="no plain file"):
        open_store(str(pipe), write=True)
    with pytest.raises(StoreError) as refused:
        open_store(str(Path(__file__) / "bfill.db"), write=True)
    assert refused.value.code == "store-io"


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("postgresql://ada:hunter2@db/bfill", "PostgreSQL is not supported yet"),
        ("mysql://ada:hunter2@db/bfill", "'mysql://…' is no location"),
        ("sqlite:///x.db?mode=memory", "is no location"),
    ],
)
def test_a_url_of_another_kind_is_refused_without_showing_its_password(location: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as refused:
        open_store(location, write=True)
    assert "hunter2" not in str(refused.value) + refused.value.hint


def test_urls_and_odd_names_lead_to_the_file_they_say(tmp_path: Path) -> None:
    for name in ("plain.db", "per%cent#hash?.db", "spa ce ü.db"):
        location = f"sqlite:///{tmp_path}/{name}" if name == "plain.db" else str(tmp_path / name)
        store = open_store(location, write=True)
        register(store)
        store.close()
        assert (tmp_path / name).stat().st_size > 4096
        assert not (tmp_path / f"{name}-wal").exists()


def test_a_store_of_an_older_schema_is_read_from_a_copy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(path), write=True)
    register(store)
    store.close()
    before = picture(path.parent)
    latest = migrations.latest()
    script = path.parent / "9999_next.sql"
    script.write_text("CREATE TABLE later (x INTEGER) STRICT;\n")
    script = script.rename(path.parent.parent / script.name)
    longer = (*migrations.steps(), migrations.Step(latest + 1, script))
    monkeypatch.setattr(migrations, "steps", lambda: longer)
    reader = open_store(str(path), write=False)
    assert reader.read(lambda r: [row.dag_id for row in r.dags()]) == ["daily_sales"]
    reader.close()
    assert picture(path.parent) == before
    writer = open_store(str(path), write=True)
    assert writer.read(lambda r: [row.dag_id for row in r.dags()]) == ["daily_sales"]
    writer.close()
    assert pragma(path, "user_version") == latest + 1


def test_without_a_sound_library_the_store_keeps_a_rollback_journal(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "driver", lambda: sqlite3)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 40, 1))
    store = open_store(str(path), write=True)
    claim = claimed_backfill(store)
    store.write(lambda w: w.save(claim, opening(claim, day(1))))
    assert not (path.parent / "bfill.db-wal").exists()
    assert store.read(lambda r: len(list(r.runs("daily_sales", 0, day(9))))) == 1
    store.close()


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
    ],
)
def test_which_libraries_may_keep_a_write_ahead_log(version: tuple[int, ...], sound: bool) -> None:
    assert engines.has_sound_wal(version) is sound


def test_commits_are_synced(path: Path) -> None:
    """Issue promise 4: NORMAL lost acknowledged commits; 2 is FULL, 3 is FULL and a sync of the folder."""
    store = open_store(str(path), write=True)
    connection = store._connect(True)
    assert connection.one("PRAGMA synchronous") == (3,)
    assert connection.one("PRAGMA journal_mode") == ("wal",)
    assert connection.one("PRAGMA foreign_keys") == (1,)
    assert connection.one("PRAGMA trusted_schema") == (0,)
    connection.close()
    store.close()


def test_reading_and_writing_import_nothing_slow(path: Path) -> None:
    """Performance, point 7: SQLAlchemy alone would take longer to import than `status` may take."""
    program = (
        "import sys; from store_builders import register; from backfill_cli.store import open_store\n"
        "store = open_store(sys.argv[1], write=True); register(store); store.read(lambda r: r.dags()); store.close()\n"
        "print(sorted({'sqlalchemy', 'sqlmodel', 'pydantic', 'tenacity', 'pendulum', 'asyncio'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
