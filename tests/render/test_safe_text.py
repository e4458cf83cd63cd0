"""Text from users, tasks and data cannot drive the terminal: not through a screen, a line, an error or JSON."""

from __future__ import annotations

import dataclasses
import io
import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.listening import ProgressCounts, RunStart
from backfill_cli.core.records import Batch, InstanceRow
from backfill_cli.core.results import FailureGroup
from backfill_cli.core.states import TaskState
from backfill_cli.errors import InputError
from backfill_cli.render import errors
from backfill_cli.render.as_json import write_error, write_result
from backfill_cli.render.board import Board
from backfill_cli.render.lines import LineListener
from backfill_cli.render.safe import safe_text
from backfill_cli.render.screens import show
from render import samples

NASTY = "\x1b]0;owned\x07\x1b[2J\r\n\x9b31m\u202eevil\u2066\x7f\x00\ud800"
anything = st.text(st.characters(codec=None), max_size=60)


def is_harmless(text: str, *, keep: str = "\n") -> bool:
    """No control character, no direction mark, no half surrogate, besides line ends."""
    return all(char in keep or unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in text) and not any(
        char in text for char in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"
    )


@given(anything)
def test_safe_text_leaves_nothing_that_a_terminal_obeys(text):
    assert is_harmless(safe_text(text), keep="")


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=60))
def test_safe_text_leaves_ordinary_text_alone(text):
    assert safe_text(text) == text


@given(anything, anything)
def test_an_error_is_two_harmless_lines(message, hint):
    text = errors.two_lines(message, hint, colour=False)
    assert is_harmless(text)
    assert text.count("\n") == (2 if hint else 1)


@given(anything)
def test_a_json_document_is_plain_ascii_on_one_line(text):
    file = io.StringIO()
    write_error(file, "plan", InputError(text, hint=text, where=text), exit_code=3)
    raw = file.getvalue()
    assert raw.isascii()
    assert is_harmless(raw)
    assert json.loads(raw)["error"]["message"] == text


@given(anything)
def test_a_reason_from_a_task_cannot_break_a_screen(text):
    result = dataclasses.replace(
        samples.run_failed(), reason=text, failures=(FailureGroup(text, text, (samples.day("2024-03-11"),), 1),)
    )
    file = io.StringIO()
    show("run", result, file, colour=False, width=80)
    assert is_harmless(file.getvalue())


def test_every_screen_shows_a_hostile_dag_id_harmlessly():
    plan = samples.plan()
    hostile = dataclasses.replace(plan, dag=dataclasses.replace(plan.dag, dag_id=NASTY), next_command=NASTY)
    file = io.StringIO()
    show("plan", hostile, file, colour=False, width=80)
    assert is_harmless(file.getvalue())
    assert "\\x1b]0;owned" in file.getvalue()


def test_a_log_keeps_its_tabs_and_loses_its_escapes():
    file = io.StringIO()
    show("logs", samples.logs(), file, colour=False, width=80)
    assert is_harmless(file.getvalue(), keep="\n\t")
    assert "\ttabbed" in file.getvalue()


def test_a_failure_reason_with_a_line_end_stays_one_line_of_the_log_and_the_board():
    start = RunStart("bf-1", "d", ("load",), "UTC", 0, 0, 1, 1, samples.NOW_US, {"load": 1})
    row = InstanceRow(0, "load", TaskState.FAILED, 1, 1, 0, 1, 2, None, NASTY)
    file = io.StringIO()
    listener = LineListener(file)
    listener.on_start(start)
    listener.on_batch(Batch(instances=[row]), ProgressCounts(1, 0, 1, 0, 0, 0), samples.NOW_US)
    assert is_harmless(file.getvalue())
    assert file.getvalue().count("\n") == 2
    board = Board(start)
    board.note(Batch(instances=[row]), ProgressCounts(1, 0, 1, 0, 0, 0), samples.NOW_US)
    assert all(is_harmless(line.plain, keep="") for line in board.lines(samples.NOW_US, 80, 24))


def test_the_result_envelope_writes_any_text():
    file = io.StringIO()
    write_result(file, "plan", {"name": NASTY}, exit_code=0)
    assert json.loads(file.getvalue())["data"]["name"] == NASTY
