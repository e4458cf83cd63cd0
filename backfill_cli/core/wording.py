"""Why a dag_run failed, is blocked, or waits: in words, for rows and for the progress line.

Owns the sentences; what they say was decided in `core/rules.py` and `core/machine.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable

from backfill_cli.core.graph import Dag
from backfill_cli.core.holds import Hold
from backfill_cli.core.pools import Pools, Queue
from backfill_cli.core.progress import OpenRun
from backfill_cli.core.rules import Past
from backfill_cli.core.states import TaskState
from backfill_cli.core.zones import clock_of

_SOON_S = 600
"""Seconds up to which a wait is said as a length of time; a longer one by its end."""

_NAMED = 2
"""Other holders of a pool that a sentence names."""

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
    return waits_for(task_id, past, dag)


def waits_for(task_id: str, past: Past, dag: Dag) -> str:
    """Return which task of which date a task waits for, and how that one stands."""
    when = clock_of(dag.timezone).show(past.logical_date)
    return f"{task_id} waits for {when}: {past.task_id} is {past.state} there"


def held_reasons(held: Iterable[tuple[Hold, int]], now: int, timezone: str) -> dict[str, int]:
    """Return how many tasks wait for a hold to end, by its reason and when that is, as seen at `now` (epoch µs)."""
    reasons: dict[str, int] = {}
    for hold, count in held:
        reason = f"{hold.reason}{_until(hold.until, now, timezone)}"
        reasons[reason] = reasons.get(reason, 0) + count
    return reasons


def _until(at: int | None, now: int, timezone: str) -> str:
    """Return when a hold ends: how soon, or from 10 min on the time of day (the date as well, if it is not today's)."""
    if at is None:
        return ""
    left = max(0, at - now) / 1_000_000
    if left < _SOON_S:
        return f", in {left:.1f} s" if left < 10 else f", in {left:.0f} s"
    clock = clock_of(timezone)
    end, today = clock.show(at // 1_000_000), clock.show(now // 1_000_000)
    return f", until {end[11:16] if end[:10] == today[:10] else end[:16]}"


def why_held(pools: Pools, pool: str, slots: int) -> str:
    """Return why a task cannot start: how many slots of a pool it needs, how many are free, who has the rest."""
    size = pools.sizes[pool]
    free = max(0, min(int(pools.free(pool)), size))
    _, colon, task_id = pool.partition(":")
    if colon:
        words = f"max_active_tis_per_dag of {task_id}: {size - free} of {size} running"
    else:
        words = f"pool {pool}: needs {slots}, {free} of {size} free"
    others = pools.elsewhere.get(pool, ())
    named = ", ".join(others[:_NAMED]) + (f" and {len(others) - _NAMED} more" if len(others) > _NAMED else "")
    return f"{words}; {named}" if others else words


def waiting_reasons(
    pools: Pools,
    runs: Iterable[OpenRun],
    retries: int,
    max_active_tasks: int,
    besides: Container[Queue] = (),
) -> dict[str, int]:
    """Return how many tasks wait, by the reason in words; reasons nobody has are left out.

    Args:
        retries: How many wait for their next try.
        max_active_tasks: Of a dag_run.
        besides: Queues that wait for something else than slots.
    """
    open_runs = list(runs)
    reasons: Counter[str] = Counter()
    for queue, count in pools.queues():
        if queue not in besides and (lacking := pools.lacks(queue)):
            reasons[why_held(pools, *lacking)] += count
    reasons[f"max_active_tasks: {max_active_tasks} a dag_run"] = sum(
        len(heap) for run in open_runs for heap in run.parked.values()
    )
    reasons["the previous date"] = sum(len(run.past_waiting) for run in open_runs)
    reasons[NEXT_TRY] = retries
    return {reason: count for reason, count in reasons.items() if count}
