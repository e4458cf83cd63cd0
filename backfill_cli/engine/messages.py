"""What the coordinator's inbox carries, besides reports: words from workers, timers and signal handlers.

Owns the shapes only, and how a try's are made of its invocation. Each is a small tuple that any thread may put into
the inbox.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from backfill_cli import clock
from backfill_cli.core.invocations import AttemptReport, Invocation
from backfill_cli.core.masking import SECRETS
from backfill_cli.core.states import Outcome
from backfill_cli.engine.cancelling import Key


class Started(NamedTuple):
    """A worker began a try, at epoch microseconds `at`."""

    key: Key
    try_number: int
    at: int


class Overdue(NamedTuple):
    """A try's time is over and its thread has not returned."""

    key: Key
    try_number: int


class StopAsked(NamedTuple):
    """A signal came."""

    signal: int


class Checked(NamedTuple):
    """A system was asked whether it is well; `of` is the pool it stands behind, or empty for `--probe`."""

    of: str
    is_well: bool
    told: str


Message = AttemptReport | Started | Overdue | StopAsked | Checked
Tell = Callable[[Message], None]


def started(invocation: Invocation) -> Started:
    """Return the word that a worker begins this try now."""
    return Started((invocation.logical_date, invocation.task_id), invocation.try_number, clock.now_us())


def lost(invocation: Invocation, at: int, error: BaseException) -> AttemptReport:
    """Return the report of a try whose worker vanished, in its place; `at` is epoch microseconds."""
    reason = SECRETS.text(f"lost: {error or type(error).__name__}")
    return AttemptReport(
        invocation.logical_date, invocation.task_id, invocation.try_number, Outcome.LOST, at, at, reason
    )
