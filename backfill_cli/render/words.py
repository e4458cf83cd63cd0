"""Numbers as people say them: durations, counts, rates, sizes of lists. Pure strings, no style."""

from __future__ import annotations

import os
from datetime import UTC, datetime


def duration(seconds: float | None) -> str:
    """Return seconds in at most two units: `0.4 s`, `41 s`, `9 min 12 s`, `3 h 05 min`, `2 d 4 h`; `?` for None."""
    if seconds is None:
        return "?"
    if 0 < seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min" if minutes % 60 else f"{minutes // 60} h"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def span(low: float, high: float) -> str:
    """Return a range of durations in one unit: `6 to 9 min`; one number when both round to the same."""
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    unit, size = next(one for one in units if high >= 1.5 * one[1] or one[1] == 1)
    first, last = round(low / size), round(high / size)
    if last <= 0:
        return "less than 1 s"
    if first <= 0:
        return f"up to {last} {unit}"
    return f"{first} {unit}" if first == last else f"{first} to {last} {unit}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return `1 date`, `28 dates`, `1,461 dates`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def moment(micros: int | None) -> str:
    """Return epoch microseconds as `2024-04-01 10:02Z`: UTC and says so, so that two machines agree."""
    return "–" if micros is None else datetime.fromtimestamp(micros / 1_000_000, UTC).strftime("%Y-%m-%d %H:%MZ")


def stamp(micros: int) -> str:
    """Return epoch microseconds as `2024-04-01T10:02:11Z`, the head of a log line."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def near_path(path: str) -> str:
    """Return a path as one would type it here: relative when it lies below the working directory."""
    try:
        here = os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118
    except OSError:
        return path
    return path[len(here) :] if path.startswith(here) else path
