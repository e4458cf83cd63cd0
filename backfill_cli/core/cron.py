"""Cron expressions as wall-clock tables: which days of a year, which seconds of a day.

Owns parsing (croniter's dialect with five fields, R4), the presets (R3) and the refusals. It knows no zone: what a
wall time is in UTC is `core/zones.py`, and where the two meet is `core/ticks.py`.

The idea: a cron is a product of days and times of day. There are only fourteen kinds of year (leap or not, times the
weekday it begins on), so fourteen short lists of days say for ever when a cron fires; enumerating is then arithmetic,
hundreds of times faster than stepping croniter. croniter parses and validates; a property test holds the table equal
to stepping croniter in naive wall time.
"""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from backfill_cli.core.zones import EPOCH_ORDINAL, day_to_date
from backfill_cli.errors import ScheduleError

# R3, and croniter's two aliases.
PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

# Name, lowest, highest, as croniter reads them (weekday 7 is Sunday too).
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))

# The fourteen kinds of year, each with one that is of that kind.
_KINDS = {(calendar.isleap(year), date(year, 1, 1).weekday()): year for year in range(2000, 2028)}


@dataclass(frozen=True, slots=True)
class CronTable:
    """When a cron fires on the wall.

    Attributes:
        text: The five fields in lower case, single spaces: two spellings of one cron share it.
        seconds: The times of day, in seconds after local midnight, ascending, never empty.
        every_hour: The expanded hour field covers all 24 hours, so steps are absolute (section 3).
    """

    text: str
    seconds: tuple[int, ...]
    every_hour: bool
    _fields: _Fields
    _days: dict[tuple[bool, int], tuple[int, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def every_day(self) -> bool:
        """No field restricts the days."""
        return self._fields.every_day

    def days(self, first: int, last: int) -> Sequence[int]:
        """The days it fires on, first and last included, ascending, as days since 1970-01-01."""
        if self.every_day:
            return range(first, last + 1)
        found: list[int] = []
        for year in range(day_to_date(first).year, day_to_date(last).year + 1):
            new_year, table = self._year(year)
            low = bisect_left(table, first - new_year)
            high = bisect_right(table, last - new_year)
            found += [new_year + day for day in table[low:high]]
        return found

    def count_days(self, first: int, last: int) -> int:
        """How many days it fires on, first and last included, without listing them."""
        if self.every_day:
            return max(0, last - first + 1)
        total = 0
        for year in range(day_to_date(first).year, day_to_date(last).year + 1):
            new_year, table = self._year(year)
            total += bisect_right(table, last - new_year) - bisect_left(table, first - new_year)
        return total

    def days_per_year(self) -> int:
        """About how many days a year it fires on, at least 1: enough to choose the size of a chunk."""
        return 366 if self.every_day else max(1, len(self._kind((True, 0))))

    def never_fires(self) -> bool:
        """No year of any kind has a matching day."""
        return not self.every_day and not any(self._kind(kind) for kind in _KINDS)

    def _year(self, year: int) -> tuple[int, tuple[int, ...]]:
        new_year = date(year, 1, 1)
        table = self._kind((calendar.isleap(year), new_year.weekday()))
        return new_year.toordinal() - EPOCH_ORDINAL, table

    def _kind(self, kind: tuple[bool, int]) -> tuple[int, ...]:
        table = self._days.get(kind)
        if table is None:
            table = self._days[kind] = tuple(self._fields.days_of(_KINDS[kind]))
        return table


@dataclass(frozen=True, slots=True)
class _Fields:
    """croniter's expanded day fields, and its rules for combining them.

    `*_bound` repeats croniter's own test for "restricted"; both restricted means either matches. Its `#`, `L<weekday>`
    and `W` are no part of either side: they narrow both, as `0 0 13 * 5#3` (third Friday only) shows.
    """

    days: frozenset[int | str]
    months: frozenset[int]
    weekdays: frozenset[int | str]
    days_bound: bool
    weekdays_bound: bool
    nth: tuple[tuple[int, frozenset[int | str]], ...]
    nearest: frozenset[int]

    @property
    def every_day(self) -> bool:
        free = "*" in self.days and "*" in self.weekdays
        return free and not self.nth and not self.nearest and len(self.months) == 12

    def days_of(self, year: int) -> list[int]:
        """The matching days of a year, counted from 0 on January 1st."""
        found: list[int] = []
        start = 0
        for month in range(1, 13):
            length = calendar.monthrange(year, month)[1]
            if month in self.months:
                found += [start + day - 1 for day in sorted(self._days_of_month(year, month, length))]
            start += length
        return found

    def _days_of_month(self, year: int, month: int, length: int) -> set[int]:
        every = set(range(1, length + 1))
        first = (calendar.weekday(year, month, 1) + 1) % 7  # cron counts from Sunday
        by_day = every if "*" in self.days else {day for day in every if day in self.days}
        if "l" in self.days:
            by_day = by_day | {length}
        by_nearest = {_nearest_workday(year, month, min(day, length)) for day in self.nearest}
        by_nth = {
            day
            for weekday, which in self.nth
            for nth, day in enumerate(range((weekday - first) % 7 + 1, length + 1, 7), start=1)
            if nth in which or ("l" in which and day + 7 > length)
        }
        by_weekday = every
        if "*" not in self.weekdays:
            by_weekday = {day for day in every if (first + day - 1) % 7 in self.weekdays}
        of_month = by_nearest if self.nearest else by_day
        of_week = by_nth if self.nth else by_weekday
        if self.days_bound and self.weekdays_bound:
            return (of_month & (by_nth if self.nth else every)) | (of_week & (by_nearest if self.nearest else every))
        return of_month & of_week


def parse_cron(expression: str) -> CronTable:
    """The wall-clock table of a cron expression or preset.

    Raises:
        ScheduleError: Not five fields, out of range, random (`R`, `H`), a step larger than its field, or a cron that
            never fires. The hint says which field and what it takes.
    """
    text = " ".join(expression.lower().split())
    text = PRESETS.get(text, text)
    if text.startswith("@"):
        raise _unknown_preset(expression)
    parts = text.split(" ") if text else []
    _check_shape(expression, parts)
    fields, seconds, hours = _expand(expression, text, parts)
    table = CronTable(text, seconds, hours == 24, fields)
    if table.never_fires():
        raise _never_fires(expression, parts, fields)
    return table


def _expand(expression: str, text: str, parts: list[str]) -> tuple[_Fields, tuple[int, ...], int]:
    cron = _croniter(text)
    if cron is None:
        raise _bad_field(expression, parts)
    minutes, hours, days, months, weekdays = cron.expanded
    every_minute = _numbers(minutes, range(60))
    every_hour = _numbers(hours, range(24))
    fields = _Fields(
        days=frozenset(days),
        months=frozenset(_numbers(months, range(1, 13))),
        weekdays=frozenset(weekdays),
        days_bound=days[0] != "*",
        weekdays_bound=weekdays[0] != "*",
        nth=tuple((weekday, frozenset(which)) for weekday, which in cron.nth_weekday_of_month.items()),
        nearest=frozenset(getattr(cron, "nearest_weekday", ())),  # croniter 6 has no W
    )
    seconds = tuple(hour * 3600 + minute * 60 for hour in every_hour for minute in every_minute)
    return fields, seconds, len(every_hour)


def _croniter(text: str) -> Any | None:
    """croniter's reading of an expression, or None where it refuses."""
    from croniter import croniter

    try:
        return croniter(text, 0.0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        # Its own errors are ValueErrors; the others escape it on a few malformed fields.
        return None


def _numbers(expanded: Sequence[int | str], every: range) -> list[int]:
    return list(every) if "*" in expanded else sorted(int(value) for value in expanded)


def _nearest_workday(year: int, month: int, day: int) -> int:
    """croniter's W: the working day nearest to a day, never leaving the month."""
    weekday = calendar.weekday(year, month, day)
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == calendar.SUNDAY:
        return day + 1 if day < calendar.monthrange(year, month)[1] else day - 2
    return day


def _check_shape(expression: str, parts: list[str]) -> None:
    if len(parts) != 5:
        count = f"{len(parts)} field{'' if len(parts) == 1 else 's'}"
        hint = "cron needs 5: minute hour day month weekday, as in '0 6 * * *'"
        if len(parts) in (6, 7):
            hint = (
                f"cron needs 5, without seconds or years: perhaps {' '.join(parts[-5:])!r} or {' '.join(parts[:5])!r}"
            )
        raise ScheduleError(f"schedule {expression!r} has {count}", hint=hint, code="bad-cron")
    for part, (name, low, high) in zip(parts, FIELDS, strict=True):
        if re.search(r"(?<![a-z])[rh](?![a-z])", part):
            raise ScheduleError(
                f"schedule {expression!r} is random in its {name} field ({part!r})",
                hint="a backfill needs the same dates every time: write the number",
                code="random-cron",
            )
        size = high - low + (0 if name == "weekday" else 1)
        for step in re.findall(r"/(\d+)", part):
            if int(step) > size:
                raise ScheduleError(
                    f"schedule {expression!r} steps by {step} in its {name} field, which has {size} values",
                    hint=f"use a step of at most {size}, or timedelta(…) for a step that crosses the field",
                    code="bad-step",
                )


def _bad_field(expression: str, parts: list[str]) -> ScheduleError:
    for index, (part, (name, low, high)) in enumerate(zip(parts, FIELDS, strict=True)):
        alone = ["*"] * 5
        alone[index] = part
        if _croniter(" ".join(alone)) is None:
            extra = {"day": " and L", "month": " or jan-dec", "weekday": " or sun-sat, and 5#3, L5"}.get(name, "")
            return ScheduleError(
                f"schedule {expression!r} has a bad {name} field: {part!r}",
                hint=f"it takes {low}-{high}{extra}, lists, ranges and steps",
                code="bad-cron",
            )
    return ScheduleError(
        f"schedule {expression!r} is not a cron expression",
        hint="cron needs 5 fields: minute hour day month weekday, as in '0 6 * * *'",
        code="bad-cron",
    )


def _never_fires(expression: str, parts: list[str], fields: _Fields) -> ScheduleError:
    months = [calendar.month_name[month] for month in sorted(fields.months)]
    days = [str(day) for day in sorted(day for day in fields.days if isinstance(day, int))]
    hint = "look at the day and month fields together"
    if days:
        verb = "has" if len(months) == 1 else "have"
        hint = (
            f"{' and '.join(months)} {verb} no day {' or '.join(days)}; "
            f"the last day of a month is '{parts[0]} {parts[1]} L * *'"
        )
    return ScheduleError(f"schedule {expression!r} never fires", hint=hint, code="never-fires")


def _unknown_preset(expression: str) -> ScheduleError:
    from difflib import get_close_matches

    known = [*PRESETS, "@once"]
    near = get_close_matches(expression.strip().lower(), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return ScheduleError(f"there is no schedule {expression!r}", hint=hint, code="unknown-preset")
