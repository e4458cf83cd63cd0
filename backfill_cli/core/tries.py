"""The beginning and the end of one try, as far as its task instance goes: numbers, times, budget, XComs, history.

Owns what a try leaves behind (semantics section 6, tries). Which state follows, and what follows from that, is decided
in `core/machine.py`.
"""

from __future__ import annotations

from dataclasses import replace

from backfill_cli.core.changes import Changes
from backfill_cli.core.graph import Task
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.progress import Instance, OpenRun
from backfill_cli.core.retries import classify
from backfill_cli.core.states import Event, Outcome, advance

_USES_BUDGET = frozenset({Outcome.SUCCESS, Outcome.FAILED, Outcome.RETRY, Outcome.SKIPPED})


def begin_try(run: OpenRun, task_id: str, now: int, changes: Changes) -> Instance:
    """Take a ready task instance to `queued`, under its next try_number."""
    one = run.instances[task_id]
    one.state = advance(one.state, Event.DISPATCHED)
    one.is_ready = False
    one.try_number += 1
    # Until the worker says when it began: a crash in between must leave a time to show.
    one.started_at, one.ended_at, one.retry_at, one.reason = now, None, None, None
    if one.try_number > 1:  # the XComs of a try are cleared when the next begins
        changes.clear_xcoms(run.logical_date, task_id)
        run.xcoms.pop(task_id, None)
    changes.instance(run.logical_date, task_id, one)
    return one


def end_try(run: OpenRun, task: Task, report: AttemptReport, changes: Changes, *, aborting: bool) -> Event:
    """Note how a try ended, and return the event that this is for its task instance.

    Args:
        aborting: A person has stopped the run at once, which says nothing against the task: it counts no loss.
    """
    one = run.instances[task.task_id]
    lost = report.outcome is Outcome.LOST
    if not aborting:
        one.losses = one.losses + 1 if lost else 0
    if report.outcome in _USES_BUDGET:
        one.spent += 1
    event = classify(report, counted=one.spent, losses=one.losses, policy=task.retry)
    one.started_at, one.ended_at, one.reason = report.started_at, report.ended_at, report.reason
    changes.attempt(report, Outcome.FAILED if event is Event.FAILED and not lost else report.outcome)
    if report.xcoms:
        run.xcoms[task.task_id] = dict(report.xcoms)
        changes.xcoms(run.logical_date, task.task_id, report.xcoms)
    return event


def stopped_try(report: AttemptReport) -> AttemptReport:
    """Return the report of a try that was stopped by a person: lost, and what it had pushed is forgotten.

    What ended well in spite of the stop, ended well.
    """
    if report.outcome in (Outcome.SUCCESS, Outcome.SKIPPED):
        return report
    return replace(report, outcome=Outcome.LOST, reason=f"stopped ({report.reason})", xcoms={}, follow=None)
