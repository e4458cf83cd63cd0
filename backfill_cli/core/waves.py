"""Waves: which dates run together.

Owns the one idea behind chunks, pilots and ramps (`core/shapes.py`): the dates of a backfill, in the order of the run,
fall into waves, which run one after another. Which wave a date is in follows from the dates and the shape alone, so
nothing is stored about it, and whoever asks later is told the same. Dates are streamed: a million are never held. How
a wave went, and whether the next one may begin, is `core/wave_tallies.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from backfill_cli.core.shapes import ALL, Shape
from backfill_cli.core.zones import DAY, clock_of

PILOT = 0
"""The number of the pilot; the waves behind it count from 1."""


class Wave(NamedTuple):
    """A wave as it is shown: `kind` is pilot, chunk, ramp or rest.

    Args:
        number: Counts from 1; the pilot is 0.
        of: The number of the last; None while the size of `--chunk auto` is still to be measured.
    """

    kind: str
    number: int
    of: int | None

    @property
    def name(self) -> str:
        """How people call it: `chunk 3 of 9`, `pilot`, `wave 2 of 5`, `rest`."""
        if self.kind in ("pilot", "rest"):
            return self.kind
        word = "chunk" if self.kind == "chunk" else "wave"
        return f"{word} {self.number:,}" + (f" of {self.of:,}" if self.of else "")


def wave_of(shape: Shape, number: int, of: int | None) -> Wave:
    """Return a wave of a shape by its number."""
    if number == PILOT:
        return Wave("pilot", number, of)
    if shape.chunk is not None:
        return Wave("chunk", number, None if shape.is_open else of)
    return Wave("rest" if shape.size_of(number) == ALL else "ramp", number, of)


def pilot_places(pilot: int, total: int, *, spread: bool) -> frozenset[int]:
    """Return the places, from 0, of the pilot's dates among all there are to do.

    Spread they are the first, the last, the middle, the quarter points and so on: each larger pilot holds the smaller.
    """
    if pilot >= total or not spread:
        return frozenset(range(min(pilot, total)))
    places: dict[int, None] = {}
    for share in _halves():
        places.setdefault(round(share * (total - 1)))
        if len(places) >= pilot:
            break
    return frozenset(places) if pilot else frozenset()


def _halves() -> Iterator[float]:
    """Yield 0, 1, 1/2, 1/4, 3/4, 1/8, 3/8 …"""
    yield 0.0
    yield 1.0
    parts = 2
    while True:
        yield from (number / parts for number in range(1, parts, 2))
        parts *= 2


class Cutter:
    """Cuts the dates to do, taken one by one in the order of the run, into waves.

    Args:
        shape: Where it cuts.
        total: How many dates there are to do, those that are done by now included.
        timezone: The zone in which a chunk has whole days.
    """

    def __init__(self, shape: Shape, total: int, timezone: str) -> None:
        self.shape = shape
        self.number = PILOT
        self.places = pilot_places(shape.pilot, total, spread=shape.spread)
        self._place = 0
        self._in_wave = 0
        self._days = shape.days
        self._clock = clock_of(timezone)
        self._anchor: int | None = None
        self._window = -1

    def opens(self, logical_date: int) -> bool:
        """Return whether the next date begins a wave behind the current one; a date of the pilot never does."""
        if self._place in self.places:
            return False
        if not self.number:
            return True
        if self._days is not None:
            return self._window_of(logical_date) != self._window
        return 0 < self.shape.size_of(self.number) <= self._in_wave

    def take(self, logical_date: int) -> int:
        """Take the next date and return the number of its wave."""
        if self._anchor is None:
            self._anchor = self._day(logical_date)
        if self._place in self.places:
            self._place += 1
            return PILOT
        if self.opens(logical_date):
            self.number += 1
            self._in_wave = 0
            self._window = self._window_of(logical_date)
        self._place += 1
        self._in_wave += 1
        return self.number

    def _window_of(self, logical_date: int) -> int:
        """Whole days from the first date of the run, in either direction, by the days of a chunk."""
        if self._days is None:
            return 0
        day = self._day(logical_date)
        return abs(day - (day if self._anchor is None else self._anchor)) // self._days

    def _day(self, logical_date: int) -> int:
        return 0 if self._days is None else (logical_date + self._clock.offset_at(logical_date)) // DAY


class Survey(NamedTuple):
    """What a walk over the dates to do finds: the pilot's dates in the order of the run, and how many waves follow."""

    pilot: tuple[int, ...]
    waves: int


def survey(shape: Shape, total: int, timezone: str, dates: Iterable[int]) -> Survey:
    """Walk the dates to do once, in the order of the run; where their number says enough they are not touched."""
    if not shape.pilot and shape.days is None:
        return Survey((), waves_in(shape, total))
    cutter = Cutter(shape, total, timezone)
    pilot = tuple(date for date in dates if cutter.take(date) == PILOT)
    return Survey(pilot, cutter.number)


def waves_in(shape: Shape, dates: int) -> int:
    """Return how many waves so many dates behind the pilot make, where a wave is a number of dates."""
    waves = 0
    for size in shape.sizes[:-1]:
        if dates <= 0:
            return waves
        waves, dates = waves + 1, dates - size
    if dates <= 0:
        return waves
    return waves + (1 if shape.sizes[-1] == ALL else -(-dates // shape.sizes[-1]))
