"""What the machine knows of the dag_runs it has open: mutable, in memory, one window wide.

Owns `OpenRun` and `Instance`, the bookkeeping behind `core/machine.py`: counts of how upstreams ended, what waits for
the past, what is in flight. They turn into rows (`core/records.py`) when a turn is written, and into nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backfill_cli.core.context import PreviousSuccess
from backfill_cli.core.graph import Dag
from backfill_cli.core.pools import Queue, Ready
from backfill_cli.core.records import Action, InstanceRow, RunRow, RunType
from backfill_cli.core.rules import Past, PastRun, Upstream
from backfill_cli.core.states import FAILURES, RunState, TaskState


class Member(NamedTuple):
    """A date of a batch behind its first one: it has a dag_run of its own, and no task instances.

    Args:
        instances: Those it has of an earlier run of its own, which count no longer.
    """

    logical_date: int
    data_interval_end: int
    run_type: RunType = RunType.BACKFILL
    instances: tuple[InstanceRow, ...] = ()


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A date to open, with what the store knows of it; or the first date of a batch.

    Args:
        stored: Its dag_run, or None.
        instances: Its stored task instances.
        clears: Which of them go back to `scheduled` first.
        previous: The previous dag_run, when the DAG waits on the past; None without one.
        ignore_past: The backfill's first run, with `--ignore-first-depends-on-past`.
        conf: For `dag_run.conf`; `conf_text` is the same as JSON.
        members: The other dates of its batch, ascending, each beginning where the one before ends.
    """

    logical_date: int
    data_interval_end: int
    action: Action
    stored: RunRow | None = None
    instances: tuple[InstanceRow, ...] = ()
    xcoms: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    clears: frozenset[str] = frozenset()
    previous: PastRun | None = None
    previous_success: PreviousSuccess | None = None
    ignore_past: bool = False
    conf: Mapping[str, Any] = field(default_factory=dict)
    conf_text: str = "{}"
    members: tuple[Member, ...] = ()


@dataclass(slots=True)
class Instance:
    """One task instance in an open run. Upstream counts move as upstreams end."""

    state: TaskState = TaskState.SCHEDULED
    try_number: int = 0
    spent: int = 0
    losses: int = 0
    started_at: int | None = None
    ended_at: int | None = None
    retry_at: int | None = None
    reason: str | None = None
    total: int = 0
    success: int = 0
    failed: int = 0
    upstream_failed: int = 0
    skipped: int = 0
    is_ready: bool = False

    def due_again(self, now: int) -> int:
        """Return when a stored retry is due, epoch µs: never further off than its delay was when it was stored.

        The clock may have been set back since: nobody waits a year for a retry of 5 s.
        """
        if self.retry_at is None or self.ended_at is None:
            return now
        return min(self.retry_at, now + max(0, self.retry_at - self.ended_at))

    def upstream(self) -> Upstream:
        return Upstream(self.total, self.success, self.failed, self.upstream_failed, self.skipped)

    def count(self, ended: TaskState) -> None:
        """Note how one of its upstreams ended."""
        if ended is TaskState.SUCCESS:
            self.success += 1
        elif ended is TaskState.FAILED:
            self.failed += 1
        elif ended is TaskState.UPSTREAM_FAILED:
            self.upstream_failed += 1
        elif ended is TaskState.SKIPPED:
            self.skipped += 1

    def row(self, logical_date: int, task_id: str) -> InstanceRow:
        return InstanceRow(
            logical_date,
            task_id,
            self.state,
            self.try_number,
            self.spent,
            self.losses,
            self.started_at,
            self.ended_at,
            self.retry_at,
            self.reason,
        )


