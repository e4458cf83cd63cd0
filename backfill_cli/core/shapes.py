"""The shape of a run: chunks, a pilot, a ramp. What was asked for, checked, and as a stored backfill keeps it.

Owns the words of `--chunk`, `--chunk-failures`, `--pilot` and `--ramp`. All of them are one idea, waves: groups of
dates that run one after another. How dates fall into waves, and whether the next one may begin, is `core/waves.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from backfill_cli.errors import UsageProblem

ALL = 0
"""The size of a wave that takes whatever is left. Behind the first chunk of `auto` it stands until one is chosen."""

AUTO = "auto"
AUTO_S = 600
"""Seconds a chunk of `--chunk auto` should take: often enough to look at, seldom enough not to wait for stragglers."""

STOP, SKIP = "stop", "skip"

_FULL = 8
"""A ramp is over when a wave had at least so many times the dates of its pilot, and as many as run at once."""

_MOST = 10**9
_DAYS = re.compile(r"([1-9]\d{0,5})([dw])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shape:
    """How the dates of a run are grouped into waves.

    Args:
        chunk: As it was asked for: `7d` (whole days in the DAG's zone), `30` (dates), `auto`; None without chunks.
        sizes: Dates a wave, behind the pilot; the last one holds for all that follow, ALL is whatever is left. Empty
            where days decide.
        failures: What a chunk with failed or blocked dates means for the next: `stop`, `skip`, or `10%`: it begins
            while no more of the dates of a chunk are so.
        pilot: Dates that go first; 0 without a pilot.
        spread: The pilot's dates are the first, the last, the middle …; else the first in order.
        ramp: Behind the pilot the waves grow as long as they are healthy, in place of a stop.
    """

    chunk: str | None = None
    sizes: tuple[int, ...] = (ALL,)
    failures: str = STOP
    pilot: int = 0
    spread: bool = True
    ramp: bool = False

    @property
    def days(self) -> int | None:
        """The local days a chunk has; None where dates are counted."""
        return days_in(self.chunk or "")

    @property
    def is_open(self) -> bool:
        """Whether the size of its chunks is still to be measured."""
        return self.chunk == AUTO and self.sizes[-1] == ALL

    def size_of(self, number: int) -> int:
        """Return the dates of a wave, counted from 1 behind the pilot."""
        return self.sizes[min(number, len(self.sizes)) - 1]

    def chosen(self, size: int) -> Shape:
        """Return an open shape with the size its chunks have from the second on."""
        return replace(self, sizes=(*self.sizes[:-1], size))

    def data(self) -> dict[str, Any]:
        """Return it as JSON-able values, from which `stored` makes it again."""
        return {
            "chunk": self.chunk,
            "sizes": list(self.sizes),
            "failures": self.failures,
            "pilot": self.pilot,
            "spread": self.spread,
            "ramp": self.ramp,
        }


def stored(value: Mapping[str, Any] | None) -> Shape | None:
    """Return the shape that a backfill's request keeps. Raises ValueError, TypeError or KeyError for anything else."""
    if value is None:
        return None
    sizes = tuple(value["sizes"])
    shape = Shape(value["chunk"], sizes, value["failures"], value["pilot"], value["spread"], value["ramp"])
    if shape.chunk is not None and type(shape.chunk) is not str:
        raise ValueError("a chunk that is no text")
    if (
        not all(type(one) is int and 0 <= one <= _MOST for one in (*sizes, shape.pilot))
        or not (sizes or shape.days)
        or type(shape.failures) is not str
        or (shape.failures not in (STOP, SKIP) and percentage(shape.failures) is None)
        or type(shape.spread) is not bool
        or type(shape.ramp) is not bool
    ):
        raise ValueError("a shape that is none")
    return shape


def days_in(text: str) -> int | None:
    """Return the days that `7d` or `2w` means; None for anything else."""
    match = _DAYS.fullmatch(text)
    return int(match[1]) * (7 if match[2] == "w" else 1) if match else None


def check_chunk(text: str) -> str:
    """Return `7d`, `2w`, `30` or `auto` as it is kept. Raises UsageProblem for anything else."""
    said = str(text).strip().lower()
    if said == AUTO or _DAYS.fullmatch(said):
        return said
    if said.isascii() and said.isdecimal() and 0 < int(said) <= _MOST:
        return str(int(said))
    raise UsageProblem(
        f"--chunk '{text}' is no chunk",
        hint="write --chunk 7d or 2w (whole days), 30 (dates), or auto",
        code="bad-value",
    )


def check_failures(text: str) -> str:
    """Return `stop`, `skip` or a percentage. Raises UsageProblem for anything else."""
    said = str(text).strip().lower()
    if said in (STOP, SKIP) or percentage(said) is not None:
        return said
    raise UsageProblem(
        f"--chunk-failures '{text}' is neither stop, skip nor a percentage",
        hint="write --chunk-failures stop, skip, or 10%",
        code="bad-value",
    )


def percentage(text: str) -> int | None:
    """Return what `10%` means; None for anything else, and above 100."""
    number = text.removesuffix("%")
    sound = number != text and number.isascii() and number.isdecimal() and len(number) <= 3 and int(number) <= 100
    return int(number) if sound else None


def chunk_sizes(chunk: str, *, measured: int | None, parallel: int) -> tuple[int, ...]:
    """Return the sizes of chunks: none for days, the number for a number.

    Args:
        measured: For `auto`, the size that earlier tries speak for; None where nothing ran yet: the first chunk is then
            small, and what it takes decides about the rest.
        parallel: Dates open together.
    """
    if chunk == AUTO:
        return (max(4, parallel), ALL) if measured is None else (measured,)
    return (int(chunk),) if chunk.isdecimal() else ()


def auto_size(dates: int, seconds: float, parallel: int) -> int:
    """Return how many dates fit into a chunk of `--chunk auto`, when so many took so long; whole lanes of them."""
    fitting = int(AUTO_S * dates / max(seconds, 0.001))
    return min(_MOST, max(1, fitting // parallel) * parallel)


def ramp_sizes(pilot: int, parallel: int) -> tuple[int, ...]:
    """Return the waves behind a pilot: twice as many dates each time, and at the full speed the rest in one piece."""
    sizes = [2 * pilot]
    while sizes[-1] < max(_FULL * pilot, parallel):
        sizes.append(2 * sizes[-1])
    return (*sizes, ALL)
