"""The settings of a scheduler that stays: read when the file rests, gone by when it is sound, each thing told once."""

from __future__ import annotations

from pathlib import Path

import pytest

from backfill_cli.app.context import AppContext
from backfill_cli.app.service import BackfillService
from backfill_cli.app.settings_watch import SettingsWatch
from backfill_cli.core.masking import SECRETS
from backfill_cli.core.settings_news import SettingsNews
from backfill_cli.errors import SettingsError
from backfill_cli.loader import settings_source
from backfill_cli.loader.settings_source import SettingsSource


class Watched:
    """A settings file and who watches it."""

    def __init__(self, folder: Path, text: str) -> None:
        self.file = folder / "bfill.toml"
        self.file.write_text(text)
        self.source = SettingsSource(folder, {}, {})
        self.watch = SettingsWatch(AppContext(self.source.load(), environ={}), self.source)
        assert self.looks() == []

    def looks(self) -> list[SettingsNews]:
        """What comes of looking until all is known, and once more."""
        return [news for _ in range(3) if (news := self.watch.look()) is not None]

    def says(self, text: str) -> list[SettingsNews]:
        self.file.write_text(text)
        return self.looks()


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.chdir(tmp_path)
    return Watched(tmp_path, "workers = 8\n[pools]\napi = 4\n")


def test_a_change_holds_and_is_told_once(watched: Watched) -> None:
    (news,) = watched.says("workers = 9\n[pools]\napi = 4\n")
    assert (news.file, [str(one) for one in news.changed], news.restart) == ("bfill.toml", ["workers 8 → 9"], ())
    assert watched.watch.settings.workers == 9


def test_a_file_that_is_being_written_is_not_read(watched: Watched) -> None:
    """Truncated first and filled a moment later: nobody sees the empty one."""
    for text in ("", "wor", "workers = "):
        watched.file.write_text(text)
        assert watched.watch.look() is None
        assert watched.watch.is_moving
    (news,) = watched.says("workers = 7\n[pools]\napi = 4\n")
    assert [str(one) for one in news.changed] == ["workers 8 → 7"]
    assert not watched.watch.is_moving


def test_a_broken_file_is_told_once_and_what_was_read_before_holds(watched: Watched) -> None:
    (news,) = watched.says("wrokers = 9\n")
    assert news.trouble is not None
    assert news.trouble.message == "bfill.toml:1: unknown setting 'wrokers'"
    assert "workers" in news.trouble.hint
    assert watched.says("wrokers = 9\n\n") == [], "it is the same error"
    (other,) = watched.says("workers = 0\n")
    assert other.trouble is not None and "workers = 0" in other.trouble.message
    assert watched.watch.settings.workers == 8
    (problem,) = watched.watch.problems()
    assert (problem.code, "workers = 0" in problem.message) == ("settings-broken", True)
    assert watched.says("workers = 8\n[pools]\napi = 4\n") == [SettingsNews("bfill.toml", is_mended=True)]
    assert list(watched.watch.problems()) == []


def test_another_store_needs_a_restart_and_all_else_holds(watched: Watched) -> None:
    store = watched.watch.settings.store
    (news,) = watched.says('store = "other.db"\nworkers = 9\n[pools]\napi = 4\n')
    assert (news.restart, [one.name for one in news.changed]) == (("store",), ["workers"])
    assert (watched.watch.settings.store, watched.watch.settings.workers) == (store, 9)
    assert [one.code for one in watched.watch.problems()] == ["settings-restart"]
    (news,) = watched.says("workers = 9\n[pools]\napi = 4\n")
    assert [str(one) for one in news.changed] == ["store as it was when the scheduler began"]
    assert list(watched.watch.problems()) == []


def test_a_file_that_is_gone_leaves_what_a_start_would_find(watched: Watched) -> None:
    watched.file.unlink()
    (news,) = watched.looks()
    assert (news.file, {one.name for one in news.changed}) == ("", {"workers", "pools.api"})
    assert watched.watch.settings.workers == 32


def test_a_size_that_the_store_goes_before_is_told_as_such(watched: Watched) -> None:
    BackfillService(settings=watched.watch.settings).set_pool("api", 2)
    (news,) = watched.says("workers = 8\n[pools]\napi = 6\n")
    assert [str(one) for one in news.changed] == [
        "pools.api 4 → 6, but the store says 2 (bfill pools delete api)"
    ]  # fmt: skip


def test_a_secret_that_is_new_in_the_file_is_masked_from_then_on(watched: Watched) -> None:
    watched.says("workers = 8\n[connections]\nlake = 'postgresql://ann:pw-0f-later@db/x'\n")
    assert SECRETS.text("with pw-0f-later") == "with ***"


@pytest.mark.parametrize("cause", ["in the file", "around it"])
def test_what_the_machine_is_short_of_for_a_moment_is_tried_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    """Too many open files, an I/O error: the file itself need not change for it to be read after all."""

    def short(*_: object) -> None:
        error = OSError(24, "Too many open files")
        if cause == "around it":
            raise error
        raise SettingsError("cannot read bfill.toml: Too many open files") from error

    with monkeypatch.context() as patch:
        patch.setattr(settings_source, "load_settings", short)
        (news,) = watched.says("workers = 9\n[pools]\napi = 4\n")
        assert news.trouble is not None and "Too many open files" in news.trouble.message
    (news,) = watched.looks()
    assert (news.is_mended, watched.watch.settings.workers) == (True, 9)


def test_settings_that_somebody_made_never_change(watched: Watched) -> None:
    watch = SettingsWatch(AppContext(watched.watch.settings), None)
    watched.file.write_text("workers = 3\n")
    assert [watch.look() for _ in range(3)] == [None] * 3
    assert not watch.is_moving
