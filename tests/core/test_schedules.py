"""Schedules, section 1: intervals and logical dates, R1 to R6, for every kind of schedule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

import pendulum
import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import DAY, ZoneChange, zone_changes

from backfill_cli.core.intervals import DataInterval, Span
from backfill_cli.core.schedules import Schedule, compile_schedule
from backfill_cli.core.zones import EARLIEST, LATEST, iso_utc, resolve_wall
from backfill_cli.errors import ScheduleError


def utc(*parts: int) -> int:
    return resolve_wall(datetime(*parts), "UTC", second=False)


def make(value: object, zone: str = "UTC", anchor: int | None = None) -> Schedule:
    return compile_schedule(value, zone=zone, anchor=anchor)


def dates(spans: Iterable[Span]) -> list[str]:
    return [iso_utc(span.start)[:10] for span in spans]


class EveryOtherDay:
    """A user's schedule: odd days of 2024, six hours each, with holes between them."""

    description = "odd days"

    def intervals(self, start: datetime, end: datetime) -> Iterator[DataInterval]:
        at = datetime(2024, 1, 1, tzinfo=UTC)
        while at <= min(end, datetime(2024, 12, 31, tzinfo=UTC)):
            if at >= start:
                yield DataInterval(at, at + timedelta(hours=6))
            at += timedelta(days=2)


# --- R1, R4, R6: cron ---------------------------------------------------------------------------------------------


def test_cron_intervals_lie_between_ticks() -> None:
    """R1: run k covers [t_k, t_k+1) and its logical date is t_k."""
    spans = list(make("0 6 * * *").spans(utc(2024, 1, 1), utc(2024, 1, 3)))
    assert spans == [
        Span(utc(2024, 1, 1, 6), utc(2024, 1, 2, 6)),
        Span(utc(2024, 1, 2, 6), utc(2024, 1, 3, 6)),
    ]


def test_a_range_includes_both_its_ends() -> None:
    """R6: a range yields every logical date L with from <= L <= to."""
    assert dates(make("@daily").spans(utc(2024, 1, 1), utc(2024, 1, 3))) == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert dates(make("@daily").spans(utc(2024, 1, 1) + 1, utc(2024, 1, 3) - 1)) == ["2024-01-02"]
    assert not list(make("@daily").spans(utc(2024, 1, 3), utc(2024, 1, 2)))


def test_first_logical_date_is_the_first_tick_at_or_after_start_date() -> None:
    """R6: `4 5 * * *` with start 2016-01-01 10:10 begins 2016-01-02 05:04."""
    first = make("4 5 * * *").first_at_or_after(utc(2016, 1, 1, 10, 10))
    assert first is not None
    assert first.start == utc(2016, 1, 2, 5, 4)
    exact = make("4 5 * * *").first_at_or_after(utc(2016, 1, 2, 5, 4))
    assert exact == first


def test_cron_steps_restart_at_midnight() -> None:
    """R4: `0 */5 * * *` has an interval of four hours from 20:00."""
    lengths = [(end - start) // 3600 for start, end in make("0 */5 * * *").spans(utc(2024, 1, 1), utc(2024, 1, 1, 23))]
    assert lengths == [5, 5, 5, 5, 4]


def test_day_31_skips_short_months() -> None:
    """R4."""
    assert dates(make("0 0 31 * *").spans(utc(2024, 1, 1), utc(2024, 7, 31))) == [
        "2024-01-31",
        "2024-03-31",
        "2024-05-31",
        "2024-07-31",
    ]


def test_hourly_week_has_168_runs() -> None:
    assert len(list(make("@hourly").spans(utc(2024, 1, 1), utc(2024, 1, 8) - 1))) == 168


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ((2024, 1, 25, 1), ("2024-01-24", "2024-01-25")),
        ((2024, 1, 25), ("2024-01-24", "2024-01-25")),
        ((2024, 1, 24, 23, 59, 59), ("2024-01-23", "2024-01-24")),
    ],
)
def test_manual_cron_run_covers_the_last_complete_interval(at: tuple[int, ...], expected: tuple[str, str]) -> None:
    """R5."""
    span = make("@daily").manual(utc(*at))
    assert (iso_utc(span.start)[:10], iso_utc(span.end)[:10]) == expected


