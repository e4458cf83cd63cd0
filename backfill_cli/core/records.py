"""Rows as plain tuples: what the machine emits, the store keeps, and every reader gets back.

Owns the shapes, nothing else. Logical dates and interval ends are epoch seconds, other instants epoch microseconds
(contract section 1); states are their lower-case words. NamedTuples, because the hot path makes one a task instance
and hands it to `executemany` as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from backfill_cli.core.states import BackfillState, Outcome, RunState, TaskState


class Action(StrEnum):
    """What a backfill will do with a date (contract section 4)."""

    CREATE = "create"
    RESUME = "resume"
    RERUN = "rerun"
    RESET = "reset"
    SKIP = "skip"


class RunType(StrEnum):
    """Who asked for a dag_run first; the head of its run_id."""

    BACKFILL = "backfill"
    SCHEDULED = "scheduled"
    MANUAL = "manual"


class PlanRow(NamedTuple):
    """One date of a plan. `state` is the dag_run's before, None without one; `reason` is shown to people."""

    logical_date: int
    data_interval_end: int
    action: Action
    state: RunState | None
    reason: str


class RunRow(NamedTuple):
    """One dag_run. `conf` is JSON text; `reason` says why it failed or what it waits for.

    Args:
        batch: For one that ran as part of a batch (`core/merging.py`) the first date of it, whose task instances are
            those of all of them; for the first one itself the last date. None for one that ran alone.
    """

    logical_date: int
    data_interval_end: int
    run_type: RunType
    state: RunState
    version: str
    conf: str
    started_at: int | None
    ended_at: int | None
    reason: str | None
    backfill_id: str | None
    owner: str | None = None
    batch: int | None = None

    @property
    def leader(self) -> int:
        """The date whose task instances are its own: the first of its batch, or itself."""
        return leader_of(self.logical_date, self.batch)


def leader_of(logical_date: int, batch: int | None) -> int:
    """Return the date under which the task instances of a dag_run stand, given its `batch`."""
    return logical_date if batch is None else min(logical_date, batch)


class EndedRuns(NamedTuple):
    """Some terminal dag_runs: their logical dates, ascending, and of each its state and version."""

    dates: list[int]
    kinds: list[tuple[RunState, str]]


class InstanceRow(NamedTuple):
    """One task instance. A row appears when the task is first dispatched, skipped or failed from upstream.

    Args:
        try_number: Of the last try; 0 before the first.
        spent: Tries since the last clear that used up the retry budget.
        losses: Losses in a row.
        retry_at: Epoch microseconds of the next try while `up_for_retry`.
    """

    logical_date: int
    task_id: str
    state: TaskState
    try_number: int
    spent: int
    losses: int
    started_at: int | None
    ended_at: int | None
    retry_at: int | None
    reason: str | None


class AttemptRow(NamedTuple):
    """One try that ended: append-only history. `backfill_id` and `version` say under which it ran."""

    logical_date: int
    task_id: str
    try_number: int
    started_at: int
    ended_at: int
    outcome: Outcome
    reason: str | None
    version: str
    backfill_id: str | None


class XComRow(NamedTuple):
    """One value a task instance pushed, as JSON text."""

    logical_date: int
    task_id: str
    key: str
    value: str


class OutcomeRow(NamedTuple):
    """How a backfill finished one of its dates; written once."""

    logical_date: int
    outcome: RunState


class Counts(NamedTuple):
    """A backfill's dates by how they stand: kept by the writer, never counted over history."""

    completed: int = 0
    failed: int = 0


@dataclass(slots=True)
class Batch:
    """What one turn of the coordinator writes, in one transaction.

    Later rows for the same key win, so the start and the end of an attempt that meet here become one write.
    """

    opened: list[RunRow] = field(default_factory=list)
    runs: list[RunRow] = field(default_factory=list)
    instances: list[InstanceRow] = field(default_factory=list)
    attempts: list[AttemptRow] = field(default_factory=list)
    xcoms: list[XComRow] = field(default_factory=list)
    cleared: list[tuple[int, str]] = field(default_factory=list)
    """(logical_date, task_id) whose XComs go before `xcoms` are written."""
    outcomes: list[OutcomeRow] = field(default_factory=list)
    counts: Counts | None = None

    def __bool__(self) -> bool:
        return bool(self.opened or self.runs or self.instances or self.attempts or self.outcomes or self.cleared)


