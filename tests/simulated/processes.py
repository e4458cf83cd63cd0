"""A process in virtual time: a real coordinator in a thread that gives way where a process waits.

It gives way when it waits for its inbox and before each transaction with the shared store, and only one thread ever
runs. What is the backfill's own, its rows, goes to a ledger; what it shares goes to the real store.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from builders import SECOND, day, make_dag, make_task
from engine.helpers import REF, make_bench

from backfill_cli.app.abreast import Abreast
from backfill_cli.app.pacing import agreeing_of, pacer_of
from backfill_cli.app.sharing import Sharing
from backfill_cli.core.graph import Dag
from backfill_cli.core.hours import hours_of
from backfill_cli.core.invocations import Invocation
from backfill_cli.core.machine import BackfillMachine, Limits
from backfill_cli.core.pools import DEFAULT_POOL, DEFAULT_POOL_SLOTS
from backfill_cli.core.rates import parse_rate
from backfill_cli.core.records import Claim
from backfill_cli.core.retries import RetryPolicy
from backfill_cli.core.throttle import throttle_of
from backfill_cli.engine.coordinator import Coordinator
from backfill_cli.engine.messages import Started, StopAsked
from backfill_cli.loader.settings import Settings
from simulated.seams import Commits, Feed, Inbox, Shared

if TYPE_CHECKING:
    from backfill_cli.core.graph import Task
    from simulated.world import Sim

POOL = "api"
MOST_TURNS = 3_000
"""In one second: more is a loop that does not wait."""


class Killed(BaseException):
    """The process is no more."""


class Process:
    """One life of a process that works on a job."""

    def __init__(self, sim: Sim, number: int) -> None:
        self.sim, self.number, self.job = sim, number, sim.story.jobs[number]
        self.name = f"own-{number}-{sim.lives}"
        self.is_paused = self.job.paused
        self.is_frozen = False
        self.wake_at = sim.now
        self.is_listening = self.is_over = self._is_killed = False
        self.flights: dict[tuple[int, str, int], Invocation] = {}
        self.error: BaseException | None = None
        self._turns = (-1, 0)
        self._go = threading.Semaphore(0)
        self._made = self._make()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    # the clock of the process

    def now_us(self) -> int:
        return self.sim.now + int(self.job.skew_s * SECOND)

    def monotonic(self) -> float:
        return self.sim.now / SECOND

    def sleep(self, seconds: float, *, is_listening: bool = False) -> None:
        second, turns = self._turns
        self._turns = self.sim.now // SECOND, turns + 1 if second == self.sim.now // SECOND else 1
        assert turns < MOST_TURNS, "it spins"
        self.wake_at, self.is_listening = self.sim.now + max(0, -int(-seconds * SECOND // 1)), is_listening
        self.sim.back.release()
        self._go.acquire()
        self.is_listening = False
        if self._is_killed:
            raise Killed

    def dawdle(self) -> None:
        """A machine has other things to do as well."""
        self.sleep(self.sim.random.choice((0, 0, 0, 0.001, self.sim.story.busy_s)))

    def poll(self, run: Coordinator) -> None:
        """As its desk does: somebody has paused it, or not."""
        if self.is_paused != run.machine.paused:
            (run.machine.pause if self.is_paused else run.machine.resume)()

    # its life

    def _dag(self) -> Dag:
        job = self.job
        call = make_task(
            "call",
            pool=POOL,
            pool_slots=job.slots,
            retry=RetryPolicy(1_000_000, delay_s=job.retry_s),
            rate_limit=parse_rate(job.task_rate) if job.task_rate else None,
            max_active=job.most,
        )
        dag_id = job.dag_id or f"dag-{self.number}"
        return make_dag(call, make_task("free"), dag_id=dag_id, max_active_runs=job.parallel)

    def _make(self) -> Coordinator:
        """As `app/run.py` does."""
        sim, job, dag = self.sim, self.job, self._dag()
        sim.store.hold_owner(self.name)
        sim.store.write(lambda w: w.add_owner(self.name, pid=1, host=os.uname().nodename, at=sim.now))
        rules, slots = {POOL: sim.story.rules._replace(slots=sim.story.slots)}, {POOL: sim.story.slots}
        ctx: Any = SimpleNamespace(settings=Settings(Path(), pools=slots, pool_rules=rules), clock=self, environ={})
        ledger = sim.ledgers[self.number]
        dates = [day(one + 1) for one in range(job.dates) if day(one + 1) not in ledger.outcomes]
        machine = BackfillMachine(
            dag,
            Limits(job.parallel, job.workers, {DEFAULT_POOL: DEFAULT_POOL_SLOTS, **slots}),
            backfill_id=f"bf-{self.number}",
            owner=self.name,
            total=len(dates),
            throttle=throttle_of(dag, rules, hours_of([job.hours] if job.hours else (), "UTC")),
        )
        store: Any = Shared(self)
        claim = Claim(self.name, machine.backfill_id, dag.dag_id, dag.version)
        agreeing = agreeing_of(ctx, store, machine, claim)
        assert agreeing is not None
        abreast = [Abreast(ctx, store, self.name, machine)] if job.dag_id else []
        made = Coordinator(
            machine,
            store=Commits(ledger),  # type: ignore[arg-type]
            claim=claim,
            feed=Feed(ledger, dates),  # type: ignore[arg-type]
            backend_of=lambda _task: self,  # type: ignore[arg-type,return-value]
            bench=make_bench(dag),
            dag_ref=REF,
            logs="",
            clock=self,
            grace_s=None,
            pollers=[agreeing, *abreast, Sharing(ctx, store, self.name, machine, scheduled=job.scheduled), self],
            pacer=pacer_of(ctx, store, machine.slots.throttle, agreeing, probe=None),
        )
        made.inbox = Inbox(self)  # type: ignore[assignment]
        return made

    def _live(self) -> None:
        self._go.acquire()
        try:
            if not self._is_killed:
                self._made.run()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001  (raised again by who plays)
            self.error = error
        self.is_over = True
        self.sim.back.release()

    def go(self) -> None:
        """Let it go on until it gives way."""
        self._go.release()
        self.sim.back.acquire()
        if self.error is not None:
            raise self.error

    def end(self, *, killed: bool) -> None:
        """Leave the store as a process does that ends, or one that is killed; its tries go with it."""
        if killed and not self.is_over:
            self._is_killed = True
            self.go()
        self._thread.join()
        self.flights.clear()
        if not killed:
            self.sim.store.write(lambda w: w.drop_owner(self.name))
        self.sim.store.release_owner(self.name)
        self.sim.ledgers[self.number].recover(self.sim.now, counts_as_loss=False)

    def stop(self) -> None:
        self._made.inbox.put(StopAsked(15))

    def submit(self, invocation: Invocation, task: Task, _bench: Any, tell: Callable[[Any], None]) -> None:
        """As a backend does."""
        sim, key = self.sim, (invocation.logical_date, invocation.task_id, invocation.try_number)
        if task.pool == POOL:
            sim.watch.begins(self)
        self.flights[key] = invocation
        began, began_at = sim.now, self.now_us()
        takes_us = int(self.job.takes_s * SECOND * sim.random.choice((0.5, 1, 1, 1.5))) if task.pool == POOL else 1_000

        def started() -> None:
            if key in self.flights:
                tell(Started(key[:2], key[2], began_at))

        def ends() -> None:
            if self.is_frozen:
                sim.at(sim.now + SECOND, ends)
            elif self.flights.pop(key, None) is not None:
                tell(sim.report(key, began_at, self.now_us(), asks=task.pool == POOL))

        sim.at(began + min(1_000, takes_us), started)
        sim.at(began + takes_us, ends)

    @property
    def in_flight(self) -> int:
        """Tries of the pool that run."""
        return sum(one.task_id == "call" for one in self.flights.values())

    def describe(self) -> str:
        machine = self._made.machine
        return f"{self.name} {machine.waiting(self.now_us())} {machine.slots.pools.limits} {self.in_flight} run"
