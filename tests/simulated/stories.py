"""What happens in a simulated world: who runs what, how the system behind the pool answers, who does what to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builders import SECOND

from backfill_cli.core.pool_rules import PoolRules
from backfill_cli.core.rates import parse_rate


@dataclass(frozen=True)
class Phase:
    """For so many seconds the system behind the pool answers like that: `well`, `broken`, `wait N`, `wait`, `lost`."""

    seconds: float
    answer: str


@dataclass(frozen=True)
class Job:
    """What one process runs: so many dates of a DAG of its own, whose task `call` asks the system."""

    dates: int = 3
    workers: int = 2
    slots: int = 1
    takes_s: float = 0.5
    retry_s: float = 0.0
    task_rate: str = ""
    most: int | None = None
    hours: str = ""
    paused: bool = False
    scheduled: bool = False
    dag_id: str = ""
    parallel: int = 3
    starts_s: float = 0.0
    skew_s: float = 0.0

    @property
    def is_odd(self) -> bool:
        """It may not start for hours, for reasons of its own; the others must not care."""
        is_slow = self.task_rate != "" and parse_rate(self.task_rate).spacing_us > 60 * SECOND
        return self.hours != "" or self.paused or is_slow


@dataclass(frozen=True)
class Deed:
    """What somebody does to a process: `kill`, `stop`, `pause`, `freeze`; `for_s` later it begins anew, or goes on."""

    at_s: float
    job: int
    what: str
    for_s: float


@dataclass(frozen=True)
class Story:
    """Some processes and one pool.

    Args:
        rules: The pool's, whose slots are `slots`.
        health: What a health check says while the system is broken: `says no`, `hangs`; empty where there is none.
        busy_s: How long the store lets somebody wait now and then, who wants to look or to write.
        seed: Of what a story leaves open: who goes first, how late.
    """

    jobs: Sequence[Job]
    rules: PoolRules
    slots: int = 2
    phases: Sequence[Phase] = ()
    deeds: Sequence[Deed] = ()
    health: str = ""
    busy_s: float = 0.02
    seed: int = 0

    @property
    def patience_us(self) -> int:
        """How long nobody may start anything while the system is well and nothing is held: what each step may take."""
        tries = max(1.5 * job.takes_s + job.retry_s for job in self.jobs)
        rates = [self.rules.rate_limit]
        rates += [parse_rate(job.task_rate) for job in self.jobs if job.task_rate and not job.is_odd]
        spacing = sum(one.spacing_us for one in rates if one is not None) / SECOND
        cooldown = self.rules.breaker.cooldown_s if self.rules.breaker else 0
        asking = {"": 0.0, "says no": 0.1, "hangs": 10.0}[self.health]
        turns = 2.0 * len(self.jobs)
        return int((tries + spacing + cooldown + asking + turns + 3) * SECOND)
