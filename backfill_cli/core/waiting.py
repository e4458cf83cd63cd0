"""What every ready task waits for, in words: of a whole run by reason, and task by task for who asks elsewhere.

Owns which reason is whose; the sentences are in `core/wording.py`, the shape that is stored in `core/waits.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import islice

from backfill_cli.core.graph import Dag
from backfill_cli.core.pools import Queue
from backfill_cli.core.progress import OpenRun
from backfill_cli.core.slots import Slots
from backfill_cli.core.waits import MOST, Wait, Waits
from backfill_cli.core.wording import (
    NEXT_TRY,
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
        if why := _why(slots, queue, now, dag):
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
        if why := _why(slots, queue, now, dag):
            yield from (Wait(one.logical_date, one.task_id, why) for one in islice(slots.pools.heap(queue), MOST))
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
    if lacking is not None:
        return why_held(slots.pools, *lacking)
    if slots.capacity > len(slots.flights):
        return None
    adaptive = slots.throttle.adaptive
    return no_worker(slots.capacity) if adaptive is None else fewer_at_once(adaptive)
