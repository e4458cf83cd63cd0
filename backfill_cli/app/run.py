"""`bfill run`: plan, take the dates, run them, and say how each one ended.

Owns the life of a run from options to `BackfillResult` (README, "Life of a run"): which backfill is meant, the claim,
the coordinator's surroundings, and the closing transaction. How task instances move is `core/machine.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from backfill_cli.app.actor import host_name
from backfill_cli.app.bench import Recipe, make_bench
from backfill_cli.app.claiming import Claimed, Me, claim_new, claim_stored, conflict, refuse_moved, what_moved
from backfill_cli.app.closing import close_backfill, result_of
from backfill_cli.app.commands import command_line
from backfill_cli.app.context import AppContext
from backfill_cli.app.feed import StoreFeed
from backfill_cli.app.ids import new_owner_id
from backfill_cli.app.plan import Prepared, prepare, preview
from backfill_cli.app.stored import options_of, prepare_stored
from backfill_cli.app.targets import has_selection
from backfill_cli.core.instants import instant
from backfill_cli.core.machine import BackfillMachine, Limits
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.pools import DEFAULT_POOL, DEFAULT_POOL_SLOTS
from backfill_cli.core.ports import Listener, RunStart, Store
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import BackfillRow, Claim, Counts
from backfill_cli.core.results import BackfillResult, PlanResult
from backfill_cli.core.states import BackfillState
from backfill_cli.errors import NotFoundError, RefusedError, UsageProblem

if TYPE_CHECKING:
    from backfill_cli.engine.attempt import Bench
    from backfill_cli.engine.backends import Backends
    from backfill_cli.engine.coordinator import Coordinator, Stopped
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


def run(
    ctx: AppContext, options: BackfillOptions, *, listeners: Sequence[Listener] = (), choose: Choose | None = None
) -> BackfillResult:
    """Run what the options say, to its end or to a stop.

    Raises:
        BfillError: A refusal; the store is as it was.
    """
    with ctx.store(write=False) as store:
        job = _find_job(ctx, options, store, choose)
    return carry_out(ctx, job, listeners)


def carry_out(ctx: AppContext, job: Job, listeners: Sequence[Listener]) -> BackfillResult:
    """Claim the job's dates, run them, close the backfill, and return how it ended."""
    refuse_conf(job.plan)
    _refuse_executors(job)
    if job.row is None and not job.plan.total:
        return _nothing(ctx, job)
    me = Me(new_owner_id(), os.getpid(), host_name())
    with ctx.store(write=True) as store:
        store.hold_owner(me.owner)
        try:
            claimed = _claim(ctx, job, me, store)
            return _run_claimed(ctx, job, claimed, me, store, listeners)
        finally:
            store.release_owner(me.owner)


def _claim(ctx: AppContext, job: Job, me: Me, store: Store) -> Claimed:
    if job.row is None:
        return claim_new(ctx, job.prepared, job.plan, me, store)
    return claim_stored(ctx, job.target, job.row, job.options, me, store)


def _run_claimed(
    ctx: AppContext, job: Job, claimed: Claimed, me: Me, store: Store, listeners: Sequence[Listener]
) -> BackfillResult:
    from backfill_cli.engine.coordinator import Coordinator

    dag, row = job.target.dag, claimed.row
    workers = job.options.workers or ctx.settings.workers
    parallel = min(job.options.max_parallel_runs, dag.max_active_runs)
    machine = BackfillMachine(
        dag,
        Limits(parallel, workers, pool_sizes(ctx, store)),
        backfill_id=row.backfill_id,
        owner=me.owner,
        total=row.total - row.skipped,
        done=Counts(row.completed, row.failed),
        backwards=bool(row.request.get("run_backwards")),
    )
    bench = make_bench(ctx.settings, ctx.environ, lambda _ref: dag)
    backends = _backends(ctx, job, workers, bench)
    coordinator = Coordinator(
        machine,
        store=store,
        claim=Claim(me.owner, row.backfill_id, dag.dag_id, dag.version),
        feed=StoreFeed(store, dag, row),
        backend_of=backends,
        bench=bench,
        dag_ref=job.target.ref,
        logs=store.logs,
        clock=ctx.clock,
        grace_s=ctx.settings.grace_s,
        listeners=listeners,
    )
    _tell_start(listeners, job, row)
    stopped: Stopped | None = None
    try:
        stopped = _loop(ctx, coordinator)
    except BaseException:
        bench.register.cancel_all()
        backends.shutdown(wait=False)
        raise
    backends.shutdown(wait=stopped is None)
    closed, head = close_backfill(ctx, machine, job.options, row, me.owner, stopped, claimed.lost, store)
    for listener in listeners:
        listener.on_end()
    problems = tuple(problem for problem in job.plan.warnings)
    return result_of(ctx, dag, closed, stopped, claimed.lost, head, problems, store)


