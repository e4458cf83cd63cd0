"""A shift: what the scheduler owes a DAG at a moment, created in one transaction and run as any backfill is.

Owns the question what exists already. A date with a dag_run in any state, or that a living process still has to do, is
left alone; it is asked in the very transaction that creates the rest, so that two schedulers on one store never create
a date twice. From there on it is a backfill like any other: claim, coordinator, machine and closing are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.app.claiming import Me, register, request_of, take
from backfill_cli.app.context import AppContext
from backfill_cli.app.ids import new_backfill_id
from backfill_cli.app.jobs import Job
from backfill_cli.app.manner import check_executor
from backfill_cli.app.orphans import Orphans
from backfill_cli.app.plan import Prepared
from backfill_cli.app.recovering import write_recovered
from backfill_cli.app.run import run_as_owner
from backfill_cli.app.trail import record
from backfill_cli.core.catchup import due_spans, next_span
from backfill_cli.core.halting import NO_HALT
from backfill_cli.core.instants import iso
from backfill_cli.core.intervals import Span
from backfill_cli.core.listening import Listener
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.planning import Policy
from backfill_cli.core.ports import Reader, Store, Writer
from backfill_cli.core.ranges import Selection
from backfill_cli.core.records import SCHEDULED, Action, BackfillRow, Batch, Claim, PlanRow, RunRow, RunType
from backfill_cli.core.results import BackfillResult, Estimate, PlanResult
from backfill_cli.core.states import BackfillState, RunState

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.scheduling import ScheduleOptions
    from backfill_cli.loader.resolve import Resolved

MOST = 10_000
"""Dates of one shift, at most; what is owed beyond them is the next shift's."""

_AT_ONCE = 500

DUE = "due"
LEFT = "created by the scheduler and not finished"


class Stretch(NamedTuple):
    """The moments at which the scheduler looks: `now`, and every one to `until`; epoch seconds, both included."""

    now: int
    until: int


class NothingDue(Exception):
    """There is nothing to create: an answer, raised to undo the transaction it is found in."""


def work_shift(
    ctx: AppContext, target: Resolved, stretch: Stretch, options: ScheduleOptions, listeners: Sequence[Listener]
) -> BackfillResult:
    """Create what is due and run it to its end, or to a stop.

    Raises:
        NothingDue: Nothing was; the store is as it was.
        BfillError: As a backfill does.
    """
    dag = target.dag
    asked = BackfillOptions(
        dag_id=dag.dag_id,
        max_parallel_runs=dag.max_active_runs,
        workers=options.workers,
        executor=options.executor,
        orphans=options.orphans,
        reason=options.reason,
        scheduled=True,
    )
    prepared = Prepared(asked, target, Selection(0, 0), Policy(dag.version))
    job = Job(target, asked, prepared, _no_plan(dag))
    check_executor(job.options, job.target)
    return run_as_owner(ctx, job, partial(_claim, ctx, prepared, stretch), listeners, NO_HALT, None)


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
    following = next_span(dag.schedule, dag_start=dag.start_date, dag_end=dag.end_date, now=stretch.until)
    next_at = None if following is None else following.end
    known = reader.dag(dag.dag_id)
    if known is not None and known.paused_at is not None:
        return Outlook("paused", is_paused=True)
    if dag.schedule.kind == "none":
        return Outlook("schedule None: it runs when dates are given", is_over=True)
    last = reader.last_scheduled(dag.dag_id)
    if dag.catchup and dag.start_date is None and last is None:
        return Outlook("catchup=True without a start_date: nowhere to begin", is_over=True)
    if dag.start_date is not None and dag.start_date > stretch.until:
        return Outlook(f"start_date {iso(dag.start_date)} is still to come", next_at, is_over=next_at is None)
    if following is None:
        return Outlook("over: no interval will follow", is_over=True)
    if last is None and next(_owed(reader, dag, stretch), None) is None:
        return Outlook("no interval is complete yet", next_at)
    why = "all that is due has run" if dag.catchup else "catchup=False: only the latest complete interval"
    return Outlook(why, next_at)


def may_be_due(reader: Reader, dag: Dag, stretch: Stretch) -> bool:
    """Whether there may be something to create; a look, so that a pass with nothing to do writes nothing."""
    if any(not owner.is_alive for owner in reader.owners()):
        return True  # what the dead have left is known when it has been recovered
    return any(True for _ in chain(_left(reader, dag), rows_to_create(reader, dag, stretch, 1)))


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


def _claim(
    ctx: AppContext, prepared: Prepared, stretch: Stretch, me: Me, store: Store, orphans: Orphans
) -> BackfillRow:
    dag = prepared.dag

    def work(writer: Writer) -> BackfillRow:
        known = writer.dag(dag.dag_id)
        if known is not None and known.paused_at is not None:
            raise NothingDue
        rows = sorted(chain(_left(writer, dag), rows_to_create(writer, dag, stretch)))
        if not rows:
            raise NothingDue
        register(ctx, prepared.target, writer)
        row = _new_row(ctx, prepared, rows, writer)
        writer.add_backfill(row, rows)
        take(ctx, writer, row, me)
        created = [_created(one, dag.version, row.backfill_id, me.owner) for one in rows if one.action is Action.CREATE]
        claim = Claim(me.owner, row.backfill_id, dag.dag_id, dag.version)
        if created:
            writer.save(claim, Batch(opened=created))
        record(
            ctx,
            writer,
            "scheduler",
            row.backfill_id,
            outcome="started",
            reason=prepared.options.reason,
            details={
                "dag_id": dag.dag_id,
                "dag_version": dag.version,
                "range": [iso(row.first), iso(row.last)],
                "counts": dict(row.planned),
                "at": iso(stretch.until),
            },
        )
        taken = writer.backfill(row.backfill_id)
        assert taken is not None
        return taken

    return write_recovered(ctx, store, orphans, work)


def _created(row: PlanRow, version: str, backfill_id: str, owner: str) -> RunRow:
    return RunRow(
        row.logical_date,
        row.data_interval_end,
        RunType.SCHEDULED,
        RunState.QUEUED,
        version,
        "{}",
        None,
        None,
        None,
        backfill_id,
        owner,
    )


def _new_row(ctx: AppContext, prepared: Prepared, rows: Sequence[PlanRow], writer: Writer) -> BackfillRow:
    now = ctx.clock.now_us()
    backfill_id = new_backfill_id(now, "sc")
    while writer.backfill(backfill_id) is not None:
        backfill_id = new_backfill_id(now, "sc")
    first, last = rows[0].logical_date, rows[-1].logical_date
    return BackfillRow(
        backfill_id=backfill_id,
        dag_id=prepared.dag.dag_id,
        state=BackfillState.PLANNED,
        version=prepared.dag.version,
        identity=SCHEDULED,
        request=request_of(replace(prepared, selection=Selection(first, last))),
        created_at=now,
        first=first,
        last=last,
        planned=_counted(rows),
    )


def _counted(rows: Iterable[PlanRow]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.action.value] = counts.get(row.action.value, 0) + 1
    return counts


def _no_plan(dag: Dag) -> PlanResult:
    """A plan with no date: what is due is decided where it is created, and shown when it has run."""
    return PlanResult(
        dag, None, None, "", dict.fromkeys(Action, 0), (), (), (), tuple, Estimate(0, None, None, 0), (),
        dag.max_active_runs, backwards=False, dry_run=False, next_command="bfill scheduler",
    )  # fmt: skip
