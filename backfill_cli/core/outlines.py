"""What the waves of a plan come to: how many there are, the first and the last, and the pilot's dates.

Owns the summary a plan shows of its shape; how dates fall into waves is `core/waves.py`. The dates are walked once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from backfill_cli.core.instants import iso
from backfill_cli.core.shapes import Shape
from backfill_cli.core.waves import PILOT, Cutter, wave_of


class WaveSpan(NamedTuple):
    """One wave of a plan: its number and kind, its first and last date in the order of the run, and how many."""

    number: int
    kind: str
    first: int
    last: int
    dates: int

    def data(self) -> dict[str, Any]:
        ends = sorted((self.first, self.last))
        return {
            "number": self.number,
            "kind": self.kind,
            "first": iso(ends[0]),
            "last": iso(ends[1]),
            "dates": self.dates,
        }


@dataclass(frozen=True, slots=True)
class Outline:
    """The waves of a plan.

    Args:
        pilot: The dates of the pilot, in the order of the run.
        waves: How many waves follow.
        first, last: The first and the last of these.
        lanes: How often the dates open together are full, one wave after another: what the time follows from.
    """

    shape: Shape
    pilot: tuple[int, ...]
    waves: int
    first: WaveSpan | None
    last: WaveSpan | None
    lanes: int

    def data(self) -> dict[str, Any]:
        shape = self.shape
        return {
            "chunk": shape.chunk,
            "chunk_failures": shape.failures if shape.chunk else None,
            "pilot": [iso(one) for one in self.pilot],
            "ramp": shape.ramp,
            "sizes": [one or None for one in shape.sizes],
            "waves": self.waves,
            "first": None if self.first is None else self.first.data(),
            "last": None if self.last is None else self.last.data(),
        }


def outline(shape: Shape, total: int, timezone: str, dates: Iterable[int], *, parallel: int) -> Outline:
    """Walk the dates to do, in the order of the run, and return what their waves come to.

    Args:
        total: How many dates there are.
        timezone: The zone in which a chunk has whole days.
        parallel: Dates open together.
    """
    cutter = Cutter(shape, total, timezone)
    pilot: list[int] = []
    first: WaveSpan | None = None
    now: WaveSpan | None = None
    lanes = 0
    for date in dates:
        number = cutter.take(date)
        if number == PILOT:
            pilot.append(date)
        elif now is None or number != now.number:
            first, lanes = first or now, lanes + _lanes(now, parallel)
            now = WaveSpan(number, wave_of(shape, number, None).kind, date, date, 1)
        else:
            now = now._replace(last=date, dates=now.dates + 1)
    lanes += _lanes(now, parallel) - (-len(pilot) // parallel)
    return Outline(shape, tuple(pilot), cutter.number, first or now, now, lanes)


def _lanes(wave: WaveSpan | None, parallel: int) -> int:
    return 0 if wave is None else -(-wave.dates // parallel)
