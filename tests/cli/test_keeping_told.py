"""`--on-event` of a scheduler that stays: what is said when its target is away, and when it is another one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from engine.helpers import wait_until

from backfill_cli.cli import keeping_told
from backfill_cli.cli.keeping_told import KeepingTold
from backfill_cli.errors import InputError
from backfill_cli.loader.event_targets import event_target
from backfill_cli.loader.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def settings(folder: Path, command: str) -> Settings:
    return Settings(folder, on_event=event_target(command, folder))


def tell(told: KeepingTold, name: str = "x") -> None:
    assert told.stream is not None
    told.stream.write(f'{{"event": "{name}"}}\n')


def said(told: KeepingTold, *, within_s: float = 5.0) -> list[tuple[str, bool]]:
    """What it has to say next."""
    until = time.monotonic() + within_s
    while not (found := list(told.look())) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def test_a_target_that_fails_is_told_once_and_again_when_it_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping_told, "_CALM_S", 0.5)
    (tmp_path / "broken").touch()
    with KeepingTold(None, settings(tmp_path, "test ! -e broken || { echo no channel; exit 1; }"), quiet=True) as told:
        tell(told)
        ((text, is_error),) = said(told)
        assert (text.partition(" (hint")[0], is_error) == (
            "on_event error: the command of on_event: exit code 1: no channel", True
        )  # fmt: skip
        tell(told)
        assert said(told, within_s=0.7) == []
        (tmp_path / "broken").unlink()
        tell(told)
        assert said(told) == [("on_event is well again, 2 of 3 events could not be delivered", False)]
        (problem,) = told.close()
        assert problem.message.startswith("2 of 3 events could not be delivered to the command of on_event")


def test_one_that_takes_every_other_event_does_not_fill_a_journal(tmp_path: Path) -> None:
    with KeepingTold(None, settings(tmp_path, 'test "$BFILL_EVENT" = good'), quiet=True) as told:
        lines = []
        for name in ["bad", "good"] * 10:
            tell(told, name)
            lines += list(told.look())
        wait_until(lambda: told._way is not None and (told._way.outpost.settle(0.01) or lines.extend(told.look())))
        lines += list(told.look())
        assert len(lines) <= 1


def test_what_is_on_its_way_to_one_target_arrives_when_it_becomes_another(tmp_path: Path) -> None:
    with KeepingTold(None, settings(tmp_path, "sleep 0.3; cat >> one"), quiet=True) as told:
        tell(told, "a")
        told.go_by(settings(tmp_path, "cat >> two; exit 1"))
        tell(told, "b")
        told.go_by(settings(tmp_path, ""))
        assert told.stream is None
        ((text, is_error),) = said(told)
        assert (text, is_error) == ("1 of 1 event could not be delivered to the command of on_event: exit code 1", True)
        wait_until(lambda: list(told.look()) == [] and not told._left)
    assert (tmp_path / "one").read_text() == '{"event": "a"}\n'
    assert (tmp_path / "two").read_text() == '{"event": "b"}\n'


def test_a_target_that_cannot_be_told_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    with KeepingTold(None, settings(tmp_path, "cat >> one"), quiet=True) as told:
        before = told.stream
        with pytest.raises(InputError, match="HOOK, which is not set"):
            told.go_by(settings(tmp_path, "secret:HOOK"))
        assert told.stream is before


def test_a_flag_beats_the_file_for_good(tmp_path: Path) -> None:
    with KeepingTold("", settings(tmp_path, "cat >> one"), quiet=True) as told:
        assert told.stream is None
        told.go_by(settings(tmp_path, "cat >> two"))
        assert told.stream is None
        assert told.close() == []
