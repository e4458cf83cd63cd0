"""`bfill run`: plan, take the dates, run them, and say how each one ended.

Owns the life of a run from options to `BackfillResult` (README, "Life of a run"): the claim, the coordinator's
surroundings, and the closing transaction. Which backfill is meant is `app/jobs.py`, how task instances move
`core/machine.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from backfill_cli import clock
from backfill_cli.app.abreast import Abreast
from backfill_cli.app.actor import host_name
from backfill_cli.app.adapting import adaptive_of
from backfill_cli.app.bench import Recipe, make_bench
from backfill_cli.app.claiming import Me, claim_new, claim_stored
from backfill_cli.app.closing import close_backfill, result_of
from backfill_cli.app.conflicts import Confirm, past_conflicts
from backfill_cli.app.context import AppContext
from backfill_cli.app.desk import Desk
from backfill_cli.app.feed import StoreFeed
from backfill_cli.app.ids import new_owner_id
from backfill_cli.app.jobs import Choose, Job, find_job
from backfill_cli.app.manner import manner_of, refuse
from backfill_cli.app.orphans import Orphans, end_stragglers
from backfill_cli.app.overlaps import DatesHeld, Overtaken
from backfill_cli.app.pacing import agreeing_of, pacer_of
from backfill_cli.app.pools import slots_of
from backfill_cli.app.recovering import abandon
from backfill_cli.app.secrets import learn_references
from backfill_cli.app.sharing import Sharing
from backfill_cli.app.targets import has_selection
from backfill_cli.core.halting import Halt
from backfill_cli.core.hours import Hours
from backfill_cli.core.listening import Listener, RunStart
from backfill_cli.core.machine import BackfillMachine, Limits
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.ports import Store
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import BackfillRow, Claim, Counts, OwnerRow
from backfill_cli.core.results import BackfillResult
from backfill_cli.core.states import BackfillState
from backfill_cli.core.throttle import throttle_of
from backfill_cli.interrupts import stop_if_asked

if TYPE_CHECKING:
    from backfill_cli.app.waves import WaveFeed
    from backfill_cli.engine.attempt import Bench
    from backfill_cli.engine.backends import Backends
    from backfill_cli.engine.polling import Poller
    from backfill_cli.engine.stopping import Stops


def run(
    ctx: AppContext,
    options: BackfillOptions,
    *,
    listeners: Sequence[Listener] = (),
    choose: Choose | None = None,
    confirm: Confirm | None = None,
) -> BackfillResult:
    """Run what the options say, to its end or to a stop.

    Raises:
        BfillError: A refusal; the store is as it was.
    """
    named = options

    def attempt() -> BackfillResult:
        nonlocal named
        with ctx.store(write=False) as store:
            job = find_job(ctx, named, store, choose)
        if job.row is not None and not has_selection(named):
            named = replace(named, backfill_id=job.row.backfill_id)  # chosen once, whatever else waits by then
        return carry_out(ctx, job, listeners)

    return past_conflicts(ctx, options, attempt, confirm)


def carry_out(ctx: AppContext, job: Job, listeners: Sequence[Listener]) -> BackfillResult:
    """Claim the job's dates, run them, close the backfill, and return how it ended."""
    refuse(job)
    manner = manner_of(ctx, job)
    if job.row is None and not job.plan.total:
        dag = job.target.dag
        return nothing_to_do(
            ctx, dag.dag_id, job.plan.warnings, parent_id=job.prepared.parent_id, timezone=dag.timezone
        )
    return run_as_owner(ctx, job, partial(_claim, ctx, job), listeners, manner.halt, manner.hours)


