"""When a cron fires on the wall: days of the year times seconds of the day.

Owns `CronTable` and `DayRule`, pure arithmetic on local dates. How text becomes a rule is `core/cron.py`, what a wall
time is in UTC `core/zones.py`.

The idea: a cron is a product of days and times of day, and there are only fourteen kinds of year (leap or not, times
the weekday it begins on). Fourteen short lists of days, made when first needed, say for ever when a cron fires;
enumerating is then arithmetic, hundreds of times faster than stepping croniter. A property test holds the two equal.
"""

from __future__ import annotations

import calendar
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from backfill_cli.core.zones import EPOCH_ORDINAL, day_to_date

# The fourteen kinds of year, each with one that is of that kind.
_KINDS = {(calendar.isleap(year), date(year, 1, 1).weekday()): year for year in range(2000, 2028)}


@dataclass(frozen=True, slots=True)
class CronTable:
    """When a cron fires on the wall.

    Attributes:
        text: The five fields in lower case, single spaces: two spellings of one cron share it.
        seconds: The times of day, in seconds after local midnight, ascending, never empty.
        every_hour: The expanded hour field covers all 24 hours, so steps are absolute (section 3).
        step: The seconds between any two ticks when that is always the same on the wall, as in @daily; else 0.
    """

    text: str
    seconds: tuple[int, ...]
    every_hour: bool
    step: int
    rule: DayRule
    _days: dict[tuple[bool, int], tuple[int, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def every_day(self) -> bool:
        """No field restricts the days."""
        return self.rule.every_day

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
            table = self._days[kind] = tuple(self.rule.days_of(_KINDS[kind]))
        return table


@dataclass(frozen=True, slots=True)
class DayRule:
    """croniter's expanded day fields, and its rule for combining them.

    Attributes:
        days, weekdays: The values of the two fields; `"*"` is all of them, `"l"` the last day of the month.
        months: All the values of the month field, 1 to 12.
        nth: Weekdays of which only the given ones of a month count (`5#3`, `L5`); if any, they are the weekday field.
        nearest: Days that move to the nearest working day (`15W`); if any, they are the day field.
        either: Both fields are restricted, so a day that matches one of them is enough (R4).
    """

    days: frozenset[int | str]
    months: frozenset[int]
    weekdays: frozenset[int | str]
    nth: tuple[tuple[int, frozenset[int | str]], ...]
    nearest: frozenset[int]
    either: bool

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
        return of_month | of_week if self.either else of_month & of_week


def _nearest_workday(year: int, month: int, day: int) -> int:
    """croniter's W: the working day nearest to a day, never leaving the month."""
    weekday = calendar.weekday(year, month, day)
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == calendar.SUNDAY:
        return day + 1 if day < calendar.monthrange(year, month)[1] else day - 2
    return day
