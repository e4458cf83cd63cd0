"""What a use case is asked and what it answers: one frozen value each, with many faces.

Owns options and results. Renderers, JSON, exit codes, scenarios and tests all read these objects; none of them parses
another's text. `data()` gives the JSON `data` of contract section 7, keys in the order they are promised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from backfill_cli.core.instants import EPOCH as EPOCH  # noqa: PLC0414
from backfill_cli.core.instants import instant as instant  # noqa: PLC0414
from backfill_cli.core.instants import iso as iso  # noqa: PLC0414
from backfill_cli.core.instants import iso_us as iso_us  # noqa: PLC0414
from backfill_cli.core.problems import Problem as Problem  # noqa: PLC0414
from backfill_cli.core.records import Action, AuditRow, BackfillRow, PlanRow, RunType
from backfill_cli.core.states import BackfillState

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag


def run_id(run_type: RunType | str, logical_date: int) -> str:
    """Return `<run_type>__<logical_date ISO>`."""
    return f"{run_type}__{iso(logical_date)}"


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """One backfill as it is asked for; the command line and Python fill the same fields.

    Args:
        dag_id: Every form of `--dag` (contract section 2). Or give `dag`.
        dag: A DAG object made in Python, in place of `dag_id`.
        command, schedule, name: A one-task DAG made on the spot (`--command`).
        start_date, end_date: Both included. A date means the whole day in the DAG's zone, a naive datetime is wall
            time there, an aware one is exact.
        last: `30d`, `2w`: whole days up to today; `6h`, `90m`: back from now.
        dates: Single dates or instants in place of a range.
        backfill_id: A planned or interrupted backfill to run, or one whose failures to run again.
        max_parallel_runs: dag_runs open together.
        reprocess: Any of failed, success, completed, stale, all; empty creates and resumes only.
        reset_dag_run: Clear task instances and XComs of every date first.
        rerun_failed: Run again what failed, and what was blocked behind it.
        whole_run: With rerun_failed: every task of those dates, not the failed ones alone.
        conf: Values for `dag_run.conf`; None keeps what an existing dag_run has.
        executor: Where tasks run that choose nothing themselves: `thread` (default), `process`,
            `package.module:factory`.
        on_conflict: What to do when a live process holds some of the dates; `fail` only, for now.
    """

    dag_id: str | None = None
    dag: object | None = None
    command: str | None = None
    schedule: str | None = None
    name: str | None = None
    timezone: str | None = None
    start_date: date | datetime | None = None
    end_date: date | datetime | None = None
    last: str | None = None
    dates: tuple[date | datetime, ...] = ()
    backfill_id: str | None = None
    max_parallel_runs: int = 1
    reprocess: frozenset[str] = frozenset()
    reset_dag_run: bool = False
    rerun_failed: bool = False
    whole_run: bool = False
    dry_run: bool = False
    conf: Mapping[str, Any] | None = None
    reason: str | None = None
    run_backwards: bool = False
    ignore_first_depends_on_past: bool = False
    include_incomplete: bool = False
    ignore_dag_bounds: bool = False
    tasks: tuple[str, ...] = ()
    limit: int | None = None
    workers: int | None = None
    executor: str | None = None
    strict_templates: bool = False
    yes: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long it may take, from what earlier tries took; None where nothing ran yet.

    Args:
        low_s, high_s: Wall-clock seconds, a range.
        based_on: Tries the numbers come from.
    """

    task_instances: int
    low_s: float | None
    high_s: float | None
    based_on: int

    def data(self) -> dict[str, Any]:
        middle = None if self.low_s is None or self.high_s is None else round((self.low_s + self.high_s) / 2, 3)
        return {
            "duration_s": middle,
            "low_s": self.low_s,
            "high_s": self.high_s,
            "task_instances": self.task_instances,
            "based_on": self.based_on,
        }


@dataclass(frozen=True, slots=True)
class ActionGroup:
    """The rows of a plan that share an action and a reason: how many, and the first few of them."""

    action: Action
    reason: str
    count: int
    dates: tuple[int, ...]
    last: int


