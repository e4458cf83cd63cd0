"""Catchup: C1, C2, C3 (section 2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.catchup import due_spans
from backfill_cli.core.intervals import Span, epoch_seconds
from backfill_cli.core.schedules import compile_schedule
from backfill_cli.core.zones import iso_utc

DAY = 86_400


def utc(*parts: int) -> int:
    return epoch_seconds(datetime(*parts, tzinfo=UTC))


def due(
    value: object = "@daily",
    *,
    catchup: bool,
    start: int | None = None,
    end: int | None = None,
    last_end: int | None = None,
    now: int,
    zone: str = "UTC",
) -> list[Span]:
    schedule = compile_schedule(value, zone=zone, anchor=start)
    return list(due_spans(schedule, catchup=catchup, dag_start=start, dag_end=end, last_end=last_end, now=now))


def days(spans: list[Span]) -> list[str]:
    return [iso_utc(span.start)[5:10] for span in spans]


def test_catchup_owes_every_interval_since_the_start_date() -> None:
    """C1: one after the other until now; the interval still open is not owed."""
    assert days(due(catchup=True, start=utc(2024, 1, 1), now=utc(2024, 1, 4, 12))) == ["01-01", "01-02", "01-03"]


def test_catchup_goes_on_where_the_last_run_ended() -> None:
    """C1: the next run begins where the last ended."""
    spans = due(catchup=True, start=utc(2024, 1, 1), last_end=utc(2024, 1, 3), now=utc(2024, 1, 6))
    assert days(spans) == ["01-03", "01-04", "01-05"]


def test_catchup_aligns_a_start_in_the_middle_to_the_next_tick() -> None:
    """C1, R6."""
    assert days(due(catchup=True, start=utc(2024, 1, 1, 12), now=utc(2024, 1, 4))) == ["01-02", "01-03"]


def test_without_catchup_only_the_latest_complete_interval_is_owed() -> None:
    """C2: @daily, now 2024-01-10 12:00: [01-09, 01-10)."""
    spans = due(catchup=False, start=utc(2023, 1, 1), now=utc(2024, 1, 10, 12))
    assert spans == [Span(utc(2024, 1, 9), utc(2024, 1, 10))]


def test_an_interval_is_complete_at_the_instant_it_ends() -> None:
    """C2: at exactly 01-10 00:00 also [01-09, 01-10); a second earlier [01-08, 01-09)."""
    assert days(due(catchup=False, start=utc(2023, 1, 1), now=utc(2024, 1, 10))) == ["01-09"]
    assert days(due(catchup=False, start=utc(2023, 1, 1), now=utc(2024, 1, 10) - 1)) == ["01-08"]


def test_without_catchup_nothing_is_owed_twice() -> None:
    """C2."""
    assert not due(catchup=False, start=utc(2023, 1, 1), last_end=utc(2024, 1, 10), now=utc(2024, 1, 10, 12))


def test_without_catchup_a_week_of_downtime_leaves_holes() -> None:
    """C2."""
    assert days(due(catchup=False, start=utc(2023, 1, 1), last_end=utc(2024, 1, 3), now=utc(2024, 1, 10, 1))) == [
        "01-09"
    ]


def test_without_catchup_never_before_the_start_date() -> None:
    """C2: the start lies inside the interval that is over, so nothing is owed yet."""
    assert not due(catchup=False, start=utc(2024, 1, 9, 6), now=utc(2024, 1, 10, 12))
    assert days(due(catchup=False, start=utc(2024, 1, 9), now=utc(2024, 1, 10, 12))) == ["01-09"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("@weekly", Span(utc(2023, 12, 31), utc(2024, 1, 7))),
        ("@monthly", Span(utc(2023, 12, 1), utc(2024, 1, 1))),
        (timedelta(hours=7), Span(utc(2024, 1, 10, 1), utc(2024, 1, 10, 8))),
    ],
)
def test_the_latest_complete_interval_of_other_schedules(value: object, expected: Span) -> None:
    """C2; the timedelta's grid starts at start_date."""
    start = utc(2023, 1, 1) if value != timedelta(hours=7) else utc(2024, 1, 9, 11)
    assert due(value, catchup=False, start=start, now=utc(2024, 1, 10, 12)) == [expected]


