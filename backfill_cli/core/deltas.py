"""Schedules that step by a length of time: absolute (timedelta) or by the calendar (months, years, wall days). R2.

Owns the two grids. Both run in both directions from an anchor, the DAG's start_date, so that every rerun meets the
same dates (section 8), whatever range is asked for.

A timedelta is a length of absolute time: a grid of 24 hours ignores changes of clocks and drifts an hour on the wall.
A calendar delta steps on the wall in the DAG's zone, each boundary from the anchor and never from the boundary before
it, so the 31st comes back after February. A boundary inside a gap moves forward by the gap, an ambiguous one is its
second occurrence (section 3), and boundaries that coincide count once.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from backfill_cli.core.durations import typed
from backfill_cli.core.intervals import Span, make_span
from backfill_cli.core.zones import DAY, EARLIEST, LATEST, ZoneClock, wall_seconds
from backfill_cli.errors import ScheduleError


class DeltaSchedule:
    """`[s, s + d)` on the grid of absolute time that runs through the anchor (R2)."""

    kind = "delta"

    __slots__ = ("anchor", "step")

    def __init__(self, step: int, anchor: int) -> None:
        self.step = step
        self.anchor = anchor

    def spans(self, first: int, last: int) -> Iterator[Span]:
        """Every interval whose logical date L has `first <= L <= last`, ascending."""
        starts = self._starts(first, last)
        return map(make_span, zip(starts, _shifted(starts, self.step), strict=True))

    def spans_backwards(self, first: int, last: int) -> Iterator[Span]:
        """The same intervals, the latest first."""
        starts = self._starts(first, last)[::-1]
        return map(make_span, zip(starts, _shifted(starts, self.step), strict=True))

    def previous(self, logical_date: int) -> Span | None:
        """The latest interval that starts before an instant."""
        start = logical_date - 1 - (logical_date - 1 - self.anchor) % self.step
        return self._valid(start)

    def next(self, logical_date: int) -> Span | None:
        """The earliest interval that starts after an instant."""
        return self.first_at_or_after(logical_date + 1)

    def first_at_or_after(self, instant: int) -> Span | None:
        """The earliest interval that starts at or after an instant (R6)."""
        return self._valid(instant + (self.anchor - instant) % self.step)

    def manual(self, at: int) -> Span:
        """`[T - d, T]`: off the grid, as a manual run of a timedelta covers what lies right behind it (R5)."""
        return Span(max(at - self.step, EARLIEST), at)

    def count(self, first: int, last: int) -> int:
        """How many intervals `spans(first, last)` yields."""
        return len(self._starts(first, last))

    def describe(self) -> str:
        """`every 6h`, `every 1d12h`."""
        return f"every {typed(self.step)}"

    def digest_text(self) -> str:
        """The same text for the same dates: the step, and where its grid lies."""
        return f"delta {self.step} {self.anchor % self.step}"

    def _starts(self, first: int, last: int) -> range:
        low = max(first, EARLIEST)
        low += (self.anchor - low) % self.step
        return range(low, min(last, LATEST - self.step) + 1, self.step)

    def _valid(self, start: int) -> Span | None:
        inside = start >= EARLIEST and start + self.step <= LATEST
        return Span(start, start + self.step) if inside else None


_AVERAGE_MONTH = 146_097 * DAY // 4800  # 400 Gregorian years, to the second


class CalendarStep(NamedTuple):
    """One step on the wall: whole months, then whole days and seconds. None is negative."""

    months: int
    days: int
    seconds: int


class CalendarSchedule:
    """`[b_k, b_k+1)` where b_k is the anchor's wall time plus k steps, resolved in the DAG's zone (R2)."""

    kind = "calendar"

    __slots__ = ("_anchor_wall", "anchor", "clock", "step")

    def __init__(self, step: CalendarStep, anchor: int, clock: ZoneClock) -> None:
        self.step = step
        self.anchor = anchor
        self.clock = clock
        self._anchor_wall = clock.wall_at(anchor)

    def spans(self, first: int, last: int) -> Iterator[Span]:
        """Every interval whose logical date L has `first <= L <= last`, ascending."""
        k = self._index_at_or_after(max(first, EARLIEST))
        while (span := self._span(k)) is not None and span.start <= last:
            if span.start < span.end:  # else the zone skipped this step: both ends are one instant
                yield span
            k += 1

    def spans_backwards(self, first: int, last: int) -> Iterator[Span]:
        """The same intervals, the latest first."""
        k = self._index_at_or_after(min(last, LATEST) + 1) - 1
        low = max(first, EARLIEST)
        while self._boundary(k) >= low:
            span = self._span(k)
            if span is not None and span.start < span.end:
                yield span
            k -= 1

    def previous(self, logical_date: int) -> Span | None:
        """The latest interval that starts before an instant."""
        return next(self.spans_backwards(EARLIEST, logical_date - 1), None)

    def next(self, logical_date: int) -> Span | None:
        """The earliest interval that starts after an instant."""
        return next(self.spans(logical_date + 1, LATEST), None)

    def first_at_or_after(self, instant: int) -> Span | None:
        """The earliest interval that starts at or after an instant (R6)."""
        return next(self.spans(instant, LATEST), None)

    def manual(self, at: int) -> Span:
        """`[T - d, T]`, the step taken back on the wall (R5)."""
        start = self._resolve(_months_later(self.clock.wall_at(at), -self.step.months), -1)
        return Span(max(min(start, at), EARLIEST), at)

    def count(self, first: int, last: int) -> int:
        """How many intervals `spans(first, last)` yields: the steps, less those in days the zone skipped."""
        first, last = max(first, EARLIEST), min(last, LATEST)
        if first > last:
            return 0
        low, high = self._index_at_or_after(first), self._index_at_or_after(last + 1)
        while high > low and self._span(high - 1) is None:
            high -= 1
        # A step is a day or more, so two boundaries can only coincide when the clocks jump over a whole day.
        jumps = (
            change.at for change in self.clock.changes(first - DAY, last + 1) if change.after - change.before >= DAY
        )
        near = (range(self._index_at_or_after(at), self._index_at_or_after(at + DAY)) for at in jumps)
        skipped = sum(low <= k < high and self._boundary(k) == self._boundary(k + 1) for ks in near for k in ks)
        return high - low - skipped

    def describe(self) -> str:
        """`every 1 month`, `every 1 year 2 months`."""
        years, months = divmod(self.step.months, 12)
        weeks, days = (0, self.step.days) if self.step.days % 7 else (self.step.days // 7, 0)
        named = ((years, "year"), (months, "month"), (weeks, "week"), (days, "day"))
        words = [f"{count} {name}{'s' if count > 1 else ''}" for count, name in named if count]
        if self.step.seconds:
            words.append(typed(self.step.seconds))
        return "every " + " ".join(words)

    def digest_text(self) -> str:
        """The same text for the same dates: step, anchor and zone."""
        return f"calendar {self.step.months} {self.step.days} {self.step.seconds} {self.anchor} {self.clock.name}"

    def _span(self, k: int) -> Span | None:
        span = Span(self._boundary(k), self._boundary(k + 1))
        return span if span.start >= EARLIEST and span.end <= LATEST else None

    def _boundary(self, k: int) -> int:
        """b_k as an instant; steps that leave the calendar stop just outside EARLIEST or LATEST."""
        return self._resolve(_months_later(self._anchor_wall, k * self.step.months), k)

    def _resolve(self, wall: int, k: int) -> int:
        wall += k * (self.step.days * DAY + self.step.seconds)
        if not EARLIEST - DAY < wall < LATEST + DAY:
            return EARLIEST - 1 if wall <= EARLIEST else LATEST + 1
        return self.clock.resolve(wall, second=True)

    def _index_at_or_after(self, instant: int) -> int:
        """The least k whose boundary is at or after an instant, which lies from EARLIEST to a second after LATEST.

        The average length of a step lands within some days of it, and boundaries never descend.
        """
        months, days, seconds = self.step
        k = (instant - self.anchor) // (months * _AVERAGE_MONTH + days * DAY + seconds)
        while self._boundary(k) < instant:
            k += 1
        while self._boundary(k - 1) >= instant:
            k -= 1
        return k


def absolute_step(delta: timedelta) -> int:
    """A timedelta in whole seconds.

    Raises:
        ScheduleError: Zero, negative, or finer than a second.
    """
    if delta <= timedelta(0):
        raise ScheduleError(
            f"a schedule cannot step by {delta}",
            hint="use a positive timedelta, as in timedelta(hours=6)",
            code="bad-delta",
        )
    if delta.microseconds:
        raise ScheduleError(
            f"schedule {delta} is finer than a second",
            hint="logical dates are whole seconds: use timedelta(seconds=1) or more",
            code="bad-delta",
        )
    return delta.days * DAY + delta.seconds


def _shifted(starts: range, by: int) -> range:
    return range(starts.start + by, starts.stop + by, starts.step)


def _months_later(wall: datetime, months: int) -> int:
    """Wall seconds some months later, on the last day of a month that is too short; far out of the calendar, as many
    seconds out as it takes to be seen as such."""
    year, month0 = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        return EARLIEST - 400 * DAY if year < 1 else LATEST + 400 * DAY
    day = min(wall.day, calendar.monthrange(year, month0 + 1)[1])
    return wall_seconds(wall.replace(year=year, month=month0 + 1, day=day))