@dataclass(frozen=True, slots=True)
class PlanRuns:
    """The `runs` of a plan's JSON document: mappings, one at a time, as often as they are asked for.

    There may be a million of them. `render/as_json.py` writes the same text from `rows` without making the mappings.
    """

    rows: Callable[[], Iterable[PlanRow]]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self.rows():
            start = iso(row.logical_date)
            yield {
                "logical_date": start,
                "data_interval_start": start,
                "data_interval_end": iso(row.data_interval_end),
                "run_id": f"{RunType.BACKFILL}__{start}",
                "action": row.action,
                "state": row.state,
                "reason": row.reason,
            }


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What would happen to each date, and why. `rows` can be walked again and again; it streams.

    Args:
        first, last: Bounds on logical dates, epoch seconds, both included; None when the plan is empty.
        asked: The selection in words, without the count: "2024-03-01 … 2024-03-31, whole days, both included".
        counts: Dates by action, every action present.
        groups: One entry an action and reason, in the order of the actions.
        head, tail: The first and last few rows that will run.
        next_command: The whole command that would run this plan, quoted for a shell.
    """

    dag: Dag
    first: int | None
    last: int | None
    asked: str
    counts: Mapping[Action, int]
    groups: Sequence[ActionGroup]
    head: Sequence[PlanRow]
    tail: Sequence[PlanRow]
    rows: Callable[[], Iterable[PlanRow]]
    estimate: Estimate
    warnings: Sequence[Problem]
    parallel: int
    backwards: bool
    dry_run: bool
    next_command: str
    backfill_id: str | None = None

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def to_run(self) -> int:
        return self.total - self.counts[Action.SKIP]

    @property
    def exit_code(self) -> int:
        return 0

    def data(self) -> dict[str, Any]:
        return {
            "dag_id": self.dag.dag_id,
            "dag_version": self.dag.version,
            "schedule": self.dag.schedule.describe(),
            "timezone": self.dag.timezone,
            "start": iso(self.first),
            "end": iso(self.last),
            "backfill_id": self.backfill_id,
            "dry_run": self.dry_run,
            "parallel": self.parallel,
            "total": self.total,
            "counts": {str(action): self.counts[action] for action in Action},
            "runs": PlanRuns(self.rows),
            "estimate": self.estimate.data(),
            "warnings": [problem.data() for problem in self.warnings],
        }


@dataclass(frozen=True, slots=True)
class BackfillPreview:
    """What `dry_run=True` answers: the dates, split into those that have a dag_run and those that do not."""

    dates: list[datetime]
    existing_runs: list[datetime]
    new_runs: list[datetime]
    plan: PlanResult = field(repr=False, compare=False)

    @property
    def total_dates(self) -> int:
        return len(self.dates)


@dataclass(frozen=True, slots=True)
class DateResult:
    """How one date stands when a backfill ends. `state` is a dag_run state, `blocked` or `remaining`."""

    logical_date: datetime
    run_id: str
    state: str
    duration_s: float | None
    reason: str | None

    def data(self) -> dict[str, Any]:
        return {
            "logical_date": self.logical_date.isoformat(),
            "run_id": self.run_id,
            "state": self.state,
            "duration_s": self.duration_s,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures of one task with one cause: how many dates, and which."""

    task_id: str
    reason: str
    dates: tuple[int, ...]
    count: int

    def data(self) -> dict[str, Any]:
        return {
            "task_id": self.task_id,
            "reason": self.reason,
            "count": self.count,
            "dates": [iso(one) for one in self.dates],
        }


