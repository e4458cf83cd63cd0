"""How things stand: what `status` answers about a backfill, a range of a DAG, or the latest backfills.

Owns the shapes. `blocked`, `interrupted`, `missing` and `stale` are derived where these are made, and stored nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from backfill_cli.core.instants import iso, iso_us
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import BackfillRow
from backfill_cli.core.results import FailureGroup, Reexecuted
from backfill_cli.core.states import BackfillState
from backfill_cli.core.waits import Waits

if TYPE_CHECKING:
    from backfill_cli.core.wave_tallies import WaveView

MISSING = "missing"
STALE = "stale"
REMAINING = "remaining"
"""A living process has the date still before it: nobody else need run it."""


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task instance as status shows it."""

    state: str
    try_number: int
    started_at: int | None
    ended_at: int | None
    retry_at: int | None
    reason: str | None
    waits_for: str | None = None
    """While its backfill runs and it does not: what it waits for, in words."""

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
            "waits_for": self.waits_for,
        }


@dataclass(frozen=True, slots=True)
class RunView:
    """One dag_run as status shows it: `state` is a dag_run state, `blocked`, `interrupted` or `missing`.

    Args:
        batch: The first date of the batch it ran in, whose tasks these are; None for one that ran alone.
        left_alone: The backfill that is shown has left it as it was.
    """

    logical_date: int
    run_id: str
    state: str
    reason: str | None
    stale: bool
    tasks: Mapping[str, TaskView]
    batch: int | None = None
    left_alone: bool = False

    def data(self) -> dict[str, Any]:
        return {
            "logical_date": iso(self.logical_date),
            "run_id": self.run_id,
            "state": self.state,
            "reason": self.reason,
            "stale": self.stale,
            **({} if self.batch is None else {"batch": iso(self.batch)}),
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
        repaired_by: Later backfills that made a failed or blocked date of this one a success.
        timezone: The DAG's zone where it is known; screens show the range in it.
        is_broken: A date that failed or was blocked here is still no success.
    """

    row: BackfillRow
    state: str
    pid: int | None = None
    host: str | None = None
    rate_per_min: float | None = None
    eta_s: float | None = None
    repaired_by: tuple[str, ...] = ()
    timezone: str | None = None
    is_broken: bool = False

    @property
    def next_command(self) -> str:
        """What to type now: what lets it go on, or repairs it; empty while it runs, and when all is well."""
        row = self.row
        if self.state == BackfillState.PAUSED:
            return f"bfill resume {row.backfill_id}"
        if self.state in (BackfillState.PLANNED, BackfillState.INTERRUPTED):
            return f"bfill run {row.backfill_id}"
        if not (self.is_broken and row.state.is_terminal):
            return ""
        # A cancelled one may have dates that never ran, and those are nobody's failures.
        return f"bfill {'run' if row.remaining else 'rerun-failed'} {row.backfill_id}"

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
        schedulers: Those that stay and look after the store: pid, and since when (epoch microseconds); beside those.
        backfill: The one asked for, or None for a range.
        counts: Dates by state: success, failed, running, queued, blocked, missing, stale…; a stale success is not
            among `success`, so that they add up.
        runs: A page of dates; `after` continues it.
        reexecuted: Tries on the dates of the page that were interrupted and ran again.
        gaps: Spans (first, last, count) of missing logical dates.
        waits: What tasks of the running backfills wait for, as their processes looked last.
        gaps_only: Asked with `--gaps`: the screen lists every gap and nothing else.
        chunks: The waves of a backfill that runs in chunks, or with a pilot.
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
    reexecuted: Sequence[Reexecuted] = ()
    stale_because: Mapping[str, Sequence[int]] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    exit_code: int = 0
    next_command: str = ""
    gaps_only: bool = False
    waits: Waits | None = None
    chunks: Sequence[WaveView] = ()
    schedulers: Sequence[tuple[int, int]] = ()

    def data(self) -> dict[str, Any]:
        listing: dict[str, Any] = {
            "dag_id": self.dag_id,
            "backfill": self.backfill.data() if self.backfill else None,
            "backfills": [view.data() for view in self.backfills],
        }
        if self.dag_id is None:
            told = [{"pid": pid, "since": iso_us(since)} for pid, since in self.schedulers]
            return listing | {"schedulers": told}
        totals = self.backfill.data() if self.backfill else {}
        keys = ("total_dates", "completed", "failed", "blocked", "skipped", "remaining", "interrupted")
        return listing | {
            "start": iso(self.first),
            "end": iso(self.last),
            "timezone": self.timezone,
            **({key: totals[key] for key in keys} if totals else {}),
            "counts": dict(self.counts),
            "runs": [view.data() for view in self.runs],
            "waiting": [
                {"reason": why, "tasks": tasks} for why, tasks in (self.waits.reasons if self.waits else {}).items()
            ],
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
            "chunks": [one.data() for one in self.chunks],
            "reexecuted": [one.data() for one in self.reexecuted],
        }
