"""What a dag_run that was begun before brings into the window: its stored task instances, cleared where they run again.

Owns the way from stored rows to `Instance`s: what goes back to `scheduled` with a fresh budget of retries, what left
the DAG, what came back. Finding out which tries a vanished process lost is `core/recovery.py`'s business, done before.
"""

from __future__ import annotations

from backfill_cli.core.changes import Changes
from backfill_cli.core.graph import Dag
from backfill_cli.core.progress import Instance, OpenRun, RunSpec
from backfill_cli.core.records import InstanceRow
from backfill_cli.core.states import TRANSITIONS, Event, TaskState, advance

ABSORBED = "runs in a batch now"


def restore(run: OpenRun, spec: RunSpec, dag: Dag, changes: Changes) -> None:
    """Bring back what the store knows of the run's task instances, and clear what is to run again."""
    for row in spec.instances:
        one = run.instances.get(row.task_id)
        if row.task_id in dag.left_out and row.task_id in spec.clears:
            _clear_outside(row, changes)
            continue
        if row.task_id in dag.left_out:
            run.outside[row.task_id] = row.state
            continue
        if one is None:
            _remove(row, changes, is_to_run=row.task_id in spec.clears)
            continue
        one.state, one.try_number, one.spent, one.losses = row.state, row.try_number, row.spent, row.losses
        one.started_at, one.ended_at, one.retry_at, one.reason = row[6:]
        if row.state is TaskState.REMOVED or row.task_id in spec.clears:
            _clear(run, row.task_id, one, changes)
    for task_id, one in run.instances.items():
        if one.state.is_terminal:
            run.note_end(dag, task_id)


def absorb(run: OpenRun, changes: Changes) -> None:
    """Put away what the other dates of a batch have of earlier runs of their own: its task instances count now."""
    for member in run.members:
        for row in member.instances:
            if row.state is not TaskState.REMOVED:
                _remove(row, changes, is_to_run=True, why=ABSORBED)


def _clear_outside(row: InstanceRow, changes: Changes) -> None:
    """Of a task that was not chosen: what it did was done for other dates than those that run together now."""
    state = row.state if row.state is TaskState.SCHEDULED else advance(row.state, Event.CLEARED)
    changes.instance(row.logical_date, row.task_id, Instance(state, row.try_number))
    changes.clear_xcoms(row.logical_date, row.task_id)


def _clear(run: OpenRun, task_id: str, one: Instance, changes: Changes) -> None:
    """Send a task instance back to `scheduled`; its tries begin to count anew, their numbers go on."""
    if (one.state, Event.CLEARED) in TRANSITIONS:
        one.state = advance(one.state, Event.CLEARED)
    one.spent = one.losses = 0
    one.started_at = one.ended_at = one.retry_at = one.reason = None
    changes.instance(run.logical_date, task_id, one)
    changes.clear_xcoms(run.logical_date, task_id)
    run.xcoms.pop(task_id, None)


def _remove(row: InstanceRow, changes: Changes, *, is_to_run: bool, why: str = "not in the DAG any more") -> None:
    """A task that left the DAG: `removed`, and not counted; one that had ended, and is not to run again, keeps how."""
    state = row.state
    if is_to_run and (state, Event.CLEARED) in TRANSITIONS:  # a repaired run must not go on listing its failure
        state = advance(state, Event.CLEARED)
        changes.clear_xcoms(row.logical_date, row.task_id)
    if not state.is_terminal:
        gone = Instance(advance(state, Event.REMOVED), row.try_number, row.spent, reason=why)
        changes.instance(row.logical_date, row.task_id, gone)
