"""Catchup: which intervals the scheduler owes at an instant (C1, C2, C3), and when the next one is due.

Owns the decisions alone. Creating the runs, and looking after `max_active_runs`, is the scheduler's work.
"""

from __future__ import annotations

from collections.abc import Iterator

from backfill_cli.core.intervals import Span
from backfill_cli.core.ranges import last_complete
from backfill_cli.core.schedules import Schedule
from backfill_cli.core.zones import LATEST


def due_spans(
    schedule: Schedule,
    *,
    catchup: bool,
    dag_start: int | None,
    dag_end: int | None,
    last_end: int | None,
    now: int,
) -> Iterator[Span]:
    """The intervals that are due at `now` and have no scheduled run yet, ascending.

    Args:
        schedule: The DAG's schedule.
        catchup: True: every interval since the last run (C1). False: only the latest complete one (C2).
        dag_start, dag_end: The DAG's bounds on the logical date, both included; the start wins over everything (C3).
        last_end: The end of the latest scheduled run's interval, None when there was none.
        now: The instant; an interval is due when `end <= now`. All of them epoch seconds.

    With catchup, neither a start nor an earlier run, and so nowhere to begin, nothing is due (as in Airflow).
    """
    complete = last_complete(schedule, now)
    if complete is None:
        return
    begin = _begin(schedule, last_end, dag_start)
    if not catchup:
        begin = complete.start if begin is None else max(begin, complete.start)
    if begin is None:
        return
    last = min(complete.start, LATEST if dag_end is None else dag_end)
    for span in schedule.spans(begin, last):
        # An interval without length (@once) ends where it starts: its own run must not make it due again.
        if last_end is None or span.end > last_end:
            yield span


def next_span(schedule: Schedule, *, dag_start: int | None, dag_end: int | None, now: int) -> Span | None:
    """The interval that becomes due next, strictly after `now`; None when there will never be one.

    Args:
        schedule: The DAG's schedule.
        dag_start, dag_end: The DAG's bounds on the logical date, both included.
        now: Epoch seconds.
    """
    complete = last_complete(schedule, now)
    begin = now if complete is None else complete.start + 1
    if dag_start is not None and (complete is None or dag_start > begin):
        begin = dag_start
    span = schedule.first_at_or_after(begin)
    while span is not None and span.end <= now:  # a start_date in the past, of a schedule that has not begun before it
        span = schedule.next(span.start)
    return None if span is None or (dag_end is not None and span.start > dag_end) else span


def _begin(schedule: Schedule, last_end: int | None, dag_start: int | None) -> int | None:
    """The earliest logical date that may be due: behind the last run, never before the start."""
    if last_end is None:
        return dag_start
    # After a change of schedule the last end may lie inside an interval; all of it is owed, or its rest would be lost.
    # Only where a run of the old schedule has its very date is the rest not covered: a date has one dag_run.
    inside = schedule.previous(last_end)
    begin = inside.start if inside is not None and inside.end > last_end else last_end
    return begin if dag_start is None else max(begin, dag_start)
