"""Tries of merged dates, told to every date they were of."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from builders import START, day

from backfill_cli.core.batch_tries import told_to_each
from backfill_cli.core.records import AttemptRow
from backfill_cli.core.repairs import AttemptFold
from backfill_cli.core.report_facts import FailureFacts
from backfill_cli.core.reports import ReportScope
from backfill_cli.core.states import Outcome

Tried = tuple[int, Outcome, str]
"""On which day, how it ended, for which backfill."""


def report(
    *tried: Tried, worked: Mapping[str, Collection[int]], ends: Mapping[int, int]
) -> tuple[list[FailureFacts], AttemptFold]:
    """Fold tries, in the order they happened, of backfills that worked on these days."""
    numbers: dict[int, int] = {}
    rows = []
    for second, (date, outcome, by) in enumerate(tried):
        numbers[date] = numbers.get(date, 0) + 1
        at = START + second * 10
        rows.append(AttemptRow(day(date), "load", numbers[date], at, at + 5, outcome, "HTTP 503", "v1", by))
    rows.sort(key=lambda one: (one.logical_date, one.try_number))

    def worked_on(by: str, date: int, last: int) -> list[int]:
        return [day(one) for one in sorted(worked[by]) if date < day(one) <= last]

    fold = AttemptFold(frozenset(worked), ReportScope(), lambda who: f"again {who}")
    fold.add("sales", told_to_each(rows, {day(one): day(last) for one, last in ends.items()}, worked_on))
    return fold.failures(), fold


def test_a_failed_batch_fails_each_of_its_dates_and_is_one_try() -> None:
    (found,), fold = report((1, Outcome.FAILED, "bf-1"), worked={"bf-1": range(1, 8)}, ends={1: 7})
    assert (found.dates, found.tries, found.unrepaired) == (7, 1, 7)
    assert found.shown == tuple(map(day, range(1, 8)))
    assert dict(fold.tries) == {("bf-1", "v1", Outcome.FAILED): 1}


def test_a_batch_that_is_repaired_as_one_repairs_each_of_its_dates() -> None:
    (found,), _ = report(
        (1, Outcome.FAILED, "bf-1"),
        (1, Outcome.SUCCESS, "bf-2"),
        worked={"bf-1": range(1, 8), "bf-2": range(1, 8)},
        ends={1: 7},
    )
    assert (found.dates, found.unrepaired) == (7, 0)
    assert [(one.backfill_id, one.dates) for one in found.repairs] == [("bf-2", 7)]


def test_a_date_that_ran_alone_since_is_repaired_by_itself_and_the_others_are_open() -> None:
    for alone in (1, 4):
        (found,), _ = report(
            (1, Outcome.FAILED, "bf-1"),
            (alone, Outcome.SUCCESS, "bf-2"),
            worked={"bf-1": range(1, 8), "bf-2": [alone]},
            ends={1: 7},
        )
        assert (found.dates, found.unrepaired, found.repairs[0].dates) == (7, 6, 1), alone


def test_dates_that_failed_one_by_one_are_repaired_by_the_batch_they_ran_in_later() -> None:
    (found,), _ = report(
        *((date, Outcome.FAILED, "bf-1") for date in range(1, 4)),
        (1, Outcome.SUCCESS, "bf-2"),
        worked={"bf-1": range(1, 4), "bf-2": range(1, 4)},
        ends={1: 3},
    )
    assert (found.dates, found.tries, found.unrepaired) == (3, 3, 0)


def test_the_next_batch_of_the_same_backfill_has_its_own_dates() -> None:
    found, _ = report(
        (1, Outcome.FAILED, "bf-1"), (3, Outcome.FAILED, "bf-1"), worked={"bf-1": range(1, 6)}, ends={1: 5, 3: 5}
    )
    assert [(one.dates, one.shown) for one in found] == [(5, tuple(map(day, range(1, 6))))]


def test_a_lost_try_of_a_batch_ran_again_once() -> None:
    _, fold = report(
        (1, Outcome.LOST, "bf-1"),
        (1, Outcome.FAILED, "bf-1"),
        worked={"bf-1": range(1, 8)},
        ends={1: 7},
    )
    assert [(one.logical_date, one.outcome) for one in fold.reruns] == [(day(1), "failed")]
