"""`pause`, `resume`, `cancel`, `set`, `skip`: asked from another terminal than the one the backfill runs in.

Owns the asker's side: who runs the backfill, the request in the store, and the wait for its answer. A request that is
not answered in time is withdrawn, so that what a person was told was not done does not happen later. Without a living
process there is nobody to ask, and what can be done at rest is done here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backfill_cli.app.actor import host_name, origin, user_name
from backfill_cli.app.at_rest import refuse_at_rest, steer_at_rest
from backfill_cli.app.lookup import find_backfill, find_steered, is_alive, live_owner
from backfill_cli.core.auditing import head_text
from backfill_cli.core.masking import SECRETS
from backfill_cli.core.records import Control, ControlRow
from backfill_cli.core.states import BackfillState
from backfill_cli.core.steering import SteeringResult, refused_hint
from backfill_cli.errors import ConflictError, RefusedError

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.ports import Reader, Store, Writer
    from backfill_cli.core.records import BackfillRow, OwnerRow

PATIENCE_S = 5.0
"""Seconds to wait for an answer: ten times what a process needs that is neither stopped nor choked."""

LOOK_EVERY_S = 0.03


def steer(
    ctx: AppContext, backfill_id: str, action: Control, args: Mapping[str, Any], *, reason: str | None
) -> SteeringResult:
    """Ask it of the process that runs the backfill, or do it here when none does.

    Raises:
        NotFoundError: No backfill of that id.
        UsageProblem: Of the DAG of that id several run.
        RefusedError: It cannot be done; the message says why.
        ConflictError: The process did not answer in time (`no-answer`); nothing was changed.
    """
    began = time.monotonic()
    with ctx.store(write=False) as store:  # a slip of the finger makes no store, and leaves one as it is
        row = find_steered(store, backfill_id)
        if not is_alive(store, row):
            refuse_at_rest(row, action)
    with ctx.store(write=True) as store:
        asked = _ask(ctx, store, row.backfill_id, action, args, reason)
        if asked is None:
            return steer_at_rest(ctx, store, row, action, args, reason)
        number, owner = asked
        request = _answer_of(ctx, store, number, owner)
        if request is None:
            return steer_at_rest(ctx, store, find_backfill(store, row.backfill_id), action, args, reason)
        return _result(store, request, owner, time.monotonic() - began)


def _ask(
    ctx: AppContext, store: Store, backfill_id: str, action: Control, args: Mapping[str, Any], reason: str | None
) -> tuple[int, OwnerRow] | None:
    """Leave the request, and return its number and who is to answer it; None when nobody would."""

    def work(writer: Writer) -> tuple[int, OwnerRow] | None:
        row = writer.backfill(backfill_id)
        owner = None if row is None else live_owner(writer, row)
        if owner is None:
            return None
        number = writer.controls().ask(
            backfill_id,
            action,
            args,
            reason=None if reason is None else SECRETS.text(reason),
            actor=user_name(ctx.environ),
            host=host_name(),
            origin=SECRETS.value(origin(ctx.environ, ctx.command)),
            at=ctx.clock.now_us(),
        )
        return number, owner

    return store.write(work)


def _answer_of(ctx: AppContext, store: Store, number: int, owner: OwnerRow) -> ControlRow | None:
    """Wait for the answer; None when the process ended or died over it, and nothing was done.

    Raises:
        RefusedError: The answer is no.
        ConflictError: There is none.
    """
    until = time.monotonic() + PATIENCE_S
    try:
        while True:
            request, is_run = store.read(lambda reader: _look(reader, number))
            if request.is_done:
                return request
            if not is_run:
                _withdraw(ctx, store, number, "the process that ran the backfill is gone")
                return None
            if request.is_done is False:
                raise RefusedError(
                    f"{request.backfill_id}: {request.answer}",
                    hint=refused_hint(request.backfill_id, request.action),
                    code="steering-refused",
                )
            if time.monotonic() > until:
                break
            time.sleep(LOOK_EVERY_S)
    except BaseException:
        _withdraw(ctx, store, number, "the asker left")
        raise
    if _withdraw(ctx, store, number, "no answer in time"):
        raise ConflictError(
            f"pid {owner.pid} on {owner.host}, which runs {request.backfill_id}, has not answered for "
            f"{PATIENCE_S:g} s; nothing was changed",
            hint=f"is it stopped, or its machine overloaded? go on: kill -CONT {owner.pid}; then ask again",
            code="no-answer",
        )
    return _answer_of(ctx, store, number, owner)  # answered at the very last moment


def _look(reader: Reader, number: int) -> tuple[ControlRow, bool]:
    """Return a request, and whether a living process works on its backfill."""
    request = reader.controls().request(number)
    row = None if request is None else reader.backfill(request.backfill_id)
    assert request is not None and row is not None
    return request, live_owner(reader, row) is not None


def _withdraw(ctx: AppContext, store: Store, number: int, why: str) -> bool:
    """Take a request back; False: it has been answered."""
    return store.write(
        lambda writer: writer.controls().answer(number, at=ctx.clock.now_us(), is_done=False, text=f"withdrawn: {why}")
    )


def _result(store: Store, request: ControlRow, owner: OwnerRow | None, waited_s: float) -> SteeringResult:
    def read(reader: Reader) -> tuple[BackfillRow | None, str]:
        return reader.backfill(request.backfill_id), head_text(reader.audit_head())

    row, head = store.read(read)
    assert row is not None and request.answered_at is not None
    # One that was cancelled may say that it is paused until its process has seen to the rest: it goes on no more.
    is_paused = row.state is BackfillState.PAUSED and request.action is not Control.CANCEL
    return SteeringResult(
        backfill_id=row.backfill_id,
        dag_id=row.dag_id,
        action=request.action,
        answer=request.answer or "",
        state=row.state,
        actor=request.actor,
        reason=request.reason,
        pid=owner.pid if owner else None,
        host=owner.host if owner else None,
        answered_at=request.answered_at,
        waited_s=waited_s,
        parallel=int(row.request["parallel"]),
        remaining=row.remaining,
        skipped=row.skipped,
        dates=tuple(request.args.get("dates", ())),
        audit_head=head,
        next_command=f"bfill resume {row.backfill_id}" if is_paused else "",
    )
