"""How an open dag_run closes: finished, blocked, or out of time.

Owns what the run itself says at its end: state, reason, times. What it means for the backfill and for the runs behind
it is decided in `core/machine.py`.
"""

from __future__ import annotations

from collections.abc import Collection

from backfill_cli.core.changes import Changes, Key
from backfill_cli.core.graph import Dag
from backfill_cli.core.planning import PARTIAL
from backfill_cli.core.progress import OpenRun
from backfill_cli.core.states import Event, RunState, advance
from backfill_cli.core.wording import of_batch, why_blocked, why_failed


def finish(run: OpenRun, dag: Dag, now: int) -> RunState:
    """Close a run with nothing left to do, at `now` in epoch microseconds; return what it counts as in the backfill.

    That is the state of the tasks that were chosen. The dag_run's own is that of all tasks of its DAG.
    """
    outcome = run.fold(dag)
    run.state = run.fold_whole(dag)
    if outcome is not RunState.SUCCESS:
        run.reason = of_batch(run, dag, run.reason or why_failed(run))
    if run.state is RunState.QUEUED:
        run.reason = PARTIAL
    run.ended_at = now if run.state.is_terminal else None
    return outcome


def block(run: OpenRun, dag: Dag) -> None:
    """Close a run that nothing in this backfill can move on."""
    run.state = RunState.QUEUED
    run.reason = of_batch(run, dag, why_blocked(run, dag))


def time_out(run: OpenRun, dag: Dag, now: int, flights: Collection[Key], changes: Changes) -> list[Key]:
    """Fail a run whose time is up: what is unfinished is skipped. Return the tries that are to be ended.

    Args:
        now: Epoch microseconds.
        flights: The tries that were submitted and have not reported, of all runs.
    """
    run.timed_out = True
    run.reason = f"dagrun_timeout: not done after {dag.dagrun_timeout_s:g} s"
    running = []
    for task_id, one in run.instances.items():
        if one.state.is_terminal:
            continue
        if (run.logical_date, task_id) in flights:
            running.append((run.logical_date, task_id))
        one.reason, one.ended_at, one.retry_at = "dagrun_timeout", now, None
        one.state = advance(one.state, Event.SKIPPED)
        changes.instance(run.logical_date, task_id, one)
    run.unfinished = run.active = 0
    run.past_waiting.clear()
    return running
