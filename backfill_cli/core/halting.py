"""When a run ends itself before all is done: too many failures, too long, too late.

Owns the limits and the question whether one is reached. Running tasks end by themselves then, nothing new starts, and
the rest stays for the same command: a halt is a stop nobody had to press a key for.
"""

from __future__ import annotations

from typing import NamedTuple

from backfill_cli.core.durations import typed
from backfill_cli.errors import UsageProblem


class Halt(NamedTuple):
    """The limits of one run; None is no limit.

    Args:
        max_failures: Failed dates at which nothing new starts. Counted in this run alone.
        max_duration_s: Seconds since the run began, by a clock that never jumps.
        deadline_us: Epoch microseconds: a moment on the wall clock.
        failures_said, deadline_said: The flags that asked for them, for the reason.
    """

    max_failures: int | None = None
    max_duration_s: float | None = None
    deadline_us: int | None = None
    failures_said: str = ""
    deadline_said: str = ""

    def why(self, failed: int, running_s: float, now_us: int) -> str | None:
        """Return why the run ends now, in words; None while it may go on.

        Args:
            failed: Failed dates of this run.
            running_s: Seconds since it began.
            now_us: Epoch microseconds.
        """
        if self.max_failures is not None and failed >= self.max_failures:
            return f"{self.failures_said}: {failed:,} {'date' if failed == 1 else 'dates'} failed"
        if self.max_duration_s is not None and running_s >= self.max_duration_s:
            return f"--max-duration {typed(self.max_duration_s)}: that time is over"
        if self.deadline_us is not None and now_us >= self.deadline_us:
            return f"--deadline {self.deadline_said}: that moment has come"
        return None

    def left_s(self, running_s: float, now_us: int) -> float | None:
        """Return the seconds until the next limit of time; None without one."""
        left = []
        if self.max_duration_s is not None:
            left.append(self.max_duration_s - running_s)
        if self.deadline_us is not None:
            left.append((self.deadline_us - now_us) / 1_000_000)
        return min(left, default=None)


NO_HALT = Halt()


def failures_allowed(text: str | int, dates: int) -> int:
    """Return the number of failed dates at which a run halts: `5`, or `10%` of the dates it has to do, at least 1.

    Raises:
        UsageProblem: It is neither, or not above 0.
    """
    said = str(text).strip()
    number = said.removesuffix("%")
    if not number.isascii() or not number.isdecimal() or not int(number) or (said.endswith("%") and int(number) > 100):
        raise UsageProblem(
            f"--max-failures '{said}' is neither a number from 1 on nor a percentage from 1% to 100%",
            hint="write --max-failures 5, or --max-failures 10%",
            code="bad-value",
        )
    return int(number) if number == said else max(1, -(-dates * int(number) // 100))