class Reexecuted(NamedTuple):
    """A task instance that an interruption made run a second time."""

    logical_date: int
    task_id: str
    lost_try: int

    def data(self) -> dict[str, Any]:
        return {"logical_date": iso(self.logical_date), "task_id": self.task_id, "lost_try": self.lost_try}


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """How a backfill ended: total_dates = completed + failed + blocked + skipped + remaining.

    Args:
        skipped: Dates the filter left alone; their stored state and the reason stand in `results`.
        interrupted: The part of `remaining` that had been opened.
        left_failed: Of the skipped ones, how many are failed or unfinished in the store: they make exit code 1.
        stopped_by: Signal number that ended it early, or None.
        audit_head: `seq:hash` after this command.
        timezone: The DAG's zone; screens show dates in it.
    """

    backfill_id: str | None
    parent_id: str | None
    dag_id: str
    state: BackfillState
    total_dates: int
    completed: int
    failed: int
    blocked: int
    skipped: int
    remaining: int
    interrupted: int
    started_at: int | None
    ended_at: int | None
    results: list[DateResult]
    audit_head: str
    left_failed: int = 0
    failures: tuple[FailureGroup, ...] = ()
    reexecuted: tuple[Reexecuted, ...] = ()
    problems: tuple[Problem, ...] = ()
    stopped_by: int | None = None
    reason: str | None = None
    next_command: str = ""
    timezone: str = "UTC"

    @property
    def duration_s(self) -> float | None:
        if self.started_at is None or self.ended_at is None:
            return None
        return round((self.ended_at - self.started_at) / 1_000_000, 3)

    @property
    def exit_code(self) -> int:
        """128 + signal when stopped; 1 when a selected date is failed, blocked or left undone; else 0."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        return 1 if self.failed or self.blocked or self.left_failed or self.remaining else 0

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    def data(self) -> dict[str, Any]:
        return {
            "backfill_id": self.backfill_id,
            "parent_id": self.parent_id,
            "dag_id": self.dag_id,
            "state": self.state,
            "total_dates": self.total_dates,
            "completed": self.completed,
            "failed": self.failed,
            "blocked": self.blocked,
            "skipped": self.skipped,
            "remaining": self.remaining,
            "interrupted": self.interrupted,
            "started_at": iso_us(self.started_at),
            "ended_at": iso_us(self.ended_at),
            "duration_s": self.duration_s,
            "results": [one.data() for one in self.results],
            "failures": [group.data() for group in self.failures],
            "reexecuted": [one.data() for one in self.reexecuted],
            "audit_head": self.audit_head,
        }


@dataclass(frozen=True, slots=True)
class ResetResult:
    """What `reset` cleared: dates whose task instances went back to `scheduled`, and how much that was."""

    dag_id: str
    dates: list[datetime]
    task_instances: int
    xcoms: int
    audit_head: str
    problems: tuple[Problem, ...] = ()
    next_command: str = ""
    exit_code: int = 0
    timezone: str = "UTC"

    def data(self) -> dict[str, Any]:
        return {
            "dag_id": self.dag_id,
            "total_dates": len(self.dates),
            "dates": [one.isoformat() for one in self.dates],
            "task_instances": self.task_instances,
            "xcoms": self.xcoms,
            "audit_head": self.audit_head,
        }


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task instance as status shows it."""

    state: str
    try_number: int
    started_at: int | None
    ended_at: int | None
    retry_at: int | None
    reason: str | None

    def data(self) -> dict[str, Any]:
        duration = None
        if self.started_at is not None and self.ended_at is not None:
            duration = round((self.ended_at - self.started_at) / 1_000_000, 3)
        return {
            "state": self.state,
            "try_number": self.try_number,
            "started_at": iso_us(self.started_at),
            "ended_at": iso_us(self.ended_at),
            "duration_s": duration,
            "retry_at": iso_us(self.retry_at),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class RunView:
    """One dag_run as status shows it: `state` is a dag_run state, `blocked`, `interrupted` or `missing`."""

    logical_date: int
    run_id: str
    state: str
    reason: str | None
    stale: bool
    tasks: Mapping[str, TaskView]

    def data(self) -> dict[str, Any]:
        return {
            "logical_date": iso(self.logical_date),
            "run_id": self.run_id,
            "state": self.state,
            "reason": self.reason,
            "stale": self.stale,
            "tasks": {task_id: view.data() for task_id, view in self.tasks.items()},
        }


class SlowTask(NamedTuple):
    """The slowest try of a task among those shown, beside its median; seconds."""

    task_id: str
    seconds: float
    median_s: float
    logical_date: int


@dataclass(frozen=True, slots=True)
class BackfillView:
    """A backfill with what is derived: whether its owner lives, how fast it goes, who repaired it.

    Args:
        timezone: The DAG's zone where it is known; screens show the range in it.
    """

    row: BackfillRow
    state: str
    pid: int | None = None
    host: str | None = None
    rate_per_min: float | None = None
    eta_s: float | None = None
    repaired_by: tuple[str, ...] = ()
    timezone: str | None = None

    def data(self) -> dict[str, Any]:
        row = self.row
        return {
            "backfill_id": row.backfill_id,
            "parent_id": row.parent_id,
            "dag_id": row.dag_id,
            "dag_version": row.version,
            "state": self.state,
            "start": iso(row.first),
            "end": iso(row.last),
            "total_dates": row.total,
            "completed": row.completed,
            "failed": row.failed,
            "blocked": row.blocked,
            "skipped": row.skipped,
            "remaining": row.remaining,
            "interrupted": row.interrupted,
            "created_at": iso_us(row.created_at),
            "started_at": iso_us(row.started_at),
            "ended_at": iso_us(row.ended_at),
            "reason": row.reason,
            "pid": self.pid,
            "host": self.host,
            "eta_s": self.eta_s,
            "repaired_by": list(self.repaired_by),
        }


@dataclass(frozen=True, slots=True)
class StatusResult:
    """The state of a backfill, of a range of a DAG, or of the latest backfills.

    Args:
        backfills: The latest ones; alone without arguments.
        backfill: The one asked for, or None for a range.
        counts: Dates by state: success, failed, running, queued, blocked, missing, stale…; a stale success is not
            among `success`, so that they add up.
        runs: A page of dates; `after` continues it.
        gaps: Spans (first, last, count) of missing logical dates.
        gaps_only: Asked with `--gaps`: the screen lists every gap and nothing else.
        stale_because: What changed in the DAG, in words, with the dates that succeeded under the older version.
        next_command: The most useful thing to type now, quoted for a shell; empty when all is well.
    """

    dag_id: str | None
    backfills: Sequence[BackfillView] = ()
    backfill: BackfillView | None = None
    first: int | None = None
    last: int | None = None
    timezone: str = "UTC"
    schedule: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    task_ids: Sequence[str] = ()
    runs: Sequence[RunView] = ()
    more: bool = False
    after: int | None = None
    gaps: Sequence[tuple[int, int, int]] = ()
    slowest: Sequence[SlowTask] = ()
    failures: Sequence[FailureGroup] = ()
    stale_because: Mapping[str, Sequence[int]] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    exit_code: int = 0
    next_command: str = ""
    gaps_only: bool = False

    def data(self) -> dict[str, Any]:
        listing: dict[str, Any] = {
            "dag_id": self.dag_id,
            "backfill": self.backfill.data() if self.backfill else None,
            "backfills": [view.data() for view in self.backfills],
        }
        if self.dag_id is None:
            return listing
        totals = self.backfill.data() if self.backfill else {}
        keys = ("total_dates", "completed", "failed", "blocked", "skipped", "remaining", "interrupted")
        return listing | {
            "start": iso(self.first),
            "end": iso(self.last),
            "timezone": self.timezone,
            **({key: totals[key] for key in keys} if totals else {}),
            "counts": dict(self.counts),
            "runs": [view.data() for view in self.runs],
            "more": self.more,
            "after": iso(self.after),
            "gaps": [{"start": iso(first), "end": iso(last), "count": count} for first, last, count in self.gaps],
            "slowest": [
                {
                    "task_id": one.task_id,
                    "seconds": one.seconds,
                    "median_s": one.median_s,
                    "logical_date": iso(one.logical_date),
                }
                for one in self.slowest
            ],
            "failures": [group.data() for group in self.failures],
        }


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Entries of the audit chain, and where it stands."""

    events: Sequence[AuditRow]
    head: str
    exit_code: int = 0

    def data(self) -> dict[str, Any]:
        return {
            "events": [
                {
                    "seq": row.seq,
                    "at": iso_us(row.at),
                    "actor": row.actor,
                    "host": row.host,
                    "action": row.action,
                    "target": row.target,
                    "reason": row.reason,
                    "outcome": row.outcome,
                    "details": dict(row.details),
                    "hash": row.hash,
                }
                for row in self.events
            ],
            "head": self.head,
        }


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What `audit verify` found: how many entries hold, and the first that does not."""

    checked: int
    head: str
    digests: int
    first_bad: int | None = None
    finding: str = ""

    @property
    def exit_code(self) -> int:
        return 0 if not self.finding else 6

    def data(self) -> dict[str, Any]:
        return {
            "checked": self.checked,
            "digests": self.digests,
            "head": self.head,
            "first_bad": self.first_bad,
            "finding": self.finding or None,
        }
