"""Builders with defaults and small fakes: DAGs, rows, a clock, an executor that runs in place, a ledger, a play.

`Ledger` keeps what a machine commits, as the store would, and refuses what no store should ever see. `Play` is the
coordinator's loop without threads: the test says which try ends next, and how.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from typing import Any

from backfill_cli.core.graph import Dag, Task, sort_tasks
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.machine import BackfillMachine, Limits, Step, Submission
from backfill_cli.core.pools import DEFAULT_POOL, DEFAULT_POOL_SLOTS
from backfill_cli.core.progress import RunSpec
from backfill_cli.core.records import Action, AttemptRow, Batch, Claim, InstanceRow, PlanRow, RunRow, RunType
from backfill_cli.core.recovery import recover_run
from backfill_cli.core.retries import RetryPolicy
from backfill_cli.core.rules import PastRun
from backfill_cli.core.states import TERMINAL, TRANSITIONS, Event, Outcome, RunState, TaskState
from backfill_cli.core.throttle import Throttle
from backfill_cli.core.work import PythonWork

DAY = 86_400
FIRST = 1_704_067_200
"""2024-01-01T00:00:00Z."""
SECOND = 1_000_000
"""One second in the machine's time, microseconds."""
START = FIRST * SECOND + 400 * DAY * SECOND

DONE, FAIL, RETRY = Outcome.SUCCESS, Outcome.FAILED, Outcome.RETRY
SKIP, DEFER, LOST = Outcome.SKIPPED, Outcome.DEFERRED, Outcome.LOST


def day(number: int) -> int:
    """The logical date of the n-th day, from 1: 2024-01-n."""
    return FIRST + (number - 1) * DAY


def nothing() -> None:
    """A Python task's function that does nothing."""


def make_task(task_id: str = "a", *, after: str | Iterable[str] = (), retries: int = 0, **changes: Any) -> Task:
    """A Python task; `after` names its upstreams, in one text or several."""
    upstream = frozenset(after.split() if isinstance(after, str) else after)
    changes.setdefault("work", PythonWork(nothing))
    changes.setdefault("retry", RetryPolicy(retries, delay_s=60))
    return Task(task_id, upstream=upstream, **changes)


def make_dag(*tasks: Task, dag_id: str = "toy", **changes: Any) -> Dag:
    """A DAG of those tasks; one task `a` when none are given."""
    values: dict[str, Any] = {"schedule": None, "timezone": "UTC", "version": "v1", **changes}
    return Dag(dag_id, tasks=sort_tasks(dag_id, tasks or [make_task()]), **values)


def make_run(logical_date: int = FIRST, **changes: Any) -> RunRow:
    """A dag_run that succeeded a second after it started."""
    values: dict[str, Any] = {
        "logical_date": logical_date,
        "data_interval_end": logical_date + DAY,
        "run_type": RunType.BACKFILL,
        "state": RunState.SUCCESS,
        "version": "v1",
        "conf": "{}",
        "started_at": START,
        "ended_at": START + SECOND,
        "reason": None,
        "backfill_id": "bf-1",
        "owner": None,
    }
    return RunRow(**{**values, **changes})


def make_instance(logical_date: int = FIRST, task_id: str = "a", **changes: Any) -> InstanceRow:
    """A task instance that has not begun."""
    values: dict[str, Any] = {
        "state": TaskState.SCHEDULED,
        "try_number": 0,
        "spent": 0,
        "losses": 0,
        "started_at": None,
        "ended_at": None,
        "retry_at": None,
        "reason": None,
    }
    return InstanceRow(logical_date, task_id, **{**values, **changes})


def make_spec(logical_date: int = FIRST, **changes: Any) -> RunSpec:
    return RunSpec(logical_date, logical_date + DAY, changes.pop("action", Action.CREATE), **changes)


def make_plan_row(logical_date: int = FIRST, **changes: Any) -> PlanRow:
    values: dict[str, Any] = {"action": Action.CREATE, "state": None, "reason": "no run yet"}
    return PlanRow(logical_date, logical_date + DAY, **{**values, **changes})


def make_claim() -> Claim:
    return Claim("owner-1", "bf-1", "toy", "v1")


def make_report(submission: Submission, outcome: Outcome = DONE, *, at: int = START, **changes: Any) -> AttemptReport:
    values: dict[str, Any] = {"reason": None if outcome is DONE else f"it was {outcome}", **changes}
    key = submission.run.logical_date, submission.task.task_id
    return AttemptReport(*key, submission.try_number, outcome, at, at, **values)


class FakeClock:
    """Time that stands still until a test moves it."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def now_us(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / SECOND

    def pass_s(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


class InlineExecutor(Executor):
    """Runs what is submitted in place, before `submit` returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  (as every executor does)
            future.set_exception(error)
        return future


