"""Allowed hours: the windows of the day in which tasks may start, `22:00-06:00`, `sat,sun 00:00-24:00`.

Owns how they are written and which instants they are. A window is half-open and begins on each of its weekdays, by the
wall clock of the DAG's zone; one whose end is not after its start ends on the next day. What changes of the clocks do
to it is the rule for ranges (contract section 1): a time that does not exist moves forward, of one that comes twice the
first begins and the second ends a window. So a window keeps its walls, and is an hour longer or shorter on two days.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from backfill_cli.core.zones import DAY, ZoneClock, clock_of, date_to_day
from backfill_cli.errors import UsageProblem

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = r"([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?"
_WINDOW = re.compile(rf"(?:([a-z,-]+)\s+)?{_TIME}\s*-\s*{_TIME}")
_THURSDAY = 3
"""The weekday of 1970-01-01."""

_DAYS_AHEAD = 8
"""Days that are looked ahead for the next window: a week, and one more for a day the zone skipped."""


class Window(NamedTuple):
    """One window: seconds of the day at which it begins and ends, and the weekdays (0 is Monday) it begins on."""

    start: int
    end: int
    days: frozenset[int]


class Opening(NamedTuple):
    """Whether tasks may start at an instant, and the instant (epoch seconds) at which to ask again."""

    is_open: bool
    until: int


class Hours:
    """The allowed hours of one run.

    Args:
        windows: Those in which tasks may start, at least one.
        clock: Of the DAG's zone.
        said: How they were asked for, for the reason.
    """

    def __init__(self, windows: Sequence[Window], clock: ZoneClock, said: str) -> None:
        self.said = said
        self._windows = windows
        self._clock = clock

    def at(self, now: int) -> Opening:
        """Return whether an instant (epoch seconds) lies in a window, and until when that stays so at least."""
        today = date_to_day(self._clock.date_at(now))
        spans = sorted(
            self._span(day, window)
            for day in range(today - 2, today + _DAYS_AHEAD)
            for window in self._windows
            if (day + _THURSDAY) % 7 in window.days
        )
        end = None
        for first, last in spans:
            if end is not None and first > end:
                break
            if end is None and now < first < last:
                return Opening(False, first)
            if end is not None or first <= now < last:
                end = max(last, end or last)
        return Opening(False, now + DAY) if end is None else Opening(True, end)

    def _span(self, day: int, window: Window) -> tuple[int, int]:
        start, end = day * DAY + window.start, day * DAY + window.end
        if window.end <= window.start:
            end += DAY
        return self._clock.resolve(start, second=False), self._clock.resolve(end, second=True)


def hours_of(texts: Sequence[str], timezone: str) -> Hours | None:
    """Return the allowed hours that were asked for, in a zone; None when none were. Raises as `parse_windows`."""
    return Hours(parse_windows(texts), clock_of(timezone), "; ".join(texts)) if texts else None


def parse_windows(texts: Sequence[str]) -> tuple[Window, ...]:
    """Return the windows of `22:00-06:00`, `mon-fri 18:00-08:00`, `sat,sun 00:00-24:00`; several after `;`.

    Raises:
        UsageProblem: One of them is no window.
    """
    return tuple(_window(one) for text in texts for one in text.split(";"))


def _window(text: str) -> Window:
    said = text.strip().lower()
    found = _WINDOW.fullmatch(said)
    if found is None:
        raise _no_window(text)
    start, end = _second(found, 2), _second(found, 5)
    if start == end or start >= DAY or end > DAY:
        raise _no_window(text)
    return Window(start, end, _days(found[1], text))


def _second(found: re.Match[str], group: int) -> int:
    return int(found[group]) * 3_600 + int(found[group + 1]) * 60 + int(found[group + 2] or 0)


def _days(said: str | None, text: str) -> frozenset[int]:
    if said is None:
        return frozenset(range(7))
    days: set[int] = set()
    for part in said.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if first not in _DAYS or last not in _DAYS:
            raise _no_window(text)
        begin, length = _DAYS.index(first), (_DAYS.index(last) - _DAYS.index(first)) % 7
        days |= {(begin + more) % 7 for more in range(length + 1)}
    return frozenset(days)


def _no_window(text: str) -> UsageProblem:
    return UsageProblem(
        f"--between '{text}' is no window of hours",
        hint="write --between 22:00-06:00, or --between 'mon-fri 18:00-08:00; sat,sun 00:00-24:00'",
        code="bad-value",
    )
