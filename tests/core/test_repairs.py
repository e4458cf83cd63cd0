"""Failures, what repaired them, and what ran again: folded from tries in the order the store keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from builders import START, day
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.records import AttemptRow
from backfill_cli.core.repairs import BAD, GOOD, SHOWN_DATES, AttemptFold
from backfill_cli.core.report_facts import FailureFacts
from backfill_cli.core.reports import ReportScope
from backfill_cli.core.states import Outcome

COMMANDS = {"bf-1": "run", "bf-2": "rerun-failed"}


def attempt(number: int, outcome: Outcome, *, date: int = 1, task: str = "load", by: str = "bf-1", **more: Any):
    ended = START + number * 10
    row = AttemptRow(day(date), task, number, ended - 5, ended, outcome, "HTTP 503", "v1", by)
    return row._replace(**more)


def folded(*rows: AttemptRow, backfills: Sequence[str] = ("bf-1", "bf-2"), scope: ReportScope | None = None):
    fold = AttemptFold(frozenset(backfills), scope or ReportScope(), lambda who: COMMANDS.get(who or "", "run"))
    fold.add("sales", rows)
    return fold


def only(fold: AttemptFold) -> FailureFacts:
    (found,) = fold.failures()
    return found


def test_success_alone_is_no_failure_and_is_counted() -> None:
    fold = folded(attempt(1, Outcome.SUCCESS))
    assert (fold.failures(), fold.reruns) == ([], [])
    assert fold.tries == {("bf-1", "v1", Outcome.SUCCESS): 1}


def test_a_retry_of_the_same_backfill_repairs_as_a_retry() -> None:
    found = only(folded(attempt(1, Outcome.RETRY), attempt(2, Outcome.SUCCESS)))
    assert (found.tries, found.dates, found.unrepaired) == (1, 1, 0)
    assert found.repairs == (("bf-1", "retry", 1, START + 20),)


def test_another_backfill_repairs_under_its_command() -> None:
    found = only(
        folded(attempt(1, Outcome.RETRY), attempt(2, Outcome.FAILED), attempt(3, Outcome.SUCCESS, by="bf-2")),
    )
    assert (found.tries, found.dates, found.unrepaired) == (2, 1, 0)
    assert found.repairs == (("bf-2", "rerun-failed", 1, START + 30),)


def test_what_nothing_repaired_is_said() -> None:
    found = only(folded(attempt(1, Outcome.FAILED), attempt(1, Outcome.SUCCESS, date=2)))
    assert (found.repairs, found.unrepaired) == ((), 1)


def test_the_success_of_another_task_or_date_repairs_nothing() -> None:
    rows = [
        attempt(1, Outcome.FAILED),
        attempt(1, Outcome.SUCCESS, task="publish"),
        attempt(2, Outcome.SUCCESS, date=2),
    ]
    assert only(folded(*rows)).unrepaired == 1


def test_a_date_that_fails_again_after_its_repair_is_not_repaired() -> None:
    rows = [attempt(1, Outcome.FAILED), attempt(2, Outcome.SUCCESS), attempt(3, Outcome.FAILED)]
    found = only(folded(*rows))
    assert (found.tries, found.dates, found.repairs, found.unrepaired) == (2, 1, (), 1)


def test_a_late_report_neither_fails_nor_mends() -> None:
    assert only(folded(attempt(1, Outcome.FAILED), attempt(1, Outcome.LATE))).unrepaired == 1
    assert folded(attempt(1, Outcome.LATE)).failures() == []


def test_causes_are_apart_and_those_that_are_open_come_first() -> None:
    rows = [
        attempt(1, Outcome.FAILED, reason="timeout"),
        attempt(2, Outcome.SUCCESS),
        attempt(1, Outcome.FAILED, date=2, reason="timeout"),
        attempt(2, Outcome.SUCCESS, date=2),
        attempt(1, Outcome.FAILED, date=3, reason=None),
    ]
    found = folded(*rows).failures()
    assert [(one.reason, one.dates, one.unrepaired) for one in found] == [("no reason given", 1, 1), ("timeout", 2, 0)]


def test_a_repair_by_somebody_outside_the_report_is_found_and_their_failures_are_not_reported() -> None:
    rows = [
        attempt(1, Outcome.FAILED),
        attempt(2, Outcome.SUCCESS, by="bf-2"),
        attempt(1, Outcome.FAILED, date=2, by="bf-2"),
    ]
    fold = folded(*rows, backfills=["bf-1"])
    assert only(fold).repairs == (("bf-2", "rerun-failed", 1, START + 20),)
    assert set(fold.tries) == {("bf-1", "v1", Outcome.FAILED)}


def test_a_failure_outside_the_period_is_left_out_and_a_repair_after_it_is_seen() -> None:
    rows = [
        attempt(1, Outcome.FAILED, reason="too early"),
        attempt(2, Outcome.FAILED, reason="in time"),
        attempt(3, Outcome.SUCCESS, by="bf-2"),
    ]
    scope = ReportScope(since=START + 15, until=START + 25)
    found = only(folded(*rows, scope=scope))
    assert (found.reason, found.unrepaired, found.repairs[0].backfill_id) == ("in time", 0, "bf-2")


def test_a_lost_try_names_the_try_that_did_its_work_again() -> None:
    (again,) = folded(attempt(1, Outcome.LOST, reason="vanished"), attempt(2, Outcome.FAILED, by="bf-2")).reruns
    assert (again.lost_try, again.lost_at, again.reason) == (1, START + 10, "vanished")
    assert (again.redone_by, again.redone_at, again.outcome) == ("bf-2", START + 15, "failed")
    (waiting,) = folded(attempt(1, Outcome.LOST), attempt(1, Outcome.SUCCESS, date=2)).reruns
    assert (waiting.redone_by, waiting.redone_at, waiting.outcome) == (None, None, None)


def test_dates_listed_are_bounded_and_counted_exactly() -> None:
    found = only(folded(*(attempt(1, Outcome.FAILED, date=one) for one in range(1, SHOWN_DATES + 6))))
    assert (found.dates, len(found.shown), found.shown[0]) == (SHOWN_DATES + 5, SHOWN_DATES, day(1))


places = st.tuples(st.integers(1, 3), st.sampled_from("ab"))
happened = st.tuples(st.sampled_from(list(Outcome)), st.sampled_from(["x", "y"]), st.sampled_from(["bf-1", "bf-2"]))


@given(st.dictionaries(places, st.lists(happened, max_size=5), max_size=4))
def test_every_date_of_a_cause_is_repaired_once_or_open(lives: dict[tuple[int, str], list[Any]]) -> None:
    """Against the plain definition: a date is open when nothing good follows the last try with that cause."""
    rows = [
        attempt(number, outcome, date=date, task=task, reason=reason, backfill_id=by)
        for (date, task), life in sorted(lives.items())
        for number, (outcome, reason, by) in enumerate(life, 1)
    ]
    fold = folded(*rows)
    open_dates: dict[tuple[str, str], list[bool]] = {}
    for (_, task), group in groupby(rows, key=lambda row: (row.logical_date, row.task_id)):
        life = list(group)
        for reason in {row.reason for row in life if row.outcome in BAD}:
            last = max(n for n, row in enumerate(life) if row.outcome in BAD and row.reason == reason)
            is_open = not any(row.outcome in GOOD for row in life[last + 1 :])
            open_dates.setdefault((task, str(reason)), []).append(is_open)
    found = {(one.task_id, one.reason): one for one in fold.failures()}
    assert {key: (len(value), sum(value)) for key, value in open_dates.items()} == {
        key: (one.dates, one.unrepaired) for key, one in found.items()
    }
    for one in found.values():
        assert sum(repair.dates for repair in one.repairs) + one.unrepaired == one.dates
    assert len(fold.reruns) == sum(row.outcome is Outcome.LOST for row in rows)
    assert fold.tries.total() == sum(row.outcome is not Outcome.LATE for row in rows)