@dataclass
class Ledger:
    """What has been committed, as a store would hold it; each batch is checked before it is kept."""

    runs: dict[int, RunRow] = field(default_factory=dict)
    instances: dict[tuple[int, str], InstanceRow] = field(default_factory=dict)
    attempts: dict[tuple[int, str, int], AttemptRow] = field(default_factory=dict)
    xcoms: dict[tuple[int, str], dict[str, str]] = field(default_factory=dict)
    outcomes: dict[int, RunState] = field(default_factory=dict)
    counts: tuple[int, int] = (0, 0)

    def save(self, _claim: Claim | None, batch: Batch) -> None:
        for row in batch.opened:
            known = self.runs.get(row.logical_date)
            assert known is None or known.owner is None, "a dag_run was opened that somebody owns"
            self.runs[row.logical_date] = row
        for row in batch.runs:
            assert row.logical_date in self.runs, "a dag_run was written before it was opened"
            self.runs[row.logical_date] = row
        for one in batch.instances:
            self._check_move(one, cleared=(one.logical_date, one.task_id) in batch.cleared)
            self.instances[one.logical_date, one.task_id] = one
        for attempt in batch.attempts:
            key = attempt.logical_date, attempt.task_id, attempt.try_number
            assert attempt.outcome is Outcome.LATE or key not in self.attempts, f"try {key} ended twice"
            self.attempts.setdefault(key, attempt)
        for pair in batch.cleared:
            self.xcoms.pop(pair, None)
        for value in batch.xcoms:
            self.xcoms.setdefault((value.logical_date, value.task_id), {})[value.key] = value.value
        for outcome in batch.outcomes:
            assert outcome.logical_date not in self.outcomes, "an outcome is written once"
            self.outcomes[outcome.logical_date] = outcome.outcome
        if batch.counts is not None:
            self.counts = tuple(batch.counts)

    def _check_move(self, row: InstanceRow, *, cleared: bool) -> None:
        known = self.instances.get((row.logical_date, row.task_id))
        before = known.state if known else TaskState.SCHEDULED
        assert row.state in _reachable(before, clearing=cleared), f"{before} cannot become {row.state}"
        assert known is None or row.try_number >= known.try_number, "a try_number went back"

    def states(self, logical_date: int) -> dict[str, TaskState]:
        """The states of one date's task instances, those that have a row."""
        return {task_id: row.state for (date, task_id), row in self.instances.items() if date == logical_date}

    def spec(self, logical_date: int, **changes: Any) -> RunSpec:
        """The date as a feed would read it here."""
        earlier = max((date for date in self.runs if date < logical_date), default=None)
        previous = None
        if earlier is not None:
            run, states = self.runs[earlier], self.states(earlier)
            ever = frozenset(task_id for date, task_id in self.instances if date < earlier)
            previous = PastRun(earlier, states, is_finished=run.state.is_terminal, ever_ran=ever)
        values: dict[str, Any] = {
            "stored": self.runs.get(logical_date),
            "instances": tuple(row for (date, _), row in self.instances.items() if date == logical_date),
            "xcoms": {task_id: dict(held) for (date, task_id), held in self.xcoms.items() if date == logical_date},
            "previous": previous,
        }
        return make_spec(logical_date, **{**values, **changes})

    def recover(self, now: int, *, counts_as_loss: bool = True) -> None:
        """What the next command does when it finds the owner dead."""
        for date, run in list(self.runs.items()):
            if run.owner is None:
                continue
            rows = [row for (other, _), row in self.instances.items() if other == date]
            back = recover_run(run, rows, now, why="crash", counts_as_loss=counts_as_loss)
            self.runs[date] = back.run
            self.instances.update({(row.logical_date, row.task_id): row for row in back.instances})
            for one in back.attempts:
                key = one.logical_date, one.task_id, one.try_number
                assert key not in self.attempts, "a try that has ended was lost afterwards"
                self.attempts[key] = one


def _reachable(start: TaskState, *, clearing: bool) -> set[TaskState]:
    """Every state that rows of the table lead to, in any number of steps; `cleared` only when a clear was recorded."""
    found, waiting = {start}, [start]
    while waiting:
        state = waiting.pop()
        for (origin, event), target in TRANSITIONS.items():
            if origin is state and target not in found and (clearing or event is not Event.CLEARED):
                found.add(target)
                waiting.append(target)
    return found


def make_limits(parallel: int = 1, capacity: int = 32, **pools: int) -> Limits:
    return Limits(parallel, capacity, {DEFAULT_POOL: DEFAULT_POOL_SLOTS, **pools})


