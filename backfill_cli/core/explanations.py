"""What `bfill explain` answers: one date of a DAG, rule by rule.

Owns the shapes and their JSON; how the answers come about is `core/explaining.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from backfill_cli.core.explaining import Cause, Check
from backfill_cli.core.instants import iso, iso_us
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import Action, AttemptRow, BackfillDateRow, InstanceRow, RunRow
from backfill_cli.core.states import BackfillState


class SelectionRule(NamedTuple):
    """A rule that takes a date into a range or leaves it out: `schedule`, `dag-bounds`, `complete`."""

    rule: str
    passed: bool
    text: str

    def data(self) -> dict[str, Any]:
        return self._asdict()


class PreviousRun(NamedTuple):
    """The dag_run before, and how many dates of the schedule between have none: a gap that is passed over.

    Args:
        state: `blocked`, `interrupted` … as derived, else its own.
        first_missing, last_missing: The ends of the gap.
    """

    logical_date: int
    state: str
    missing: int = 0
    first_missing: int | None = None
    last_missing: int | None = None

    def data(self) -> dict[str, Any]:
        return {
            "logical_date": iso(self.logical_date),
            "state": self.state,
            "missing_between": self.missing,
            "first_missing": iso(self.first_missing),
            "last_missing": iso(self.last_missing),
        }


class InBackfill(NamedTuple):
    """The backfill the date was explained for: what it planned to do with the date, and how that ended."""

    backfill_id: str
    state: BackfillState
    planned: BackfillDateRow | None

    @property
    def will_do(self) -> bool:
        """Whether the date is before it still, as far as it goes on: it neither left it alone nor has done it."""
        return self.planned is not None and self.planned.action is not Action.SKIP and self.planned.outcome is None

    def data(self) -> dict[str, Any]:
        one = self.planned
        return {
            "backfill_id": self.backfill_id,
            "state": self.state,
            "action": None if one is None else one.action,
            "reason": None if one is None else one.reason,
            "outcome": None if one is None else one.outcome,
        }


@dataclass(frozen=True, slots=True)
class TaskExplained:
    """One task of the date.

    Args:
        last: Its last try that ended.
        checks: What stands between it and its next try; empty when it has ended, or runs.
        cause: Where the chain begins that holds it, or that made it upstream_failed.
        removed: It is no longer in the DAG.
    """

    task_id: str
    state: str
    instance: InstanceRow | None = None
    last: AttemptRow | None = None
    checks: Sequence[Check] = ()
    cause: Cause | None = None
    removed: bool = False

    @property
    def waits_for(self) -> list[str]:
        """The rules that do not allow it yet, in words."""
        return [f"{one.rule}: {one.text}" for one in self.checks if one.verdict != "met"]

    def data(self) -> dict[str, Any]:
        one, last, cause = self.instance, self.last, self.cause
        return {
            "task_id": self.task_id,
            "state": self.state,
            "try_number": one.try_number if one else 0,
            "reason": one.reason if one else None,
            "retry_at": iso_us(one.retry_at) if one else None,
            "last_attempt": None if last is None else _attempt(last),
            "rules": [_check(check) for check in self.checks],
            "waits_for": self.waits_for,
            "cause": None if cause is None else {**cause._asdict(), "logical_date": iso(cause.logical_date)},
        }


def _attempt(last: AttemptRow) -> dict[str, Any]:
    return {
        "try_number": last.try_number,
        "outcome": last.outcome,
        "started_at": iso_us(last.started_at),
        "ended_at": iso_us(last.ended_at),
        "duration_s": round((last.ended_at - last.started_at) / 1_000_000, 3),
        "reason": last.reason,
        "dag_version": last.version,
        "backfill_id": last.backfill_id,
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "rule": check.rule,
        "verdict": check.verdict,
        "text": check.text,
        "logical_date": iso(check.logical_date),
        "task_id": check.task_id,
        "state": check.state,
        "upstream": None if check.upstream is None else check.upstream._asdict(),
    }


@dataclass(frozen=True, slots=True)
class ExplainResult:
    """Everything about one date.

    Args:
        rules: What takes it into a range, or leaves it out.
        action, reason: What `bfill run` would do with it; None when a range leaves it out.
        state: Of its dag_run: its own, blocked, interrupted, cleared or partial; `missing` without one.
        is_stale: It succeeded under another version of the DAG.
        held_by: The process that works on it: pid and host.
        previous: The dag_run before it; None when the DAG does not look at the past, or there is none.
        target: What `--dag` finds the DAG by.
        next_command: The most useful thing to type now; empty when all is well.
        batch: The dates that run together with it, itself included; fewer than two where it runs alone.
    """

    dag_id: str
    version: str
    schedule: str
    timezone: str
    logical_date: int
    data_interval_end: int
    run_id: str
    rules: Sequence[SelectionRule]
    action: Action | None
    reason: str
    state: str
    run: RunRow | None = None
    is_stale: bool = False
    held_by: tuple[int, str] | None = None
    backfill: InBackfill | None = None
    waits_on_past: bool = False
    previous: PreviousRun | None = None
    tasks: Sequence[TaskExplained] = ()
    target: str = ""
    next_command: str = ""
    problems: Sequence[Problem] = ()
    exit_code: int = 0
    batch: Sequence[int] = ()

    @property
    def selected(self) -> bool:
        return all(one.passed for one in self.rules)

    def data(self) -> dict[str, Any]:
        run = self.run
        return {
            "dag_id": self.dag_id,
            "dag_version": self.version,
            "schedule": self.schedule,
            "timezone": self.timezone,
            "logical_date": iso(self.logical_date),
            "data_interval_start": iso(self.logical_date),
            "data_interval_end": iso(self.data_interval_end),
            "run_id": self.run_id,
            "selected": self.selected,
            "rules": [one.data() for one in self.rules],
            "action": self.action,
            "reason": self.reason,
            "state": self.state,
            "stale": self.is_stale,
            "dag_run": None
            if run is None
            else {
                "state": run.state,
                "reason": run.reason,
                "dag_version": run.version,
                "backfill_id": run.backfill_id,
                "started_at": iso_us(run.started_at),
                "ended_at": iso_us(run.ended_at),
                "pid": self.held_by[0] if self.held_by else None,
                "host": self.held_by[1] if self.held_by else None,
                "batch": [iso(one) for one in self.batch] if len(self.batch) > 1 else [],
            },
            "backfill": None if self.backfill is None else self.backfill.data(),
            "previous": None if self.previous is None else self.previous.data(),
            "tasks": [one.data() for one in self.tasks],
            "next_command": self.next_command,
        }
