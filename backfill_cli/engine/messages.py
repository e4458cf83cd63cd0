"""What the coordinator's inbox carries, besides reports: words from workers, timers and signal handlers.

Owns the shapes only. Each is a small tuple that any thread may put into the inbox.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from backfill_cli.core.masking import SECRETS
from backfill_cli.core.ports import AttemptReport
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


Message = AttemptReport | Started | Overdue | StopAsked
Tell = Callable[[Message], None]


def lost(key: Key, try_number: int, at: int, error: BaseException) -> AttemptReport:
    """Return the report of a try whose worker vanished, in its place; `at` is epoch microseconds."""
    return AttemptReport(*key, try_number, Outcome.LOST, at, at, SECRETS.text(f"lost: {error or type(error).__name__}"))
