"""One line of the result: what bfill took, what its yardstick took, and whether the aim holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Aim(NamedTuple):
    """A bound on a line's gauge.

    Args:
        gate: What has to hold.
        stretch: What would be excellent; None when nothing is said about it.
        unit: Behind the number; `×` marks a ratio.
        at_least: The gauge is to be large (a speed), not small (a cost).
    """

    gate: float
    stretch: float | None = None
    unit: str = "×"
    at_least: bool = False

    def holds(self, gauge: float) -> bool:
        return gauge >= self.gate if self.at_least else gauge <= self.gate

    def reaches(self, gauge: float) -> bool:
        if self.stretch is None:
            return False
        return gauge >= self.stretch if self.at_least else gauge <= self.stretch

    def __str__(self) -> str:
        further = "" if self.stretch is None else f" → {shown(self.stretch, self.unit)}"
        return f"{'≥' if self.at_least else '≤'} {shown(self.gate, self.unit)}{further}"


@dataclass(frozen=True, slots=True)
class Line:
    """One measured fact.

    Args:
        name: What was measured, sizes included.
        bfill: bfill's figure, in `unit`.
        unit: Of both figures.
        yardstick: What it is held against; its figure, or None when there is none to compare with.
        against: What the yardstick is, in a few words.
        aim: None for a line that is only informative.
        is_difference: bfill's figure is a run less an empty run; of too few tasks it may come out as nothing or less.
    """

    name: str
    bfill: float
    unit: str
    yardstick: float | None = None
    against: str = ""
    aim: Aim | None = None
    is_difference: bool = False

    @property
    def ratio(self) -> float | None:
        """bfill over the yardstick; None without one, or when a difference of two runs came out as noise (≤ 0)."""
        return self.bfill / self.yardstick if self.yardstick and min(self.bfill, self.yardstick) > 0 else None

    @property
    def measured(self) -> float | None:
        """What the aim looks at: the ratio when the aim is one, else bfill's figure."""
        return self.ratio if self.aim is not None and self.aim.unit == "×" else self.bfill

    @property
    def verdict(self) -> str:
        """`no`, `yes`, `stretch`; `–` without an aim, `?` when the machine was too noisy to say."""
        if self.aim is None:
            return "–"
        measured = self.measured
        if measured is None or (self.is_difference and measured <= 0):
            return "?"
        if not self.aim.holds(measured):
            return "no"
        return "stretch" if self.aim.reaches(measured) else "yes"

    def cells(self) -> tuple[str, ...]:
        ratio = self.ratio
        return (
            self.name,
            shown(self.bfill, self.unit),
            "–" if self.yardstick is None else f"{shown(self.yardstick, self.unit)} {self.against}".rstrip(),
            "–" if ratio is None else shown(ratio, "×"),
            "–" if self.aim is None else str(self.aim),
            self.verdict,
        )


HEADS = ("row", "bfill", "yardstick", "ratio", "aim (gate → stretch)", "holds?")


def shown(number: float, unit: str) -> str:
    """Return a number with three significant digits and its unit."""
    if unit == "/s":
        for size, letter in ((1e6, "M"), (1e3, "k")):
            if number >= size:
                return f"{number / size:.3g} {letter}/s"
    text = f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
    return f"{text}{unit}" if unit in ("×", "/s") else f"{text} {unit}"


def table(lines: list[Line]) -> str:
    """Return the lines as an aligned Markdown table: readable in a terminal, and ready for README.md."""
    rows = [HEADS, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    texts.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(texts)