def run_as_owner(
    ctx: AppContext,
    job: Job,
    claim: Callable[[Me, Store, Orphans], BackfillRow],
    listeners: Sequence[Listener],
    halt: Halt,
    hours: Hours | None,
) -> BackfillResult:
    """Become an owner, take dates with `claim`, run them, close the backfill; what `claim` raises undoes all of it."""
    from backfill_cli.engine.stopping import noticing

    me = Me(new_owner_id(), os.getpid(), host_name())
    orphans = Orphans(job.options.orphans, ctx.tell)
    stop_if_asked()  # a signal that a DAG file's `except:` swallowed
    with noticing(own_process=ctx.own_process) as stops, clock.held(), ctx.store(write=True) as store:
        store.hold_owner(me.owner)
        try:
            row = claim(me, store, orphans)
            stops.keep()
            result = _run_claimed(ctx, job, row, me, store, listeners, stops, halt, hours)
            problems = (*result.problems, *orphans.problems)
            # What came while the backfill was closed came too late to stop it, but it was said to this process.
            return replace(result, problems=problems, stopped_by=result.stopped_by or stops.first)
        except (DatesHeld, Overtaken):
            raise  # nothing was taken: there is nothing to give back, and a signal still ends the wait that follows
        except BaseException as error:
            stops.keep()
            abandon(ctx, store, me.owner, error)
            raise
        finally:
            store.release_owner(me.owner)


def _claim(ctx: AppContext, job: Job, me: Me, store: Store, orphans: Orphans) -> BackfillRow:
    if job.row is None:
        return claim_new(ctx, job.prepared, job.plan, me, store, orphans)
    return claim_stored(ctx, job.target, job.row, job.options, me, store, orphans, shape=job.prepared.shape)


def _run_claimed(
    ctx: AppContext,
    job: Job,
    row: BackfillRow,
    me: Me,
    store: Store,
    listeners: Sequence[Listener],
    stops: Stops,
    halt: Halt,
    hours: Hours | None,
) -> BackfillResult:
    from backfill_cli.engine.coordinator import Coordinator
    from backfill_cli.engine.ending import ABORT_WAIT_S, Stopped
    from backfill_cli.engine.lineage import Lineage, inherited
    from backfill_cli.engine.logs import captured

    dag = job.prepared.part
    workers = job.options.workers or ctx.settings.workers
    learn_references(row.request.get("conf"), ctx.environ)  # before anything is written for somebody to read
    throttle = throttle_of(dag, ctx.settings.pool_rules, hours)
    throttle.adaptive = adaptive_of(job.options, job.prepared.parallel)
    machine = BackfillMachine(
        dag,
        Limits(job.prepared.parallel, workers, slots_of(ctx.settings, store)),
        backfill_id=row.backfill_id,
        owner=me.owner,
        total=row.total - row.skipped,
        done=Counts(row.completed, row.failed),
        backwards=bool(row.request.get("run_backwards")),
        throttle=throttle,
    )
    lineage = Lineage(me.owner, store.heirloom(me.owner))
    bench = replace(make_bench(ctx.settings, ctx.environ, lambda _ref: job.target.dag), lineage=lineage)
    backends = _backends(ctx, job, workers, bench)
    source = _source(job, row, store)
    waves = _waves(ctx, job, row, me, store, listeners, source)
    claim = Claim(me.owner, row.backfill_id, dag.dag_id, dag.version)
    agreeing = agreeing_of(ctx, store, machine, claim)
    coordinator = Coordinator(
        machine,
        store=store,
        claim=claim,
        feed=waves or source,
        backend_of=backends,
        bench=bench,
        dag_ref=job.target.ref,
        logs=store.logs,
        clock=ctx.clock,
        grace_s=ctx.settings.grace_s,
        listeners=listeners if waves is None else (*listeners, waves),
        halt=halt,
        pollers=_pollers(ctx, job, store, claim, machine, agreeing),
        pacer=pacer_of(ctx, store, throttle, agreeing, probe=job.options.probe),
    )
    resumed_at = _resumed_at(row, store.read(lambda reader: reader.owner(me.owner)))
    _tell_start(listeners, job, row, resumed_at)
    stopped: Stopped | None = None
    try:
        with inherited(lineage, own_process=ctx.own_process), captured(own_process=ctx.own_process):
            stops.tell(coordinator.ask_to_stop)
            stopped = coordinator.run()
    except BaseException:
        # Whatever broke the loop, nobody hears its tries any more: they end before this process leaves.
        backends.shutdown(wait=False)
        bench.register.cancel_all()
        bench.register.wait_until_empty(ABORT_WAIT_S)
        raise
    backends.shutdown(wait=stopped is None)
    if stopped is not None and stopped.cut_off:
        end_stragglers(store, me.owner, stopped.cut_off)
    if stopped is None and waves is not None and waves.stopped:
        stopped = Stopped(None, 0, halted=waves.stopped)
    closed, head = close_backfill(ctx, machine, job.options, row, me.owner, stopped, store)
    for listener in listeners:
        listener.on_end()
    told = (*job.plan.warnings, *throttle.problems())
    result = replace(result_of(ctx, dag, closed, stopped, head, told, store), resumed_at=resumed_at)
    if waves is None:
        return result
    from backfill_cli.app.wave_results import with_waves

    merges = job.prepared.dag.batch_intervals
    return with_waves(result, store, closed, waves, batch_intervals=merges, parallel=job.prepared.parallel)