def test_neighbours_of_a_weekly_date() -> None:
    """Section 7: prev_ds and next_ds of @weekly 01-07 are 2023-12-31 and 2024-01-14."""
    weekly = make("@weekly")
    before, after = weekly.previous(utc(2024, 1, 7)), weekly.next(utc(2024, 1, 7))
    assert before == Span(utc(2023, 12, 31), utc(2024, 1, 7))
    assert after == Span(utc(2024, 1, 14), utc(2024, 1, 21))


def test_neighbours_of_an_hourly_date() -> None:
    """Section 7: @hourly 02-29 23h has 2024-02-29 and 2024-03-01."""
    hourly = make("@hourly")
    before, after = hourly.previous(utc(2024, 2, 29, 23)), hourly.next(utc(2024, 2, 29, 23))
    assert before is not None
    assert after is not None
    assert dates([before, after]) == ["2024-02-29", "2024-03-01"]


def test_neighbours_of_a_rare_date_are_found_across_centuries() -> None:
    leap = make("0 0 29 2 *")
    assert leap.previous(utc(2104, 2, 29)) == Span(utc(2096, 2, 29), utc(2104, 2, 29))
    assert leap.next(utc(2096, 2, 29)) == Span(utc(2104, 2, 29), utc(2108, 2, 29))


# --- R2: timedelta and calendar deltas ------------------------------------------------------------------------------


def test_timedelta_grid_starts_at_the_start_date() -> None:
    """R2, section 8: the same dates whatever range is asked for."""
    schedule = make(timedelta(hours=7), anchor=utc(2024, 1, 1, 3))
    whole = list(schedule.spans(utc(2024, 1, 1), utc(2024, 1, 10)))
    assert whole[0] == Span(utc(2024, 1, 1, 3), utc(2024, 1, 1, 10))
    for begin in (utc(2024, 1, 2), utc(2024, 1, 3, 4, 5, 6)):
        assert list(schedule.spans(begin, utc(2024, 1, 10))) == [span for span in whole if span.start >= begin]


def test_timedelta_grid_goes_on_before_the_start_date() -> None:
    """--ignore-dag-bounds asks for earlier dates, and they lie on the same grid."""
    assert make(timedelta(days=2), anchor=utc(2024, 1, 3)).previous(utc(2024, 1, 3)) == Span(
        utc(2024, 1, 1), utc(2024, 1, 3)
    )


def test_timedelta_without_start_date_is_anchored_at_local_midnight_of_1970() -> None:
    assert make(timedelta(days=1), "Asia/Tokyo").first_at_or_after(0) == Span(utc(1970, 1, 1, 15), utc(1970, 1, 2, 15))


def test_manual_run_of_a_timedelta_covers_what_lies_behind_it() -> None:
    """R5: [T-d, T], off the grid."""
    assert make(timedelta(hours=6), anchor=0).manual(utc(2024, 1, 1, 1, 2, 3)) == Span(
        utc(2023, 12, 31, 19, 2, 3), utc(2024, 1, 1, 1, 2, 3)
    )


@pytest.mark.parametrize("step", [relativedelta(months=1), pendulum.duration(months=1)])
def test_months_step_from_the_anchor_and_not_from_the_boundary_before(step: object) -> None:
    """R2: anchor 01-31 gives 01-31, 02-29, 03-31 (2024)."""
    schedule = make(step, anchor=utc(2024, 1, 31))
    assert dates(schedule.spans(utc(2024, 1, 1), utc(2024, 5, 31))) == [
        "2024-01-31",
        "2024-02-29",
        "2024-03-31",
        "2024-04-30",
        "2024-05-31",
    ]
    assert dates(schedule.spans_backwards(utc(2023, 11, 1), utc(2024, 1, 1))) == ["2023-12-31", "2023-11-30"]
    assert schedule.kind == "calendar"


def test_calendar_days_keep_their_local_time_and_timedeltas_do_not() -> None:
    """R2 and section 3: a calendar day is a day on the wall, a timedelta of 24 hours is 24 hours."""
    anchor = resolve_wall(datetime(2024, 3, 30, 6), "Europe/Berlin", second=False)
    by_wall = make(relativedelta(days=1), "Europe/Berlin", anchor)
    by_length = make(timedelta(days=1), "Europe/Berlin", anchor)
    window = (anchor, anchor + 2 * DAY)
    assert [iso_utc(span.start)[11:16] for span in by_wall.spans(*window)] == ["05:00", "04:00", "04:00"]
    assert [iso_utc(span.start)[11:16] for span in by_length.spans(*window)] == ["05:00", "05:00", "05:00"]


