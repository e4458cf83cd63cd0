"""A circuit breaker: a system that fails every task alike is left alone for a while, then asked once.

Owns the states of one pool's breaker and what moves it; it holds its pool through `core/holds.py`.

- *closed*: tasks start. So many failures of one signature in a row, and it opens. A success begins anew; so does
  another signature, since a system that is down fails everybody alike.
- *open*: nothing of the pool starts until the cooldown is over.
- *asking*: the pool has a health check, which is asked now. Not well: open again.
- *half open*: one task starts, the probe. Its success closes the breaker, its failure opens it again.

With a health check a run begins with asking, and well means closed then. A deferral (HTTP 429), a skip or a lost worker
says nothing about whether the system works. Failed tries count against their tasks as always.

Source: M. Nygard, Release It!, "Circuit Breaker".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from backfill_cli.core.changes import Key
from backfill_cli.core.holds import Hold, Holds, of_pool
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.listening import PaceChange
from backfill_cli.core.problems import Problem
from backfill_cli.core.signatures import signature
from backfill_cli.core.states import Outcome

MICROSECONDS = 1_000_000
_SOURCE = "breaker"
_SHOWN = 80
_FAILED = (Outcome.FAILED, Outcome.RETRY)


class BreakerRule(NamedTuple):
    """When a breaker opens, and for how many seconds."""

    failures: int = 5
    cooldown_s: float = 30.0


class BreakerState(StrEnum):
    """Where a breaker is."""

    CLOSED = "closed"
    OPEN = "open"
    ASKING = "asking"
    HALF_OPEN = "half_open"


class Breaker:
    """The breaker of one pool in one run.

    Args:
        has_health: The pool has a health check, to be asked before anything of it starts.
        now: Epoch microseconds.
    """

    def __init__(self, pool: str, rule: BreakerRule, holds: Holds, *, has_health: bool = False) -> None:
        self.pool = pool
        self.state = BreakerState.CLOSED
        self.opened = 0
        self.news: list[PaceChange] = []
        self._rule = rule
        self._holds = holds
        self._has_health = has_health
        self._signature = self._why = ""
        self._row = 0
        self._until = 0
        self._probe: Key | None = None
        if has_health:
            self._ask()

    @property
    def is_asking(self) -> bool:
        return self.state is BreakerState.ASKING

    def problem(self) -> Problem | None:
        """Return what a result has to say about it; None when it has never opened."""
        if not self.opened:
            return None
        times = "once" if self.opened == 1 else f"{self.opened} times"
        return Problem(
            "breaker-opened",
            f"the circuit breaker of pool {self.pool} opened {times}, last after {self._why}; it is {self.state} now",
            "look at the system behind the pool; bfill rerun-failed runs again what failed by it",
        )

    def on_time(self, now: int) -> None:
        """Let the cooldown end, when it is over at `now` (epoch µs)."""
        if self.state is BreakerState.OPEN and now >= self._until:
            if self._has_health:
                self._ask()
            else:
                self._half_open(now)

    def on_health(self, *, is_well: bool, told: str, now: int) -> None:
        """Take the answer of the health check; `told` says in words what it was."""
        if self.state is not BreakerState.ASKING:
            return
        if not is_well:
            self._open(now, f"health check: {told}")
        elif self.opened:
            self._half_open(now)
        else:
            self._close(now, quietly=True)

    def on_start(self, key: Key) -> None:
        """A task of the pool starts: half open, it is the probe, and the others wait for how it ends."""
        if self.state is BreakerState.HALF_OPEN and self._probe is None:
            self._probe = key
            self._hold("half open: one task probes")

    def on_end(self, report: AttemptReport, now: int) -> None:
        """Take how a try of the pool has ended."""
        key = report.logical_date, report.task_id
        if self.state is BreakerState.CLOSED:
            self._count(report, now)
        elif self.state is BreakerState.HALF_OPEN and key == self._probe:
            self._probe = None
            self._holds.lift(of_pool(self.pool), _SOURCE)
            if report.outcome is Outcome.SUCCESS:
                self._close(now)
            elif report.outcome in _FAILED:
                self._open(now, f"the probe failed: {_short(report.reason)}")

    def _count(self, report: AttemptReport, now: int) -> None:
        if report.outcome is Outcome.SUCCESS:
            self._row = 0
        elif report.outcome in _FAILED:
            cause = signature(report.reason or "")
            self._row = self._row + 1 if cause == self._signature else 1
            self._signature = cause
            if self._row >= self._rule.failures:
                self._open(now, f"{self._row} × {_short(report.reason)}")

    def _open(self, now: int, why: str) -> None:
        self.state, self._until = BreakerState.OPEN, now + int(self._rule.cooldown_s * MICROSECONDS)
        self.opened += 1
        self._row, self._why = 0, why
        self._hold("open", self._until, why)
        self._tell("breaker_opened", now, why, {"cooldown_s": self._rule.cooldown_s})

    def _ask(self) -> None:
        self.state = BreakerState.ASKING
        self._hold("its health check is asked")

    def _half_open(self, now: int) -> None:
        self.state, self._probe = BreakerState.HALF_OPEN, None
        self._holds.lift(of_pool(self.pool), _SOURCE)
        self._tell("breaker_half_open", now, "the cooldown is over: one task probes")

    def _close(self, now: int, *, quietly: bool = False) -> None:
        self.state = BreakerState.CLOSED
        self._row = 0
        self._holds.lift(of_pool(self.pool), _SOURCE)
        if not quietly:
            self._tell("breaker_closed", now, "the probe succeeded")

    def _hold(self, how: str, until: int | None = None, detail: str = "") -> None:
        reason = f"the circuit breaker of pool {self.pool}, {how}"
        self._holds.put(of_pool(self.pool), _SOURCE, Hold(reason, until, detail))

    def _tell(self, what: str, now: int, why: str, more: Mapping[str, object] | None = None) -> None:
        self.news.append(PaceChange(what, now, why, {"pool": self.pool, **(more or {})}))


def _short(reason: str | None) -> str:
    text = reason or "a failure"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
