"""Who may start now: ready tasks, the slots of the executor and the pools, max_active_tasks of each dag_run.

Owns the way of a task from ready to in flight and back. Which pool lets whom go first is `core/pools.py`; when a task
is ready is decided in `core/machine.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush

from backfill_cli.core.changes import Key
from backfill_cli.core.graph import NO_CALLBACKS, Dag, Task
from backfill_cli.core.holds import Hold
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.pools import DEFAULT_POOL, Demand, Pools, Queue, Ready, task_limit
from backfill_cli.core.progress import OpenRun
from backfill_cli.core.rates import Pace
from backfill_cli.core.states import Outcome, TaskState
from backfill_cli.core.steps import Flight, Limits
from backfill_cli.core.throttle import Throttle
from backfill_cli.core.work import EmptyWork


class Slots:
    """The tasks that are ready, and those in flight, of the dag_runs in `runs`, which changes while this looks on."""

    def __init__(self, dag: Dag, limits: Limits, runs: Mapping[int, OpenRun], throttle: Throttle | None = None) -> None:
        self.pools = Pools(limits.pools)
        self.throttle = throttle or Throttle()
        for task in dag.tasks.values():
            if task.rate_limit is not None:
                self.pools.set_apart(task.task_id)
            if task.max_active is not None:
                self.pools.set_gate(task.task_id, task_limit(dag.dag_id, task.task_id), task.max_active)
        self.flights: dict[Key, Flight] = {}
        self._dag = dag
        self._capacity = limits.capacity
        self._runs = runs

    @property
    def capacity(self) -> int:
        """How many tasks may run at once: as many as there are workers, or as the dates at once have beside another."""
        adaptive = self.throttle.adaptive
        return self._capacity if adaptive is None else min(self._capacity, adaptive.parallel * self._dag.width)

    def wait(self, run: OpenRun, task: Task) -> None:
        """Let a ready task wait for its pool."""
        task_id = task.task_id
        place, weight = self._dag.position[task_id], self._dag.weights[task_id]
        self.pools.add(Ready(-weight, run.logical_date, place, task_id, task.pool_slots, task.pool))

    def forget(self, run: OpenRun) -> None:
        """Let none of a run's tasks wait any more; nothing of it is in flight."""
        self.pools.forget(run.logical_date)
        run.parked.clear()

    def take(self, now: int) -> Iterator[tuple[OpenRun, Ready]]:
        """Yield what may start now, in order of priority; each must `begin` before the next is asked for.

        Args:
            now: Epoch microseconds.
        """
        throttle = self.throttle
        is_held = None if throttle.is_idle else lambda queue: throttle.hold_on(queue[0], queue[2], now) is not None
        for ready in self.pools.take(self.capacity - len(self.flights), self._may_go, is_held):
            if is_held is not None:
                key = ready.logical_date, ready.task_id
                throttle.started(key, ready.pool, self.pools.apart(ready))
            yield self._runs[ready.logical_date], ready

    def lacking(self, now: int) -> dict[Pace, int]:
        """Return how many starts are to be reserved of which limit, for those that could start now (epoch µs)."""
        free = self.capacity - len(self.flights)
        if not self.throttle.has_paces or free <= 0:
            return {}
        return self.throttle.lacking(
            (
                (pool, apart, int(min(len(heap), free, self.pools.room((pool, slots, apart)))))
                for (pool, slots, apart), heap in self.pools.fitting()
            ),
            now,
        )

    def has_probe(self, pool: str, now: int) -> bool:
        """Whether a task of the pool would start now (epoch µs), but for the pool's breaker."""
        return self.capacity > len(self.flights) and any(
            queue[0] == pool and self.throttle.may_probe(pool, queue[2], now) for queue, _ in self.pools.fitting()
        )

    def demand(self, pool: str, now: int) -> Demand:
        """Return what the tasks of a pool ask for at this moment (epoch µs): none that cannot start soon anyway."""
        throttle = self.throttle
        if throttle.is_idle:
            return self.pools.demand(pool)
        return self.pools.demand(pool, lambda queue: throttle.leaves_slots(queue[0], queue[2], now))

    def next_at(self, now: int) -> int | None:
        """Return when somebody who is held may start, epoch µs; None when nobody is, or nobody knows."""
        if self.throttle.is_idle or self.capacity <= len(self.flights):
            return None
        holds = (self.throttle.hold_on(queue[0], queue[2], now) for queue, _ in self.pools.fitting())
        return min((hold.until for hold in holds if hold is not None and hold.until is not None), default=None)

    def hold_on(self, queue: Queue, now: int) -> Hold | None:
        """Return why a queue is held now (epoch µs), whether or not it would fit; None when it is not."""
        return None if self.throttle.is_idle else self.throttle.hold_on(queue[0], queue[2], now)

    def in_use(self) -> tuple[str, ...]:
        """Return the pools the tasks of the DAG need slots of, their own limits included."""
        tasks = self._dag.tasks.values()
        needy = [one for one in tasks if not (isinstance(one.work, EmptyWork) and one.callbacks == NO_CALLBACKS)]
        return (*dict.fromkeys(one.pool for one in needy), *self.pools.gates.values())

    def usable(self, pool: str, parallel: int) -> int:
        """Return how many slots of a pool could ever be taken at once, with so many dag_runs open together."""
        needs = [
            task.pool_slots if task.pool == pool else 1
            for task in self._dag.tasks.values()
            if pool in (task.pool, self.pools.gates.get(task.task_id))
        ]
        at_once = min(self.capacity, parallel * min(self._dag.max_active_tasks, len(needs)))
        return at_once * max(needs, default=0)

    def begin(self, run: OpenRun, ready: Ready, try_number: int) -> None:
        adaptive = self.throttle.adaptive
        epoch = 0 if adaptive is None else adaptive.on_submit(min(len(self._runs), len(self.flights) + 1))
        self.flights[ready.logical_date, ready.task_id] = Flight(try_number, ready.pool, ready.slots, epoch)
        run.in_flight += 1

    def judge(self, report: AttemptReport) -> AttemptReport:
        """Return the report of a try with what it means for those that wait; a deferral holds others back."""
        deferrals = self.throttle.deferrals
        if report.outcome is Outcome.DEFERRED:
            task = self._dag.tasks[report.task_id]
            if task.pool == DEFAULT_POOL:
                self.pools.set_apart(task.task_id)
            return deferrals.deferred(report, task)
        if deferrals:
            deferrals.ended(report, self._dag.tasks[report.task_id])
        return report

    def end(self, report: AttemptReport) -> bool:
        """Give back what a try held. False: no such try is in flight."""
        key = report.logical_date, report.task_id
        flight = self.flights.get(key)
        if flight is None or flight.try_number != report.try_number:
            return False
        del self.flights[key]
        self.pools.give_back(report.task_id, flight.pool, flight.slots)
        if self.throttle.watches_ends:
            self.throttle.ended(flight, report, len(self._runs))
        run = self._runs.get(report.logical_date)
        if run is not None:
            run.in_flight -= 1
            self._unpark(run)
        return True

    def _may_go(self, ready: Ready) -> bool:
        run = self._runs.get(ready.logical_date)
        if run is None or run.instances[ready.task_id].state is not TaskState.SCHEDULED:
            return False  # given up meanwhile: dagrun_timeout
        if self.is_full(run):
            heappush(run.parked.setdefault(self.pools.queue(ready), []), ready)
            return False
        return True

    def is_full(self, run: OpenRun) -> bool:
        """Whether a dag_run has as many tasks in flight as it may have."""
        return run.in_flight >= self._dag.max_active_tasks

    def _unpark(self, run: OpenRun) -> None:
        """A place under max_active_tasks is free: the best parked task of each queue waits in it again."""
        for heap in run.parked.values():
            if heap:
                self.pools.add(heappop(heap))