def test_calendar_day_that_the_zone_skipped_is_no_interval() -> None:
    """Apia has no 2011-12-30: the 29th ends where the 31st begins."""
    anchor = resolve_wall(datetime(2011, 12, 1), "Pacific/Apia", second=False)
    spans = list(make(relativedelta(days=1), "Pacific/Apia", anchor).spans(utc(2011, 12, 29), utc(2012, 1, 1)))
    assert spans == [
        Span(utc(2011, 12, 29, 10), utc(2011, 12, 30, 10)),
        Span(utc(2011, 12, 30, 10), utc(2011, 12, 31, 10)),
        Span(utc(2011, 12, 31, 10), utc(2012, 1, 1, 10)),
    ]


def test_a_duration_without_months_is_a_timedelta() -> None:
    assert make(pendulum.duration(days=1), anchor=0).kind == "delta"
    assert make(relativedelta(hours=6), anchor=0).kind == "delta"
    assert make(relativedelta(hours=6), anchor=0).describe() == "every 6h"


def test_manual_run_of_a_calendar_delta_goes_one_step_back_on_the_wall() -> None:
    """R5."""
    schedule = make(relativedelta(months=1), anchor=utc(2024, 1, 31))
    assert schedule.manual(utc(2024, 3, 31, 5)) == Span(utc(2024, 2, 29, 5), utc(2024, 3, 31, 5))


# --- R3: @once and none ---------------------------------------------------------------------------------------------


def test_once_is_one_run_of_no_length_at_the_start_date() -> None:
    """R3, and section 8: one run, at start_date, whatever range is asked for."""
    once = make("@once", anchor=utc(2024, 1, 5))
    assert list(once.spans(utc(2024, 1, 1), utc(2024, 2, 1))) == [Span(utc(2024, 1, 5), utc(2024, 1, 5))]
    assert not list(once.spans(utc(2024, 1, 6), utc(2024, 2, 1)))
    assert once.count(utc(2024, 1, 1), utc(2024, 1, 5)) == 1
    assert once.first_at_or_after(utc(2024, 1, 5)) == once.previous(utc(2024, 1, 6)) == once.next(utc(2024, 1, 1))


def test_once_needs_a_start_date() -> None:
    with pytest.raises(ScheduleError, match="start_date") as caught:
        make("@once")
    assert caught.value.code == "once-without-start"


def test_none_has_no_scheduled_runs_and_a_manual_one_of_no_length() -> None:
    """R3."""
    none = make(None)
    assert not list(none.spans(EARLIEST, LATEST))
    assert none.manual(17) == Span(17, 17)
    assert (none.previous(0), none.next(0), none.first_at_or_after(0), none.count(EARLIEST, LATEST)) == (None,) * 3 + (
        0,
    )


# --- custom -----------------------------------------------------------------------------------------------------------


def test_a_users_object_with_intervals_is_a_schedule() -> None:
    """Contract section 2: any object with the Schedule protocol."""
    schedule = make(EveryOtherDay())
    assert schedule.kind == "custom"
    assert schedule.describe() == "odd days"
    assert dates(schedule.spans(utc(2024, 1, 2), utc(2024, 1, 7))) == ["2024-01-03", "2024-01-05", "2024-01-07"]
    assert dates(schedule.spans_backwards(utc(2024, 1, 2), utc(2024, 1, 7))) == [
        "2024-01-07",
        "2024-01-05",
        "2024-01-03",
    ]
    assert schedule.next(utc(2024, 1, 3)) == Span(utc(2024, 1, 5), utc(2024, 1, 5, 6))
    assert schedule.previous(utc(2024, 1, 3)) == Span(utc(2024, 1, 1), utc(2024, 1, 1, 6))
    assert schedule.previous(utc(2024, 1, 1)) is None
    assert schedule.next(utc(2024, 12, 31)) is None
    assert schedule.manual(utc(2024, 1, 5, 5)) == Span(utc(2024, 1, 3), utc(2024, 1, 3, 6))
    assert schedule.count(utc(2024, 1, 1), utc(2024, 1, 31)) == 16


