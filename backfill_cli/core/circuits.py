"""What the processes of a store agree on about a circuit breaker, and how it moves: values in, values out.

Owns the state of one pool's circuit, as the store keeps it, and what a sign of one process makes of it. A sign is
replayed on what the store says at that moment, in one transaction, so that failures seen by several processes add up,
and one of them alone may send the probe. What a process does about it is `core/breakers.py`.

- *closed*: tries start. So many failures of one signature in a row, and it opens. A success begins anew; so does
  another signature, since a system that is down fails everybody alike, and a failure long after the one before.
- *open*: nothing of the pool starts until the cooldown is over.
- *half open*: one task of one process may probe. Its success closes the circuit, its failure opens it again. The claim
  lasts for half a minute and is renewed while the probe runs: a process that is frozen, or whose host is gone, lives as
  far as anybody can tell, and must not keep the others waiting for ever.

A deferral (HTTP 429), a skip or a lost worker says nothing about whether the system works.

Source: M. Nygard, Release It!, "Circuit Breaker".
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from backfill_cli.core.agreements import is_ahead
from backfill_cli.core.signatures import signature
from backfill_cli.core.states import Outcome

MICROSECONDS = 1_000_000

FORGOTTEN_S = 3_600
"""Seconds after which failures say nothing any more about the next one."""

CLAIM_S = 30
"""Seconds a claim lasts without a word of the process that has it: far longer than a store keeps anybody waiting."""

FAILED = (Outcome.FAILED, Outcome.RETRY)
_SHOWN = 80


class BreakerRule(NamedTuple):
    """When a breaker opens, and for how many seconds."""

    failures: int = 5
    cooldown_s: float = 30.0


class BreakerState(StrEnum):
    """Where a breaker is; *asking* is a process that asks after the pool's health, and no state of the circuit."""

    CLOSED = "closed"
    OPEN = "open"
    ASKING = "asking"
    HALF_OPEN = "half_open"


class Circuit(NamedTuple):
    """The circuit of one pool.

    Args:
        state: closed, open or half_open.
        failures: So many in a row, while closed.
        signature: Theirs.
        why: What opened it last, in words.
        at: When it moved last, epoch microseconds.
        until: When the cooldown ends, while open; when the claim ends, while somebody probes; epoch microseconds.
        by: The backfill that saw what moved it.
        prober: The process that may probe, while half open; empty: nobody yet.
    """

    pool: str
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    signature: str = ""
    why: str = ""
    at: int = 0
    until: int = 0
    by: str = ""
    prober: str = ""

    @property
    def is_clear(self) -> bool:
        """Nothing is to be remembered of it."""
        return self.state is BreakerState.CLOSED and not self.failures

    def at_time(self, now: int) -> Circuit:
        """Return the circuit as it is to be read at `now` (epoch µs): a claim that has run out is none."""
        return self._replace(prober="") if self.prober and not is_ahead(self.at, self.until, now) else self

    def is_open(self, now: int) -> bool:
        """Whether its cooldown lasts at `now` (epoch µs)."""
        return self.state is BreakerState.OPEN and is_ahead(self.at, self.until, now)


class Who(NamedTuple):
    """A process, and the backfill it runs, as others are told of it."""

    owner: str = "here"
    backfill_id: str = ""


class TryEnded(NamedTuple):
    """A try of the pool has ended."""

    outcome: Outcome
    reason: str
    at: int
    is_probe: bool = False


class Unwell(NamedTuple):
    """The health check has said no."""

    told: str
    at: int


Sign = TryEnded | Unwell


def after(circuit: Circuit, sign: Sign, rule: BreakerRule, who: Who) -> Circuit:
    """Return the circuit after what a process has seen; the same one when that says nothing to it."""
    if isinstance(sign, Unwell):
        is_probing = circuit.state is BreakerState.HALF_OPEN and circuit.prober not in ("", who.owner)
        if is_probing or circuit.is_open(sign.at):
            return circuit
        return _opened(circuit, f"health check: {sign.told}", sign.at, rule, who)
    if circuit.state is BreakerState.CLOSED:
        return _counted(circuit, sign, rule, who)
    if circuit.state is BreakerState.HALF_OPEN and sign.is_probe:
        if sign.outcome is Outcome.SUCCESS:  # also when the claim has run out meanwhile: it works, that is all we ask
            return Circuit(circuit.pool, at=sign.at, by=who.backfill_id)
        if circuit.prober != who.owner:
            return circuit
        if sign.outcome in FAILED:
            return _opened(circuit, f"the probe failed: {_short(sign.reason)}", sign.at, rule, who)
        return circuit._replace(prober="")
    return circuit


def claimed(circuit: Circuit, now: int, who: Who) -> Circuit:
    """Return the circuit with the probe in the hands of a process, if it is to be had at `now` (epoch µs)."""
    is_over = circuit.state is BreakerState.OPEN and not circuit.is_open(now)
    if is_over or (circuit.state is BreakerState.HALF_OPEN and not circuit.prober):
        half_open = circuit._replace(state=BreakerState.HALF_OPEN, prober=who.owner, by=who.backfill_id)
        return renewed(half_open, now, who)
    return circuit


def renewed(circuit: Circuit, now: int, who: Who) -> Circuit:
    """Return the circuit with the claim of a process lasting from `now` (epoch µs) on; the same one if it has none."""
    if circuit.prober != who.owner:
        return circuit
    return circuit._replace(at=now, until=now + CLAIM_S * MICROSECONDS)


def released(circuit: Circuit, who: Who) -> Circuit:
    """Return the circuit without the claim of a process that has found nothing to probe with."""
    return circuit._replace(prober="") if circuit.prober == who.owner else circuit


def _counted(circuit: Circuit, sign: TryEnded, rule: BreakerRule, who: Who) -> Circuit:
    if sign.outcome is Outcome.SUCCESS:
        return circuit if circuit.is_clear else Circuit(circuit.pool, at=sign.at, by=who.backfill_id)
    if sign.outcome not in FAILED:
        return circuit
    cause = signature(sign.reason)
    goes_on = cause == circuit.signature and sign.at - circuit.at < FORGOTTEN_S * MICROSECONDS
    failures = circuit.failures + 1 if goes_on else 1
    if failures >= rule.failures:
        return _opened(circuit, f"{failures} × {_short(sign.reason)}", sign.at, rule, who)
    return Circuit(circuit.pool, failures=failures, signature=cause, at=sign.at, by=who.backfill_id)


def _opened(circuit: Circuit, why: str, at: int, rule: BreakerRule, who: Who) -> Circuit:
    until = at + int(rule.cooldown_s * MICROSECONDS)
    return Circuit(circuit.pool, BreakerState.OPEN, why=why, at=at, until=until, by=who.backfill_id)


def _short(reason: str) -> str:
    text = reason or "a failure"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
