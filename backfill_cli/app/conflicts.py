"""What becomes of a run that meets another living process on its dates: refused, waiting, or without those dates.

Owns the choice, the wait and what is said of it. A try is one transaction, and nothing is held between two: those who
wait for each other's dates cannot stand in each other's way, and who is stopped meanwhile has changed nothing. Each try
plans anew, so what the other has finished is left alone as any finished date is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from backfill_cli.app.overlaps import DatesHeld
from backfill_cli.core.states import BackfillState
from backfill_cli.errors import UsageProblem

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.options import BackfillOptions

T = TypeVar("T")

CHOICES = ("fail", "wait", "skip")

LOOK_EVERY_S = 0.5


def past_conflicts(ctx: AppContext, options: BackfillOptions, attempt: Callable[[], T]) -> T:
    """Return what `attempt` returns, as often tried as `--on-conflict` allows.

    Args:
        attempt: Finds the job, claims its dates and runs them; DatesHeld before it has changed anything.

    Raises:
        UsageProblem: The choice is none.
        DatesHeld: `fail`, and somebody holds dates.
    """
    choice = options.on_conflict
    if choice not in CHOICES:
        raise UsageProblem(
            f"--on-conflict '{choice}' is not known", hint=f"use one of: {', '.join(CHOICES)}", code="bad-value"
        )
    while True:
        try:
            return attempt()
        except DatesHeld as held:
            if choice == "fail":
                raise
            # With `skip` it is the backfill itself that somebody took just now; the next try leaves its dates to them.
            if choice == "wait":
                _wait(ctx, held)


def _wait(ctx: AppContext, held: DatesHeld) -> None:
    with ctx.store(write=False) as store:
        paused = "; it is paused" if held.other.state is BackfillState.PAUSED else ""
        ctx.tell(f"waiting: {held.message}{paused}")
        while not store.read(held.is_over):
            time.sleep(LOOK_EVERY_S)
