"""What the tasks of running backfills wait for, put into a status: each says it in words.

Owns the way from what a running process wrote down (`core/waits.py`) to the views. What it did not write down follows
from the ledger: a retry has its time there, a task without a row waits for those before it, a date without a dag_run
for one of the open ones to end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from backfill_cli.core.records import BackfillRow
from backfill_cli.core.standing import REMAINING, RunView, StatusResult, TaskView
from backfill_cli.core.states import BackfillState, RunState, TaskState
from backfill_cli.core.waits import Waits
from backfill_cli.core.zones import EARLIEST, LATEST

if TYPE_CHECKING:
    from backfill_cli.core.ports import Reader

UPSTREAM = "the tasks before it"


def running(reader: Reader, dag_id: str) -> list[BackfillRow]:
    """Return the backfills of a DAG whose processes live."""
    rows = reader.backfills(dag_id=dag_id, states=[BackfillState.RUNNING, BackfillState.PAUSED], limit=1_000)
    owners = {row.backfill_id: reader.owner(row.owner) for row in rows if row.owner is not None}
    return [row for row in rows if (owner := owners.get(row.backfill_id)) is not None and owner.is_alive]


def with_waits(reader: Reader, result: StatusResult, live: Iterable[BackfillRow], now: int) -> StatusResult:
    """Return the status with what every task of the page waits for that has not run.

    Args:
        live: The backfills whose processes live.
        now: Epoch microseconds.
    """
    live = list(live)
    found = [waits for row in live if row.owner and (waits := reader.waits(row.owner)) is not None]
    reasons: Counter[str] = Counter()
    for one in found:
        reasons.update(one.reasons)
    tasks = tuple(sorted({wait for one in found for wait in one.tasks}))
    known = {(wait.logical_date, wait.task_id): wait.why for wait in tasks}
    turns = {turn_words(reader, row) for row in live}
    turn = turns.pop() if len(turns) == 1 else None
    runs = [_told(run, known, now, turn) for run in result.runs]
    return replace(result, runs=runs, waits=Waits(dict(reasons), tasks) if reasons else None)


def turn_words(reader: Reader, row: BackfillRow) -> str:
    """Return what a date waits for that a running backfill has not come to: its DAG may allow less than was asked."""
    low, high = (EARLIEST, LATEST) if row.first is None or row.last is None else (row.first, row.last)
    unfinished = reader.runs(row.dag_id, low, high, states=(RunState.QUEUED, RunState.RUNNING))
    begun = islice((run for run in unfinished if run.owner == row.owner), int(row.request["parallel"]))
    return f"its date to begin: {max(1, sum(1 for _ in begun))} run together"


def _told(run: RunView, known: Mapping[tuple[int, str], str], now: int, turn: str | None) -> RunView:
    if run.state not in (RunState.QUEUED, RunState.RUNNING, REMAINING):
        return run
    date = run.logical_date if run.batch is None else run.batch  # the tasks of a batch are those of its first date
    is_open = any(view.state != TaskState.SCHEDULED for view in run.tasks.values()) or any(
        (date, task_id) in known for task_id in run.tasks
    )
    tasks = {
        task_id: replace(
            view,
            waits_for=known.get((date, task_id)) or _from_ledger(view, now, UPSTREAM if is_open else turn),
        )
        for task_id, view in run.tasks.items()
    }
    return replace(run, tasks=tasks)


def _from_ledger(view: TaskView, now: int, otherwise: str | None) -> str | None:
    if view.state == TaskState.UP_FOR_RETRY and view.retry_at is not None:
        why = f" ({view.reason})" if view.reason else ""
        return f"its next try, in {max(0, view.retry_at - now) / 1_000_000:.0f} s{why}"
    return otherwise if view.state == TaskState.SCHEDULED else None
