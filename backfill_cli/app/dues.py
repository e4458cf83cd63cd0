"""What the scheduler owes a DAG at a moment, and what keeps it from being done now.

Owns the question what exists already. A date with a dag_run in any state, or that a living process still has to do, is
left alone. It is asked in a look, so that a scheduler with nothing to do writes nothing; and again in the transaction
that creates the rest (`app/shifts.py`), so that two schedulers on one store never create a date twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.core.catchup import due_spans, next_span
from backfill_cli.core.intervals import Span
from backfill_cli.core.ports import Reader
from backfill_cli.core.records import Action, PlanRow
from backfill_cli.core.zones import EARLIEST, LATEST, clock_of

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag

MOST = 10_000
"""Dates of one shift, at most; what is owed beyond them is the next shift's."""

_AT_ONCE = 500

_MOST_LEFT = 50
"""Dates left over that a mark is made of."""

DUE = "due"
LEFT = "created by the scheduler and not finished"


class Stretch(NamedTuple):
    """The moments at which the scheduler looks: `now`, and every one to `until`; epoch seconds, both included."""

    now: int
    until: int


class Outlook(NamedTuple):
    """What comes of a DAG behind a look.

    Args:
        why: Why nothing more is due, in words.
        next_at: When the next interval is complete, epoch seconds; None when nobody knows of one.
        is_paused: Somebody has to unpause it first.
        is_over: No interval will ever follow.
    """

    why: str
    next_at: int | None = None
    is_paused: bool = False
    is_over: bool = False


def outlook_of(reader: Reader, dag: Dag, stretch: Stretch) -> Outlook:
    """Return why nothing (more) is due, and when the next interval is."""
    last = reader.last_scheduled(dag.dag_id)
    show = clock_of(dag.timezone).show
    # Somebody may have played a moment that is still to come: until then nothing is created.
    told_until = stretch.until if last is None else max(stretch.until, last)
    following = next_span(dag.schedule, dag_start=dag.start_date, dag_end=dag.end_date, now=told_until)
    next_at = None if following is None else following.end
    known = reader.dag(dag.dag_id)
    if known is not None and known.paused_at is not None:
        return Outlook("paused", is_paused=True)
    if dag.schedule.kind == "none":
        return Outlook("schedule None: it runs when dates are given", is_over=True)
    if dag.catchup and dag.start_date is None and last is None:
        return Outlook("catchup=True without a start_date: nowhere to begin", is_over=True)
    if dag.start_date is not None and dag.start_date > stretch.until:
        return Outlook(f"start_date {show(dag.start_date)} is still to come", next_at, is_over=next_at is None)
    if following is None:
        return Outlook("over: no interval will follow", is_over=True)
    if last is None and next(_owed(reader, dag, stretch), None) is None:
        return Outlook("no interval is complete yet", next_at)
    if last is not None and last > stretch.until:
        return Outlook(f"all intervals up to {show(last)}, which is still to come, have been created", next_at)
    why = "all that is due has run" if dag.catchup else "catchup=False: only the latest complete interval"
    return Outlook(why, next_at)


def may_be_due(reader: Reader, dag: Dag, stretch: Stretch) -> bool:
    """Whether there may be something to create; a look, so that a pass with nothing to do writes nothing."""
    if any(not owner.is_alive for owner in reader.owners()):
        return True  # what the dead have left is known when it has been recovered
    return bool(to_do(reader, dag, stretch, 1))


def is_held(reader: Reader, dag: Dag, stretch: Stretch) -> bool:
    """Whether something is due that a living process has to finish first; asked when nothing else is."""
    page = list(islice(_owed(reader, dag, stretch), _AT_ONCE))
    if page and _held(reader, dag, page[0].start, page[-1].start):
        return True
    return any(True for _ in chain(_left(reader, dag), rows_to_create(reader, dag, stretch, 1)))


def mark_of(reader: Reader, dag_id: str, *, is_held: bool) -> tuple[object, ...]:
    """Return all that what is left of a DAG may depend on: the dates left, those before them, and who holds some.

    Two marks that are the same say that another shift would come to the same end. Empty: there is nothing left.
    """
    left = []
    for one in reader.left_scheduled(dag_id)[:_MOST_LEFT]:
        before = reader.run_before(dag_id, one.logical_date)
        left.append((one.logical_date, one.state, before and (before.logical_date, before.state)))
    held = [row.backfill_id for row in reader.overlapping(dag_id, EARLIEST, LATEST)] if is_held else []
    return (tuple(left), tuple(held)) if left or is_held else ()


def to_do(reader: Reader, dag: Dag, stretch: Stretch, most: int = MOST) -> list[PlanRow]:
    """Return what a shift would go on with and create, by date; nothing while its first date waits for others' work."""
    rows = sorted(chain(_left(reader, dag), rows_to_create(reader, dag, stretch, most)))
    return [] if rows and _follows_others(reader, dag, rows[0].logical_date) else rows


def _follows_others(reader: Reader, dag: Dag, date: int) -> bool:
    """Whether a date waits for the one before it, which a living process has to finish: here it would be blocked."""
    if not dag.waits_on_past:
        return False
    held = max(_held(reader, dag, EARLIEST, date - 1), default=None)
    if held is None:
        return False
    before = reader.run_before(dag.dag_id, date, skip_manual=dag.catchup)
    return before is None or before.logical_date <= held


def _owed(reader: Reader, dag: Dag, stretch: Stretch) -> Iterator[Span]:
    """Yield what is due at any moment of the stretch and has no scheduled run, ascending (C1, C2, C3)."""
    bounds = {"dag_start": dag.start_date, "dag_end": dag.end_date}
    last_end = reader.last_scheduled(dag.dag_id)
    if dag.catchup:
        yield from due_spans(dag.schedule, catchup=True, last_end=last_end, now=stretch.until, **bounds)
        return
    # Without catchup each moment owes the latest interval that is complete then: a scheduler that is up creates each.
    yield from due_spans(dag.schedule, catchup=False, last_end=last_end, now=stretch.now, **bounds)
    span = next_span(dag.schedule, now=stretch.now, **bounds)
    while span is not None and span.end <= stretch.until:
        if last_end is None or span.end > last_end:
            yield span
        span = next_span(dag.schedule, now=span.end, **bounds)


def rows_to_create(reader: Reader, dag: Dag, stretch: Stretch, most: int = MOST) -> Iterator[PlanRow]:
    """Yield the dates to create, without those that have a dag_run or that a living process still has to do."""
    spans = _owed(reader, dag, stretch)
    while most > 0 and (page := list(islice(spans, _AT_ONCE))):
        first, last = page[0].start, page[-1].start
        taken = {run.logical_date for run in reader.runs(dag.dag_id, first, last)} | _held(reader, dag, first, last)
        free = [span for span in page if span.start not in taken][:most]
        most -= len(free)
        yield from (PlanRow(span.start, span.end, Action.CREATE, None, DUE) for span in free)


def _held(reader: Reader, dag: Dag, first: int, last: int) -> set[int]:
    return {
        one
        for other in reader.overlapping(dag.dag_id, first, last)
        for one in reader.claimed(other.backfill_id, first, last)
    }


def _left(reader: Reader, dag: Dag) -> Iterator[PlanRow]:
    """Yield the dates an earlier scheduler created and could not finish, unless a living backfill will do them."""
    left = reader.left_scheduled(dag.dag_id)
    if left:
        held = _held(reader, dag, left[0].logical_date, left[-1].logical_date)
        for one in left:
            if one.logical_date not in held:
                yield PlanRow(one.logical_date, one.data_interval_end, Action.RESUME, one.state, LEFT)