class OpenRun:
    """One dag_run in the window, or one batch of them.

    Of a batch the data interval is the whole one, from the start of its first date to the end of its last.
    `active` counts its task instances that will move without help from outside: ready, in flight, waiting for a retry,
    or waiting for an open previous run. With none of them and something unfinished, the run is blocked.
    """

    __slots__ = (
        "active",
        "conf",
        "conf_text",
        "data_interval_end",
        "ended_at",
        "followers",
        "ignore_past",
        "in_flight",
        "instances",
        "is_closed",
        "logical_date",
        "members",
        "outside",
        "own_end",
        "parked",
        "past_waiting",
        "previous",
        "previous_success",
        "reason",
        "run_type",
        "started_at",
        "state",
        "stuck",
        "timed_out",
        "unfinished",
        "xcoms",
    )

    def __init__(self, dag: Dag, spec: RunSpec, previous: OpenRun | PastRun | None) -> None:
        stored = spec.stored
        self.logical_date = spec.logical_date
        self.own_end = stored.data_interval_end if stored else spec.data_interval_end
        self.members = spec.members
        self.data_interval_end = spec.members[-1].data_interval_end if spec.members else self.own_end
        self.run_type = stored.run_type if stored else RunType.BACKFILL
        self.conf = spec.conf
        self.conf_text = spec.conf_text
        self.started_at: int | None = None
        self.ended_at: int | None = None
        self.state = RunState.QUEUED
        self.reason: str | None = None
        self.previous = previous
        self.previous_success = spec.previous_success
        self.ignore_past = spec.ignore_past
        self.followers: list[OpenRun] = []
        self.past_waiting: set[str] = set()
        self.stuck: dict[str, Past] = {}
        self.parked: dict[Queue, list[Ready]] = {}
        self.in_flight = 0
        self.active = 0
        self.is_closed = False
        self.timed_out = False
        self.xcoms: dict[str, dict[str, str]] = {task: dict(values) for task, values in spec.xcoms.items()}
        self.instances: dict[str, Instance] = {
            task_id: Instance(total=len(task.upstream)) for task_id, task in dag.tasks.items()
        }
        self.unfinished = len(self.instances)
        # Of a part of a DAG: how the tasks that were not chosen stand; one without a row has not run.
        self.outside: dict[str, TaskState] = {}

    @property
    def dates(self) -> int:
        """How many dates it works on."""
        return 1 + len(self.members)

    @property
    def last(self) -> int:
        """The last date it works on: itself, or the last of its batch."""
        return self.members[-1].logical_date if self.members else self.logical_date

    @property
    def logical_dates(self) -> tuple[int, ...]:
        """Of a batch all its dates, ascending; empty for a date alone."""
        return (self.logical_date, *(one.logical_date for one in self.members)) if self.members else ()

    @property
    def has_begun(self) -> bool:
        """Whether any of its tasks has begun or ended, now or in an earlier command."""
        return any(one.try_number or one.state is not TaskState.SCHEDULED for one in self.instances.values())

    def note_end(self, dag: Dag, task_id: str) -> None:
        """Note that a task instance has ended, and let the tasks directly behind it count how."""
        self.unfinished -= 1
        ended = self.instances[task_id].state
        for behind in dag.downstream[task_id]:
            self.instances[behind].count(ended)

    def past(self, watched: Iterable[str]) -> PastRun | None:
        """Return the previous run as the past rules see it, with the states of the `watched` tasks alone."""
        run = self.previous
        if not isinstance(run, OpenRun):
            return run
        return PastRun(
            run.logical_date,
            {task_id: run.instances[task_id].state for task_id in watched},
            is_open=not run.is_closed,
            is_finished=run.state.is_terminal,
        )

    def fold(self, dag: Dag) -> RunState:
        """Return the state a finished run has: failed when a leaf failed, or when its time was up."""
        if self.timed_out or any(self.instances[leaf].state in FAILURES for leaf in dag.leaves):
            return RunState.FAILED
        return RunState.SUCCESS

    def is_partial(self, dag: Dag) -> bool:
        """Whether tasks that were not chosen still have to run."""
        return any(task_id not in self.outside or not self.outside[task_id].is_terminal for task_id in dag.left_out)

    def fold_whole(self, dag: Dag) -> RunState:
        """Return the state the dag_run itself has: of all tasks of the DAG, not of the chosen ones alone."""
        state = self.fold(dag)
        if state is RunState.FAILED or dag.whole is None:
            return state
        if self.is_partial(dag):
            return RunState.QUEUED
        states = {**self.outside, **{task_id: one.state for task_id, one in self.instances.items()}}
        return RunState.FAILED if any(states[leaf] in FAILURES for leaf in dag.whole.leaves) else RunState.SUCCESS

    def row(self, version: str, backfill_id: str, owner: str | None, ended_at: int | None) -> RunRow:
        return RunRow(
            self.logical_date,
            self.own_end,
            self.run_type,
            self.state,
            version,
            self.conf_text,
            self.started_at,
            ended_at,
            self.reason,
            backfill_id,
            owner,
            self.last if self.members else None,
        )

    def member_rows(self, row: RunRow) -> Iterator[RunRow]:
        """Yield the rows of the other dates of its batch, given its own: they say the same, and point to it."""
        for date, end, run_type, _ in self.members:
            yield row._replace(logical_date=date, data_interval_end=end, run_type=run_type, batch=self.logical_date)
