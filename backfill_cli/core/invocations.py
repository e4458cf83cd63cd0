"""One try as it goes to a worker, and as it comes back: plain values that cross a process border.

Owns the shapes alone; `engine/attempt.py` makes a report of an invocation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from backfill_cli.core.states import Outcome

if TYPE_CHECKING:
    from backfill_cli.core.context import PreviousSuccess


class DagRef(NamedTuple):
    """Where a worker process finds a DAG: what `--dag` resolves to, and which version it must be."""

    target: str
    dag_id: str
    version: str


@dataclass(frozen=True, slots=True)
class Invocation:
    """One try, as it goes to a worker: plain values that pickle, never a callable.

    Args:
        spent: Tries since the last clear that used up the retry budget: with the task's retries it tells the last try.
        xcoms: task_id → key → JSON text of this dag_run, as far as committed.
        log_path: Where this try's log goes; the file is made at the first byte.
        logical_dates: Of a batch all its dates, ascending; empty for a date alone.
    """

    dag: DagRef
    task_id: str
    logical_date: int
    data_interval_end: int
    run_id: str
    run_type: str
    try_number: int
    spent: int
    backfill_id: str
    conf: Mapping[str, Any] = field(default_factory=dict)
    xcoms: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    previous_success: PreviousSuccess | None = None
    log_path: str = ""
    logical_dates: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """How a try ended, as it comes back from a worker.

    Args:
        outcome: `retry` means "failed, and may be tried again"; the machine decides whether it is.
        reason: One line: the exception and its message, the exit status, the timeout.
        xcoms: key → JSON text.
        delay_s: For RetryLater and RateLimited: seconds until the next try; None takes the policy's, or a guess.
        follow: For a branch: the ids among its direct downstreams to keep; the others are skipped.
        skip_behind: For a short circuit: everything behind is skipped, or the direct downstreams alone.
        is_refusal: It was deferred by an answer of the system it asked (HTTP 429), not by a word of the task.
    """

    logical_date: int
    task_id: str
    try_number: int
    outcome: Outcome
    started_at: int
    ended_at: int
    reason: str | None = None
    xcoms: Mapping[str, str] = field(default_factory=dict)
    delay_s: float | None = None
    follow: tuple[str, ...] | None = None
    skip_behind: str | None = None
    is_refusal: bool = False
