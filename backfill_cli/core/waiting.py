"""What every ready task waits for, in words: of a whole run by reason, and task by task for who asks elsewhere.

Owns which reason is whose; the sentences are in `core/wording.py`, the shape that is stored in `core/waits.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import islice, repeat

from backfill_cli.core.graph import Dag
from backfill_cli.core.pools import Queue, Ready
from backfill_cli.core.progress import OpenRun
from backfill_cli.core.slots import Slots
from backfill_cli.core.waits import MOST, NEXT_TRY, Wait, Waits
from backfill_cli.core.wording import (
    THE_PAST,
    fewer_at_once,
    held_reason,
    no_worker,
    over_max_active,
    why_held,
)


def waiting_reasons(slots: Slots, runs: Collection[OpenRun], retries: int, dag: Dag, now: int) -> dict[str, int]:
    """Return how many tasks wait, by the reason in words; reasons nobody has are left out.

    Args:
        runs: The open ones.
        retries: How many tasks wait for their next try.
        now: Epoch microseconds.
    """
    counts: Counter[str] = Counter()
    for queue, count in slots.pools.queues():
        if _is_own_limit(slots, queue, now):
            counts.update(why for _, why in _one_by_one(slots, queue, runs, dag))
        elif why := _why(slots, queue, now, dag):
            counts[why] += count
    counts[over_max_active(dag)] += sum(len(heap) for run in runs for heap in run.parked.values())
    counts[THE_PAST] += sum(len(run.past_waiting) for run in runs)
    counts[NEXT_TRY] += retries
    return {reason: count for reason, count in counts.items() if count}


def waits_of(slots: Slots, runs: Collection[OpenRun], retries: int, dag: Dag, now: int) -> Waits | None:
    """Return the same with some of the tasks by name, the first by logical date; None when nothing waits."""
    reasons = waiting_reasons(slots, runs, retries, dag, now)
    if not reasons:
        return None
    return Waits(reasons, sorted(_tasks(slots, runs, dag, now))[:MOST])


def _tasks(slots: Slots, runs: Collection[OpenRun], dag: Dag, now: int) -> Iterator[Wait]:
    for queue, _ in slots.pools.queues():
        found: Iterable[tuple[Ready, str]] = ()
        if _is_own_limit(slots, queue, now):
            found = _one_by_one(slots, queue, runs, dag)
        elif why := _why(slots, queue, now, dag):
            found = zip(slots.pools.heap(queue), repeat(why), strict=False)
        yield from (Wait(one.logical_date, one.task_id, told) for one, told in islice(found, MOST))
    for run in runs:
        parked = (one for heap in run.parked.values() for one in heap)
        yield from (Wait(one.logical_date, one.task_id, over_max_active(dag)) for one in islice(parked, MOST))
        yield from (Wait(run.logical_date, task_id, THE_PAST) for task_id in run.past_waiting)


def _why(slots: Slots, queue: Queue, now: int, dag: Dag) -> str | None:
    """Return what the tasks of a queue wait for; None when the next turn starts them."""
    hold = slots.hold_on(queue, now)
    if hold is not None:
        return held_reason(hold, now, dag.timezone)
    lacking = slots.pools.lacks(queue)
    if lacking is not None and not slots.pools.has_room(*lacking):
        return why_held(slots.pools, *lacking)
    if slots.capacity > len(slots.flights):
        return None
    adaptive = slots.throttle.adaptive
    return no_worker(slots.capacity) if adaptive is None else fewer_at_once(adaptive)


def _is_own_limit(slots: Slots, queue: Queue, now: int) -> bool:
    """Whether a pool has room, and the run has all of it that it could ever use: then the pool is not the reason."""
    lacking = slots.pools.lacks(queue)
    return (
        lacking is not None
        and slots.pools.has_room(*lacking)
        and slots.capacity > len(slots.flights)
        and slots.hold_on(queue, now) is None
    )


def _one_by_one(slots: Slots, queue: Queue, runs: Collection[OpenRun], dag: Dag) -> Iterator[tuple[Ready, str]]:
    """Yield the tasks of such a queue with their reasons: a dag_run that is full, or slots that others want too."""
    full = {run.logical_date for run in runs if slots.is_full(run)}
    lacking = slots.pools.lacks(queue)
    assert lacking is not None
    for one in slots.pools.heap(queue):
        yield one, over_max_active(dag) if one.logical_date in full else why_held(slots.pools, *lacking)
