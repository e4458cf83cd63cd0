"""What `dags list|show|validate` and `logs` answer: frozen values beside those of `core/results.py`.

Owns shapes only; the loader fills what a DAG file says, the store what has run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backfill_cli.core.instants import iso, iso_us
from backfill_cli.core.problems import Problem

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag, Task


@dataclass(frozen=True, slots=True)
class DagInfo:
    """One DAG as a list shows it, or one file that could not be loaded.

    Args:
        dag_id: None when the file failed before it named one.
        path: The DAG file as given or found; None for an ad-hoc `--command` DAG.
        schedule: In words, as `Schedule.describe()` says it.
        tasks: How many.
        last_complete: The latest interval that is over, [start, end) in epoch seconds; None when there is none.
        paused: The scheduler creates nothing for it.
        next_due: When its next interval is due, epoch seconds; None when there is none, or it is paused.
        last_scheduled: The end of the last interval the scheduler has created, epoch seconds; None before the first.
        error, hint, where: Why it could not be loaded; `error` is None for a sound one.
        warnings: What is odd about a sound one.
    """

    dag_id: str | None
    path: str | None
    schedule: str | None = None
    timezone: str | None = None
    version: str | None = None
    tasks: int = 0
    tags: tuple[str, ...] = ()
    description: str = ""
    last_complete: tuple[int, int] | None = None
    paused: bool = False
    next_due: int | None = None
    last_scheduled: int | None = None
    error: str | None = None
    hint: str = ""
    code: str = ""
    where: str | None = None
    warnings: tuple[Problem, ...] = ()

    def data(self) -> dict[str, Any]:
        return {
            "dag_id": self.dag_id,
            "path": self.path,
            "schedule": self.schedule,
            "timezone": self.timezone,
            "dag_version": self.version,
            "tasks": self.tasks,
            "tags": list(self.tags),
            "description": self.description,
            "last_complete": _interval(self.last_complete),
            "paused": self.paused,
            "next_due_at": iso(self.next_due),
            "last_scheduled_end": iso(self.last_scheduled),
            "error": None
            if self.error is None
            else {"code": self.code, "message": self.error, "hint": self.hint, "where": self.where},
            "warnings": [one.data() for one in self.warnings],
        }


@dataclass(frozen=True, slots=True)
class PauseResult:
    """Whether the scheduler creates anything for a DAG from now on; `changed` is false when it was so already."""

    dag_id: str
    paused: bool
    changed: bool
    audit_head: str | None = None
    problems: Sequence[Problem] = ()
    exit_code: int = 0

    def data(self) -> dict[str, Any]:
        return {
            "dag_id": self.dag_id,
            "paused": self.paused,
            "changed": self.changed,
            "audit_head": self.audit_head,
        }


@dataclass(frozen=True, slots=True)
class DagsResult:
    """The DAGs found (`dags list`) or checked (`dags validate`); `exit_code` is the use case's to say.

    Args:
        folders: Where it looked, for "no DAG found in …".
    """

    dags: Sequence[DagInfo]
    folders: Sequence[str] = ()
    problems: Sequence[Problem] = ()
    exit_code: int = 0

    @property
    def broken(self) -> int:
        return sum(1 for one in self.dags if one.error is not None)

    def data(self) -> dict[str, Any]:
        return {
            "total": len(self.dags),
            "broken": self.broken,
            "folders": list(self.folders),
            "dags": [one.data() for one in self.dags],
        }


@dataclass(frozen=True, slots=True)
class DagResult:
    """One DAG in full, with what its schedule does around now and what the store holds of it.

    Args:
        last_complete: The latest interval that is over; `next_interval` the one that is running or comes next.
        counts: dag_runs by state.
        versions: How many versions of it have run.
        paused_at: Since when the scheduler creates nothing for it, epoch microseconds; None when it does.
        asked: What named it: it names it in other commands too.
    """

    dag: Dag
    last_complete: tuple[int, int] | None = None
    next_interval: tuple[int, int] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    versions: int = 0
    problems: Sequence[Problem] = ()
    paused_at: int | None = None
    asked: str = ""
    exit_code: int = 0

    def data(self) -> dict[str, Any]:
        dag = self.dag
        return {
            "dag_id": dag.dag_id,
            "dag_version": dag.version,
            "path": dag.path,
            "description": dag.description,
            "tags": list(dag.tags),
            "schedule": dag.schedule.describe(),
            "timezone": dag.timezone,
            "start_date": iso(dag.start_date),
            "end_date": iso(dag.end_date),
            "catchup": dag.catchup,
            "paused": self.paused_at is not None,
            "max_active_runs": dag.max_active_runs,
            "max_active_tasks": dag.max_active_tasks,
            "dagrun_timeout_s": dag.dagrun_timeout_s,
            "batch_intervals": dag.batch_intervals,
            "last_complete": _interval(self.last_complete),
            "next_interval": _interval(self.next_interval),
            "counts": dict(self.counts),
            "versions": self.versions,
            "tasks": [_task(dag, task) for task in dag.tasks.values()],
        }


@dataclass(frozen=True, slots=True)
class LogEntry:
    """The log of one try.

    Args:
        outcome: Of the try; None while it runs.
        path: Where the file is, or would be.
        lines: Opens the file and streams its lines without line ends; None when the try wrote nothing.
    """

    logical_date: int
    run_id: str
    task_id: str
    try_number: int
    outcome: str | None
    started_at: int | None
    ended_at: int | None
    reason: str | None
    path: str
    lines: Callable[[], Iterable[str]] | None = None

    def data(self) -> dict[str, Any]:
        return {
            "logical_date": iso(self.logical_date),
            "run_id": self.run_id,
            "task_id": self.task_id,
            "try_number": self.try_number,
            "outcome": self.outcome,
            "started_at": iso_us(self.started_at),
            "ended_at": iso_us(self.ended_at),
            "reason": self.reason,
            "path": self.path,
            "text": None if self.lines is None else "\n".join(self.lines()),
        }


@dataclass(frozen=True, slots=True)
class LogsResult:
    """Logs of the tries of one date, by task in DAG order and try."""

    dag_id: str
    timezone: str
    entries: Sequence[LogEntry]
    problems: Sequence[Problem] = ()
    exit_code: int = 0

    def entry_data(self) -> Iterator[dict[str, Any]]:
        """The `entries` of the JSON document, one file in memory at a time."""
        return (entry.data() for entry in self.entries)

    def data(self) -> dict[str, Any]:
        return {"dag_id": self.dag_id, "total": len(self.entries), "entries": self.entry_data()}


def _interval(interval: tuple[int, int] | None) -> dict[str, str | None] | None:
    return None if interval is None else {"start": iso(interval[0]), "end": iso(interval[1])}


def _task(dag: Dag, task: Task) -> dict[str, Any]:
    return {
        "task_id": task.task_id,
        "upstream": sorted(task.upstream, key=lambda one: dag.position[one]),
        "trigger_rule": str(task.trigger_rule),
        "depends_on_past": task.depends_on_past,
        "wait_for_downstream": task.wait_for_downstream,
        "retries": task.retry.retries,
        "execution_timeout_s": task.execution_timeout_s,
        "pool": task.pool,
        "pool_slots": task.pool_slots,
        "rate_limit": None if task.rate_limit is None else task.rate_limit.said,
        "max_active_tis_per_dag": task.max_active,
        "priority_weight": task.priority_weight,
        "executor": task.executor,
    }
