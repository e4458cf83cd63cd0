"""Which backfill a command means: a new one, a stored plan, or the rest of one that was stopped.

Owns the choice, before anything is written: by id, by the same selection, or the only one that waits. What is then done
with it is `app/run.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backfill_cli.app.claiming import refuse_moved, what_moved
from backfill_cli.app.commands import command_line, run_command
from backfill_cli.app.context import AppContext
from backfill_cli.app.leaving import left_out_dates
from backfill_cli.app.lookup import find_backfill, is_alive
from backfill_cli.app.overlaps import conflict, told_of_holders
from backfill_cli.app.plan import Prepared, prepare, preview, shaped
from backfill_cli.app.stored import options_of, prepare_stored
from backfill_cli.app.targets import has_selection
from backfill_cli.core.instants import instant
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.ports import Store
from backfill_cli.core.records import SCHEDULED, BackfillRow
from backfill_cli.core.results import PlanResult
from backfill_cli.core.states import GOING, BackfillState
from backfill_cli.core.zones import clock_of
from backfill_cli.errors import UsageProblem

if TYPE_CHECKING:
    from backfill_cli.core.outlines import Outline
    from backfill_cli.core.ports import Reader
    from backfill_cli.loader.resolve import Resolved

Choose = Callable[[list[BackfillRow]], BackfillRow]
"""Asks a person which of several backfills to run."""

WAITING = (BackfillState.PLANNED, BackfillState.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run: a new backfill (`prepared`, `plan`), or the rest of a stored one (`row`)."""

    target: Resolved
    options: BackfillOptions
    prepared: Prepared
    plan: PlanResult
    row: BackfillRow | None = None

    @property
    def pilot_again(self) -> bool:
        """Whether this command asks for a pilot itself: it stops behind one that another command has run, too."""
        return self.options.pilot is not None


def find_job(ctx: AppContext, options: BackfillOptions, store: Store, choose: Choose | None) -> Job:
    if options.backfill_id is not None:
        if has_selection(options):
            raise UsageProblem(
                "a backfill id and a selection exclude each other",
                hint=f"bfill run {options.backfill_id}",
                code="id-and-selection",
            )
        return _stored_job(ctx, options, find_backfill(store, options.backfill_id), store)
    if not has_selection(options):
        return _stored_job(ctx, options, _the_waiting_one(store, choose), store)
    return new_job(ctx, options, store)


def new_job(ctx: AppContext, options: BackfillOptions, store: Store) -> Job:
    """Return the job of a selection; the same command again finds the backfill it was interrupted in."""
    prepared = prepare(ctx, options, store)
    plan = preview(ctx, prepared, store, dry_run=False)
    return job_of(ctx, prepared, plan, store)


def job_of(ctx: AppContext, prepared: Prepared, plan: PlanResult, store: Store) -> Job:
    """Return the job of a plan: what is in the store of the same identity, or a new backfill.

    That is the rest of one that was interrupted, or a stored plan that still says the same. A plan that has moved is
    replaced: the command at hand says everything that the plan said, but for the dates that somebody took out of it.
    """
    dag_id = prepared.dag.dag_id

    def unfinished(state: BackfillState) -> list[BackfillRow]:
        return store.read(lambda reader: reader.backfills(dag_id=dag_id, identity=prepared.identity, states=[state]))

    stopped = unfinished(BackfillState.INTERRUPTED) + [
        row for state in GOING for row in unfinished(state) if not is_alive(store, row)
    ]

    def without_left_out(row: BackfillRow) -> tuple[Prepared, PlanResult]:
        """What somebody took out of the stored one stays out, and does not move it."""
        left_out = store.read(lambda reader: left_out_dates(reader, row))
        if not left_out:
            return prepared, plan
        same = prepared.as_left(left_out)
        return same, preview(ctx, same, store, dry_run=False)

    moved: tuple[Prepared, PlanResult] | None = None
    for row in stopped + unfinished(BackfillState.PLANNED):
        same, planned = without_left_out(row)
        if row.state is not BackfillState.PLANNED or what_moved(planned, row) is None:
            return Job(same.target, same.options, shaped(ctx, same, store, row), planned, row)
        moved = moved or (same, planned)
    same, planned = moved or (prepared, plan)
    return Job(same.target, same.options, same, planned)


def preview_stored(ctx: AppContext, options: BackfillOptions) -> PlanResult:
    """Return what `run ID`, or `run` alone, would do. Reads only."""
    from backfill_cli.app.manner import manner_of

    with ctx.store(write=False) as store:
        job = find_job(ctx, options, store, None)
        plan = told_of_holders(store, _with_all_waves(job, store), options.on_conflict)
    manner_of(ctx, job)
    found = job.row.backfill_id if job.row else options.backfill_id
    assert found is not None
    return replace(plan, dry_run=True, backfill_id=found, next_command=run_command(found, options))


