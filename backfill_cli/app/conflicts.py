"""What becomes of a run that meets another living process on its dates: it is refused, waits, leaves them, or cancels.

Owns the choice, the wait and what is said of it. A try is one transaction, and nothing is held between two: those who
wait for each other's dates cannot stand in each other's way, and who is stopped meanwhile has changed nothing. Each try
plans anew, so what the other has finished is left alone as any finished date is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from backfill_cli.app.overlaps import DatesHeld, Overtaken
from backfill_cli.core.records import SCHEDULED, Control
from backfill_cli.errors import ConflictError, RefusedError, UsageProblem

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.options import BackfillOptions

T = TypeVar("T")
Confirm = Callable[[str], bool]

CHOICES = ("fail", "wait", "skip", "cancel-other")

LOOK_EVERY_S = 0.5


def check_choice(choice: str) -> None:
    """Raise UsageProblem for a word that is none of `CHOICES`."""
    if choice not in CHOICES:
        raise UsageProblem(
            f"--on-conflict '{choice}' is not known", hint=f"use one of: {', '.join(CHOICES)}", code="bad-value"
        )


def past_conflicts(
    ctx: AppContext, options: BackfillOptions, attempt: Callable[[], T], confirm: Confirm | None = None
) -> T:
    """Return what `attempt` returns, as often tried as `--on-conflict` allows.

    Args:
        attempt: Finds the job, claims its dates and runs them; DatesHeld or Overtaken before it has changed anything.
        confirm: Asked before another backfill is cancelled, unless `options.yes`.

    Raises:
        UsageProblem: The choice is none.
        DatesHeld: `fail`, and somebody holds dates.
        ConflictError: What would have to be cancelled is a scheduled run, or does not answer.
        RefusedError: Nobody confirmed that another backfill is cancelled.
    """
    choice = options.on_conflict
    check_choice(choice)
    while True:
        try:
            return attempt()
        except Overtaken:
            continue
        except DatesHeld as held:
            if choice == "fail":
                raise
            # With `skip` it is the backfill itself that somebody took just now; the next try leaves its dates to them.
            if choice == "wait":
                _wait(ctx, held, held.message)
            elif choice == "cancel-other":
                _cancel(ctx, held, options, confirm)


def _cancel(ctx: AppContext, held: DatesHeld, options: BackfillOptions, confirm: Confirm | None) -> None:
    """Have the other backfill cancelled by the process that runs it, and wait until that has ended."""
    from backfill_cli.app.steering import steer

    other = held.other.backfill_id
    if held.other.identity == SCHEDULED:
        raise ConflictError(
            f"{held.message}; a scheduled run is not cancelled for a backfill",
            hint=held.hint,
            code="dates-held",
        )
    if not options.yes:
        if confirm is None:
            raise RefusedError(
                f"this would cancel {other}: {held.message}", hint="add --yes to do it", code="needs-yes"
            )
        if not confirm(f"{held.message}.\nCancel {other}?"):
            raise RefusedError(f"{other} was not cancelled", hint="answer y, or add --yes", code="not-confirmed")
    reason = options.reason or "another backfill wants its dates (--on-conflict cancel-other)"
    try:
        steer(ctx, other, Control.CANCEL, {"drain": True}, reason=reason)
    except RefusedError:
        with ctx.store(write=False) as store:
            if not store.read(held.is_over):
                raise
        return  # it had ended by itself
    held.dates = None  # it is its end that is waited for now
    _wait(ctx, held, f"{other} is cancelled, and ends what it has begun")


def _wait(ctx: AppContext, held: DatesHeld, why: str) -> None:
    with ctx.store(write=False) as store:
        ctx.tell(f"waiting: {why}")
        while not store.read(held.is_over):
            time.sleep(LOOK_EVERY_S)