def _source(job: Job, row: BackfillRow, store: Store) -> StoreFeed:
    """Return the dates of a backfill, merged where its DAG says so."""
    if job.prepared.dag.batch_intervals is None:
        return StoreFeed(store, job.prepared.part, row)
    from backfill_cli.app.merged_feed import feed_of

    return feed_of(store, job.prepared.part, row, job.prepared.shape)


def _waves(
    ctx: AppContext,
    job: Job,
    row: BackfillRow,
    me: Me,
    store: Store,
    listeners: Sequence[Listener],
    source: StoreFeed,
) -> WaveFeed | None:
    """Return the feed of a backfill that runs in waves; None for one that runs in one piece."""
    shape = job.prepared.shape
    if shape is None:
        return None
    from backfill_cli.app.waves import WaveFeed

    return WaveFeed(
        store,
        source,
        row,
        shape,
        owner=me.owner,
        parallel=job.prepared.parallel,
        clock=ctx.clock,
        listeners=listeners,
        again=job.pilot_again,
    )


def _backends(ctx: AppContext, job: Job, workers: int, bench: Bench) -> Backends:
    """Return where the tasks run, refusing what could not run there."""
    from backfill_cli.app.worker import run_remote
    from backfill_cli.engine.backends import Backends

    recipe = Recipe(ctx.settings)
    return Backends(
        job.options.executor or "thread", workers, recipe=recipe, bench=bench, remote=partial(run_remote, recipe=recipe)
    )


def _resumed_at(row: BackfillRow, owner: OwnerRow | None) -> int | None:
    """Return when this process went on with a backfill; None when it is the first to work on it."""
    return None if owner is None or owner.started_at == row.started_at else owner.started_at


def _tell_start(listeners: Sequence[Listener], job: Job, row: BackfillRow, resumed_at: int | None) -> None:
    """Say that this command begins: what an earlier one did of the backfill is done, and that time is over."""
    dag = job.prepared.part
    start = RunStart(
        row.backfill_id,
        dag.dag_id,
        tuple(dag.tasks),
        dag.timezone,
        row.first or 0,
        row.last or 0,
        row.total - row.skipped,
        job.prepared.parallel,
        resumed_at or row.started_at or 0,
        {task_id: task.retry.retries + 1 for task_id, task in dag.tasks.items()},
        row.completed + row.failed,
    )
    for listener in listeners:
        listener.on_start(start)


def nothing_to_do(
    ctx: AppContext, dag_id: str, problems: Sequence[Problem], *, parent_id: str | None = None, timezone: str = "UTC"
) -> BackfillResult:
    """Return the result of an empty selection: not an error (contract section 4), and nothing is stored."""
    from backfill_cli.core.auditing import head_text

    with ctx.store(write=False) as store:
        head = head_text(store.read(lambda reader: reader.audit_head()))
    return BackfillResult(
        backfill_id=None,
        parent_id=parent_id,
        dag_id=dag_id,
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
        problems=tuple(problems),
        timezone=timezone,
    )


def _pollers(
    ctx: AppContext, job: Job, store: Store, claim: Claim, machine: BackfillMachine, agreeing: Poller | None
) -> list[Poller]:
    """Return who looks at what others have left for this run."""
    is_scheduled = job.options.scheduled
    found: list[Poller] = [] if agreeing is None else [agreeing]
    if is_scheduled:
        found.append(Abreast(ctx, store, claim.owner, machine))
    return [*found, Sharing(ctx, store, claim.owner, machine, scheduled=is_scheduled), Desk(ctx, store, claim)]
