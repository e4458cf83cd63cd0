"""Questions to a person: only on a terminal, the default is no, and an answer that is none is refused."""

from __future__ import annotations

import dataclasses
import io

import pytest
from render.samples import backfill_row

from backfill_cli.cli import asking
from backfill_cli.cli.shared import Shared
from backfill_cli.errors import UsageProblem


@pytest.fixture
def answering(monkeypatch):
    """A function that makes the terminal answer with a text."""

    def answer(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        monkeypatch.setattr(asking, "is_terminal", lambda stream: True)

    return answer


@pytest.mark.parametrize(("text", "said"), [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False), ("", False)])
def test_only_a_yes_is_a_yes(answering, text, said):
    answering(text)
    confirm = asking.confirmer(Shared())
    assert confirm is not None
    assert confirm("Clear 3 task instances?") is said


def test_a_question_cannot_drive_the_terminal(answering, capsys):
    answering("n\n")
    confirm = asking.confirmer(Shared())
    assert confirm is not None
    confirm("Clear \x1b[2J?")
    assert capsys.readouterr().err == "Clear \\x1b[2J? [y/N] "


@pytest.mark.parametrize("text", ["2\n", "bf-2\n"])
def test_a_backfill_is_chosen_by_number_or_id(answering, capsys, text):
    answering(text)
    rows = [backfill_row(backfill_id=f"bf-{number}") for number in (1, 2)]
    choose = asking.chooser(Shared())
    assert choose is not None
    assert choose(rows).backfill_id == "bf-2"
    assert "  1  bf-1  daily_sales  running  9 of 31 dates to do" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["3\n", "0\n", "bf-9\n", "\n", ""])
def test_any_other_answer_is_a_usage_error(answering, text):
    answering(text)
    choose = asking.chooser(Shared())
    assert choose is not None
    with pytest.raises(UsageProblem):
        choose([backfill_row(backfill_id="bf-1")])


def test_nobody_is_asked_with_quiet(answering):
    answering("y\n")
    assert asking.confirmer(dataclasses.replace(Shared(), quiet=True)) is None
    assert asking.chooser(dataclasses.replace(Shared(), quiet=True)) is None
