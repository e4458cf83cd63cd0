"""Counting a range of a DAG: the intervals of its schedule beside the dag_runs of the ledger, block by block.

Owns what `status --dag` says of all dates: counts, what is missing, what is stale, and which dates are on the page.
Where a block of intervals and one of dag_runs have the same dates, as they have wherever all has run, they are compared
and counted as a whole; single dates are looked at only where they differ, and for the page.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Generic, TypeVar

from backfill_cli.app.status_page import Page
from backfill_cli.core.planning import unfinished_because
from backfill_cli.core.standing import MISSING, REMAINING, STALE
from backfill_cli.core.states import RunState

if TYPE_CHECKING:
    from backfill_cli.core.intervals import Span
    from backfill_cli.core.records import EndedRuns, RunRow

_BLOCK = 4_096

T = TypeVar("T")

Kind = tuple[RunState, str]
"""State and version of a terminal dag_run."""


class Tally:
    """What the dates of a range come to.

    Args:
        version: The DAG's version now: a success under another one is stale.
        is_live: Whether an owner id belongs to a process that is alive.
        page: Which dates to keep for showing.

    Attributes:
        counts: Dates by state; stale ones are no successes.
        missing: Stretches of dates without a dag_run that no living process comes to: first, last, how many.
        stale: Version → the dates that succeeded under it.
        shown: The page: logical dates, each with its state and whether it is stale.
        more: There are more dates of its kind behind the page.
    """

    def __init__(self, version: str, is_live: Callable[[str], bool], page: Page) -> None:
        self._version = version
        self._is_live = is_live
        self._page = page
        self._was_missing = False
        self.first: int | None = None
        self.last: int | None = None
        self.counts: Counter[str] = Counter()
        self.missing: list[tuple[int, int, int]] = []
        self.stale: dict[str, list[int]] = defaultdict(list)
        self.shown: list[tuple[int, str, bool]] = []
        self.more = False

    def take(
        self,
        spans: Iterator[Span],
        ended: Iterator[EndedRuns],
        unfinished: Iterator[RunRow],
        claimed: Iterator[int],
    ) -> None:
        """Count every interval. All four ascend; dag_runs on no interval are passed by.

        Args:
            claimed: The dates that living processes still have to finish.
        """
        terminal, others = _Ended(ended), _UpTo(unfinished, attrgetter("logical_date"))
        awaited = _UpTo(claimed, int)
        starts = map(itemgetter(0), spans)
        while block := list(islice(starts, _BLOCK)):
            if self.first is None:
                self.first = block[0]
            self.last = block[-1]
            dates, kinds = terminal.up_to(block[-1])
            rows, held = others.up_to(block[-1]), awaited.up_to(block[-1])
            if self._is_page_over(block) and not rows and dates == block:
                self._take_ended(dates, kinds)
            elif self._is_page_over(block) and not rows and not dates and not held:
                self._take_missing(block[0], block[-1], len(block))
            else:
                by_date = {row.logical_date: row for row in rows}
                self._take_each(block, dict(zip(dates, kinds, strict=True)), by_date, frozenset(held))

    def _is_page_over(self, block: list[int]) -> bool:
        """Whether no date of the block can be on the page."""
        return self.more or (self._page.after is not None and block[-1] <= self._page.after)

    def _take_ended(self, dates: list[int], kinds: list[Kind]) -> None:
        counted = Counter(kinds)
        for kind, number in counted.items():
            self._count(*kind, number)
        for version in {version for state, version in counted if state is RunState.SUCCESS} - {self._version}:
            found = (RunState.SUCCESS, version)
            self.stale[version] += [one for one, kind in zip(dates, kinds, strict=True) if kind == found]
        self._was_missing = False

    def _count(self, state: RunState, version: str, number: int) -> None:
        stale = state is RunState.SUCCESS and version != self._version
        self.counts[STALE if stale else state] += number

    def _take_missing(self, first: int, last: int, number: int) -> None:
        self.counts[MISSING] += number
        if self._was_missing:
            first, _, before = self.missing.pop()
            number += before
        self.missing.append((first, last, number))
        self._was_missing = True

    def _take_each(
        self, block: Iterable[int], ended: dict[int, Kind], unfinished: dict[int, RunRow], awaited: frozenset[int]
    ) -> None:
        for date in block:
            kind = ended.get(date)
            stale = False
            state: str
            if kind is not None:
                state = kind[0]
                stale = kind[0] is RunState.SUCCESS and kind[1] != self._version
                self._count(*kind, 1)
                if stale:
                    self.stale[kind[1]].append(date)
            elif (row := unfinished.get(date)) is not None:
                is_held = row.owner is not None and self._is_live(row.owner)
                state = row.state if is_held else unfinished_because(row)
                self.counts[state] += 1
            elif date in awaited:
                state = REMAINING
                self.counts[state] += 1
            else:
                state = MISSING
                self._take_missing(date, date, 1)
            self._was_missing = state == MISSING
            self._show(date, state, stale=stale)

    def _show(self, date: int, state: str, *, stale: bool) -> None:
        page = self._page
        if self.more or (page.after is not None and date <= page.after) or not page.wants(state, stale=stale):
            return
        if len(self.shown) == page.limit:
            self.more = True
        else:
            self.shown.append((date, state, stale))


class _Ended:
    """A stream of blocks, taken up to a date at a time."""

    def __init__(self, blocks: Iterator[EndedRuns]) -> None:
        self._blocks = blocks
        self._dates: list[int] = []
        self._kinds: list[Kind] = []

    def up_to(self, last: int) -> tuple[list[int], list[Kind]]:
        """Return what is left of it up to a date, included."""
        while not self._dates or self._dates[-1] < last:
            block = next(self._blocks, None)
            if block is None:
                break
            self._dates += block.dates
            self._kinds += block.kinds
        end = bisect_right(self._dates, last)
        dates, self._dates = self._dates[:end], self._dates[end:]
        kinds, self._kinds = self._kinds[:end], self._kinds[end:]
        return dates, kinds


class _UpTo(Generic[T]):
    """A stream of what has a date, taken up to a date at a time."""

    def __init__(self, rows: Iterator[T], date: Callable[[T], int]) -> None:
        self._rows = rows
        self._date = date
        self._next = next(rows, None)

    def up_to(self, last: int) -> list[T]:
        """Return what is left of it up to a date, included."""
        found = []
        while self._next is not None and self._date(self._next) <= last:
            found.append(self._next)
            self._next = next(self._rows, None)
        return found
