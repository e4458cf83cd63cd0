"""Hypothesis strategies that several test files share: zones that change their clocks, crons, windows of time.

The zones' changes are read from the database's own files by the pure-Python `zoneinfo`, so that they are an independent
witness for `backfill_cli.core.zones`, which finds them by sampling.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple
from zoneinfo import _zoneinfo, available_timezones  # type: ignore[attr-defined]

from hypothesis import strategies as st

DAY = 86_400


class ZoneChange(NamedTuple):
    """The clocks of `zone` change at the instant `at` from one offset to another (seconds east of UTC)."""

    zone: str
    at: int
    before: int
    after: int


# One zone for each kind of trouble; hypothesis tries these first, and shrinks to them.
NOTABLE = (
    ZoneChange("Europe/Berlin", 1711846800, 3600, 7200),  # 2024-03-31, an hour forward
    ZoneChange("Europe/Berlin", 1729990800, 7200, 3600),  # 2024-10-27, an hour back
    ZoneChange("America/New_York", 1710054000, -18000, -14400),
    ZoneChange("Australia/Lord_Howe", 1712415600, 39600, 37800),  # half an hour
    ZoneChange("Australia/Lord_Howe", 1728142200, 37800, 39600),
    ZoneChange("America/Sao_Paulo", 1541300400, -10800, -7200),  # no midnight
    ZoneChange("America/Sao_Paulo", 1550368800, -7200, -10800),  # an hour before midnight twice
    ZoneChange("Pacific/Apia", 1325239200, -36000, 50400),  # 2011-12-30 does not exist
    ZoneChange("America/Juneau", -3225223727, 54139, -32261),  # the 18th of October 1867 twice, odd seconds
    ZoneChange("Europe/Berlin", -2422054408, 3208, 3600),  # local mean time to CET: 392 seconds vanish
    ZoneChange("Africa/Casablanca", 1710036000, 3600, 0),  # Ramadan
    ZoneChange("Antarctica/Troll", 1711846800, 0, 7200),  # two hours
    ZoneChange("Africa/Freetown", -957308400, -3600, -2400),  # changed back four days later
    ZoneChange("Europe/Riga", -796777200, 7200, 3600),  # and two hours forward ten days later
    ZoneChange("Asia/Kathmandu", 504901800, 19800, 20700),  # a quarter of an hour
)


@cache
def changes_of(zone: str) -> tuple[ZoneChange, ...]:
    """Every change of offset that the zone's file lists (for most zones up to 2037)."""
    parsed = _zoneinfo.ZoneInfo(zone)
    before = round(parsed._tti_before.utcoff.total_seconds()) if parsed._tti_before else 0
    found = []
    for at, info in zip(parsed._trans_utc, parsed._ttinfos, strict=True):
        after = round(info.utcoff.total_seconds())
        if after != before:
            found.append(ZoneChange(zone, at, before, after))
        before = after
    return tuple(found)


@cache
def all_changes() -> tuple[ZoneChange, ...]:
    """Every change of every zone, those that several zones share once."""
    distinct = {
        change[1:]: change for zone in sorted(available_timezones() - {"localtime"}) for change in changes_of(zone)
    }
    return tuple(distinct.values())


def zone_changes() -> st.SearchStrategy[ZoneChange]:
    """A zone and one of its changes: the notable ones, or any in the database."""
    return st.one_of(st.sampled_from(NOTABLE), st.deferred(lambda: st.sampled_from(all_changes())))


def zones_with_changes() -> st.SearchStrategy[str]:
    """The name of a zone that has changed its clocks at least once."""
    return zone_changes().map(lambda change: change.zone)


def _values(low: int, high: int) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    ordered = st.tuples(value, value).map(sorted)
    return st.one_of(
        value.map(str),
        st.lists(value, min_size=1, max_size=4, unique=True).map(lambda many: ",".join(map(str, many))),
        # Equal bounds mean the whole field to croniter 7 and one value to croniter 6: nobody writes them.
        ordered.filter(lambda pair: pair[0] < pair[1]).map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.tuples(ordered.filter(lambda pair: pair[0] < pair[1]), st.integers(1, high - low)).map(
            lambda both: f"{both[0][0]}-{both[0][1]}/{both[1]}"
        ),
        st.integers(1, high - low).map(lambda step: f"*/{step}"),
    )


def _field(low: int, high: int, *special: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(st.just("*"), _values(low, high), *special)


MINUTES = st.one_of(st.sampled_from(["0", "30", "*/5", "*/30", "15,45", "*"]), _field(0, 59))
HOURS = st.one_of(st.sampled_from(["*", "2", "0", "*/2", "1-3", "0-23", "*/1", "*/5", "23"]), _field(0, 23))
DAYS = _field(1, 31, st.sampled_from(["L", "13,L", "31", "29"]))
MONTHS = _field(1, 12, st.sampled_from(["jan", "feb", "mar-oct", "*/3", "FEB,DEC"]))
WEEKDAYS = _field(
    0,
    6,
    st.sampled_from(["mon-fri", "sun", "7", "SAT,SUN", "L5", "L1,L3"]),
    st.tuples(st.integers(0, 6), st.integers(1, 5)).map(lambda nth: f"{nth[0]}#{nth[1]}"),
)


def crons() -> st.SearchStrategy[str]:
    """Cron expressions in all of the dialect, days included; a few of them never fire."""
    return st.tuples(MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS).map(" ".join)


def daily_crons() -> st.SearchStrategy[str]:
    """Cron expressions that fire every day: what changes of clocks are about."""
    return st.tuples(MINUTES, HOURS).map(lambda time: f"{time[0]} {time[1]} * * *")


def windows(around: int, reach: int = 3 * DAY) -> st.SearchStrategy[tuple[int, int]]:
    """Two instants in order, at most `reach` seconds before and after one instant."""
    edge = st.integers(-reach, reach)
    return st.tuples(edge, edge).map(lambda pair: (around + min(pair), around + max(pair)))
