"""Why a dag_run failed, is blocked, or waits: in words, for rows and for the progress line.

Owns the sentences; what they say was decided in `core/rules.py` and `core/machine.py`.
"""

from __future__ import annotations

from backfill_cli.core.adaptive import Adaptive
from backfill_cli.core.graph import Dag
from backfill_cli.core.holds import Hold
from backfill_cli.core.pools import Pools
from backfill_cli.core.progress import OpenRun
from backfill_cli.core.rules import Past
from backfill_cli.core.states import TaskState
from backfill_cli.core.zones import clock_of, offset_text

_SOON_S = 600
"""Seconds up to which a wait is said as a length of time; a longer one by its end."""

_NAMED = 2
"""Other holders of a pool that a sentence names."""

THE_PAST = "the previous date"
"""What tasks wait for that depend on the past."""


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


def of_batch(run: OpenRun, dag: Dag, why: str) -> str:
    """Return a reason as all dates of a batch have it; of a date alone, as it is."""
    if not run.members:
        return why
    return f"in {batch_words(run.dates, run.logical_date, run.last, dag.timezone)}: {why}"


def batch_words(dates: int, first: int, last: int, timezone: str) -> str:
    """Return `a batch of 7 dates, 2024-03-01 … 03-07`."""
    begin, end = map(clock_of(timezone).show, (first, last))
    if begin[:5] == end[:5]:
        end = end[5:]
    return f"a batch of {dates} dates, {begin} … {end}"


def waits_for(task_id: str, past: Past, dag: Dag) -> str:
    """Return which task of which date a task waits for, and how that one stands."""
    when = clock_of(dag.timezone).show(past.logical_date)
    return f"{task_id} waits for {when}: {past.task_id} is {past.state} there"


def held_reason(hold: Hold, now: int, timezone: str) -> str:
    """Return why something is held and when that ends, as seen at `now` (epoch µs); what may be cut off comes last."""
    detail = f" ({hold.detail})" if hold.detail else ""
    return f"{hold.reason}{_until(hold.until, now, timezone)}{detail}"


def _until(at: int | None, now: int, timezone: str) -> str:
    """Return when a hold ends: how soon, or from 10 min on the time of day (the date as well, if it is not today's)."""
    if at is None:
        return ""
    soon = soon_words(at, now)
    return f", in {soon}" if soon else f", until {moment_words(at, now, timezone)}"


def soon_words(at: int, now: int) -> str:
    """Return how long it is to a moment, `40 ms`, `3.2 s` or `90 s`; nothing from 10 min on. Epoch microseconds."""
    left = max(0, at - now) / 1_000_000
    if left >= _SOON_S:
        return ""
    if left < 0.1:
        return f"{left * 1000:.0f} ms"
    return f"{left:.1f} s" if left < 10 else f"{left:.0f} s"


def moment_words(at: int, now: int, timezone: str) -> str:
    """Return the time of day of a moment, with the date if it is not today's, and the offset where it is not UTC's.

    Args:
        at, now: Epoch microseconds.
    """
    clock = clock_of(timezone)
    end, today = clock.wall_at(at // 1_000_000), clock.wall_at(now // 1_000_000)
    offset = clock.offset_at(at // 1_000_000)  # beside the stamps of a log, which are UTC
    text = f"{end:%H:%M}" if end.date() == today.date() else f"{end:%Y-%m-%d %H:%M}"
    return text + (offset_text(offset) if offset else "")


def why_held(pools: Pools, pool: str, slots: int) -> str:
    """Return why a task cannot start: how many slots of a pool it needs, how many are free, who has the rest."""
    size = pools.sizes[pool]
    free = max(0, min(int(pools.free(pool)), size))
    _, colon, task_id = pool.partition(":")
    what = f"max_active_tis_per_dag of {task_id}" if colon else f"pool {pool}"
    words = f"{what}: needs {slots}, {free} of {size} free"
    others = pools.elsewhere.get(pool, ())
    named = ", ".join(others[:_NAMED]) + (f" and {len(others) - _NAMED} more" if len(others) > _NAMED else "")
    return f"{words}; {named}" if others else words


def over_max_active(dag: Dag) -> str:
    return f"max_active_tasks: {dag.max_active_tasks} a dag_run"


def no_worker(capacity: int) -> str:
    return f"a worker: {capacity} of {capacity} busy"


def fewer_at_once(adaptive: Adaptive) -> str:
    """Return how many dates run at once now, of how many, and why."""
    why = f" ({adaptive.why})" if adaptive.why else ""
    return f"fewer dates at once: {adaptive.parallel} of {adaptive.least} to {adaptive.most}{why}"
