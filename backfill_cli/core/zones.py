"""Wall clocks and instants: what a local time means in UTC, and when a zone changes its clocks.

Owns every conversion between the two. Schedules (`core/cron.py`, `core/deltas.py`) think in wall seconds, counted from
1970-01-01 00:00 on the local wall; the rest of the core thinks in UTC epoch seconds; only this module knows both.

The idea: a zone is a list of periods of constant offset. `zoneinfo` answers one instant at a time and keeps its list to
itself, so the list is found by sampling one offset a day, a block of days at a time, when first asked for. From it
every question is integer arithmetic, which is what makes a million intervals a matter of tenths of a second, and it is
exact for any year, where datetimes overflow at both ends of the calendar.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backfill_cli.core.intervals import EPOCH, epoch_seconds
from backfill_cli.errors import ScheduleError

DAY = 86_400
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

# A day inside the calendar at each end, so that every instant between them has a datetime in every zone.
EARLIEST = epoch_seconds(datetime(1, 1, 2, tzinfo=UTC))
LATEST = epoch_seconds(datetime(9999, 12, 30, tzinfo=UTC))

# 146,097 days are 400 Gregorian years and whole weeks; 773 blocks of 189 days are exactly that. From 2100 on every
# zone follows a yearly rule, so later blocks are looked up in the first 400 years of the rule.
_BLOCK_DAYS = 189
_BLOCK = _BLOCK_DAYS * DAY
_CYCLE_BLOCKS = 773
_SAMPLE = 3 * DAY
_RULE_BLOCK = (date(2101, 1, 1).toordinal() - EPOCH_ORDINAL) // _BLOCK_DAYS

# No zone is further than this from UTC, and no change of clocks is larger.
_REACH = 2 * DAY


class Change(NamedTuple):
    """The clocks of a zone change at the instant `at`, from one offset to another (seconds east of UTC)."""

    at: int
    before: int
    after: int


class Period(NamedTuple):
    """Instants `[start, end)` during which a zone's offset (seconds east of UTC) stays the same."""

    start: int
    end: int
    offset: int


class DayLength(NamedTuple):
    """A local day that does not have 24 hours, and how many seconds it has (0: the zone skipped it)."""

    day: date
    seconds: int


