"""What a use case answers: one frozen value each, with many faces.

Owns the results of planning, running and resetting; `status` has `core/standing.py`, the audit chain `core/audits.py`.
Renderers, JSON, exit codes, scenarios and tests all read these objects; none of them parses another's text. `data()`
gives the JSON `data` of contract section 7, keys in the order they are promised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from backfill_cli.core.instants import iso, iso_us
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import Action, PlanRow, RunType
from backfill_cli.core.states import BackfillState

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.merging import MergeTally
    from backfill_cli.core.outlines import Outline
    from backfill_cli.core.pilots import PilotReport
    from backfill_cli.core.wave_tallies import WaveView


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
        audit_head: `seq:hash` after the plan was stored; None when it was not.
        waves: Its chunks, or its pilot and what follows; None when all dates go in one piece.
        parallel_min: How many dates at once at least, where the run finds out the number itself.
        between: The hours in which tasks start, as they were said; empty is any.
        batches: How many runs the dates make, for a DAG that merges them; else None.
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
    audit_head: str | None = None
    waves: Outline | None = None
    parallel_min: int | None = None
    between: tuple[str, ...] = ()
    batches: MergeTally | None = None

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
            "parallel_min": self.parallel_min,
            "between": list(self.between),
            "total": self.total,
            "counts": {str(action): self.counts[action] for action in Action},
            "runs": PlanRuns(self.rows),
            "estimate": self.estimate.data(),
            "shape": None if self.waves is None else self.waves.data(),
            **({} if self.batches is None else {"batches": self.batches.data()}),
            "warnings": [problem.data() for problem in self.warnings],
            "audit_head": self.audit_head,
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
    """How one date stands when a backfill ends. `state` is a dag_run state, `blocked` or `remaining`.

    Args:
        left_alone: The filter passed it over: the state is what the store had, the reason says why.
        batch: The first date of the batch it ran in, epoch seconds; None for one that ran alone.
    """

    logical_date: datetime
    run_id: str
    state: str
    duration_s: float | None
    reason: str | None
    left_alone: bool = False
    batch: int | None = None

    def data(self) -> dict[str, Any]:
        return {
            "logical_date": self.logical_date.isoformat(),
            "run_id": self.run_id,
            "state": self.state,
            "duration_s": self.duration_s,
            "reason": self.reason,
            **({} if self.batch is None else {"batch": iso(self.batch)}),
        }


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures of one task with one cause: how many dates, and which.

    Args:
        reason: What was said on the first of these dates; on others it may differ in numbers, names and the like.
        dates: Epoch seconds, ascending; the first thousand of them.
        count: How many dates there are.
        reasons: What was said on each of `dates`, where it was not the same on all of them; else empty.
    """

    task_id: str
    reason: str
    dates: tuple[int, ...]
    count: int
    reasons: tuple[str, ...] = ()

    @property
    def variants(self) -> int:
        """In how many ways it was said, as far as dates are listed."""
        return len(set(self.reasons)) or 1

    def reason_on(self) -> Iterator[tuple[int, str]]:
        """Each listed date with what was said on it."""
        return zip(self.dates, self.reasons or repeat(self.reason), strict=False)

    def data(self) -> dict[str, Any]:
        return {
            "task_id": self.task_id,
            "reason": self.reason,
            "variants": self.variants,
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


def _seconds(since: int | None, until: int | None) -> float | None:
    return None if since is None or until is None else round((until - since) / 1_000_000, 3)


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """How a backfill ended: total_dates = completed + failed + blocked + skipped + remaining.

    Args:
        skipped: Dates the filter left alone; their stored state and the reason stand in `results`.
        interrupted: The part of `remaining` that had been opened.
        left_failed: Of the skipped ones, how many are failed or unfinished in the store: they make exit code 1.
        repaired: Of the failed ones, how many another backfill has made a success since.
        resumed_at: When this command went on with what another had begun, epoch microseconds; None if it began it.
        stopped_by: Signal number that ended it early, or None.
        stopped_as_asked: It stopped behind a pilot in which all was well: what is left was not asked for yet.
        audit_head: `seq:hash` after this command.
        chunks: The waves it ran in: chunks, or a pilot and what followed; empty for one piece.
        pilot: What the pilot has shown, where the run stopped behind it.
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
    repaired: int = 0
    failures: tuple[FailureGroup, ...] = ()
    reexecuted: tuple[Reexecuted, ...] = ()
    problems: tuple[Problem, ...] = ()
    stopped_by: int | None = None
    reason: str | None = None
    next_command: str = ""
    timezone: str = "UTC"
    stopped_as_asked: bool = False
    chunks: tuple[WaveView, ...] = ()
    pilot: PilotReport | None = None
    resumed_at: int | None = None

    @property
    def duration_s(self) -> float | None:
        """Seconds from its beginning to its end, the time between two commands included."""
        return _seconds(self.started_at, self.ended_at)

    @property
    def took_s(self) -> float | None:
        """Seconds of the command that ended it."""
        return _seconds(self.started_at if self.resumed_at is None else self.resumed_at, self.ended_at)

    @property
    def exit_code(self) -> int:
        """128 + signal when stopped; 1 when a selected date is failed, blocked or left undone; else 0.

        What is left behind a pilot that went well is not left undone: only the pilot was asked for.
        """
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        left_undone = self.remaining and not self.stopped_as_asked
        return 1 if self.failed > self.repaired or self.blocked or self.left_failed or left_undone else 0

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
            "repaired": self.repaired,
            "blocked": self.blocked,
            "skipped": self.skipped,
            "remaining": self.remaining,
            "interrupted": self.interrupted,
            "started_at": iso_us(self.started_at),
            "resumed_at": iso_us(self.resumed_at),
            "ended_at": iso_us(self.ended_at),
            "duration_s": self.duration_s,
            "results": [one.data() for one in self.results],
            "failures": [group.data() for group in self.failures],
            "reexecuted": [one.data() for one in self.reexecuted],
            "reason": self.reason,
            "chunks": [one.data() for one in self.chunks],
            "pilot": None if self.pilot is None else self.pilot.data(),
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
