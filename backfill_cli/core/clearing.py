"""Which task instances of a date go back to `scheduled` before it runs again, and so which of its tasks will run.

Owns the decision by action; how a row is cleared is `core/restoring.py`, what a person clears by hand `app/reset.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from backfill_cli.core.graph import Dag
from backfill_cli.core.records import Action, InstanceRow
from backfill_cli.core.states import FAILURES, RunState, TaskState


def cleared_by(
    action: Action,
    state: RunState,
    instances: Sequence[InstanceRow],
    dag: Dag,
    *,
    rerun_failed: bool = False,
    whole_run: bool = False,
) -> frozenset[str]:
    """Return the task instances that go back to `scheduled`: failed ones of a failed run, else all of a rerun.

    Args:
        action: What the plan does with the date.
        state: Of its dag_run.
        instances: Those stored for the date.
        dag: What runs; the tasks a part leaves out stay as they are.
        rerun_failed: It goes on with blocked dates (RESUME) too; what has failed there is to run again as well.
        whole_run: Of a failed run all task instances, not the failed ones alone.
    """
    goes_on = action is Action.RESUME and rerun_failed
    if not (goes_on or action in (Action.RERUN, Action.RESET)):
        return frozenset()
    some = goes_on or (action is Action.RERUN and state is RunState.FAILED and not whole_run)
    outside = dag.left_out
    return frozenset(one.task_id for one in instances if one.task_id not in outside and (not some or _did_not_do(one)))


def tasks_to_run(dag: Dag, instances: Sequence[InstanceRow], cleared: frozenset[str]) -> list[str]:
    """Return the tasks of a date that have yet to run, in DAG order: those with no end, or with one that is cleared."""
    ended = {one.task_id for one in instances if one.state.is_terminal and one.state is not TaskState.REMOVED}
    return [task_id for task_id in dag.tasks if task_id in cleared or task_id not in ended]


def _did_not_do(one: InstanceRow) -> bool:
    """Whether a task instance of a failed run has not done its work: failed itself, or cut off by dagrun_timeout."""
    return one.state in FAILURES or (one.state is TaskState.SKIPPED and one.reason == "dagrun_timeout")
