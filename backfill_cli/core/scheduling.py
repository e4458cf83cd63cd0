"""What `bfill scheduler` is asked and what it answers: what ran of each DAG, and what is due next.

Owns the shapes. Which intervals are due is `core/catchup.py`; creating and running them is `app/shifts.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from backfill_cli.core.instants import iso
from backfill_cli.core.problems import Problem
from backfill_cli.core.results import BackfillResult

if TYPE_CHECKING:
    from backfill_cli.core.agenda import Agenda, Trouble
    from backfill_cli.core.listening import Listener
    from backfill_cli.core.settings_news import SettingsNews

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

    def on_survey(self, agenda: Agenda) -> None:
        """All DAGs have been looked at: when it begins, and when their files have changed."""
        ...

    def on_shift(self, standing: Standing) -> None:
        """A shift has ended that ran something."""
        ...

    def on_trouble(self, name: str, trouble: Trouble | None) -> None:
        """A DAG cannot be looked at or run, for another reason than before; or (None) it can be again."""
        ...

    def on_settings(self, news: SettingsNews) -> None:
        """The settings file has changed, is broken, or is sound again."""
        ...

    def on_waiting(self, agenda: Agenda, now: int) -> None:
        """Nothing else happens at this moment, epoch seconds; told again and again."""
        ...

    def on_stopping(self, signal: int, shifts: int) -> None:
        """A signal came while so many shifts run: nothing new begins."""
        ...


class Earlier(NamedTuple):
    """The shifts of a DAG that are not told one by one any more. Dates, but for `shifts`; none that was repaired."""

    shifts: int = 0
    completed: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a DAG stands behind a pass.

    Args:
        why: Why nothing more is due, in words.
        next_at: When the next interval is due, epoch seconds; None when there will be none.
        results: What ran, in order; a DAG with nothing due has none.
        earlier: What ran before that.
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
    earlier: Earlier = Earlier()  # noqa: RUF009  (a tuple: it cannot change)

    @property
    def completed(self) -> int:
        return self.earlier.completed + sum(one.completed for one in self.results)

    @property
    def failed(self) -> int:
        return self.earlier.failed + sum(one.failed for one in self.results)

    @property
    def blocked(self) -> int:
        """Dates that are blocked now: what an earlier shift left so is a part of the last one."""
        return self.results[-1].blocked if self.results else 0

    @property
    def remaining(self) -> int:
        """Dates that were created and are to be gone on with; as for `blocked`."""
        return self.results[-1].remaining if self.results else 0

    @property
    def stopped_by(self) -> int | None:
        """The signal that stopped what ran of it."""
        return next((one.stopped_by for one in self.results if one.stopped_by is not None), None)

    @property
    def exit_code(self) -> int:
        has_failed = self.earlier.failed or any(one.failed > one.repaired for one in self.results)
        last = self.results[-1].exit_code if self.results else 0
        return self.error_code or last or int(bool(has_failed))

    def data(self) -> dict[str, Any]:
        return {
            "dag_id": self.dag_id,
            "why": self.why,
            "next_due_at": iso(self.next_at),
            "runs": [one.data() for one in self.results],
            **({"earlier": self.earlier._asdict()} if self.earlier.shifts else {}),
            "error": None if self.error is None else {"message": self.error, "hint": self.hint},
        }


@dataclass(frozen=True, slots=True)
class ScheduleResult:
    """What came of the DAGs. `exit_code` is 1 when a date failed, an error's own when a DAG could not be run, else 0.

    Args:
        why: Why a scheduler that stays has left, in words; empty for one pass.
    """

    dags: Sequence[Standing]
    stopped_by: int | None = None
    problems: Sequence[Problem] = field(default=())
    why: str = ""

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
        counts = {
            "completed": sum(one.completed for one in self.dags),
            "failed": sum(one.failed for one in self.dags),
            "blocked": sum(one.blocked for one in self.dags),
            "remaining": sum(one.remaining for one in self.dags),
        }
        return {
            "total_dates": sum(counts.values()),
            **counts,
            "next_due_at": iso(self.next_at),
            **({"why": self.why} if self.why else {}),
            "dags": [one.data() for one in self.dags],
        }
