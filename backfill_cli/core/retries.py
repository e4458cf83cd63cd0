"""When to try again: a pure policy from try number to delay, and the choice of the event an ended try means.

Owns semantics section 6, tries. Delays are composed from tenacity's wait strategies, which only compute. Jitter is a
digest of what is retried, not a random number: the same try always waits the same time, so a plan, a replay and a
test agree, while a thousand dates that failed together still come back spread out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from backfill_cli.core.states import Event, Outcome

if TYPE_CHECKING:
    from backfill_cli.core.invocations import AttemptReport

LOSSES_UNTIL_FAILED = 3
"""Three losses in a row fail the task instance (reason `lost`): whatever kills its worker is probably the task."""

DEFAULT_MAX_DELAY_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon to try again.

    Args:
        retries: Tries after the first; n retries are n+1 tries. Counted from the last clear.
        delay_s: Seconds between the end of a try and the next.
        exponential: Double the delay with each try, with jitter.
        max_delay_s: Upper bound of an exponential delay; a constant one is never shortened.
    """

    retries: int = 0
    delay_s: float = 300.0
    exponential: bool = False
    max_delay_s: float = DEFAULT_MAX_DELAY_S

    def delay_after(self, used: int, key: str) -> float:
        """Return the seconds to wait after try number `used` since the last clear (1 = the first) has failed.

        Args:
            used: How many counted tries have been spent, at least 1.
            key: What is retried; equal keys give equal jitter.

        Source: semantics section 6; Airflow's `TaskInstance.next_retry_datetime`.
        """
        if not self.exponential:
            return self.delay_s
        from types import SimpleNamespace

        from tenacity import wait_exponential

        # 2**60 s is far beyond any cap: it keeps the float finite for absurd try numbers.
        state = SimpleNamespace(attempt_number=min(used, 60))
        base = max(1.0, math.ceil(wait_exponential(multiplier=self.delay_s, max=float(2**60))(state)))  # type: ignore[arg-type]
        share = int.from_bytes(blake2b(f"{key}#{used}".encode(), digest_size=4).digest(), "big") / 2**32
        return min(base * (1.0 + share), self.max_delay_s)


def classify(report: AttemptReport, *, counted: int, losses: int, policy: RetryPolicy) -> Event:
    """Return the event that an ended try is.

    Args:
        report: What the worker said.
        counted: Tries since the last clear that use up the budget, this one included.
        losses: Losses in a row, this one included if it is one.
        policy: The task's.
    """
    match report.outcome:
        case Outcome.SUCCESS:
            return Event.SUCCEEDED
        case Outcome.SKIPPED:
            return Event.SKIPPED
        case Outcome.DEFERRED:
            return Event.DEFERRED
        case Outcome.LOST:
            return Event.FAILED if losses >= LOSSES_UNTIL_FAILED else Event.LOST
        case Outcome.RETRY:
            return Event.WILL_RETRY if counted <= policy.retries else Event.FAILED
        case _:
            return Event.FAILED
