"""Cron in zones that change their clocks (section 3): the observed values, and two brute-force oracles.

The oracles share nothing with the code: wall minutes come from croniter's expanded fields one by one, offsets from
zoneinfo one by one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import DAY, NOTABLE, ZoneChange, all_changes, daily_crons, windows, zone_changes

from backfill_cli.core.intervals import Span
from backfill_cli.core.notes import clock_change_notes
from backfill_cli.core.schedules import compile_schedule
from backfill_cli.core.zones import clock_of, iso_utc, resolve_wall

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WALL_EPOCH = datetime(1970, 1, 1)

BERLIN_SPRING, BERLIN_AUTUMN = NOTABLE[0], NOTABLE[1]
LORD_HOWE_AUTUMN, LORD_HOWE_SPRING = NOTABLE[3], NOTABLE[4]


def ticks(expression: str, zone: str, first: int, last: int) -> list[int]:
    return [span.start for span in compile_schedule(expression, zone=zone, anchor=None).spans(first, last)]


def local_day(zone: str, *day: int) -> tuple[int, int]:
    """The first and last second of a local day."""
    start, end = clock_of(zone).day_bounds(date(*day))
    return start, end - 1


def shown(expression: str, zone: str, first: tuple[int, ...], last: tuple[int, ...]) -> list[str]:
    """Logical dates as `10-27 00:30` in UTC, for a range of local days."""
    begin, end = local_day(zone, *first)[0], local_day(zone, *last)[1]
    return [iso_utc(tick)[5:16].replace("T", " ") for tick in ticks(expression, zone, begin, end)]


# --- observed values ------------------------------------------------------------------------------------------------


def test_daily_in_spring_has_one_interval_of_23_hours() -> None:
    """Section 3: `0 3` Europe/Zurich 2023: 03-25 02Z, 03-26 01Z (23 h), 03-27 01Z."""
    assert shown("0 3 * * *", "Europe/Zurich", (2023, 3, 25), (2023, 3, 27)) == [
        "03-25 02:00",
        "03-26 01:00",
        "03-27 01:00",
    ]


def test_daily_in_autumn_has_one_interval_of_25_hours() -> None:
    """Section 3: `0 2` Zurich: [10-28 00Z, 10-29 01Z), 25 h."""
    spans = list(
        compile_schedule("0 2 * * *", zone="Europe/Zurich", anchor=None).spans(
            *local_day("Europe/Zurich", 2023, 10, 28)
        )
    )
    assert [(iso_utc(span.start)[5:16], iso_utc(span.end)[5:16]) for span in spans] == [("10-28T00:00", "10-29T01:00")]
    assert spans[0].end - spans[0].start == 25 * 3600


def test_a_time_inside_the_gap_moves_forward_by_the_gap() -> None:
    """Section 3: `30 2` Europe/Berlin 2024-03-31: 01:30Z."""
    assert shown("30 2 * * *", "Europe/Berlin", (2024, 3, 30), (2024, 4, 1)) == [
        "03-30 01:30",
        "03-31 01:30",
        "04-01 00:30",
    ]


def test_an_ambiguous_time_is_its_second_occurrence() -> None:
    """Section 3: `30 2` Berlin 2024-10-27: 01:30Z, once."""
    assert shown("30 2 * * *", "Europe/Berlin", (2024, 10, 27), (2024, 10, 28)) == ["10-27 01:30", "10-28 01:30"]


def test_half_hours_of_the_repeated_hour_come_once_each() -> None:
    """Section 3: `*/30` in the fold: 00:00Z 00:30Z 01:00Z 01:30Z 02:00Z, each once."""
    begin = resolve_wall(datetime(2024, 10, 27, 2), "Europe/Berlin", second=False)
    found = [iso_utc(tick)[11:16] for tick in ticks("*/30 * * * *", "Europe/Berlin", begin, begin + 2 * 3600)]
    assert found == ["00:00", "00:30", "01:00", "01:30", "02:00"]


@pytest.mark.parametrize("hours", ["*", "*/1", "0-23"])
def test_hourly_days_have_23_and_25_runs(hours: str) -> None:
    """Section 3."""
    assert len(ticks(f"0 {hours} * * *", "Europe/Berlin", *local_day("Europe/Berlin", 2024, 3, 31))) == 23
    assert len(ticks(f"0 {hours} * * *", "Europe/Berlin", *local_day("Europe/Berlin", 2024, 10, 27))) == 25


def test_every_second_hour_in_autumn() -> None:
    """Section 3: `0 */2` Berlin: 22:00Z, 01:00Z (3 h), 03:00Z."""
    assert shown("0 */2 * * *", "Europe/Berlin", (2024, 10, 27), (2024, 10, 27))[:3] == [
        "10-26 22:00",
        "10-27 01:00",
        "10-27 03:00",
    ]


def test_times_that_meet_after_the_gap_count_once() -> None:
    """Section 3: `30 2,3` in spring: 02:30 moves onto 03:30."""
    assert shown("30 2,3 * * *", "Europe/Berlin", (2024, 3, 31), (2024, 3, 31)) == ["03-31 01:30"]


def test_ticks_are_sorted_after_they_are_resolved() -> None:
    """Section 3: 02:30 moves behind 03:05."""
    assert shown("5,30 2,3 * * *", "Europe/Berlin", (2024, 3, 31), (2024, 3, 31)) == ["03-31 01:05", "03-31 01:30"]
    assert shown("0,50 2,3 * * *", "Europe/Berlin", (2024, 3, 31), (2024, 3, 31)) == ["03-31 01:00", "03-31 01:50"]


def test_missing_midnight_of_sao_paulo() -> None:
    """Section 3: Sao Paulo 2018-11-04 has no midnight: 03Z."""
    assert shown("@daily", "America/Sao_Paulo", (2018, 11, 3), (2018, 11, 5)) == [
        "11-03 03:00",
        "11-04 03:00",
        "11-05 02:00",
    ]


def test_missing_day_of_apia() -> None:
    """Section 3: Apia has no 2011-12-30; its midnight moves a day forward, onto that of the 31st."""
    assert shown("@daily", "Pacific/Apia", (2011, 12, 29), (2012, 1, 1)) == [
        "12-29 10:00",
        "12-30 10:00",
        "12-31 10:00",
    ]


def test_half_hour_change_of_lord_howe() -> None:
    """Section 8: `@hourly` ends, `30 * * * *` neither overlaps nor leaves a gap; the clocks read it as it is."""
    howe = "Australia/Lord_Howe"
    spring, autumn = LORD_HOWE_SPRING.at, LORD_HOWE_AUTUMN.at
    # 02:00 becomes 02:30: the hour from 01:00 is followed by 03:00, an hour and a half later.
    assert [tick - spring for tick in ticks("@hourly", howe, spring - 7200, spring + 7200)] == [
        -7200,
        -3600,
        1800,
        5400,
    ]
    assert [tick - spring for tick in ticks("30 * * * *", howe, spring - 3600, spring + 3600)] == [-1800, 0, 3600]
    # 02:00 becomes 01:30, which is read twice.
    assert [tick - autumn for tick in ticks("@hourly", howe, autumn - 3600, autumn + 3600)] == [-3600, 1800]
    assert [tick - autumn for tick in ticks("30 * * * *", howe, autumn - 3600, autumn + 3600)] == [-1800, 0, 3600]
    assert [tick - autumn for tick in ticks("*/30 * * * *", howe, autumn - 3600, autumn + 1800)] == [
        -3600,
        -1800,
        0,
        1800,
    ]


# --- oracles ----------------------------------------------------------------------------------------------------------


def wall_minutes(expression: str, first: datetime, last: datetime) -> list[datetime]:
    """Every matching minute between two naive times, looked at one by one."""
    minutes, hours, *_ = croniter(expression, 0.0).expanded
    found = []
    at = first.replace(second=0)
    while at <= last:
        if (at.minute in minutes or "*" in minutes) and (at.hour in hours or "*" in hours):
            found.append(at)
        at += timedelta(minutes=1)
    return found


def readings(wall: datetime, zone: ZoneInfo) -> list[int]:
    return [round((wall.replace(tzinfo=zone, fold=fold) - EPOCH).total_seconds()) for fold in (0, 1)]


def wall_at(instant: int, zone: ZoneInfo) -> datetime:
    return (EPOCH + timedelta(seconds=instant)).astimezone(zone).replace(tzinfo=None)


def oracle(expression: str, name: str, first: int, last: int) -> list[int]:
    """Section 3 as it stands, for crons that fire every day.

    Every hour: an instant is a tick when the wall reads a matching minute at it. Otherwise: each matching minute of the
    wall becomes one instant, the later of its readings (second occurrence; in a gap the later is the forward one).
    """
    zone = ZoneInfo(name)
    begin, end = (WALL_EPOCH + timedelta(seconds=edge) for edge in (first - 3 * DAY, last + 3 * DAY))
    _, hours, *_ = croniter(expression, 0.0).expanded
    found: set[int] = set()
    for wall in wall_minutes(expression, begin, end):
        if "*" in hours or len(hours) == 24:
            found.update(reading for reading in readings(wall, zone) if wall_at(reading, zone) == wall)
        else:
            found.add(max(readings(wall, zone)))
    return sorted(tick for tick in found if first <= tick <= last)


@settings(max_examples=60)
@given(daily_crons(), zone_changes().flatmap(lambda change: st.tuples(st.just(change), windows(change.at, 2 * DAY))))
@example("30 2 * * *", (BERLIN_SPRING, (BERLIN_SPRING.at - DAY, BERLIN_SPRING.at + DAY)))
@example("*/30 * * * *", (BERLIN_AUTUMN, (BERLIN_AUTUMN.at - DAY, BERLIN_AUTUMN.at + DAY)))
def test_ticks_equal_the_brute_force_oracle(expression: str, where: tuple[ZoneChange, tuple[int, int]]) -> None:
    change, (first, last) = where
    assert ticks(expression, change.zone, first, last) == oracle(expression, change.zone, first, last)


@pytest.mark.parametrize("change", NOTABLE, ids=lambda change: f"{change.zone} {change.at}")
@pytest.mark.parametrize("expression", ["@daily", "30 * * * *", "*/7 * * * *", "45 */3 * * *", "15,30 0-2,23 * * *"])
def test_ticks_equal_the_oracle_in_every_kind_of_zone(expression: str, change: ZoneChange) -> None:
    first, last = change.at - 2 * DAY, change.at + 2 * DAY
    assert ticks(expression, change.zone, first, last) == oracle(expression, change.zone, first, last)


def test_hourly_ticks_equal_a_walk_through_every_minute_of_utc() -> None:
    """The rule for every hour, read the other way round: from the instants to the wall."""
    for change in (BERLIN_SPRING, BERLIN_AUTUMN, LORD_HOWE_SPRING, LORD_HOWE_AUTUMN):
        zone = ZoneInfo(change.zone)
        minutes = range(change.at - DAY, change.at + DAY, 60)
        expected = [at for at in minutes if wall_at(at, zone).minute in (0, 20, 40)]
        assert ticks("*/20 * * * *", change.zone, minutes[0], minutes[-1]) == expected


@pytest.mark.parametrize("expression", ["@hourly", "30 * * * *", "30 2 * * *", "*/45 */2 * * *"])
def test_time_is_covered_once_around_every_change_of_every_zone(expression: str) -> None:
    """Section 8: any schedule in any zone covers time once. Every change in the database, not a sample."""
    schedules = {}
    for change in all_changes():
        schedule = schedules.get(change.zone)
        if schedule is None:
            schedule = schedules[change.zone] = compile_schedule(expression, zone=change.zone, anchor=None)
        spans = list(schedule.spans(change.at - DAY, change.at + DAY))
        assert spans
        cursor = spans[0].start
        for start, end in spans:
            assert start == cursor < end, (change, Span(start, end))
            cursor = end
        assert change.at + DAY < cursor <= change.at + 5 * DAY


@given(daily_crons(), zone_changes())
def test_walking_backwards_gives_the_same_boundaries(expression: str, change: ZoneChange) -> None:
    """Section 3."""
    schedule = compile_schedule(expression, zone=change.zone, anchor=None)
    first, last = change.at - 2 * DAY, change.at + 2 * DAY
    assert list(schedule.spans_backwards(first, last)) == list(schedule.spans(first, last))[::-1]


# --- notes ------------------------------------------------------------------------------------------------------------


def test_days_of_23_and_25_hours_are_noted() -> None:
    """screens.md: `03-31 has 23 hours: clocks change in Europe/Paris`."""
    first, last = local_day("Europe/Paris", 2024, 1, 1)[0], local_day("Europe/Paris", 2024, 12, 31)[1]
    notes = clock_change_notes(first, last, "Europe/Paris")
    assert [note.message for note in notes] == [
        "2024-03-31 has 23 hours: clocks change in Europe/Paris",
        "2024-10-27 has 25 hours: clocks change in Europe/Paris",
    ]
    assert {note.code for note in notes} == {"dst-change"}


def test_odd_days_are_told_for_what_they_are() -> None:
    apia = clock_change_notes(
        local_day("Pacific/Apia", 2011, 12, 29)[0], local_day("Pacific/Apia", 2011, 12, 31)[1], "Pacific/Apia"
    )
    assert [note.message for note in apia] == ["2011-12-30 does not exist: clocks change in Pacific/Apia"]
    howe = clock_change_notes(*local_day("Australia/Lord_Howe", 2024, 4, 7), "Australia/Lord_Howe")
    assert [note.message for note in howe] == ["2024-04-07 has 24 hours 30 min: clocks change in Australia/Lord_Howe"]
    assert not clock_change_notes(0, 40 * 366 * DAY, "UTC")


def test_many_changes_are_a_number_and_not_a_list() -> None:
    notes = clock_change_notes(
        local_day("Europe/Paris", 2000, 1, 1)[0], local_day("Europe/Paris", 2019, 12, 31)[1], "Europe/Paris"
    )
    assert len(notes) == 5
    assert notes[-1].message == "36 more days without 24 hours in Europe/Paris"