def _loop(ctx: AppContext, coordinator: Coordinator) -> Stopped | None:
    from backfill_cli.engine.logs import captured

    with captured(own_process=ctx.own_process):
        if not ctx.own_process:
            return coordinator.run()
        from backfill_cli.engine.stopping import handling

        with handling(coordinator.ask_to_stop):
            return coordinator.run()


def _backends(ctx: AppContext, job: Job, workers: int, bench: Bench) -> Backends:
    """Return where the tasks run, refusing what could not run there."""
    from backfill_cli.app.worker import run_remote
    from backfill_cli.engine.backends import Backends

    recipe = Recipe(ctx.settings)
    return Backends(
        job.options.executor or "thread", workers, recipe=recipe, bench=bench, remote=partial(run_remote, recipe=recipe)
    )


def _refuse_executors(job: Job) -> None:
    """Refuse an executor that does not exist, and a DAG that no other process could load."""
    from backfill_cli.engine.backends import check_backend
    from backfill_cli.errors import DefinitionError

    default = job.options.executor or "thread"
    for task in job.target.dag.tasks.values():
        name = task.executor or default
        check_backend(name)
        if name != "thread" and not job.target.ref.target:
            raise DefinitionError(
                f"DAG '{job.target.dag.dag_id}' exists only in this process, so executor '{name}' cannot load it",
                hint="write it into a file, or use --executor thread",
                code="dag-in-process",
            )


def _tell_start(listeners: Sequence[Listener], job: Job, row: BackfillRow) -> None:
    dag = job.target.dag
    start = RunStart(
        row.backfill_id,
        dag.dag_id,
        tuple(dag.tasks),
        dag.timezone,
        row.first or 0,
        row.last or 0,
        row.total - row.skipped,
        min(job.options.max_parallel_runs, dag.max_active_runs),
        row.started_at or 0,
        {task_id: task.retry.retries + 1 for task_id, task in dag.tasks.items()},
    )
    for listener in listeners:
        listener.on_start(start)


def pool_sizes(ctx: AppContext, store: Store) -> dict[str, int]:
    """Return every pool's slots: those of the store, the settings laid over them."""
    stored = store.read(lambda reader: dict(reader.pools()))
    return {DEFAULT_POOL: DEFAULT_POOL_SLOTS, **stored, **ctx.settings.pools}


def refuse_conf(plan: PlanResult) -> None:
    """Refuse when dates that are not to be reprocessed already have another conf (semantics section 8)."""
    for problem in plan.warnings:
        if problem.code == "conf-differs":
            raise RefusedError(problem.message, hint=problem.hint, code=problem.code)


def _nothing(ctx: AppContext, job: Job) -> BackfillResult:
    """An empty selection: not an error, and nothing is stored."""
    with ctx.store(write=False) as store:
        from backfill_cli.core.auditing import head_text

        head = head_text(store.read(lambda reader: reader.audit_head()))
    return BackfillResult(
        backfill_id=None,
        parent_id=job.prepared.parent_id,
        dag_id=job.target.dag.dag_id,
        state=BackfillState.SUCCESS,
        total_dates=0,
        completed=0,
        failed=0,
        blocked=0,
        skipped=0,
        remaining=0,
        interrupted=0,
        started_at=None,
        ended_at=None,
        results=[],
        audit_head=head,
        problems=tuple(job.plan.warnings),
        timezone=job.target.dag.timezone,
    )