@pytest.mark.parametrize("catchup", [True, False])
def test_a_future_start_date_wins(catchup: bool) -> None:
    """C3: nothing is due yet, not even with an earlier run on record."""
    assert not due(catchup=catchup, start=utc(2024, 2, 1), now=utc(2024, 1, 10))
    assert not due(catchup=catchup, start=utc(2024, 2, 1), last_end=utc(2024, 1, 5), now=utc(2024, 1, 10))


@pytest.mark.parametrize("catchup", [True, False])
def test_end_date_is_inclusive_on_the_logical_date(catchup: bool) -> None:
    """R6: the DAG is over after it."""
    spans = due(catchup=catchup, start=utc(2024, 1, 1), end=utc(2024, 1, 3), now=utc(2024, 1, 4))
    assert days(spans)[-1] == "01-03"
    over = due(
        catchup=catchup, start=utc(2024, 1, 1), end=utc(2024, 1, 3), last_end=utc(2024, 1, 4), now=utc(2024, 1, 9)
    )
    assert not over


@pytest.mark.parametrize("catchup", [True, False])
def test_once_is_due_once(catchup: bool) -> None:
    """R3: @once has one run, and its own end does not make it due again."""
    at = utc(2024, 1, 5)
    assert not due("@once", catchup=catchup, start=at, now=at - 1)
    assert due("@once", catchup=catchup, start=at, now=at) == [Span(at, at)]
    assert not due("@once", catchup=catchup, start=at, last_end=at, now=utc(2024, 2, 1))


@pytest.mark.parametrize("catchup", [True, False])
def test_without_schedule_nothing_is_due(catchup: bool) -> None:
    """R3."""
    assert not due(None, catchup=catchup, start=utc(2024, 1, 1), now=utc(2024, 2, 1))


def test_without_a_start_catchup_has_nowhere_to_begin() -> None:
    assert not due(catchup=True, now=utc(2024, 1, 10))
    assert days(due(catchup=False, now=utc(2024, 1, 10))) == ["01-09"]
    assert days(due(catchup=True, last_end=utc(2024, 1, 8), now=utc(2024, 1, 10))) == ["01-08", "01-09"]


def test_after_a_change_of_schedule_the_interval_begun_is_owed_whole() -> None:
    """C1: hourly until 15:00, then daily: the day of the change is not lost."""
    assert days(due(catchup=True, start=utc(2024, 1, 1), last_end=utc(2024, 1, 5, 15), now=utc(2024, 1, 7))) == [
        "01-05",
        "01-06",
    ]


@given(
    st.sampled_from(["@hourly", "@daily", "30 2 * * *", timedelta(hours=5)]),
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
    st.lists(st.integers(1, 3 * DAY), min_size=1, max_size=8),
)
def test_a_scheduler_that_wakes_up_at_any_times_creates_every_interval_once(
    value: object, zone: str, naps: list[int]
) -> None:
    """C1: however often it is killed and started again, nothing is missing and nothing doubled."""
    start = now = utc(2024, 10, 25)
    created: list[Span] = []
    for nap in naps:
        now += nap
        last_end = created[-1].end if created else None
        created += due(value, catchup=True, start=start, last_end=last_end, now=now, zone=zone)
    assert created == due(value, catchup=True, start=start, now=now, zone=zone)


@given(st.sampled_from(["@hourly", "*/7 3-5 * * 1", timedelta(hours=5)]), st.integers(0, 9 * DAY), st.booleans())
def test_what_is_due_is_over_and_inside_the_dags_bounds(value: object, elapsed: int, catchup: bool) -> None:
    start, end = utc(2024, 3, 28), utc(2024, 4, 3)
    now = start + elapsed
    for span in due(value, catchup=catchup, start=start, end=end, now=now, zone="Europe/Paris"):
        assert start <= span.start <= end
        assert span.end <= now
