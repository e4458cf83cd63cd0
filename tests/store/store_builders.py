"""Rows with defaults, so that a test names only what it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backfill_cli.core.ports import Store
from backfill_cli.core.records import (
    Action,
    AttemptRow,
    AuditRow,
    BackfillRow,
    Batch,
    Claim,
    InstanceRow,
    OutcomeRow,
    PlanRow,
    RunRow,
    RunType,
)
from backfill_cli.core.states import BackfillState, Outcome, RunState, TaskState

DAY = 86_400
JAN_1 = 1_704_067_200  # 2024-01-01T00:00:00Z
NOW = 1_706_700_000_000_000  # 2024-01-31, microseconds
TASKS = {"extract": "e1", "clean": "c1", "load": "l1"}
REQUEST: dict[str, Any] = {
    "target": "sales.py",
    "schedule": "@daily",
    "timezone": "UTC",
    "first": JAN_1,
    "last": JAN_1 + 2 * DAY,
    "dates": None,
    "limit": None,
    "tasks": [],
    "parallel": 1,
    "reprocess": [],
    "reset_dag_run": False,
    "rerun_failed": False,
    "whole_run": False,
    "run_backwards": False,
    "ignore_first_depends_on_past": False,
    "strict_templates": False,
    "conf": None,
    "shape": None,
    "between": [],
}

DEFINITION = '{"command": "etl.sh", "name": null, "schedule": "@daily", "timezone": "UTC"}'


def day(number: int) -> int:
    """Return the logical date of the n-th of January 2024."""
    return JAN_1 + (number - 1) * DAY


def names(folder: Path) -> list[str]:
    """Return what lies in a folder, sorted."""
    return sorted(item.name for item in folder.iterdir())


def plan_row(date: int, action: Action = Action.CREATE, state: RunState | None = None, reason: str = "no run yet"):
    return PlanRow(date, date + DAY, action, state, reason)


def run_row(date: int, state: RunState = RunState.RUNNING, **changes: Any) -> RunRow:
    row = RunRow(
        logical_date=date,
        data_interval_end=date + DAY,
        run_type=RunType.BACKFILL,
        state=state,
        version="v1",
        conf="{}",
        started_at=NOW,
        ended_at=None,
        reason=None,
        backfill_id=None,
        owner=None,
    )
    return row._replace(**changes)


def instance_row(date: int, task_id: str = "extract", state: TaskState = TaskState.SUCCESS, **changes: Any):
    return InstanceRow(date, task_id, state, 1, 1, 0, NOW, NOW + 5, None, None)._replace(**changes)


def attempt_row(date: int, task_id: str = "extract", try_number: int = 1, **changes: Any) -> AttemptRow:
    row = AttemptRow(date, task_id, try_number, NOW, NOW + 2_000_000, Outcome.SUCCESS, None, "v1", None)
    return row._replace(**changes)


def backfill_row(backfill_id: str = "bf-1", dates: int = 3, **changes: Any) -> BackfillRow:
    values: dict[str, Any] = {
        "backfill_id": backfill_id,
        "dag_id": "daily_sales",
        "state": BackfillState.PLANNED,
        "version": "v1",
        "identity": f"identity of {backfill_id}",
        "request": {**REQUEST, "parallel": 2, "conf": {"region": "eu"}},
        "created_at": NOW,
        "first": day(1),
        "last": day(dates),
        "planned": {"create": dates},
    }
    return BackfillRow(**(values | changes))


def audit_row(seq: int, **changes: Any) -> AuditRow:
    values: dict[str, Any] = {
        "seq": seq,
        "at": NOW + seq,
        "actor": "ada",
        "host": "lab",
        "action": "run",
        "target": "daily_sales",
        "reason": None,
        "outcome": "success",
        "details": {"dates": 3},
        "previous": f"h{seq - 1}",
        "hash": f"h{seq}",
    }
    return AuditRow(**(values | changes))


def register(store: Store, dag_id: str = "daily_sales", version: str = "v1", tasks: dict[str, str] | None = None):
    store.write(
        lambda w: w.register_dag(
            dag_id, version=version, tasks=TASKS if tasks is None else tasks, path="sales.py", definition=None, at=NOW
        )
    )


def claimed_backfill(store: Store, backfill_id: str = "bf-1", owner: str = "own-1", dates: int = 3) -> Claim:
    """Register the DAG, store a backfill, hold the owner's lock and take the backfill."""
    import os
    import socket

    register(store)
    store.hold_owner(owner)

    def begin(w: Any) -> bool:
        w.add_backfill(backfill_row(backfill_id, dates), [plan_row(day(n)) for n in range(1, dates + 1)])
        if w.owner(owner) is None:
            w.add_owner(owner, pid=os.getpid(), host=socket.gethostname(), at=NOW)
        return bool(w.take_backfill(backfill_id, owner))

    assert store.write(begin)
    return Claim(owner, backfill_id, "daily_sales", "v1")


def opening(claim: Claim, *dates: int) -> Batch:
    return Batch(opened=[run_row(date, owner=claim.owner, backfill_id=claim.backfill_id) for date in dates])


def finishing(claim: Claim, date: int, state: RunState = RunState.SUCCESS) -> Batch:
    return Batch(
        runs=[run_row(date, state, ended_at=NOW + 9, backfill_id=claim.backfill_id)],
        outcomes=[OutcomeRow(date, state)],
    )
