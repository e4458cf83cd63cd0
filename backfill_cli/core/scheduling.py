"""What `bfill scheduler` is asked and what it answers: one pass over DAGs, what ran of each, what is due next.

Owns the shapes. Which intervals are due is `core/catchup.py`; creating and running them is `app/shifts.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

from backfill_cli.core.instants import iso
from backfill_cli.core.problems import Problem
from backfill_cli.core.results import BackfillResult

if TYPE_CHECKING:
    from backfill_cli.core.listening import Listener

SIDE_BY_SIDE = 16
"""Shifts that run at once, unless something else is said: each is a process, which mostly waits for its tasks."""


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """One pass of the scheduler.

    Args:
        dags: Every form of `--dag`; empty for all DAGs of the dags folders.
        now: The moment that decides what is due; None is this machine's clock. A date is its midnight and a naive
            datetime wall time, in the DAG's zone.
        until: With it a stretch of time is played, without waiting: what comes due from `now` to here, both included.
        parallel: Shifts that run at once, each of a DAG.
        workers, executor, orphans, reason: As for a backfill.
    """

    dags: tuple[str, ...] = ()
    now: date | datetime | None = None
    until: date | datetime | None = None
    parallel: int = SIDE_BY_SIDE
    workers: int | None = None
    executor: str | None = None
    orphans: str = "end"
    reason: str | None = None


Say = Callable[[str, str], None]
"""Takes what a listener of one shift has to tell: whom it is for, and the text."""


class Watcher(Protocol):
    """Who is told what a scheduler does. Shifts run in processes of their own, so listening is in two halves."""

    def listeners(self, dag_id: str, say: Say) -> Sequence[Listener]:
        """Return who listens to a shift, in the process that runs it; what they have to tell goes through `say`."""
        ...

    def heard(self, whom: str, text: str) -> None:
        """Take what a listener said, in the scheduler's own process."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """How a DAG stands behind a pass.

    Args:
        why: Why nothing more is due, in words.
        next_at: When the next interval is due, epoch seconds; None when there will be none.
        results: What ran; a DAG with nothing due has none.
        error: Why the DAG could not be looked at or run; its exit code beside it.
    """

    dag_id: str
    why: str = ""
    timezone: str = "UTC"
    next_at: int | None = None
    results: tuple[BackfillResult, ...] = ()
    error: str | None = None
    hint: str = ""
    error_code: int = 0

    @property
    def stopped_by(self) -> int | None:
        """The signal that stopped what ran of it."""
        return next((one.stopped_by for one in self.results if one.stopped_by is not None), None)

    @property
    def exit_code(self) -> int:
        return self.error_code or max((one.exit_code for one in self.results), default=0)

    def data(self) -> dict[str, Any]:
        return {
            "dag_id": self.dag_id,
            "why": self.why,
            "next_due_at": iso(self.next_at),
            "runs": [one.data() for one in self.results],
            "error": None if self.error is None else {"message": self.error, "hint": self.hint},
        }


@dataclass(frozen=True, slots=True)
class ScheduleResult:
    """One pass. `exit_code` is 1 when a date failed, an error's own when a DAG could not be run, else 0."""

    dags: Sequence[Standing]
    stopped_by: int | None = None
    problems: Sequence[Problem] = field(default=())

    @property
    def exit_code(self) -> int:
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        return max((one.exit_code for one in self.dags), default=0)

    @property
    def next_at(self) -> int | None:
        """When anything is due next, epoch seconds."""
        return min((one.next_at for one in self.dags if one.next_at is not None), default=None)

    def data(self) -> dict[str, Any]:
        results = [one for dag in self.dags for one in dag.results]
        return {
            "total_dates": sum(one.total_dates for one in results),
            "completed": sum(one.completed for one in results),
            "failed": sum(one.failed for one in results),
            "blocked": sum(one.blocked for one in results),
            "remaining": sum(one.remaining for one in results),
            "next_due_at": iso(self.next_at),
            "dags": [one.data() for one in self.dags],
        }
