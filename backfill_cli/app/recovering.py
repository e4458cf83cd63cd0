"""What dead processes left in the store: found out, given back, and put on record, before anything else is written.

Owns the effect; what a lost try becomes is `core/recovery.py`. Whether an owner is dead the kernel says, by a lock that
only a living process holds.
"""

from __future__ import annotations

from collections import defaultdict

from backfill_cli.app.attesting import attest_backfill
from backfill_cli.app.context import AppContext
from backfill_cli.app.trail import record
from backfill_cli.core.instants import iso
from backfill_cli.core.ports import Writer
from backfill_cli.core.records import OwnerRow, RunRow
from backfill_cli.core.recovery import Recovered, recover_run
from backfill_cli.core.results import Reexecuted
from backfill_cli.core.states import BackfillState


def recover_dead_owners(ctx: AppContext, writer: Writer) -> list[Reexecuted]:
    """Give back what every dead owner held; returns the tries that were lost."""
    lost: list[Reexecuted] = []
    for owner in writer.owners():
        if not owner.is_alive:
            lost += _recover(ctx, writer, owner)
    return lost


def _recover(ctx: AppContext, writer: Writer, owner: OwnerRow) -> list[Reexecuted]:
    why = f"the process (pid {owner.pid}) vanished"
    lost = give_back(ctx, writer, list(writer.runs_owned_by(owner.owner)), why=why, counts_as_loss=True)
    for row in writer.backfills(states=[BackfillState.RUNNING, BackfillState.PAUSED], limit=1_000_000):
        if row.owner == owner.owner:
            writer.set_backfill(
                row.backfill_id, state=BackfillState.INTERRUPTED, owner=None, ended_at=ctx.clock.now_us(), reason=why
            )
            record(
                ctx,
                writer,
                "recover",
                row.backfill_id,
                outcome="interrupted",
                details={
                    "dag_id": row.dag_id,
                    "lost_pid": owner.pid,
                    "lost": [f"{iso(one.logical_date)} {one.task_id} try {one.lost_try}" for one in lost],
                },
                proof=attest_backfill(writer, row.backfill_id),
            )
    writer.drop_owner(owner.owner)
    return lost


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
