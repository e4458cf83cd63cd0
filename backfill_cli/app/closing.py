"""Closing a backfill: its state, its counters, its last audit entry, and what all of it comes to.

Owns the final transaction, in which every open dag_run is given back and the process ceases to be an owner, and the
way from rows to a `BackfillResult`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backfill_cli.app.attesting import attest_backfill
from backfill_cli.app.context import AppContext
from backfill_cli.app.outcomes import (
    date_result,
    failure_groups,
    is_left_failed,
    is_repaired,
    leaves_failures,
    repaired_dates,
)
from backfill_cli.app.past import WOULD_BLOCK
from backfill_cli.app.recovering import answer_the_rest, ended_because, give_back
from backfill_cli.app.reexecuting import listing, reexecuted
from backfill_cli.app.trail import command_of, record
from backfill_cli.core.leaving import is_left_out
from backfill_cli.core.machine import BackfillMachine
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.ports import Reader, Store, Writer
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import BackfillRow
from backfill_cli.core.results import BackfillResult, DateResult, FailureGroup, Reexecuted
from backfill_cli.core.states import BackfillState, RunState
from backfill_cli.errors import ConflictError

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.engine.ending import Stopped


def close_backfill(
    ctx: AppContext,
    machine: BackfillMachine,
    options: BackfillOptions,
    row: BackfillRow,
    owner: str,
    stopped: Stopped | None,
    store: Store,
) -> tuple[BackfillRow, str]:
    """Write how the backfill ended and give everything back; returns its row and the audit head.

    Raises:
        ConflictError: Somebody else has it by now (`claim-lost`); nothing was written.
    """
    interrupted = sum(run.dates for run in machine.runs.values())
    why = stopped.reason if stopped else "the run ended"

    def work(writer: Writer) -> tuple[BackfillRow, str]:
        now = writer.backfill(row.backfill_id)
        if now is None or now.owner != owner:
            raise ConflictError(
                f"backfill {row.backfill_id} no longer belongs to this process",
                hint=f"another command took it over; see: bfill status {row.backfill_id}",
                code="claim-lost",
            )
        # In-flight tries that never reported are lost; open dag_runs go back to `queued`, nobody's.
        held = list(writer.runs_owned_by(owner))
        given_up = give_back(ctx, writer, held, why=why, counts_as_loss=False)
        state = _final_state(now, machine, stopped, writer)
        writer.set_backfill(
            row.backfill_id,
            state=state,
            owner=None,
            ended_at=max(ctx.clock.now_us(), row.started_at or 0),  # begun by an earlier command, by another clock
            blocked=machine.blocked,
            interrupted=interrupted,
            reason=ended_because(now, why) if stopped else None,
        )
        answer_the_rest(ctx, writer, row.backfill_id, str(state))
        head = record(
            ctx,
            writer,
            command_of(options),
            row.backfill_id,
            outcome=str(state),
            reason=options.reason,
            details={
                "dag_id": row.dag_id,
                "completed": now.completed,
                "failed": now.failed,
                "blocked": machine.blocked,
                "skipped": now.skipped,
                "remaining": now.remaining - machine.blocked,
                "reexecuted": listing(_reexecuted(writer, now)),
                "lost": listing(given_up),
            },
            proof=attest_backfill(writer, row.backfill_id),
        )
        writer.drop_owner(owner)
        closed = writer.backfill(row.backfill_id)
        assert closed is not None
        return closed, head

    return store.write(work)


def _final_state(now: BackfillRow, machine: BackfillMachine, stopped: Stopped | None, reader: Reader) -> BackfillState:
    left = now.remaining - machine.blocked
    if stopped is not None and left:
        return BackfillState.CANCELLED if stopped.is_cancelled else BackfillState.INTERRUPTED
    failed = now.failed - repaired_dates(reader, now)
    is_failed = bool(failed or machine.blocked or left) or leaves_failures(reader, now)
    return BackfillState.FAILED if is_failed else BackfillState.SUCCESS


def _reexecuted(reader: Reader, row: BackfillRow) -> tuple[Reexecuted, ...]:
    return reexecuted(reader, row.dag_id, row.first, row.last, backfill_id=row.backfill_id)


def result_of(
    ctx: AppContext,
    dag: Dag,
    row: BackfillRow,
    stopped: Stopped | None,
    head: str,
    problems: tuple[Problem, ...],
    store: Store,
) -> BackfillResult:
    """Fold the rows of a backfill into its result."""

    def read(
        reader: Reader,
    ) -> tuple[list[DateResult], int, int, tuple[FailureGroup, ...], tuple[Reexecuted, ...]]:
        results, left_failed, repaired = [], 0, 0
        for one in reader.backfill_dates(row.backfill_id):
            told = date_result(one, row)
            if is_repaired(one):
                told = replace(told, state=RunState.SUCCESS, reason="failed here, repaired since")
                repaired += 1
            results.append(told)
            left_failed += is_left_failed(one)
        failures = failure_groups(reader, dag.dag_id, row.first, row.last, results, began_at=row.started_at)
        return results, left_failed, repaired, failures, _reexecuted(reader, row)

    results, left_failed, repaired, failures, again = store.read(read)
    result = BackfillResult(
        backfill_id=row.backfill_id,
        parent_id=row.parent_id,
        dag_id=row.dag_id,
        state=row.state,
        total_dates=row.total,
        completed=row.completed,
        failed=row.failed,
        blocked=row.blocked,
        skipped=row.skipped,
        remaining=row.remaining,
        interrupted=row.interrupted,
        started_at=row.started_at,
        ended_at=row.ended_at,
        results=results,
        audit_head=head,
        left_failed=left_failed,
        repaired=repaired,
        failures=failures,
        reexecuted=again,
        problems=problems,
        stopped_by=stopped.signal if stopped else None,
        reason=row.reason,
        timezone=dag.timezone,
    )
    return replace(result, next_command=_next(result))


def _next(result: BackfillResult) -> str:
    if (result.backfill_id or "").startswith("sc-") and result.remaining:
        return "bfill scheduler --once"
    if result.remaining:
        return f"bfill run {result.backfill_id}"
    if result.blocked and not result.failed and not result.left_failed:
        # What they wait for is none of these dates, so to run these again would be of no use.
        for problem in result.problems:
            if problem.code == WOULD_BLOCK:
                return problem.hint.partition(": ")[2]
    # rerun-failed does not bring back what somebody took out.
    skipped_failed = sum(one.left_alone and one.state == "failed" and is_left_out(one.reason) for one in result.results)
    if result.failed > result.repaired or result.blocked or result.left_failed > skipped_failed:
        return f"bfill rerun-failed {result.backfill_id}"
    return ""
