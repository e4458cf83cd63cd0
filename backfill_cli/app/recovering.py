"""What dead processes left: found out, given back, and put on record, before anything else is written.

Owns the effect; what a lost try becomes is `core/recovery.py`. Whether an owner is dead the kernel says, by a lock that
only a living process holds. While anything it started still runs nothing is given back: `app/orphans.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from backfill_cli.app.attesting import attest_backfill
from backfill_cli.app.context import AppContext
from backfill_cli.app.orphans import Orphans, OrphansLeft, concerned
from backfill_cli.app.reexecuting import listing
from backfill_cli.app.trail import record
from backfill_cli.core.instants import run_id
from backfill_cli.core.ports import Store, Writer
from backfill_cli.core.records import BackfillRow, OwnerRow, RunRow
from backfill_cli.core.recovery import Recovered, recover_run
from backfill_cli.core.results import Reexecuted
from backfill_cli.core.states import GOING, IN_FLIGHT, BackfillState
from backfill_cli.errors import StoreError
from backfill_cli.interrupts import Interrupted

T = TypeVar("T")


def write_recovered(ctx: AppContext, store: Store, orphans: Orphans, work: Callable[[Writer], T]) -> T:
    """Run `work` in one transaction, behind the recovery of every dead owner.

    Where an owner's processes still run the transaction is undone, they are dealt with, and it begins anew: whoever
    vanishes in between is seen then.

    Raises:
        ConflictError: A process that a dead owner left running must not or cannot be ended.
    """
    while True:
        recovered: list[str] = []

        def behind_recovery(writer: Writer, recovered: list[str] = recovered) -> T:
            recovered[:] = _recover_dead_owners(ctx, store, writer, orphans)
            return work(writer)

        try:
            result = store.write(behind_recovery)
        except OrphansLeft as left:
            orphans.settle(store, left)
            continue
        for owner in recovered:
            store.forget_owner(owner)
        return result


def _recover_dead_owners(ctx: AppContext, store: Store, writer: Writer, orphans: Orphans) -> list[str]:
    """Give back what every dead owner held, and return their ids. Raises OrphansLeft."""
    dead = [owner for owner in writer.owners() if not owner.is_alive]
    for owner in dead:
        held = list(writer.runs_owned_by(owner.owner))
        _refuse_orphans(store, writer, owner, held, orphans)
        _recover(ctx, writer, owner, held, orphans)
    return [owner.owner for owner in dead]


def _refuse_orphans(
    store: Store, writer: Writer, owner: OwnerRow, held: list[tuple[str, RunRow]], orphans: Orphans
) -> None:
    family = orphans.family(store, owner.owner)
    if not family:
        return
    from backfill_cli.engine.orphans import Try

    in_flight = frozenset(
        Try(run.backfill_id or "", dag_id, run_id(run.run_type, run.logical_date), one.task_id, one.try_number)
        for dag_id, run in held
        for one in writer.instances(dag_id, run.logical_date, run.logical_date)
        if one.state in IN_FLIGHT
    )
    backfills = frozenset(run.backfill_id for _, run in held if run.backfill_id)
    left = OrphansLeft(owner, backfills, in_flight)
    if concerned(family, left):
        raise left


def _recover(
    ctx: AppContext, writer: Writer, owner: OwnerRow, held: list[tuple[str, RunRow]], orphans: Orphans
) -> None:
    why = f"the process (pid {owner.pid}) vanished"
    lost = give_back(ctx, writer, held, why=why, counts_as_loss=True)
    details: dict[str, Any] = {"lost_pid": owner.pid, "lost": listing(lost)}
    if ended := orphans.done.get(owner.owner):
        details["orphans"] = ended
    _interrupt(ctx, writer, owner.owner, why, details)


def abandon(ctx: AppContext, store: Store, owner: str, error: BaseException) -> None:
    """Give back what this process holds, because its run broke off; nothing happens when it holds nothing.

    What it has started has ended before. When the store cannot be written the next command does this, as after a kill.
    """
    if isinstance(error, StoreError) and error.code in ("store-locked", "store-gone"):
        return  # waited for long enough, or somebody else's by now
    if isinstance(error, Interrupted):
        why = f"stopped by signal {error.number}"
    else:
        why = f"broke off: {error or type(error).__name__}"

    def work(writer: Writer) -> None:
        held = list(writer.runs_owned_by(owner))
        lost = give_back(ctx, writer, held, why=why, counts_as_loss=False)
        _interrupt(ctx, writer, owner, why, {"lost": listing(lost)})

    with suppress(StoreError):
        if store.read(lambda reader: reader.owner(owner)) is not None:
            store.write(work)


def _interrupt(ctx: AppContext, writer: Writer, owner: str, why: str, details: Mapping[str, Any]) -> None:
    """Take an owner's backfills from it, and the owner from the store."""
    for row in writer.backfills(states=GOING, limit=1_000_000):
        if row.owner == owner:
            ended_at = max(ctx.clock.now_us(), row.started_at or 0)  # the clock may have been set back since
            reason = ended_because(row, why)
            writer.set_backfill(
                row.backfill_id, state=BackfillState.INTERRUPTED, owner=None, ended_at=ended_at, reason=reason
            )
            answer_the_rest(ctx, writer, row.backfill_id, why)
            told = {"dag_id": row.dag_id, "reason": reason, **details}
            proof = attest_backfill(writer, row.backfill_id)
            record(ctx, writer, "recover", row.backfill_id, outcome="interrupted", details=told, proof=proof)
    writer.drop_owner(owner)


def ended_because(row: BackfillRow, why: str) -> str:
    """Return why a backfill ended early: one that was paused says so, and by whom."""
    return f"{why}, while {row.reason}" if row.state is BackfillState.PAUSED and row.reason else why


def answer_the_rest(ctx: AppContext, writer: Writer, backfill_id: str, why: str) -> None:
    """Answer the requests that nobody will answer any more, because the backfill is at rest now."""
    for request in writer.controls().waiting(backfill_id):
        writer.controls().answer(request.number, at=ctx.clock.now_us(), is_done=False, text=f"it ended first: {why}")


def give_back(
    ctx: AppContext, writer: Writer, runs: list[tuple[str, RunRow]], *, why: str, counts_as_loss: bool
) -> list[Reexecuted]:
    """Release dag_runs, and record what was in flight in them as lost; returns the lost tries."""
    now = ctx.clock.now_us()
    by_dag: dict[str, list[Recovered]] = defaultdict(list)
    for dag_id, run in runs:
        rows = list(writer.instances(dag_id, run.logical_date, run.logical_date))
        by_dag[dag_id].append(recover_run(run, rows, now, why=why, counts_as_loss=counts_as_loss))
    lost = []
    for dag_id, recovered in by_dag.items():
        writer.add_attempts(dag_id, [attempt for one in recovered for attempt in one.attempts])
        writer.set_instances(dag_id, [row for one in recovered for row in one.instances])
        writer.set_runs(dag_id, [one.run for one in recovered])
        lost += [
            Reexecuted(attempt.logical_date, attempt.task_id, attempt.try_number)
            for one in recovered
            for attempt in one.attempts
        ]
    return lost
