"""`bfill rerun-failed`: run again what failed, and let go on what was blocked behind it.

Owns the choice of the dates: those of an id, of a selection, or of the latest backfill with failures. Dates that have
succeeded since, or never ran, are not part of it. It makes a backfill of its own, with the old one as its parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backfill_cli.app.commands import rerun_command
from backfill_cli.app.conflicts import Confirm, past_conflicts
from backfill_cli.app.context import AppContext
from backfill_cli.app.jobs import Job, job_of
from backfill_cli.app.leaving import left_out_dates
from backfill_cli.app.lookup import find_backfill, is_killed
from backfill_cli.app.manner import manner_of
from backfill_cli.app.outcomes import is_unrepaired
from backfill_cli.app.overlaps import told_of_holders
from backfill_cli.app.plan import Prepared, check_options, policy_for, prepare, preview, shaped
from backfill_cli.app.pools import slots_of
from backfill_cli.app.run import carry_out, nothing_to_do
from backfill_cli.app.targets import find_stored_target, find_target, has_range, has_selection
from backfill_cli.app.warnings import refuse_impossible
from backfill_cli.core.listening import Listener
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.planning import Policy, decide_action
from backfill_cli.core.ports import Reader, Store
from backfill_cli.core.problems import Problem
from backfill_cli.core.ranges import Selection
from backfill_cli.core.records import BackfillRow
from backfill_cli.core.results import BackfillResult, PlanResult
from backfill_cli.core.states import GOING, BackfillState, RunState
from backfill_cli.errors import NotFoundError, UsageProblem


class NothingFailed(NotFoundError):
    """No backfill has failures: an empty selection, which is no error to `rerun-failed` itself."""

    def __init__(self, dag_id: str, location: str) -> None:
        of_dag = f" of {dag_id}" if dag_id else ""
        super().__init__(
            f"no backfill{of_dag} has failures in {location}",
            hint="bfill status lists the latest backfills",
            code="nothing-failed",
        )
        self.dag_id = dag_id


_UNREPAIRED = (RunState.FAILED, RunState.QUEUED, RunState.RUNNING)

ENDED_BADLY = (BackfillState.FAILED, BackfillState.INTERRUPTED, BackfillState.CANCELLED)


def rerun_failed(
    ctx: AppContext,
    options: BackfillOptions,
    *,
    listeners: Sequence[Listener] = (),
    confirm: Confirm | None = None,
) -> BackfillResult:
    """Run the failed dates again. Raises BfillError; the store is then as it was."""
    parent_id: str | None = None

    def attempt() -> BackfillResult:
        nonlocal parent_id
        with ctx.store(write=False) as store:
            try:
                prepared = _prepare(ctx, replace(options, rerun_failed=True), store, parent_id)
            except NothingFailed as nothing:
                return _nothing(ctx, nothing)
            parent_id = prepared.parent_id  # chosen once: what fails while this one waits is not what was meant
            plan = preview(ctx, prepared, store, dry_run=False)
            job = job_of(ctx, prepared, plan, store)
        return carry_out(ctx, job, listeners)

    return past_conflicts(ctx, options, attempt, confirm)


def plan_rerun(ctx: AppContext, options: BackfillOptions) -> PlanResult:
    """Return what `rerun-failed` would do; nothing is stored. Raises what that would raise, and NothingFailed."""
    options = replace(options, rerun_failed=True)
    with ctx.store(write=False) as store:
        prepared = _prepare(ctx, options, store)
        plan = told_of_holders(store, preview(ctx, prepared, store, dry_run=True), options.on_conflict)
    manner_of(ctx, Job(prepared.target, prepared.options, prepared, plan))
    parent_id = prepared.parent_id
    if has_range(options) or parent_id is None:
        return plan
    return replace(plan, asked=f"the failures of {parent_id}", next_command=rerun_command(parent_id, options))


def would_rerun(ctx: AppContext, options: BackfillOptions) -> PlanResult | BackfillResult:
    """Return the same, or where nothing has failed what `rerun-failed` says then."""
    try:
        return plan_rerun(ctx, options)
    except NothingFailed as nothing:
        return _nothing(ctx, nothing)


def _nothing(ctx: AppContext, nothing: NothingFailed) -> BackfillResult:
    """A script that always calls it must not fail until the first time something has failed."""
    return nothing_to_do(ctx, nothing.dag_id, [Problem(nothing.code, nothing.message, nothing.hint)])


def _prepare(ctx: AppContext, options: BackfillOptions, store: Store, parent_id: str | None = None) -> Prepared:
    """Understand the request; `parent_id` is the backfill to repair where none is named, and None is the latest."""
    if options.backfill_id is not None and has_selection(options):
        raise UsageProblem(
            "a backfill id and a selection exclude each other",
            hint=f"bfill rerun-failed {options.backfill_id}",
            code="id-and-selection",
        )
    if has_range(options):
        prepared = prepare(ctx, options, store)
        return replace(prepared, parent_id=parent_id or store.read(lambda reader: _who_failed(reader, prepared)))
    check_options(options)
    if options.backfill_id is not None:
        parent = find_backfill(store, options.backfill_id)
        target = find_stored_target(ctx, parent, strict=options.strict_templates)
    else:
        found = find_target(ctx, options, store) if has_selection(options) else None
        parent_id = parent_id or _latest_with_failures(store, found.dag.dag_id if found else None)
        parent = find_backfill(store, parent_id)
        target = found or find_stored_target(ctx, parent, strict=options.strict_templates)
    options = replace(options, tasks=options.tasks or tuple(parent.request["tasks"]))
    target.dag.select(options.tasks)
    refuse_impossible(target.dag, slots_of(ctx.settings, store))
    first, last = (1, 0) if parent.first is None or parent.last is None else (parent.first, parent.last)
    policy = policy_for(options, target.dag, store, first, last)
    selection = store.read(lambda reader: _failures_of(reader, parent, policy))
    return shaped(ctx, Prepared(options, target, selection, policy, parent.backfill_id), store)


def _latest_with_failures(store: Store, dag_id: str | None) -> str:
    """The latest backfill that still has a failed or blocked date behind it. Raises NothingFailed."""

    def find(reader: Reader) -> str | None:
        for row in reader.backfills(dag_id=dag_id, states=(*ENDED_BADLY, *GOING), limit=1_000):
            if row.state in GOING and not is_killed(reader, row):
                continue
            if (repaired := _repaired_by(reader, row)) is not None:
                return repaired
            if (row.failed or row.blocked) and _is_broken(reader, row):
                return row.backfill_id
        return None

    found = store.read(find)
    if found is None:
        raise NothingFailed(dag_id or "", store.location)
    return found


def _is_broken(reader: Reader, row: BackfillRow) -> bool:
    """Whether any date of it is still failed or blocked; what others have repaired hides no older failure."""
    return any(map(is_unrepaired, reader.backfill_dates(row.backfill_id)))


def _repaired_by(reader: Reader, row: BackfillRow) -> str | None:
    """What a repair that was stopped, or killed, repairs; it stands for that, and is gone on with (`app/jobs.py`)."""
    is_stopped = row.state is BackfillState.INTERRUPTED or is_killed(reader, row)
    return row.parent_id if row.request["rerun_failed"] and is_stopped else None


def _who_failed(reader: Reader, prepared: Prepared) -> str | None:
    """The backfill in which dates of a selection failed, or were blocked; the latest of several, None of none."""
    selection, dag_id = prepared.selection, prepared.dag.dag_id
    wanted = None if selection.dates is None else frozenset(selection.dates)
    found = {
        run.backfill_id
        for run in reader.runs(dag_id, selection.first, selection.last, states=_UNREPAIRED)
        if run.backfill_id is not None
        and (wanted is None or run.logical_date in wanted)
        and decide_action(run, prepared.policy) is not None
    }
    rows = [row for one in found if (row := reader.backfill(one)) is not None]
    latest = max(rows, key=lambda row: row.created_at, default=None)
    return None if latest is None else _repaired_by(reader, latest) or latest.backfill_id


def _failures_of(reader: Reader, parent: BackfillRow, policy: Policy) -> Selection:
    """The dates of a backfill that are failed or blocked now, and those in their way; none that was taken out."""
    dates: list[int] = []
    if parent.first is not None and parent.last is not None:
        of_parent = {one.logical_date for one in reader.backfill_dates(parent.backfill_id)} | policy.in_the_way
        of_parent -= left_out_dates(reader, parent).keys()
        dates = [
            run.logical_date
            for run in reader.runs(parent.dag_id, parent.first, parent.last)
            if run.logical_date in of_parent and decide_action(run, policy) is not None
        ]
    if not dates:
        return Selection(1, 0, ())
    return Selection(dates[0], dates[-1], tuple(dates))