class Claim(NamedTuple):
    """In whose name a batch is written; every write transaction checks first that it still holds."""

    owner: str
    backfill_id: str
    dag_id: str
    version: str


@dataclass(frozen=True, slots=True)
class BackfillRow:
    """One request to fill a window, its counters and who works on it.

    Args:
        request: What was asked, as JSON-able values: selection, parallel, reprocess, tasks, conf…
        first, last: The resolved bounds on logical dates, epoch seconds, both included; None for an empty plan.
        planned: Dates by action, as planned.
        completed, failed, blocked: Dates by outcome so far; `blocked` is set at the end.
        identity: A digest of DAG and selection: the same command finds its interrupted or planned self by it.
    """

    backfill_id: str
    dag_id: str
    state: BackfillState
    version: str
    identity: str
    request: Mapping[str, Any]
    created_at: int
    first: int | None
    last: int | None
    planned: Mapping[str, int]
    parent_id: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    completed: int = 0
    failed: int = 0
    blocked: int = 0
    interrupted: int = 0
    reason: str | None = None
    owner: str | None = None

    @property
    def total(self) -> int:
        return sum(self.planned.values())

    @property
    def skipped(self) -> int:
        return self.planned.get(Action.SKIP, 0)

    @property
    def is_scheduled(self) -> bool:
        """Whether a scheduler works through it, and not somebody's request."""
        return self.identity == SCHEDULED

    @property
    def remaining(self) -> int:
        return self.total - self.skipped - self.completed - self.failed - self.blocked


SCHEDULED = "scheduled"
"""The identity of what a scheduler works through for a DAG: no digest of a request, which has 16 digits, is a word."""


class LeftRun(NamedTuple):
    """A dag_run that a scheduler created and nobody works on: stopped in it (`is_blocked` false), or blocked."""

    logical_date: int
    data_interval_end: int
    state: RunState
    is_blocked: bool


class BackfillDateRow(NamedTuple):
    """One date of a backfill, joined with what its dag_run says now."""

    logical_date: int
    data_interval_end: int
    action: Action
    outcome: RunState | None
    reason: str
    run_state: RunState | None
    run_started_at: int | None
    run_ended_at: int | None
    run_reason: str | None
    batch: int | None = None


class OwnerRow(NamedTuple):
    """A process that coordinates. `is_alive` is asked of the kernel when the row is read, not stored."""

    owner: str
    pid: int
    host: str
    started_at: int
    is_alive: bool


class PoolRow(NamedTuple):
    """A pool as somebody has set it: its slots (-1 unlimited, 0 holds its tasks), and what it protects."""

    slots: int
    description: str | None


class DagRow(NamedTuple):
    """A DAG the store has seen.

    Args:
        definition: The JSON of an ad-hoc `--command` DAG, else None.
        paused_at: Since when the scheduler creates nothing for it, epoch microseconds; None when it does.
    """

    dag_id: str
    path: str | None
    version: str
    definition: str | None
    paused_at: int | None = None


class VersionRow(NamedTuple):
    """One version of a DAG: its tasks in DAG order, each with the digest of what it does."""

    version: str
    first_seen_at: int
    tasks: Mapping[str, str]


class DurationRow(NamedTuple):
    """What earlier tries of a task took, seconds; for estimates."""

    task_id: str
    tries: int
    mean_s: float
    low_s: float
    high_s: float


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry of the audit chain: who did what, when, from where, why, with which result."""

    seq: int
    at: int
    actor: str
    host: str
    action: str
    target: str
    reason: str | None
    outcome: str
    details: Mapping[str, Any]
    previous: str
    hash: str


class Control(StrEnum):
    """What may be asked; also the action of the audit entry."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    SET = "set"
    SKIP = "skip"


class ControlRow(NamedTuple):
    """One request as the store keeps it.

    Args:
        number: Ascending; requests are answered in this order.
        args: What exactly is asked, as JSON-able values.
        origin: Where the request came from, for the audit entry.
        asked_at, answered_at: Epoch microseconds; `answered_at` is None while it waits.
        is_done: Whether it was done; None while it waits.
    """

    number: int
    backfill_id: str
    action: Control
    args: Mapping[str, Any]
    reason: str | None
    actor: str
    host: str
    origin: Mapping[str, Any]
    asked_at: int
    answered_at: int | None = None
    is_done: bool | None = None
    answer: str | None = None
