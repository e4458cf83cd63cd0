"""Lengths of time as they are typed: `90m`, `2h`, `1h30m`, `30d`, `2w`; short ones also `300ms`, `1.5s`.

Owns both directions. The `30d` of `--last` is none of them: it means whole days of a calendar (`core/ranges.py`).
"""

from __future__ import annotations

import re
from datetime import timedelta

# At most 6 digits a unit: longer than anybody lives, and what a timedelta can hold.
_TYPED = re.compile(r"".join(rf"(?:(\d{{1,6}}){letter})?" for letter in "wdhms"), re.ASCII)
_SHORT = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s)", re.ASCII)
_SECONDS = (604_800, 86_400, 3_600, 60, 1)


def parse_duration(text: str) -> timedelta | None:
    """Return the length of time a text says, in full seconds; None for anything else, and for no time at all."""
    match = _TYPED.fullmatch(text.strip().lower())
    if match is None:
        return None
    seconds = sum(int(part or 0) * size for part, size in zip(match.groups(), _SECONDS, strict=True))
    return timedelta(seconds=seconds) if seconds else None


def parse_span(text: str) -> timedelta | None:
    """Return the same, down to the millisecond: `300ms`, `1.5s`; for what is measured or waited for while tasks run."""
    short = _SHORT.fullmatch(text.strip().lower())
    if short is None:
        return parse_duration(text)
    return timedelta(seconds=float(short[1]) / (1_000 if short[2] == "ms" else 1)) or None


def typed(seconds: float) -> str:
    """Return seconds the way they are typed, such as `1h30m`; weeks as days."""
    left, shown = int(seconds), ""
    for letter, size in zip("dhms", _SECONDS[1:], strict=True):
        number, left = divmod(left, size)
        shown += f"{number}{letter}" if number else ""
    return shown or f"{seconds:g}s"