class ZoneClock:
    """The wall clock of one zone. Get it from `clock_of`, which keeps one a zone, as its blocks are worth keeping."""

    __slots__ = ("_blocks", "name", "zone")

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.name = zone.key or str(zone)
        self._blocks: dict[int, tuple[int, tuple[Change, ...]]] = {}

    def offset_at(self, instant: int) -> int:
        """The offset in force at an instant, in seconds east of UTC."""
        offset, changes = self._block(instant // _BLOCK)
        for change in changes:
            if change.at > instant:
                break
            offset = change.after
        return offset

    def changes(self, start: int, end: int) -> Iterator[Change]:
        """The changes of offset with `start <= at < end`, ascending. (A change of name alone is none.)"""
        for number in range(start // _BLOCK, -(-end // _BLOCK)):
            for change in self._block(number)[1]:
                if start <= change.at < end:
                    yield change

    def periods(self, start: int, end: int) -> list[Period]:
        """The instants `[start, end)` cut where the offset changes; empty when `end <= start`."""
        if end <= start:
            return []
        offset = self.offset_at(start)
        found: list[Period] = []
        for change in self.changes(start + 1, end):
            found.append(Period(start, change.at, offset))
            start, offset = change.at, change.after
        found.append(Period(start, end, offset))
        return found

    def resolve(self, wall: int, *, second: bool) -> int:
        """The instant of a wall time given in wall seconds (section 3; contract section 1).

        A time inside a gap moves forward by the gap, so it keeps the offset from before the change. An ambiguous time
        is its first occurrence, or with `second` its second one.
        """
        periods = self.periods(wall - _REACH, wall + _REACH)
        offset = periods[0].offset
        for before, period in pairwise(periods):
            # Where the later offset takes over on the wall: at the end of a gap's or a fold's first reading, or
            # for the second occurrence as soon as the new offset can read that time at all.
            shift = period.offset if second else max(before.offset, period.offset)
            if period.start + shift <= wall:
                offset = period.offset
        return wall - offset

    def date_at(self, instant: int) -> date:
        """The local date at an instant."""
        return day_to_date((instant + self.offset_at(instant)) // DAY)

    def day_bounds(self, day: date) -> tuple[int, int]:
        """The instants `[first, end)` from a local day's first to its last; equal when the zone skipped that day."""
        midnight = date_to_day(day) * DAY
        start, end = (self.resolve(wall, second=False) for wall in (midnight, midnight + DAY))
        again = self.resolve(midnight + DAY, second=True)
        # Clocks put back from 00:30 to 23:30 return to this day, from 01:00 to 00:00 they do not.
        if again > end and (again - 1 + self.offset_at(again - 1)) // DAY * DAY == midnight:
            end = again
        return start, end

    def wall_at(self, instant: int) -> datetime:
        """The naive local datetime at an instant."""
        return datetime(1970, 1, 1) + timedelta(seconds=instant + self.offset_at(instant))  # noqa: DTZ001

    def show(self, instant: int) -> str:
        """An instant for people: the date alone at local midnight, else with time, and offset outside UTC."""
        offset = self.offset_at(instant)
        wall = self.wall_at(instant)
        if (instant + offset) % DAY == 0:
            return wall.date().isoformat()
        text = wall.isoformat(sep=" ", timespec="seconds" if wall.second else "minutes")
        return f"{text}{offset_text(offset)}"

    def _block(self, number: int) -> tuple[int, tuple[Change, ...]]:
        """The offset just before a block begins, and the changes inside it."""
        known = self._blocks.get(number)
        if known is None:
            if number >= _RULE_BLOCK + _CYCLE_BLOCKS:
                model = _RULE_BLOCK + (number - _RULE_BLOCK) % _CYCLE_BLOCKS
                shift = (number - model) * _BLOCK
                offset, changes = self._block(model)
                known = offset, tuple(Change(c.at + shift, c.before, c.after) for c in changes)
            else:
                known = self._sample(number * _BLOCK)
            self._blocks[number] = known
        return known

    def _sample(self, start: int) -> tuple[int, tuple[Change, ...]]:
        """Look at an offset every three days and close in on each change by halving.

        That is often enough: no zone in the database ever changed its clocks and changed them back within three days
        (the record is Freetown's four in 1939; a test looks at all of them).
        """
        first = before = self._ask(start - 1)
        changes: list[Change] = []
        for seen in range(start - 1 + _SAMPLE, start + _BLOCK, _SAMPLE):
            low = seen - _SAMPLE
            while (now := self._ask(seen)) != before:
                high = seen
                while high - low > 1:
                    middle = (low + high) // 2
                    if self._ask(middle) == before:
                        low = middle
                    else:
                        high = middle
                after = now if high == seen else self._ask(high)
                changes.append(Change(high, before, after))
                low, before = high, after
        return first, tuple(changes)

    def _ask(self, instant: int) -> int:
        offset = datetime.fromtimestamp(max(instant, EARLIEST), self.zone).utcoffset()
        assert offset is not None
        return offset.days * DAY + offset.seconds


@lru_cache(maxsize=64)
def clock_of(zone: ZoneInfo | str) -> ZoneClock:
    """The wall clock of a zone or zone name; the same object each time.

    Raises:
        ScheduleError: There is no such zone.
    """
    return ZoneClock(check_zone(zone) if isinstance(zone, str) else zone)


def check_zone(name: str) -> ZoneInfo:
    """The zone of that IANA name.

    Raises:
        ScheduleError: There is no such zone (code `unknown-zone`); the hint lists the nearest names.
    """
    try:
        # "right/…" counts leap seconds, which epoch seconds do not; "posix/…" is a second spelling of every name.
        if (
            isinstance(name, str)
            and name
            and not name.startswith(("right/", "posix/"))
            and name not in ("localtime", "posixrules")
        ):
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        pass  # which of these it is depends on the name: a folder, "../x", a file that is no zone, a surrogate
    raise ScheduleError(f"there is no time zone {name!r}", hint=_nearest_zones(str(name)), code="unknown-zone")


def resolve_wall(naive: datetime, zone: ZoneInfo | str, *, second: bool) -> int:
    """The instant (epoch seconds) of a naive local datetime; parts of a second are cut off.

    A nonexistent time moves forward by the gap; an ambiguous one is its first or, with `second`, its second occurrence.
    """
    return clock_of(zone).resolve(wall_seconds(naive), second=second)


def local_date(instant: int, zone: ZoneInfo | str) -> date:
    """The date on the wall in that zone at an instant (epoch seconds)."""
    return clock_of(zone).date_at(instant)


def odd_days(first: int, last: int, zone: ZoneInfo | str) -> Iterator[DayLength]:
    """The local days between two instants, both included, that do not have 24 hours, ascending; from the table of
    changes alone, so a century costs some milliseconds."""
    clock = clock_of(zone)
    seen: date | None = None
    lowest, highest = clock.date_at(first), clock.date_at(last)
    for change in clock.changes(first - _REACH, last + _REACH):
        # The change may touch the day it starts on, the day it lands on, and days it jumps over.
        walls = sorted((change.at + change.before, change.at + change.after))
        for number in range(walls[0] // DAY, (walls[1] - 1) // DAY + 1):
            day = day_to_date(number)
            start, end = clock.day_bounds(day)
            if lowest <= day <= highest and end - start != DAY and (seen is None or day > seen):
                seen = day
                yield DayLength(day, end - start)


def wall_seconds(naive: datetime) -> int:
    """A naive datetime as wall seconds: seconds since 1970-01-01 00:00 on the same wall."""
    return epoch_seconds(naive.replace(tzinfo=UTC))


def date_to_day(day: date) -> int:
    """A date as its number of days since 1970-01-01."""
    return day.toordinal() - EPOCH_ORDINAL


def day_to_date(number: int) -> date:
    """The date of a number of days since 1970-01-01; numbers outside the calendar become its first or last day."""
    return date.fromordinal(min(max(number + EPOCH_ORDINAL, 1), date.max.toordinal()))


def iso_utc(instant: int) -> str:
    """An instant as JSON shows it: `2024-01-01T00:00:00+00:00`."""
    return (EPOCH + timedelta(seconds=instant)).isoformat()


def offset_text(offset: int) -> str:
    """Return an offset from UTC in seconds as it is written behind a time: `+02:00`, `Z`."""
    if not offset:
        return "Z"
    hours, seconds = divmod(abs(offset), 3600)
    return f"{'-' if offset < 0 else '+'}{hours:02}:{seconds // 60:02}"


def _nearest_zones(name: str) -> str:
    from difflib import get_close_matches
    from zoneinfo import available_timezones

    names = sorted(available_timezones())
    lowered = {each.lower(): each for each in names}
    # A city alone ("Berlin") is the commonest slip, spelling ("Europe/Berln") the next.
    wanted = name.lower().replace(" ", "_")
    cities = [full for low, full in lowered.items() if low.rsplit("/", 1)[-1] == wanted]
    near = cities or [lowered[low] for low in get_close_matches(wanted, lowered, n=3, cutoff=0.6)]
    if not near:
        return "use an IANA name such as UTC or Europe/Paris"
    return f"did you mean {' or '.join(near[:3])}?"
