"""What whoever watches a run is told, and when: the board, a log of lines, reports, a test.

Owns the `Listener` protocol and the values it is called with: after the commit of what they tell of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from backfill_cli.core.records import (
    Batch,
)

if TYPE_CHECKING:
    from backfill_cli.core.steering import Steered
    from backfill_cli.core.wave_tallies import Tally
    from backfill_cli.core.waves import Wave


class ProgressCounts(NamedTuple):
    """Where a running backfill stands. Dates, except `running_tasks`."""

    total: int
    completed: int
    failed: int
    blocked: int
    open_runs: int
    running_tasks: int

    @property
    def remaining(self) -> int:
        """Dates without an outcome that are not blocked."""
        return self.total - self.completed - self.failed - self.blocked


class WaveReport(NamedTuple):
    """A wave that begins, or one that has ended.

    Args:
        tally: How its dates stand.
        at: Epoch microseconds.
        ended: It has ended; else it begins.
        reason: Why nothing behind it begins; empty when something may.
    """

    wave: Wave
    tally: Tally
    at: int
    ended: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunStart:
    """What a listener learns before the first batch.

    Args:
        total: The dates to be worked on; `done` of them have ended in an earlier command.
        started_at: When this command began with them, epoch microseconds.
    """

    backfill_id: str
    dag_id: str
    task_ids: tuple[str, ...]
    timezone: str
    first: int
    last: int
    total: int
    parallel: int
    started_at: int
    max_tries: Mapping[str, int]
    done: int = 0


class PaceChange(NamedTuple):
    """The run has become slower or faster by itself: a breaker, or the number of dates at once.

    Args:
        what: `breaker_opened`, `breaker_half_open`, `breaker_closed` or `parallel_changed`.
        at: Epoch microseconds.
        reason: In words.
        details: What of, and how much: JSON-able.
    """

    what: str
    at: int
    reason: str
    details: Mapping[str, Any]


class Listener(Protocol):
    """Who wants to see what happens: the live board, a log of lines, a test. Called after the commit, in one thread."""

    def on_start(self, start: RunStart) -> None: ...
    def on_batch(self, batch: Batch, counts: ProgressCounts, at: int) -> None:
        """What was just committed, at epoch microseconds `at`."""
        ...

    def on_waiting(self, waiting: Mapping[str, int], next_retry_at: int | None) -> None:
        """Tasks that wait, by reason in words ("pool a: needs 1, 0 of 2 free"), and when the next retry is due."""
        ...

    def on_wave(self, report: WaveReport) -> None:
        """A chunk, a pilot or a wave of a ramp begins or has ended; told after the commit of its last date."""
        ...

    def on_pace(self, change: PaceChange) -> None:
        """A breaker has opened or closed, or the parallelism has changed by itself."""
        ...

    def on_stopping(self, signal: int | None, running: int, reason: str) -> None:
        """Nothing new starts: a signal came, or a limit was reached (None); so many tasks are still running."""
        ...

    def on_steered(self, news: Steered) -> None:
        """Somebody has paused it, changed it, or asked it to end, from another terminal."""
        ...

    def on_end(self) -> None: ...
