"""Exceptions a task raises to say how its try ended (contract section 2, semantics section 6).

They are messages to the engine, not failures of bfill, and so stand outside the error hierarchy.
"""

from __future__ import annotations

from datetime import timedelta

LONGEST_DELAY_S = 366 * 86_400.0
"""A longer one is cut to a year: a task that asks for infinity shall not end the run that asks it again."""


class TaskSignal(Exception):
    """What all of them share: a reason a person can read."""


class SkipTask(TaskSignal):
    """This date has nothing to do here: the task instance becomes `skipped`."""


class FailTask(TaskSignal):
    """Trying again is useless: the task instance becomes `failed` at once."""


class RetryLater(TaskSignal):
    """Try again after `delay` (seconds or timedelta). Uses one of the retries."""

    def __init__(self, delay: float | timedelta, reason: str = "") -> None:
        super().__init__(reason or f"asked to retry in {_seconds(delay):g} s")
        self.delay_s = _seconds(delay)


class RateLimited(TaskSignal):
    """The other system asked to slow down. Uses no retry; `retry_after` in seconds or as a timedelta."""

    def __init__(self, retry_after: float | timedelta = 60.0, reason: str = "") -> None:
        super().__init__(reason or f"rate limited, again in {_seconds(retry_after):g} s")
        self.delay_s = _seconds(retry_after)


def _seconds(delay: float | timedelta) -> float:
    """Return the delay in seconds, between 0 and LONGEST_DELAY_S; what is not a number counts as 0."""
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
    return min(max(0.0, seconds), LONGEST_DELAY_S)
