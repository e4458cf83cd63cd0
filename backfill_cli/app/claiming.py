"""Taking dates: a plan becomes rows, and the backfill takes them, in one transaction.

Owns the conflict with other living processes, and the rule that a refusal leaves the store as it was: everything here
happens inside one `write`, and an error undoes all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from backfill_cli.app.attesting import PlanSeal
from backfill_cli.app.context import AppContext
from backfill_cli.app.history import liveness
from backfill_cli.app.ids import new_backfill_id
from backfill_cli.app.leaving import take_out
from backfill_cli.app.orphans import Orphans
from backfill_cli.app.overlaps import Overtaken, conflict, held_by_others, refuse_overlap
from backfill_cli.app.plan import Prepared
from backfill_cli.app.recovering import write_recovered
from backfill_cli.app.trail import command_of, conf_details, record
from backfill_cli.core.instants import iso
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.planning import left_to
from backfill_cli.core.ports import Store, Writer
from backfill_cli.core.records import Action, BackfillRow, Batch, Claim, Counts, OutcomeRow, PlanRow
from backfill_cli.core.results import PlanResult
from backfill_cli.core.states import BackfillState, RunState
from backfill_cli.errors import RefusedError

if TYPE_CHECKING:
    from backfill_cli.core.shapes import Shape
    from backfill_cli.loader.resolve import Resolved


class Me(NamedTuple):
    """This process as an owner."""

    owner: str
    pid: int
    host: str


def store_plan(ctx: AppContext, prepared: Prepared, result: PlanResult, store: Store) -> tuple[str, str]:
    """Store a plan as a `planned` backfill, in place of an earlier plan of the same; returns its id and the head."""

    def work(writer: Writer) -> tuple[str, str]:
        seal = PlanSeal(writer)
        row, replaced = _add(ctx, prepared, result, writer, seal)
        head = record(
            ctx,
            writer,
            "plan",
            row.backfill_id,
            outcome="planned",
            reason=prepared.options.reason,
            details=_details(prepared, row, replaced),
            proof=seal.details(row.backfill_id),
        )
        return row.backfill_id, head

    return store.write(work)


def claim_new(
    ctx: AppContext, prepared: Prepared, result: PlanResult, me: Me, store: Store, orphans: Orphans
) -> BackfillRow:
    """Store a new backfill and take its dates.

    Raises:
        Overtaken: A backfill of the same request has been interrupted since it was looked for.
        ConflictError: A living process holds some of them, or a dead one's orphans still run.
    """

    def work(writer: Writer) -> BackfillRow:
        _refuse_twin(writer, prepared)
        fresh = _with_liveness(prepared, writer)
        refuse_overlap(writer, fresh.dag.dag_id, fresh.rows(_past(fresh, writer)))
        row, replaced = _add(ctx, fresh, result, writer)
        take(ctx, writer, row, me)
        record(
            ctx,
            writer,
            command_of(prepared.options),
            row.backfill_id,
            outcome="started",
            reason=prepared.options.reason,
            details=_details(fresh, row, replaced),
        )
        return _again(writer, row.backfill_id)

    return write_recovered(ctx, store, orphans, work)


def claim_stored(
    ctx: AppContext,
    target: Resolved,
    row: BackfillRow,
    options: BackfillOptions,
    me: Me,
    store: Store,
    orphans: Orphans,
    *,
    shape: Shape | None = None,
) -> BackfillRow:
    """Take the rest of a backfill that is in the store: a plan, or one that was interrupted.

    Args:
        shape: Its waves, from now on.

    Raises:
        ConflictError: A living process works on it, or holds some of its dates, or a dead one's orphans still run.
    """

    def work(writer: Writer) -> BackfillRow:
        now = _again(writer, row.backfill_id)
        if now.owner is not None:
            raise conflict(writer, now, now.first or 0, now.last or 0)
        if now.first is not None and now.last is not None:
            if options.on_conflict == "skip":
                now = _leave_to_others(writer, now, now.first, now.last)
            refuse_overlap(writer, now.dag_id, _pending(writer, now.backfill_id), besides=now.backfill_id)
        register(ctx, target, writer)
        take(ctx, writer, now, me)
        _note_done_elsewhere(writer, Claim(me.owner, now.backfill_id, now.dag_id, target.dag.version), now)
        request = {**now.request, "shape": None if shape is None else shape.data()}
        # What was left blocked or interrupted is to do again.
        changes = {"ended_at": None, "reason": None, "blocked": 0, "interrupted": 0, "request": request}
        writer.set_backfill(now.backfill_id, version=target.dag.version, **changes)
        record(
            ctx,
            writer,
            command_of(options),
            now.backfill_id,
            outcome="started" if now.state is BackfillState.PLANNED else "resumed",
            reason=options.reason,
            details={
                "dag_id": now.dag_id,
                "dag_version": target.dag.version,
                "range": [iso(now.first), iso(now.last)],
                "remaining": now.remaining,
                **shape_details(shape),
            },
        )
        return _again(writer, now.backfill_id)

    return write_recovered(ctx, store, orphans, work)


def _note_done_elsewhere(writer: Writer, claim: Claim, row: BackfillRow) -> None:
    """Note the outcome of dates that another backfill finished since this one was stopped; they do not run again."""
    outcomes = []
    for one in list(_pending(writer, row.backfill_id)):
        run = writer.run(row.dag_id, one.logical_date) if one.action in (Action.CREATE, Action.RESUME) else None
        if run is not None and run.state.is_terminal:
            outcomes.append(OutcomeRow(one.logical_date, run.state))
    if outcomes:
        good = sum(1 for one in outcomes if one.outcome is RunState.SUCCESS)
        counts = Counts(row.completed + good, row.failed + len(outcomes) - good)
        writer.save(claim, Batch(outcomes=outcomes, counts=counts))


def _leave_to_others(writer: Writer, row: BackfillRow, first: int, last: int) -> BackfillRow:
    """Leave the dates of a stored backfill that living processes have to do to them; returns its row."""
    held = held_by_others(writer, row.dag_id, first, last, besides=row.backfill_id)
    by_other: dict[str, list[int]] = {}
    for date, other in held.items():
        by_other.setdefault(other, []).append(date)
    for other, dates in by_other.items():
        take_out(writer, _again(writer, row.backfill_id), dates, left_to(other))
    return _again(writer, row.backfill_id)


def _add(
    ctx: AppContext, prepared: Prepared, result: PlanResult, writer: Writer, seal: PlanSeal | None = None
) -> tuple[BackfillRow, list[str]]:
    """Store a new backfill with its dates, in place of plans of the same; returns its row and their ids."""
    row = _new_row(ctx, prepared, result, writer)
    plans = writer.backfills(dag_id=row.dag_id, identity=row.identity, states=[BackfillState.PLANNED], limit=1_000)
    for old in plans:
        writer.drop_backfill(old.backfill_id)
    register(ctx, prepared.target, writer)
    planned: Counter[str] = Counter()

    def counted() -> Iterator[PlanRow]:
        # Neighbours mostly share their action: a look-up a stretch of them, and not a date.
        action, dates = Action.CREATE, 0
        for one in prepared.rows(_past(prepared, writer)):
            if one.action is not action:
                planned[action.value] += dates
                action, dates = one.action, 0
            dates += 1
            yield one
        planned[action.value] += dates

    rows = counted()
    writer.add_backfill(row, rows if seal is None else seal.over(rows, backwards=prepared.selection.backwards))
    # Counted here: since the plan was shown, another process may have done some of its dates.
    writer.set_backfill(row.backfill_id, planned=dict(+planned))
    return _again(writer, row.backfill_id), [old.backfill_id for old in plans]


def _refuse_twin(writer: Writer, prepared: Prepared) -> None:
    """Refuse a second backfill beside the interrupted one of the same request, which is to go on instead.

    Whoever looks before the transaction may still see its process alive; behind the recovery it is seen dead.
    """
    stopped = [BackfillState.INTERRUPTED]
    if writer.backfills(dag_id=prepared.dag.dag_id, identity=prepared.identity, states=stopped, limit=1):
        raise Overtaken


def _with_liveness(prepared: Prepared, writer: Writer) -> Prepared:
    """The same request with who is alive, and has which dates, asked inside the transaction, behind the recovery."""
    from dataclasses import replace

    held, selection = prepared.policy.held, prepared.selection
    if prepared.options.on_conflict == "skip":
        held = held_by_others(writer, prepared.dag.dag_id, selection.first, selection.last)
    return replace(prepared, policy=replace(prepared.policy, is_live=liveness(writer), held=held))


def _past(prepared: Prepared, writer: Writer) -> Any:
    selection = prepared.selection
    return writer.runs(prepared.dag.dag_id, selection.first, selection.last, backwards=selection.backwards)


def _pending(writer: Writer, backfill_id: str) -> Iterable[PlanRow]:
    after: int | None = None
    while page := writer.pending(backfill_id, after=after, limit=5_000):
        yield from page
        after = page[-1].logical_date


def take(ctx: AppContext, writer: Writer, row: BackfillRow, me: Me) -> None:
    now = ctx.clock.now_us()
    writer.add_owner(me.owner, pid=me.pid, host=me.host, at=now)
    if not writer.take_backfill(row.backfill_id, me.owner):
        raise conflict(writer, _again(writer, row.backfill_id), row.first or 0, row.last or 0)
    changes: dict[str, Any] = {"state": BackfillState.RUNNING}
    if row.started_at is None:
        changes["started_at"] = now
    writer.set_backfill(row.backfill_id, **changes)


def _again(writer: Writer, backfill_id: str) -> BackfillRow:
    row = writer.backfill(backfill_id)
    assert row is not None, backfill_id
    return row


def refuse_moved(plan: PlanResult, stored: BackfillRow) -> None:
    """Refuse to run a stored plan when what it would do is no longer what it said."""
    moved = what_moved(plan, stored)
    if moved is not None:
        raise RefusedError(
            f"plan {stored.backfill_id} has moved: {moved}",
            hint=f"look again and store it anew: {plan.next_command.replace('bfill run', 'bfill plan', 1)}",
            code="plan-moved",
        )


def what_moved(plan: PlanResult, stored: BackfillRow) -> str | None:
    """Return in words how a plan differs from the stored one; None when it says the same."""
    if stored.version != plan.dag.version:
        return f"the DAG changed: version {stored.version[:7]} then, {plan.dag.version[:7]} now"
    said = {Action(action): count for action, count in stored.planned.items() if count}
    now = {action: count for action, count in plan.counts.items() if count}
    return None if said == now else f"it said {_counts(said)}; now it would be {_counts(now)}"


def _counts(counts: Mapping[Action, int]) -> str:
    return ", ".join(f"{count} {action}" for action, count in counts.items()) or "nothing"


def register(ctx: AppContext, target: Resolved, writer: Writer) -> None:
    dag = target.dag
    writer.register_dag(
        dag.dag_id,
        version=dag.version,
        tasks={task_id: task.digest for task_id, task in dag.tasks.items()},
        path=dag.path,
        definition=target.definition,
        at=ctx.clock.now_us(),
    )


def _new_row(ctx: AppContext, prepared: Prepared, result: PlanResult, writer: Writer) -> BackfillRow:
    now = ctx.clock.now_us()
    backfill_id = new_backfill_id(now)
    while writer.backfill(backfill_id) is not None:
        backfill_id = new_backfill_id(now)
    return BackfillRow(
        backfill_id=backfill_id,
        dag_id=prepared.dag.dag_id,
        state=BackfillState.PLANNED,
        version=prepared.dag.version,
        identity=prepared.identity,
        request=request_of(prepared),
        created_at=now,
        first=result.first,
        last=result.last,
        planned={},
        parent_id=prepared.parent_id,
    )


def request_of(prepared: Prepared) -> dict[str, Any]:
    """Return what was asked, as JSON-able values from which `run ID` goes on."""
    options, selection = prepared.options, prepared.selection
    return {
        "target": prepared.target.ref.target,
        "schedule": prepared.dag.schedule.describe(),
        "timezone": prepared.dag.timezone,
        "first": selection.first,
        "last": selection.last,
        "dates": None if selection.dates is None else list(selection.dates),
        "limit": selection.limit,
        "tasks": list(options.tasks),
        "parallel": options.max_parallel_runs,
        "reprocess": sorted(options.reprocess),
        "reset_dag_run": options.reset_dag_run,
        "rerun_failed": options.rerun_failed,
        "whole_run": options.whole_run,
        "run_backwards": options.run_backwards,
        "ignore_first_depends_on_past": options.ignore_first_depends_on_past,
        "strict_templates": options.strict_templates,
        "conf": None if options.conf is None else dict(options.conf),
        "shape": None if prepared.shape is None else prepared.shape.data(),
        "between": list(options.between),
    }


def shape_details(shape: Shape | None) -> dict[str, Any]:
    """Return what an entry says of the waves of a run: what was asked for, without the sizes that follow from it."""
    if shape is None:
        return {}
    said = {"chunk": shape.chunk, "chunk_failures": shape.failures if shape.chunk else None, "pilot": shape.pilot}
    return {name: value for name, value in {**said, "ramp": shape.ramp}.items() if value}


def _details(prepared: Prepared, row: BackfillRow, replaced: list[str]) -> dict[str, Any]:
    return {
        "dag_id": row.dag_id,
        "dag_version": row.version,
        "range": [iso(row.first), iso(row.last)],
        "counts": dict(row.planned),
        "parallel": prepared.options.max_parallel_runs,
        "parent_id": row.parent_id,
        **({"replaces": replaced} if replaced else {}),
        **shape_details(prepared.shape),
        **conf_details(prepared.options.conf),
    }
