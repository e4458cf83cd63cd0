"""`cancel`, `set` and `skip` of a backfill that nobody runs: a plan, or one that was interrupted.

Owns the change of a backfill at rest: behind the recovery of whoever died in it, in one transaction with its audit
entry, and attested anew. What cannot be done without a process is refused with what to type instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from backfill_cli.app.actor import user_name
from backfill_cli.app.attesting import attest_backfill
from backfill_cli.app.leaving import LeftOut, leave_out
from backfill_cli.app.orphans import Orphans
from backfill_cli.app.recovering import write_recovered
from backfill_cli.app.trail import record
from backfill_cli.core.masking import SECRETS
from backfill_cli.core.records import Control
from backfill_cli.core.states import BackfillState
from backfill_cli.core.steering import Answer, SteeringResult, by_whom, refused_hint
from backfill_cli.errors import ConflictError, RefusedError

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.ports import Store, Writer
    from backfill_cli.core.records import BackfillRow


def steer_at_rest(
    ctx: AppContext, store: Store, row: BackfillRow, action: Control, args: Mapping[str, Any], reason: str | None
) -> SteeringResult:
    """Change a backfill that no living process works on.

    Raises:
        RefusedError: It has ended, or this takes a process (`not-running`); `interrupted` for one to resume; dates that
            are done cannot be left out (`steering-refused`).
        ConflictError: A process has taken it meanwhile.
    """
    actor = user_name(ctx.environ)
    orphans = Orphans(tell=ctx.tell)
    refuse_at_rest(row, action)

    def work(writer: Writer) -> SteeringResult:
        now = ctx.clock.now_us()
        stored = writer.backfill(row.backfill_id)
        if stored is None or stored.state.is_terminal:
            _refuse(stored or row, action)
        if stored.owner is not None:
            raise ConflictError(
                f"{row.backfill_id} was taken up by another process just now",
                hint=f"ask again: bfill status {row.backfill_id}",
                code="dates-held",
            )
        done = _change(writer, stored, action, args, by_whom(actor, reason and SECRETS.text(reason)), now)
        changed = writer.backfill(row.backfill_id)
        assert changed is not None
        head = record(
            ctx,
            writer,
            action,
            row.backfill_id,
            outcome=done.answer.outcome,
            reason=reason,
            details={"dag_id": row.dag_id, **args, "answer": done.answer.text, "live": False},
            proof=attest_backfill(writer, row.backfill_id, without=done.removed),
        )
        return SteeringResult(
            backfill_id=row.backfill_id,
            dag_id=row.dag_id,
            action=action,
            answer=done.answer.text,
            state=changed.state,
            actor=actor,
            reason=reason,
            pid=None,
            host=None,
            answered_at=now,
            waited_s=0.0,
            parallel=int(changed.request["parallel"]),
            remaining=changed.remaining,
            audit_head=head,
            skipped=changed.skipped,
            dates=tuple(args.get("dates", ())),
            next_command="" if action is Control.CANCEL else f"bfill run {row.backfill_id}",
        )

    result = write_recovered(ctx, store, orphans, work)
    return result if not orphans.problems else result.with_problems(orphans.problems)


def _change(writer: Writer, row: BackfillRow, action: Control, args: Mapping[str, Any], by: str, now: int) -> LeftOut:
    """Do it, and return what is so now. Raises RefusedError when it cannot be done."""
    if action is Control.SKIP:
        done = leave_out(writer, row, args, by, None)
        if not done.answer.is_done:
            raise RefusedError(
                f"{row.backfill_id}: {done.answer.text}",
                hint=refused_hint(row.backfill_id, action),
                code="steering-refused",
            )
        return done
    if action is Control.CANCEL:
        why = f"cancelled by {by}"
        writer.set_backfill(row.backfill_id, state=BackfillState.CANCELLED, ended_at=now, reason=why)
        dates = row.remaining + row.blocked
        left = "1 date is left as it is" if dates == 1 else f"{dates:,} dates are left as they are"
        return LeftOut(Answer(True, f"cancelled; {left}"))
    if row.request["parallel"] == args["parallel"]:
        return LeftOut(Answer(True, f"parallel is {args['parallel']} already", changed=False))
    writer.set_backfill(row.backfill_id, request={**row.request, "parallel": args["parallel"]})
    return LeftOut(Answer(True, f"parallel is {args['parallel']} from its next run on"))


def refuse_at_rest(row: BackfillRow, action: Control) -> None:
    """Raise RefusedError where a backfill that no living process works on has ended, or this takes a process."""
    if row.state.is_terminal or action in (Control.PAUSE, Control.RESUME):
        _refuse(row, action)


def _refuse(row: BackfillRow, action: Control) -> NoReturn:
    state = row.state if row.state.is_terminal or row.state is BackfillState.PLANNED else BackfillState.INTERRUPTED
    if state.is_terminal:
        raise RefusedError(
            f"{row.backfill_id} has ended ({state}): there is nothing to {action}",
            hint=f"bfill status {row.backfill_id}",
            code="not-running",
        )
    raise RefusedError(
        f"{row.backfill_id} is {state}, and no process runs it: there is nothing to {action}",
        hint=f"bfill run {row.backfill_id}",
        code=str(state) if action is Control.RESUME else "not-running",
    )
