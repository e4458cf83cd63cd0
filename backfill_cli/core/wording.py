"""Why a dag_run failed, is blocked, or waits: in words, for rows and for the progress line.

Owns the sentences; what they say was decided in `core/rules.py` and `core/machine.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from backfill_cli.core.graph import Dag
from backfill_cli.core.pools import Pools
from backfill_cli.core.progress import OpenRun
from backfill_cli.core.states import TaskState
from backfill_cli.core.zones import clock_of

NEXT_TRY = "the next try"
"""What tasks in `up_for_retry` wait for."""


def why_failed(run: OpenRun) -> str:
    """Return the first failed task in DAG order and its reason."""
    for task_id, one in run.instances.items():
        if one.state is TaskState.FAILED:
            return f"{task_id}: {one.reason}" if one.reason else task_id
    return "a task failed"


def why_blocked(run: OpenRun, dag: Dag) -> str:
    """Return the first stuck task in DAG order, the date it waits for, and what is so there."""
    task_id, past = min(run.stuck.items(), key=lambda pair: dag.position[pair[0]])
    when = clock_of(dag.timezone).show(past.logical_date)
    return f"{task_id} waits for {when}: {past.task_id} is {past.state} there"


def waiting_reasons(pools: Pools, runs: Iterable[OpenRun], retries: int, max_active_tasks: int) -> dict[str, int]:
    """Return how many tasks wait, by the reason in words; reasons nobody has are left out.

    Args:
        retries: How many wait for their next try.
        max_active_tasks: Of a dag_run.
    """
    open_runs = list(runs)
    reasons = {
        f"pool {pool}: {pools.taken[pool]} of {pools.sizes[pool]} slots taken": count
        for pool, count in pools.waiting().items()
        if pools.free(pool) <= 0
    }
    reasons[f"max_active_tasks: {max_active_tasks} a dag_run"] = sum(
        len(heap) for run in open_runs for heap in run.parked.values()
    )
    reasons["the previous date"] = sum(len(run.past_waiting) for run in open_runs)
    reasons[NEXT_TRY] = retries
    return {reason: count for reason, count in reasons.items() if count}