# which backfill is meant


def _find_job(ctx: AppContext, options: BackfillOptions, store: Store, choose: Choose | None) -> Job:
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
    return job_of(prepared, plan, store)


def job_of(prepared: Prepared, plan: PlanResult, store: Store) -> Job:
    """Return the job of a plan: what is in the store of the same identity, or a new backfill.

    That is the rest of one that was interrupted, or a stored plan that still says the same. A plan that has moved is
    replaced: the command at hand says everything that the plan said.
    """
    dag_id = prepared.dag.dag_id

    def unfinished(state: BackfillState) -> list[BackfillRow]:
        return store.read(lambda reader: reader.backfills(dag_id=dag_id, identity=prepared.identity, states=[state]))

    stopped = unfinished(BackfillState.INTERRUPTED) + [
        row for row in unfinished(BackfillState.RUNNING) if not is_alive(store, row)
    ]
    fits = stopped + [row for row in unfinished(BackfillState.PLANNED) if what_moved(plan, row) is None]
    return Job(prepared.target, prepared.options, prepared, plan, fits[0] if fits else None)


def preview_stored(ctx: AppContext, options: BackfillOptions) -> PlanResult:
    """Return what `run ID`, or `run` alone, would do. Reads only."""
    with ctx.store(write=False) as store:
        job = _find_job(ctx, options, store, None)
    found = job.row.backfill_id if job.row else options.backfill_id
    return replace(job.plan, dry_run=True, backfill_id=found, next_command=f"bfill run {found}")


def _stored_job(ctx: AppContext, options: BackfillOptions, row: BackfillRow, store: Store) -> Job:
    _refuse_changes(options, row)
    if row.state is BackfillState.RUNNING and is_alive(store, row):
        raise store.read(lambda reader: conflict(reader, row, row.first or 0, row.last or 0))
    asked = options_of(row, options)
    prepared = prepare_stored(ctx, row, asked, store)
    plan = preview(ctx, prepared, store, dry_run=False)
    if row.state is BackfillState.PLANNED:
        refuse_moved(plan, row)
        return Job(prepared.target, asked, prepared, plan, row)
    if row.state.is_terminal:  # the same command once more: what is left to do now is a backfill of its own
        return Job(prepared.target, asked, prepared, plan)
    return Job(prepared.target, asked, prepared, plan, row)


def _refuse_changes(options: BackfillOptions, row: BackfillRow) -> None:
    """A stored backfill says what to do with its dates itself; taking another word in silence would be a lie."""
    for flag, given in (
        ("--conf", options.conf is not None),
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


def is_alive(store: Store, row: BackfillRow) -> bool:
    """Whether a living process owns the backfill."""
    owner_id = row.owner
    if owner_id is None:
        return False
    owner = store.read(lambda reader: reader.owner(owner_id))
    return owner is not None and owner.is_alive


def find_backfill(store: Store, backfill_id: str) -> BackfillRow:
    """Return the backfill of that id, or the latest of the DAG of that id. Raises NotFoundError."""
    from backfill_cli.core.graph import near_hint

    row = store.read(lambda reader: reader.backfill(backfill_id))
    if row is not None:
        return row
    of_dag = store.read(lambda reader: reader.backfills(dag_id=backfill_id, limit=1))
    if of_dag:
        return of_dag[0]
    known = [row.backfill_id for row in store.read(lambda reader: reader.backfills(limit=200))]
    raise NotFoundError(
        f"no backfill '{backfill_id}' in {store.location}",
        hint=near_hint(backfill_id, known, otherwise="bfill status lists the latest"),
        code="unknown-backfill",
    )


def _the_waiting_one(store: Store, choose: Choose | None) -> BackfillRow:
    rows = store.read(lambda reader: reader.backfills(states=list(WAITING), limit=100))
    running = store.read(lambda reader: reader.backfills(states=[BackfillState.RUNNING], limit=100))
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


def with_note(result: BackfillResult, problem: Problem) -> BackfillResult:
    """Return the result with one more problem in it."""
    return replace(result, problems=(*result.problems, problem))
