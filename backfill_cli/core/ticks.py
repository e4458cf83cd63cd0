"""Cron in a zone: where the wall-clock table of a cron becomes instants, and instants become intervals.

Owns `CronSchedule`: R1, R4, R5, R6 and section 3 (daylight saving). The table comes from `core/cron.py`, the offsets
from `core/zones.py`.

The rule of section 3, read as periods of constant offset:

* The hour field covers all 24 hours: a tick is every instant at which the wall reads a matching minute. Nothing is
  missing (a skipped hour holds no instants), nothing doubled (a repeated hour is two hours).
* Otherwise the wall decides: every matching wall time becomes one instant. It belongs to the latest period whose
  offset has taken over on the wall by then. So an ambiguous time is its second occurrence, and a time inside the gap
  keeps the old offset, which moves it forward by the gap. Instants that coincide count once.

Both are functions of the instant alone. Walking backwards, starting anywhere, or cutting a window in two therefore
gives the same ticks, and no change of clocks, however odd, can stop the walk or bend an interval.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

from backfill_cli.core.crontable import CronTable
from backfill_cli.core.intervals import Span, make_span
from backfill_cli.core.zones import DAY, EARLIEST, LATEST, Period, ZoneClock

_CHUNK = 8192  # ticks a chunk: large enough that the loop over chunks costs nothing, small enough to stay in cache
_REACH = 2 * DAY  # a wall time is at most this far from the instant it becomes


class CronSchedule:
    """Intervals between the ticks of a cron in one zone: run k covers `[t_k, t_{k+1})` (R1)."""

    kind = "cron"

    __slots__ = ("_chunk", "clock", "table", "text")

    def __init__(self, text: str, table: CronTable, clock: ZoneClock) -> None:
        self.text = text
        self.table = table
        self.clock = clock
        days = _CHUNK * 366 // (len(table.seconds) * table.days_per_year())
        self._chunk = DAY * min(max(days, 1), 366 * 40)

    def spans(self, first: int, last: int) -> Iterator[Span]:
        """Every interval whose logical date L has `first <= L <= last`, ascending; streamed in constant memory."""
        ticks = chain.from_iterable(self._ascending(first, last))
        return map(make_span, pairwise(ticks))

    def spans_backwards(self, first: int, last: int) -> Iterator[Span]:
        """The same intervals, the latest first."""
        ticks = chain.from_iterable(self._descending(first, last))
        return (Span(start, end) for end, start in pairwise(ticks))

    def previous(self, logical_date: int) -> Span | None:
        """The latest interval that starts before an instant."""
        start = self._before(logical_date)
        return None if start is None else self._at(start)

    def next(self, logical_date: int) -> Span | None:
        """The earliest interval that starts after an instant."""
        start = self._after(logical_date)
        return None if start is None else self._at(start)

    def first_at_or_after(self, instant: int) -> Span | None:
        """The earliest interval that starts at or after an instant (R6)."""
        return self.next(instant - 1)

    def manual(self, at: int) -> Span:
        """The last complete interval at an instant (R5); nothing of length when the calendar holds none."""
        end = self._before(at + 1)
        start = None if end is None else self._before(end)
        return Span(at, at) if start is None or end is None else Span(start, end)

    def count(self, first: int, last: int) -> int:
        """How many intervals `spans(first, last)` yields, mostly by arithmetic: a million dates in a millisecond."""
        first, last = max(first, EARLIEST), min(last, LATEST)
        total, start, stop = 0, first, last + 1
        # Around a change ticks may coincide, so there they are listed; elsewhere they are counted.
        changes = () if self.table.every_hour else tuple(self.clock.changes(first - _REACH, stop + _REACH))
        for change in changes:
            low, high = max(start, change.at - _REACH), min(stop, change.at + _REACH)
            if low < high:
                total += self._count_steady(start, low) + sum(map(len, self._pieces(low, high)))
                start = high
        total += self._count_steady(start, stop)
        # The very last tick of the calendar opens no interval.
        return total - 1 if total and self._after(last) is None else total

    def describe(self) -> str:
        """The schedule as its author wrote it."""
        return self.text

    def digest_text(self) -> str:
        """The same text for the same dates, however they were written."""
        return f"cron {self.table.text} {self.clock.name}"

    def _at(self, start: int) -> Span | None:
        end = self._after(start)
        return None if end is None else Span(start, end)

    def _ascending(self, first: int, last: int) -> Iterator[Iterable[int]]:
        """Chunks of the ticks from first to last, and the one tick that ends the last interval."""
        first, last = max(first, EARLIEST), min(last, LATEST)
        for start in range(first, last + 1, self._chunk):
            yield from self._pieces(start, min(start + self._chunk, last + 1))
        if first <= last and (end := self._after(last)) is not None:
            yield (end,)

    def _descending(self, first: int, last: int) -> Iterator[Iterable[int]]:
        first, last = max(first, EARLIEST), min(last, LATEST)
        if first <= last and (end := self._after(last)) is not None:
            yield (end,)
        for stop in range(last + 1, first, -self._chunk):
            yield from map(reversed, reversed(self._pieces(max(stop - self._chunk, first), stop)))

    def _after(self, instant: int) -> int | None:
        """The first tick after an instant. Windows begin small, as the next tick is mostly near, and double."""
        start, size = max(instant + 1, EARLIEST), DAY
        while start <= LATEST:
            if pieces := self._pieces(start, min(start + size, LATEST + 1)):
                return pieces[0][0]
            start += size
            size = min(2 * size, self._chunk)
        return None

    def _before(self, instant: int) -> int | None:
        """The last tick before an instant."""
        stop, size = min(instant, LATEST + 1), DAY
        while stop > EARLIEST:
            if pieces := self._pieces(max(stop - size, EARLIEST), stop):
                return pieces[-1][-1]
            stop -= size
            size = min(2 * size, self._chunk)
        return None

    def _pieces(self, start: int, stop: int) -> list[Sequence[int]]:
        """The ticks in `[start, stop)` in non-empty pieces: ascending throughout, each tick once."""
        periods = self.clock.periods(start, stop) if self.table.every_hour else self._walls(start, stop)
        pieces: list[Sequence[int]] = []
        for period in periods:
            ticks = self._steady(*period)
            if ticks and pieces and ticks[0] <= pieces[-1][-1]:
                ticks = sorted({*pieces.pop(), *ticks})  # a gap moved some forward, among the next ones
            if ticks:
                pieces.append(ticks)
        return pieces

    def _walls(self, start: int, stop: int) -> list[Period]:
        """The instants in `[start, stop)` that wall times become, by the offset each wall time belongs to.

        Unlike the clock's periods these overlap after a gap (the old offset goes on for the length of the gap) and
        leave out the first reading of an ambiguous time.
        """
        periods = self.clock.periods(start - _REACH, stop + _REACH)
        pieces: list[Period] = []
        takes_over = stop + _REACH + periods[-1].offset  # on the wall: where the next period's offset begins
        for period in reversed(periods):
            begins = period.start + period.offset
            low, high = max(begins - period.offset, start), min(takes_over - period.offset, stop)
            if low < high:
                pieces.append(Period(low, high, period.offset))
            takes_over = min(takes_over, begins)
        pieces.reverse()
        return pieces

    def _steady(self, start: int, stop: int, offset: int) -> Sequence[int]:
        """The ticks in `[start, stop)` as far as one offset goes."""
        seconds = self.table.seconds
        if step := self.table.step:
            return range(start + (seconds[0] - start - offset) % step, stop, step)
        midnights = [day * DAY - offset for day in self.table.days((start + offset) // DAY, (stop - 1 + offset) // DAY)]
        ticks = [midnight + second for midnight in midnights for second in seconds]
        low, high = bisect_left(ticks, start), bisect_left(ticks, stop)
        return ticks[low:high] if high - low < len(ticks) else ticks

    def _count_steady(self, start: int, stop: int) -> int:
        """How many ticks lie in `[start, stop)`, when no two ticks there coincide."""
        return sum(
            self._count_walls(piece.start + piece.offset, piece.end + piece.offset)
            for piece in self.clock.periods(start, stop)
        )

    def _count_walls(self, start: int, stop: int) -> int:
        """How many wall times in `[start, stop)` match."""
        (first, after_first), (last, after_last) = divmod(start, DAY), divmod(stop, DAY)
        seconds = self.table.seconds
        whole = self.table.count_days(first, last - 1) * len(seconds)
        cut = bisect_left(seconds, after_first) if self.table.count_days(first, first) else 0
        added = bisect_left(seconds, after_last) if self.table.count_days(last, last) else 0
        return whole - cut + added
