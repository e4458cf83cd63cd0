"""How many starts in how much time: `100/min` as arithmetic, and the starts a process has reserved.

Owns the limit and its reservations. Starts are spaced evenly, without a burst: what a service counts in windows of its
own, of which we do not know where they begin, is only kept by a rate that holds in every window. One instant is all
that is shared and stored, the nominal time of the next start; a reservation moves it on.

The idea: nominal times are `(period + tolerance) / starts` apart, and a start happens at most `tolerance` after its
nominal time. So `starts + 1` of them span at least a whole period, whoever makes them, and whatever the loops that make
them are late: no window `[t, t + period)` ever holds more than `starts`. The price is the tolerance, 2 % of the rate.
A start that is later than that gives its place up.

Source: the generic cell rate algorithm (ITU-T I.371), with its tolerance spent on lateness alone.
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

_SAID = re.compile(r"(\d{1,9})\s*/\s*(\d{0,6})\s*([a-z]+)")
_UNITS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3_600, "hour": 3_600, "d": 86_400}
_UNITS |= {"day": 86_400, "seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
MICROSECONDS = 1_000_000

TAKES = "a whole number of starts and a time: '100/min', '5/s', '1000/h', '30/10s', '1/2s'"

_TOLERANCE = 50
"""The part of a period that a start may be late: a fiftieth, 1.2 s of a minute."""

_LONGEST_AHEAD_US = 200_000
"""How far ahead starts are reserved, at most: what a killed process takes with it. It saves transactions."""


class Rate(NamedTuple):
    """At most `starts` in any `period_us` microseconds; `said` is how it was written."""

    starts: int
    period_us: int
    said: str

    @property
    def tolerance_us(self) -> int:
        """How late a start may be, without giving its place up."""
        return self.period_us // _TOLERANCE

    @property
    def spacing_us(self) -> int:
        """What lies between the nominal times of two starts, rounded up."""
        return max(1, -(-(self.period_us + self.tolerance_us) // self.starts))

    @property
    def ahead_us(self) -> int:
        return min(self.tolerance_us, _LONGEST_AHEAD_US)


class Reservation(NamedTuple):
    """The nominal times of the starts that were granted, ascending, and that of the next one; epoch µs."""

    starts: tuple[int, ...]
    next_at: int


def parse_rate(text: object) -> Rate:
    """Return the limit that `100/min` or `30/10s` means. Raises ValueError, saying what it takes, for anything else."""
    found = _SAID.fullmatch(text.strip().lower()) if isinstance(text, str) else None
    unit = _UNITS.get(found[3]) if found else None
    starts, count = (int(found[1]), int(found[2] or 1)) if found else (0, 0)
    if found is None or unit is None or not starts or not count:
        raise ValueError(TAKES)
    return Rate(starts, count * unit * MICROSECONDS, "".join(found[0].split()))


def reserve(rate: Rate, next_at: int | None, now: int, wanted: int) -> Reservation:
    """Return up to `wanted` starts that may happen now or very soon, and when the one after them may.

    Args:
        next_at: The nominal time of the next start, as stored by whoever made the last; None: nobody made any.
        now: Epoch microseconds.
        wanted: How many tasks could start; none of them reserved is lost, but for the tolerance.

    A stored time that no reservation can have led to was written by a clock that has been set back since, or under a
    slower rate: then the next start is one spacing away, never further.
    """
    spacing = rate.spacing_us
    # A place is kept for who is late, by the tolerance; behind a pause everything begins anew, without that credit: a
    # service measures when requests arrive, and the first of them takes longest.
    at = now if next_at is None or next_at < now - rate.tolerance_us else next_at
    if at > now + rate.ahead_us + spacing + rate.tolerance_us:
        at = now + spacing
    starts: list[int] = []
    while len(starts) < wanted and at <= now + rate.ahead_us:
        starts.append(at)
        at += spacing
    return Reservation(tuple(starts), at)


class Pace:
    """The starts one process has reserved of one limit.

    Args:
        key: What the store knows the limit by.
        rate: The limit.
    """

    def __init__(self, key: str, rate: Rate) -> None:
        self.key = key
        self.rate = rate
        self._starts: deque[int] = deque()
        self._next_at = 0

    def due_at(self, now: int) -> int:
        """Return when the next start may happen, epoch µs: not after `now` means at once."""
        self._forget(now)
        return self._starts[0] if self._starts else max(self._next_at, now + 1)

    def lacks(self, wanted: int, now: int) -> int:
        """Return how many starts to reserve for `wanted` tasks: none while the next is known to be still to come."""
        self._forget(now)
        return 0 if self._next_at > now else max(0, wanted - len(self._starts))

    def granted(self, reservation: Reservation) -> None:
        self._starts.extend(reservation.starts)
        self._next_at = reservation.next_at

    def start(self) -> None:
        """Use up the next start."""
        self._starts.popleft()

    def _forget(self, now: int) -> None:
        while self._starts and self._starts[0] + self.rate.tolerance_us < now:
            self._starts.popleft()