def test_a_users_schedule_may_go_on_for_ever() -> None:
    class Endless:
        def intervals(self, start: datetime, end: datetime) -> Iterator[DataInterval]:
            while True:
                yield DataInterval(start, start + timedelta(days=1))
                start += timedelta(days=1)

    assert dates(make(Endless()).spans(utc(2024, 1, 1), utc(2024, 1, 2))) == ["2024-01-01", "2024-01-02"]


@pytest.mark.parametrize(
    ("items", "complaint"),
    [
        ([(datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))], "ends before it starts"),
        ([(datetime(2024, 1, 1), datetime(2024, 1, 2))], "not an aware datetime"),
        ([("2024-01-01", "2024-01-02")], "not an aware datetime"),
        (["2024-01-01"], "'2024-01-01'"),
        ([(datetime(2024, 1, 1, microsecond=5, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))], "00:00:00.000005"),
        (
            [
                (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)),
                (datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 4, tzinfo=UTC)),
            ],
            "overlaps",
        ),
        (
            [
                (datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)),
                (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)),
            ],
            "comes after",
        ),
    ],
)
def test_what_a_users_schedule_returns_is_checked(items: list[object], complaint: str) -> None:
    class Pair:
        def __init__(self, start: object, end: object) -> None:
            self.start, self.end = start, end

    class Broken:
        def intervals(self, start: datetime, end: datetime) -> Iterator[object]:
            return (Pair(*item) if isinstance(item, tuple) else item for item in items)

    with pytest.raises(ScheduleError, match="Broken returned") as caught:
        list(make(Broken()).spans(utc(2024, 1, 1), utc(2024, 1, 31)))
    assert complaint in caught.value.message
    assert caught.value.hint


def test_an_exception_inside_a_users_schedule_names_the_schedule() -> None:
    class Failing:
        def intervals(self, start: datetime, end: datetime) -> list[DataInterval]:
            raise RuntimeError("no calendar")

    with pytest.raises(
        ScheduleError, match=r"test_schedules\.py:\d+: schedule .*Failing raised RuntimeError: no calendar"
    ):
        list(make(Failing()).spans(0, DAY))


# --- what is no schedule ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (timedelta(0), "bad-delta"),
        (timedelta(days=-1), "bad-delta"),
        (timedelta(seconds=1, microseconds=1), "bad-delta"),
        (timedelta(microseconds=1), "bad-delta"),
        (relativedelta(months=-1), "bad-delta"),
        (relativedelta(months=1, days=-3), "bad-delta"),
        (relativedelta(month=1), "bad-delta"),
        (relativedelta(), "bad-delta"),
        (pendulum.duration(months=-1), "bad-delta"),
        (86400, "bad-schedule"),
        (time(6), "bad-schedule"),
        (EveryOtherDay, "bad-schedule"),
        (["@daily"], "bad-schedule"),
        ("@continuous", "unknown-preset"),
    ],
)
def test_what_is_no_schedule_is_refused_with_a_hint(value: object, code: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        make(value, anchor=0)
    assert caught.value.code == code
    assert caught.value.hint


def test_a_bad_zone_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ScheduleError) as caught:
        make("@daily", "Europe/Pariss")
    assert "Europe/Paris" in caught.value.hint


# --- texts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("@daily", "@daily"),
        (" 30 2 * * * ", "30 2 * * *"),
        (timedelta(hours=6), "every 6h"),
        (relativedelta(months=1), "every 1 month"),
        (pendulum.duration(years=1, months=2), "every 1 year 2 months"),
        (relativedelta(weeks=2), "every 2 weeks"),
        ("@once", "@once"),
        (None, "None"),
    ],
)
def test_describe_is_what_the_author_wrote(value: object, text: str) -> None:
    assert make(value, anchor=0).describe() == text


def test_digest_text_is_equal_for_equal_dates_and_differs_for_others() -> None:
    assert make("@daily").digest_text() == make("0  0 * * *").digest_text()
    assert make("@daily").digest_text() != make("@daily", "Europe/Paris").digest_text()
    assert make(timedelta(days=1), anchor=0).digest_text() == make(timedelta(days=1), anchor=7 * DAY).digest_text()
    assert make(timedelta(days=1), anchor=0).digest_text() != make(timedelta(days=1), anchor=1).digest_text()
    texts = {
        make(value, anchor=0).digest_text() for value in ("@daily", "@once", None, timedelta(days=1), EveryOtherDay())
    }
    assert len(texts) == 5