def _with_all_waves(job: Job, store: Store) -> PlanResult:
    """Return the plan of a job; one that was begun has the waves it was begun with, not those of what is left."""
    row, shape = job.row, job.prepared.shape
    if row is None or shape is None or row.state is BackfillState.PLANNED:
        return job.plan
    from backfill_cli.app.wave_walk import places_of
    from backfill_cli.core.outlines import outline

    def read(reader: Reader) -> Outline:
        dates = reader.worked_on(row.backfill_id, backwards=bool(row.request.get("run_backwards")))
        total, timezone = places_of(reader, row), job.prepared.dag.timezone
        return outline(shape, total, timezone, dates, parallel=job.prepared.parallel)

    return replace(job.plan, waves=store.read(read))


def _stored_job(ctx: AppContext, options: BackfillOptions, row: BackfillRow, store: Store) -> Job:
    _refuse_changes(options, row)
    is_held = row.state in GOING and is_alive(store, row)
    if is_held and options.on_conflict != "skip":
        raise store.read(lambda reader: conflict(reader, row, row.first or 0, row.last or 0))
    asked = options_of(row, options)
    prepared = prepare_stored(ctx, row, asked, store)
    plan = replace(preview(ctx, prepared, store, dry_run=False), asked=_asked(row, prepared))
    if row.state is BackfillState.PLANNED and (
        options.on_conflict == "fail" or row.version != plan.dag.version or what_moved(plan, row) is None
    ):
        refuse_moved(plan, row)
        return Job(prepared.target, asked, prepared, plan, row)
    # What another does meanwhile moves a plan, and who waits for it or leaves dates to it has said that it may.
    is_anew = row.state is BackfillState.PLANNED or is_held
    if is_anew or row.state.is_terminal:  # the same command once more: what is left to do is a backfill of its own
        return job_of(ctx, prepared, plan, store)
    return Job(prepared.target, asked, prepared, plan, row)


def _asked(row: BackfillRow, prepared: Prepared) -> str:
    """Return the range of a stored backfill in words; what was typed then is not kept."""
    if prepared.selection.dates is not None or row.first is None or row.last is None:
        return f"the dates of {row.backfill_id}"
    show = clock_of(prepared.dag.timezone).show
    return f"{show(row.first)} … {show(row.last)}, as stored in {row.backfill_id}"


def _refuse_changes(options: BackfillOptions, row: BackfillRow) -> None:
    """A stored backfill says what to do with its dates itself; taking another word in silence would be a lie."""
    for flag, given in (
        ("--conf", options.conf is not None),
        # Its dates would be done by it, and the tasks that are left of them nobody's.
        ("--task", bool(options.tasks) and list(options.tasks) != row.request["tasks"]),
        ("--reprocess", bool(options.reprocess)),
        ("--reset-dag-run", options.reset_dag_run),
        ("--run-backwards", options.run_backwards),
        ("--ignore-first-depends-on-past", options.ignore_first_depends_on_past),
    ):
        if given:
            raise UsageProblem(
                f"{flag} does not go with {row.backfill_id}, which was stored with its own",
                hint=f"leave {flag} out, or name the dates: {command_line('run', _selection_of(row))} {flag} …",
                code="id-and-selection",
            )


def _selection_of(row: BackfillRow) -> BackfillOptions:
    ends = [None if one is None else instant(one) for one in (row.first, row.last)]
    return BackfillOptions(dag_id=row.dag_id, start_date=ends[0], end_date=ends[1])


def _the_waiting_one(store: Store, choose: Choose | None) -> BackfillRow:
    rows = store.read(lambda reader: reader.backfills(states=list(WAITING), besides=SCHEDULED, limit=100))
    running = store.read(lambda reader: reader.backfills(states=list(GOING), besides=SCHEDULED, limit=100))
    rows += [row for row in running if not is_alive(store, row)]
    if not rows:
        raise UsageProblem(
            "nothing is planned or interrupted",
            hint="bfill run --dag DAG --start 2024-01-01 --end 2024-01-31",
            code="nothing-waiting",
        )
    if len(rows) == 1:
        return rows[0]
    if choose is not None:
        return choose(rows)
    names = ", ".join(row.backfill_id for row in rows[:5]) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
    raise UsageProblem(
        f"{len(rows)} backfills are planned or interrupted: {names}",
        hint=f"say which: bfill run {rows[0].backfill_id}",
        code="several-waiting",
    )
