"""A shift: what the scheduler owes a DAG at a moment, created in one transaction and run as any backfill is.

Owns that transaction. What is owed is asked in it (`app/dues.py`), so that two schedulers on one store never create a
date twice. From there on it is a backfill like any other: claim, coordinator, machine and closing are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from backfill_cli.app.claiming import Me, register, request_of, take
from backfill_cli.app.context import AppContext
from backfill_cli.app.dues import Stretch, to_do
from backfill_cli.app.ids import new_backfill_id
from backfill_cli.app.jobs import Job
from backfill_cli.app.manner import check_executor
from backfill_cli.app.orphans import Orphans
from backfill_cli.app.plan import Prepared
from backfill_cli.app.recovering import write_recovered
from backfill_cli.app.run import run_as_owner
from backfill_cli.app.trail import record
from backfill_cli.core.halting import NO_HALT
from backfill_cli.core.instants import iso
from backfill_cli.core.listening import Listener
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.planning import Policy
from backfill_cli.core.ports import Store, Writer
from backfill_cli.core.ranges import Selection
from backfill_cli.core.records import SCHEDULED, Action, BackfillRow, Batch, Claim, PlanRow, RunRow, RunType
from backfill_cli.core.results import BackfillResult, Estimate, PlanResult
from backfill_cli.core.states import BackfillState, RunState

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.scheduling import ScheduleOptions
    from backfill_cli.loader.resolve import Resolved


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


def _claim(
    ctx: AppContext, prepared: Prepared, stretch: Stretch, me: Me, store: Store, orphans: Orphans
) -> BackfillRow:
    dag = prepared.dag

    def work(writer: Writer) -> BackfillRow:
        known = writer.dag(dag.dag_id)
        if known is not None and known.paused_at is not None:
            raise NothingDue
        rows = to_do(writer, dag, stretch)
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
