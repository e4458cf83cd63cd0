"""Zones: wall times and instants, checked against zoneinfo and against the database's own lists of changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import DAY, NOTABLE, ZoneChange, changes_of, zone_changes, zones_with_changes

from backfill_cli.core.zones import (
    EARLIEST,
    LATEST,
    check_zone,
    clock_of,
    iso_utc,
    local_date,
    odd_days,
    resolve_wall,
)
from backfill_cli.errors import ScheduleError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def oracle_offset(zone: str, instant: int) -> int:
    offset = (EPOCH + timedelta(seconds=instant)).astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())


def utc(*parts: int) -> int:
    return round((datetime(*parts, tzinfo=UTC) - EPOCH).total_seconds())


def test_no_zone_ever_changed_its_clocks_there_and_back_within_three_days() -> None:
    """Sampling an offset every three days is sound only as long as this holds."""
    for name in available_timezones() - {"localtime"}:
        for first, second in pairwise(changes_of(name)):
            assert second.at - first.at > 3 * DAY or first.before != second.after, (first, second)


@pytest.mark.parametrize("name", sorted({change.zone for change in NOTABLE}))
def test_sampling_finds_every_change(name: str) -> None:
    listed = [change for change in changes_of(name) if change.at < utc(2037, 1, 1)]
    found = [ZoneChange(name, *change) for change in clock_of(name).changes(utc(1800, 1, 1), utc(2037, 1, 1))]
    assert found == listed


@given(zone_changes())
def test_every_listed_change_is_found(change: ZoneChange) -> None:
    assert (change.at, change.before, change.after) in clock_of(change.zone).changes(change.at, change.at + 1)


@given(zones_with_changes(), st.integers(EARLIEST, LATEST))
def test_offset_at_is_zoneinfos_at_any_instant_of_the_calendar(zone: str, instant: int) -> None:
    assert clock_of(zone).offset_at(instant) == oracle_offset(zone, instant)


@given(zones_with_changes(), st.integers(2100, 9998), st.integers(0, 366))
def test_far_future_follows_the_yearly_rule(zone: str, year: int, day: int) -> None:
    instant = utc(year, 1, 1) + day * DAY
    assert clock_of(zone).offset_at(instant) == oracle_offset(zone, instant)


@given(zone_changes(), st.integers(-2 * DAY, 2 * DAY), st.booleans())
def test_resolve_agrees_with_both_folds_of_zoneinfo(change: ZoneChange, shift: int, second: bool) -> None:
    """Section 3: a nonexistent time moves forward by the gap; an ambiguous one is its first or second occurrence."""
    wall = datetime(1970, 1, 1) + timedelta(seconds=change.at + change.before + shift)
    zone = ZoneInfo(change.zone)
    readings = [round((wall.replace(tzinfo=zone, fold=fold) - EPOCH).total_seconds()) for fold in (0, 1)]
    exists = [oracle_wall(change.zone, reading) == wall for reading in readings]
    # In a gap the later reading keeps the old offset: it is the wall time moved forward.
    expected = max(readings) if second or not any(exists) else min(readings)
    assert resolve_wall(wall, zone, second=second) == expected


def oracle_wall(zone: str, instant: int) -> datetime:
    return (EPOCH + timedelta(seconds=instant)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@given(zone_changes(), st.integers(-3 * DAY, 3 * DAY))
def test_local_date_is_the_date_on_the_wall(change: ZoneChange, shift: int) -> None:
    assert local_date(change.at + shift, change.zone) == oracle_wall(change.zone, change.at + shift).date()


@given(zone_changes(), st.integers(-3 * DAY, 3 * DAY), st.integers(0, 6 * DAY))
def test_periods_cut_a_window_without_gap_or_overlap(change: ZoneChange, shift: int, length: int) -> None:
    start = change.at + shift
    periods = clock_of(change.zone).periods(start, start + length)
    assert sum(period.end - period.start for period in periods) == length
    for period in periods:
        assert oracle_offset(change.zone, period.start) == period.offset == oracle_offset(change.zone, period.end - 1)
    assert all(a.end == b.start and a.offset != b.offset for a, b in pairwise(periods))


@pytest.mark.parametrize(
    ("zone", "wall", "second", "expected"),
    [
        ("Europe/Berlin", datetime(2024, 3, 31, 2, 30), False, "2024-03-31T01:30:00+00:00"),
        ("Europe/Berlin", datetime(2024, 3, 31, 2, 30), True, "2024-03-31T01:30:00+00:00"),
        ("Europe/Berlin", datetime(2024, 10, 27, 2, 30), False, "2024-10-27T00:30:00+00:00"),
        ("Europe/Berlin", datetime(2024, 10, 27, 2, 30), True, "2024-10-27T01:30:00+00:00"),
        ("America/Sao_Paulo", datetime(2018, 11, 4), True, "2018-11-04T03:00:00+00:00"),
        ("Pacific/Apia", datetime(2011, 12, 30), False, "2011-12-30T10:00:00+00:00"),
        ("UTC", datetime(1, 1, 1), False, None),
        ("UTC", datetime(9999, 12, 31, 23, 59, 59), True, "9999-12-31T23:59:59+00:00"),
    ],
)
def test_resolve_wall_of_known_times(zone: str, wall: datetime, second: bool, expected: str | None) -> None:
    instant = resolve_wall(wall, zone, second=second)
    assert (iso_utc(instant) if instant >= EARLIEST else None) == expected


def test_odd_days_name_the_days_of_23_and_25_hours() -> None:
    days = [
        (str(each.day), each.seconds / 3600) for each in odd_days(utc(2024, 1, 1), utc(2024, 12, 31), "Europe/Paris")
    ]
    assert days == [("2024-03-31", 23), ("2024-10-27", 25)]


@pytest.mark.parametrize(
    ("zone", "year", "expected"),
    [
        ("Australia/Lord_Howe", 2024, [("2024-04-07", 24.5), ("2024-10-06", 23.5)]),
        ("Pacific/Apia", 2011, [("2011-04-02", 25), ("2011-09-24", 23), ("2011-12-30", 0)]),
        ("America/Sao_Paulo", 2018, [("2018-02-17", 25), ("2018-11-04", 23)]),
        ("Asia/Tokyo", 2024, []),
    ],
)
def test_odd_days_of_odd_zones(zone: str, year: int, expected: list[tuple[str, float]]) -> None:
    days = odd_days(utc(year, 1, 3), utc(year, 12, 31), zone)
    assert [(str(each.day), each.seconds / 3600) for each in days] == expected


@given(zone_changes())
def test_odd_days_lists_a_changed_day_exactly_when_it_lacks_24_hours(change: ZoneChange) -> None:
    first, last = change.at - 3 * DAY, change.at + 3 * DAY
    listed = {each.day: each.seconds for each in odd_days(first, last, change.zone)}
    clock = clock_of(change.zone)
    day = clock.date_at(first)
    while day <= clock.date_at(last):
        start, end = clock.day_bounds(day)
        assert listed.get(day, DAY) == end - start
        day += timedelta(days=1)


def test_show_says_date_alone_at_midnight_and_offset_otherwise() -> None:
    paris = clock_of("Europe/Paris")
    assert paris.show(utc(2024, 1, 31, 23)) == "2024-02-01"
    assert paris.show(utc(2024, 7, 1, 3, 30)) == "2024-07-01 05:30+02:00"
    assert clock_of("UTC").show(utc(2024, 7, 1, 3, 30, 5)) == "2024-07-01 03:30:05Z"


def test_date_at_the_ends_of_the_calendar_is_a_date() -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Manila"):
        assert local_date(EARLIEST, zone).year == 1
        assert local_date(LATEST, zone) >= date(9999, 12, 29)


@pytest.mark.parametrize(
    ("name", "near"),
    [("Berlin", "Europe/Berlin"), ("Europe/Berln", "Europe/Berlin"), ("europe/paris", "Europe/Paris")],
)
def test_check_zone_hints_at_the_nearest_name(name: str, near: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        check_zone(name)
    assert near in caught.value.hint
    assert caught.value.code == "unknown-zone"
    assert name in caught.value.message


@pytest.mark.parametrize(
    "name", ["", "Europe", "../../etc/passwd", "/etc/localtime", "a\0b", "\ud800", "right/UTC", "x" * 999]
)
def test_check_zone_refuses_what_is_no_zone(name: str) -> None:
    with pytest.raises(ScheduleError):
        check_zone(name)