# --- properties of every schedule -------------------------------------------------------------------------------------

values = st.one_of(
    st.sampled_from(
        ["@hourly", "30 * * * *", "0 */2 * * *", "30 2 * * *", "*/7 1-3 * * 1-5", "0 0 L * *", "5,35 0-23 * * *"]
    ),
    st.integers(997, 40 * DAY).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(1, 14).map(lambda months: relativedelta(months=months)),
    st.integers(1, 40).map(lambda days: relativedelta(days=days)),
    st.tuples(st.integers(0, 2), st.integers(1, 9), st.integers(0, 30)).map(
        lambda step: relativedelta(months=step[0], days=step[1], hours=step[2])
    ),
)


@given(
    values, zone_changes(), st.integers(-60 * DAY, 60 * DAY), st.integers(-90 * DAY, 90 * DAY), st.integers(0, 10 * DAY)
)
@example(relativedelta(days=1), ZoneChange("Pacific/Apia", 1325239200, -36000, 50400), -3 * DAY, -2 * DAY, 5 * DAY)
@example(relativedelta(days=1), ZoneChange("Pacific/Apia", 1325239200, -36000, 50400), 1, 1, 0)
def test_every_schedule_covers_time_once_and_agrees_with_itself(
    value: object, change: ZoneChange, anchor: int, shift: int, length: int
) -> None:
    """Section 8: any schedule in any zone covers time once: no gap, no overlap, no endless loop. And each question that
    can be asked of a schedule has the same answer, whichever way one walks."""
    schedule = compile_schedule(value, zone=change.zone, anchor=change.at + anchor)
    first, last = change.at + shift, change.at + shift + length
    spans = list(schedule.spans(first, last))
    assert all(first <= span.start <= last and span.start < span.end for span in spans)
    assert all(a.end == b.start for a, b in pairwise(spans))
    assert list(schedule.spans_backwards(first, last)) == spans[::-1]
    assert schedule.count(first, last) == len(spans)
    middle = (first + last) // 2
    assert list(schedule.spans(first, middle)) + list(schedule.spans(middle + 1, last)) == spans
    following = schedule.next(last)
    assert following is not None
    if spans:
        assert spans[-1].end == following.start
        assert schedule.first_at_or_after(first) == spans[0]
        assert schedule.previous(last + 1) == spans[-1]
        assert schedule.next(spans[0].start - 1) == spans[0]
    else:
        assert schedule.first_at_or_after(first) == following
        before = schedule.previous(first)
        assert before is not None
        assert before.end == following.start


@given(values, st.sampled_from([EARLIEST, LATEST]), st.integers(-400 * DAY, 400 * DAY))
def test_the_ends_of_the_calendar_are_no_trap(value: object, edge: int, shift: int) -> None:
    """Years 1 and 9999 give intervals or none, never an error, and none reaches outside."""
    schedule = compile_schedule(
        value, zone="Europe/Berlin", anchor=edge + shift if EARLIEST < edge + shift < LATEST else 0
    )
    first, last = edge - 40 * DAY, edge + 40 * DAY
    spans = list(schedule.spans(first, last))
    assert all(span.start >= EARLIEST and span.end <= LATEST for span in spans)
    assert list(schedule.spans_backwards(first, last)) == spans[::-1]
    assert schedule.count(first, last) == len(spans)
    assert schedule.previous(EARLIEST) is None
    assert schedule.next(LATEST) is None
    manual = schedule.manual(max(edge, EARLIEST))
    assert EARLIEST <= manual.start <= manual.end


def test_a_million_hourly_intervals_in_a_zone_with_changes_stream_in_little_time_and_memory() -> None:
    """performance.md: at least a million intervals a second; a list of them would take a hundred times this memory."""
    import time as clock
    import tracemalloc

    schedule = make("@hourly", "Europe/Berlin")
    begin = clock.perf_counter()
    count = sum(1 for _ in schedule.spans(0, 1_000_000 * 3600 - 1))
    seconds = clock.perf_counter() - begin
    tracemalloc.start()
    for _ in schedule.spans(0, 100_000 * 3600):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == schedule.count(0, 1_000_000 * 3600 - 1) == 1_000_000
    assert peak < 4_000_000
    assert seconds < 2.0
