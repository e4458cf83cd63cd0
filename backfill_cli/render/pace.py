"""How fast a backfill goes and how long it may still take: a pure fold over (instant, dates done).

Owns the rate and the honest range of "time left": the slower and the faster of the pace since the start and the pace
of the last minute or so. The start is that of this command, or where somebody let it go on behind a pause: what an
earlier command did, and the time in between, say nothing. Too little done to tell is None, not a guess.
"""

from __future__ import annotations

from collections import deque

_WINDOW_US = 60_000_000
"""The recent pace looks back this far, in microseconds."""

_SAMPLE_US = 500_000
"""Samples are kept at most this often: thousands of dates a second do not grow the window."""

_ENOUGH = 3
"""Dates that must be done before anything is said about the time left."""


class Pace:
    """The pace of one run. Instants are epoch microseconds."""

    def __init__(self) -> None:
        self._began = 0
        self._before = 0
        self._total = 0
        self._done = 0
        self._samples: deque[tuple[int, int]] = deque()

    def start(self, at: int, total: int, done: int = 0) -> None:
        """Begin: `total` dates to do, so many of them done by an earlier command."""
        self._total, self._done = total, done
        self.restart(at)

    def restart(self, at: int) -> None:
        """Tell the pace from here on: it stood still until now."""
        self._began, self._before = at, self._done
        self._samples = deque([(at, self._done)])

    def set_total(self, total: int) -> None:
        """So many dates are to be done from now on."""
        self._total = total

    def note(self, at: int, done: int) -> None:
        """So many dates are finished now."""
        self._done = done
        if at - self._samples[-1][0] >= _SAMPLE_US:
            self._samples.append((at, done))
        while len(self._samples) > 2 and at - self._samples[1][0] > _WINDOW_US:
            self._samples.popleft()

    def per_minute(self, at: int) -> float | None:
        """Return dates a minute over the recent window; None before there is enough to tell."""
        recent = self._recent(at)
        return None if recent is None else recent * 60_000_000

    def left(self, at: int) -> tuple[float, float] | None:
        """Return (low, high) seconds until the end; None before there is enough to tell."""
        recent = self._recent(at)
        if recent is None or at <= self._began:
            return None
        overall = (self._done - self._before) / (at - self._began)
        rest = max(0, self._total - self._done)
        times = sorted(rest / pace / 1_000_000 for pace in (recent, overall))
        return times[0], times[1]

    def _recent(self, at: int) -> float | None:
        """Dates a microsecond over the window."""
        if self._done - self._before < _ENOUGH or not self._samples:
            return None
        since, before = self._samples[0]
        if at <= since or self._done <= before:
            return None
        return (self._done - before) / (at - since)
