"""The desk of a running backfill: what people ask of it from other terminals is read, done and answered here.

Owns the side of live control that runs in the coordinator's process (`engine/polling.py` says when). A request is
decided, answered and put on record in one transaction; only when that is committed does the machine change, so what a
person was told is what happens. `app/steering.py` is the other side, `core/steering.py` has the words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from backfill_cli.app.attesting import attest_removal
from backfill_cli.app.leaving import leave_out
from backfill_cli.app.trail import Asker, record
from backfill_cli.core.records import Control, ControlRow
from backfill_cli.core.states import BackfillState
from backfill_cli.core.steering import Answer, Steered, by_whom, paused_reason
from backfill_cli.errors import ConflictError

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.ports import Store, Writer
    from backfill_cli.core.records import BackfillRow, Claim
    from backfill_cli.engine.coordinator import Coordinator

SOON_S = 0.02
"""Seconds until the next look, while a pause waits for tries that are about to begin."""

LONGEST_HOLD_S = 0.4
"""Seconds that it waits for them, at most: a try on another machine may be queued there for an hour."""


class Done(NamedTuple):
    """What a request comes to: the answer, and what changes in this process once it is committed.

    Args:
        proof: Digests for the audit entry.
        dates: Those that are left out from now on.
    """

    answer: Answer
    effect: Callable[[], None] = lambda: None
    proof: Mapping[str, Any] = {}
    dates: tuple[int, ...] = ()


class Desk:
    """A `Poller`: answers the requests to one backfill, in the order they were asked.

    Args:
        claim: In whose name this process works on the backfill.
    """

    def __init__(self, ctx: AppContext, store: Store, claim: Claim) -> None:
        self._ctx = ctx
        self._store = store
        self._claim = claim
        self._is_paused = False
        self._held_since: float | None = None

    def poll(self, run: Coordinator) -> float | None:
        """Answer what is asked; one look-up when nothing is."""
        asked = self._store.read(lambda reader: reader.controls().waiting(self._claim.backfill_id))
        for request in asked:
            if request.action is Control.PAUSE and self._waits_for_beginners(run):
                return SOON_S
            self._answer(run, request.number)
        if self._held_since is not None:  # it was paused before it was answered; perhaps nobody asks any more
            self._held_since = None
            run.machine.paused = self._is_paused
        return None

    def _waits_for_beginners(self, run: Coordinator) -> bool:
        """Whether a pause cannot be answered yet: a try that has been submitted might begin behind the answer."""
        now = self._ctx.clock.monotonic()
        if self._held_since is None:
            self._held_since = now
        run.machine.pause()
        return run.is_beginning and now - self._held_since < LONGEST_HOLD_S

    def _answer(self, run: Coordinator, number: int) -> None:
        now = self._ctx.clock.now_us()

        def work(writer: Writer) -> tuple[ControlRow, Done] | None:
            request = writer.controls().request(number)
            if request is None or request.answered_at is not None:
                return None  # withdrawn since it was read
            row = self._mine(writer)
            done = _HANDLERS[request.action](self, run, request, row, writer)
            writer.controls().answer(number, at=now, is_done=done.answer.is_done, text=done.answer.text)
            record(
                self._ctx,
                writer,
                request.action,
                row.backfill_id,
                outcome=done.answer.outcome,
                reason=request.reason,
                details={"dag_id": row.dag_id, **request.args, "answer": done.answer.text, "live": True},
                proof=done.proof,
                by=Asker(request.actor, request.host, request.origin),
            )
            return request, done

        settled = self._store.write(work)
        if settled is None:
            return
        request, done = settled
        done.effect()
        if done.answer.is_done and done.answer.changed:
            machine = run.machine
            run.announce(
                Steered(
                    request.action,
                    request.actor,
                    request.reason,
                    now,
                    done.answer.text,
                    machine.paused,
                    machine.limits.parallel,
                    machine.total,
                    done.dates,
                )
            )

    def _mine(self, writer: Writer) -> BackfillRow:
        row = writer.backfill(self._claim.backfill_id)
        if row is None or row.owner != self._claim.owner:
            raise ConflictError(
                f"backfill {self._claim.backfill_id} no longer belongs to this process",
                hint=f"another command took it over; see: bfill status {self._claim.backfill_id}",
                code="claim-lost",
            )
        return row

    # one request each

    def _pause(self, run: Coordinator, request: ControlRow, row: BackfillRow, writer: Writer) -> Done:
        if row.state is BackfillState.PAUSED:
            return Done(Answer(True, f"it is {row.reason or 'paused'} already", changed=False))
        if run.machine.stopping:
            return Done(Answer(False, "it is stopping: nothing new starts any more"))
        why = paused_reason(by_whom(request.actor, request.reason), self._ctx.clock.now_us())
        writer.set_backfill(row.backfill_id, state=BackfillState.PAUSED, reason=why)
        return Done(Answer(True, f"paused; {_running(run)}"), lambda: self._set_paused(run, True))

    def _resume(self, run: Coordinator, request: ControlRow, row: BackfillRow, writer: Writer) -> Done:
        if row.state is not BackfillState.PAUSED:
            return Done(Answer(True, "it is not paused, and runs", changed=False))
        if run.machine.stopping:
            return Done(Answer(False, "it is stopping: nothing new starts any more"))
        writer.set_backfill(row.backfill_id, state=BackfillState.RUNNING, reason=None)
        return Done(Answer(True, "it goes on"), lambda: self._set_paused(run, False))

    def _cancel(self, run: Coordinator, request: ControlRow, row: BackfillRow, writer: Writer) -> Done:
        drain = bool(request.args.get("drain"))
        if run.cancelled and drain:
            return Done(Answer(True, f"it is {run.cancelled} already", changed=False))
        why = f"cancelled by {by_whom(request.actor, request.reason)}"
        count = len(run.machine.flights)
        ends = _running(run) if drain or not count else f"{count:,} running {_tasks(count)} ended now"
        return Done(Answer(True, f"cancelled; {ends}"), lambda: run.cancel(why, drain=drain))

    def _set(self, run: Coordinator, request: ControlRow, row: BackfillRow, writer: Writer) -> Done:
        if run.cancelled:
            return Done(Answer(False, f"it is {run.cancelled}: nothing more of it is started"))
        asked, most = request.args.get("parallel"), run.machine.dag.max_active_runs
        if type(asked) is not int or asked < 1:  # from the store, where anybody may have written it
            return Done(Answer(False, f"parallel={asked!r} is no number of dates"))
        before, parallel = run.machine.limits.parallel, min(asked, most)
        if asked == row.request["parallel"] and parallel == before:
            return Done(Answer(True, f"parallel is {asked} already", changed=False))
        writer.set_backfill(row.backfill_id, request={**row.request, "parallel": asked})
        allowed = f"; {asked} was asked for, the DAG allows {most} (max_active_runs)" if asked > most else ""
        text = f"parallel is {parallel} from now on, it was {before}{allowed}"
        return Done(Answer(True, text), lambda: run.machine.set_parallel(parallel))

    def _skip(self, run: Coordinator, request: ControlRow, row: BackfillRow, writer: Writer) -> Done:
        if run.cancelled:
            return Done(Answer(False, f"it is {run.cancelled}: nothing more of it is started"))
        done = leave_out(writer, row, request.args, by_whom(request.actor, request.reason), run)
        # Of dag_runs that came with this run nothing is attested yet; those of an earlier command are.
        proof = attest_removal(writer, row.dag_id, done.removed) if done.removed else {}
        return Done(done.answer, lambda: run.leave_out(done.dates), proof, done.dates)

    def _set_paused(self, run: Coordinator, is_paused: bool) -> None:
        self._is_paused = run.machine.paused = is_paused


def _tasks(count: int) -> str:
    return "task is" if count == 1 else "tasks are"


def _running(run: Coordinator) -> str:
    count = len(run.machine.flights)
    if not count:
        return "nothing is running"
    return (
        f"{count:,} running {'task ends' if count == 1 else 'tasks end'} by {'itself' if count == 1 else 'themselves'}"
    )


_Handler = Callable[["Desk", "Coordinator", ControlRow, "BackfillRow", "Writer"], Done]

_HANDLERS: dict[Control, _Handler] = {
    Control.PAUSE: Desk._pause,
    Control.RESUME: Desk._resume,
    Control.CANCEL: Desk._cancel,
    Control.SET: Desk._set,
    Control.SKIP: Desk._skip,
}