class Play:
    """A machine, its ledger and a clock: the coordinator's loop, one turn at a time.

    Args:
        dates: What is selected, in the order it is opened.
        specs: Dates whose RunSpec is not simply what the ledger knows.
    """

    def __init__(
        self,
        dag: Dag,
        dates: Sequence[int] = (FIRST,),
        *,
        limits: Limits | None = None,
        ledger: Ledger | None = None,
        specs: Mapping[int, RunSpec] | None = None,
        now: int = START,
        backwards: bool = False,
        throttle: Throttle | None = None,
    ) -> None:
        self.dag = dag
        self.ledger = ledger or Ledger()
        self.limits = limits or make_limits(parallel=len(dates))
        self.machine = BackfillMachine(
            dag,
            self.limits,
            backfill_id="bf-1",
            owner="owner-1",
            total=len(dates),
            backwards=backwards,
            throttle=throttle,
        )
        self.now = now
        self.flying: dict[tuple[int, str], Submission] = {}
        self.started: list[tuple[int, str, int]] = []
        self.cancelled: list[tuple[int, str]] = []
        self.wake_at: int | None = None
        self._waiting = list(dates)
        self._specs = dict(specs or {})

    def turn(self) -> Step:
        """One turn of the loop; what it submits is in `flying` afterwards."""
        self.machine.on_time(self.now)
        while self._waiting and self.machine.room > 0:
            date = self._waiting.pop(0)
            self.machine.open(self._specs.get(date) or self.ledger.spec(date), self.now)
        step = self.machine.take(self.now)
        self.check(step)
        self.ledger.save(None, step.batch)
        for submission in step.submissions:
            key = submission.run.logical_date, submission.task.task_id
            assert key not in self.flying, "a task instance has two tries at once"
            self.flying[key] = submission
            self.started.append((*key, submission.try_number))
        self.cancelled += step.cancellations
        self.wake_at = step.wake_at
        return step

    def check(self, step: Step) -> None:
        """What holds at every turn: rows before submissions, and no limit exceeded."""
        queued = {(row.logical_date, row.task_id): row for row in step.batch.instances}
        for one in step.submissions:
            row = queued[one.run.logical_date, one.task.task_id]
            assert (row.state, row.try_number) == (TaskState.QUEUED, one.try_number)
        flying = [*self.flying.values(), *step.submissions]
        assert len(flying) <= self.limits.capacity
        assert len(self.machine.runs) <= self.limits.parallel
        for run, count in Counter(one.run.logical_date for one in flying).items():
            assert count <= self.dag.max_active_tasks, f"{run} has {count} tasks in flight"
        taken: Counter[str] = Counter()
        for one in flying:
            taken[one.task.pool] += one.task.pool_slots
        for pool, slots in taken.items():
            assert self.limits.pools[pool] == -1 or slots <= self.limits.pools[pool], f"pool {pool} has {slots}"

    def end(self, task_id: str, outcome: Outcome = DONE, *, date: int = FIRST, **changes: Any) -> Step:
        """Let the try of a task in flight end like that, and take the turn that follows."""
        self.report(date, task_id, outcome, **changes)
        return self.turn()

    def report(self, date: int, task_id: str, outcome: Outcome = DONE, **changes: Any) -> None:
        """The same without the turn."""
        submission = self.flying.pop((date, task_id))
        self.machine.on_started(date, task_id, submission.try_number, self.now)
        self.machine.on_report(make_report(submission, outcome, at=self.now, **changes), self.now)

    def wait(self) -> Step:
        """Let time pass until the machine asked to be woken, and take that turn."""
        assert self.wake_at is not None, "nothing to wait for"
        self.now = max(self.now, self.wake_at)
        return self.turn()

    def run(self, script: Mapping[str, Sequence[Outcome]] | None = None) -> Play:
        """Play to the end: each task's tries end as the script says in turn, in any date; then they succeed."""
        used: Counter[tuple[int, str]] = Counter()
        self.turn()
        while not self.is_over:
            if not self.flying:
                self.wait()
                continue
            date, task_id = next(iter(self.flying))
            outcomes = (script or {}).get(task_id, ())
            nth = used[date, task_id]
            used[date, task_id] += 1
            self.end(task_id, outcomes[nth] if nth < len(outcomes) else DONE, date=date)
        return self

    @property
    def is_over(self) -> bool:
        return self.machine.is_drained and (not self._waiting or self.machine.stopping)

    def state(self, task_id: str, date: int = FIRST) -> TaskState:
        """The committed state of a task instance; `scheduled` when it has no row yet."""
        row = self.ledger.instances.get((date, task_id))
        return row.state if row else TaskState.SCHEDULED

    def in_flight(self, date: int = FIRST) -> list[str]:
        return sorted(task_id for other, task_id in self.flying if other == date)

    def run_row(self, date: int = FIRST) -> RunRow:
        return self.ledger.runs[date]

    def next_backfill(self, dates: Sequence[int], **changes: Any) -> Play:
        """Another backfill over the same ledger: what a second command would play."""
        fresh = replace(self.ledger, outcomes={}, counts=(0, 0))
        return Play(self.dag, dates, ledger=fresh, now=self.now, **changes)

    def all_terminal(self, date: int) -> bool:
        return all(self.state(task_id, date) in TERMINAL for task_id in self.dag.tasks)
