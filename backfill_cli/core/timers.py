"""When something is due by itself: retries, and dag_runs whose time is up.

Owns the heap. A timer whose dag_run has closed is dropped when it comes to the top; so what lies in the heap is bounded
by what was begun since the oldest open dag_run began.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush

from backfill_cli.core.progress import OpenRun

_WHOLE_RUN = ""


class Timers:
    """Due times in epoch microseconds, of the dag_runs in `runs`, which may change while this looks on."""

    def __init__(self, runs: Mapping[int, OpenRun]) -> None:
        self._runs = runs
        self._heap: list[tuple[int, int, str]] = []

    def retry(self, at: int, logical_date: int, task_id: str) -> None:
        heappush(self._heap, (at, logical_date, task_id))

    def timeout(self, at: int, logical_date: int) -> None:
        heappush(self._heap, (at, logical_date, _WHOLE_RUN))

    def due(self, now: int) -> Iterator[tuple[OpenRun, str | None]]:
        """Yield what is due by `now`: the dag_run, and the task to try again, or None when the run's time is up."""
        while self._heap and self._heap[0][0] <= now:
            _, logical_date, task_id = heappop(self._heap)
            run = self._runs.get(logical_date)
            if run is not None:
                yield run, task_id or None

    def next_at(self) -> int | None:
        """Return when the next timer is due; None without one."""
        while self._heap and self._heap[0][1] not in self._runs:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def retries(self) -> list[int]:
        """Return when each retry is due, in no order; walks the heap."""
        return [at for at, date, task_id in self._heap if task_id and date in self._runs]
