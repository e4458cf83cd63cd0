"""What a pilot has shown: its dates, what they took, and what that says of the rest.

Owns the report and its arithmetic; `app/wave_results.py` reads the rows it is made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from backfill_cli.core.instants import iso
from backfill_cli.core.merging import MergeTally
from backfill_cli.core.planning import is_blocked
from backfill_cli.core.records import BackfillDateRow, InstanceRow
from backfill_cli.core.states import RunState

MICROSECONDS = 1_000_000


class PilotDate(NamedTuple):
    """One date of a pilot: success, failed, blocked or remaining, and what its dag_run took."""

    logical_date: int
    state: str
    duration_s: float | None


class PilotTask(NamedTuple):
    """One task in a pilot: its last tries on average, and the slowest of them."""

    task_id: str
    mean_s: float
    slowest_s: float
    logical_date: int


@dataclass(frozen=True, slots=True)
class PilotReport:
    """What a pilot has shown.

    Args:
        dates: In the order of the run.
        tasks: Slowest first.
        left: Dates behind the pilot that are still to do.
        parallel: Dates open together.
        merged: The runs that they make, where the DAG merges dates; None where each is one.
    """

    dates: tuple[PilotDate, ...]
    tasks: tuple[PilotTask, ...]
    left: int
    parallel: int
    merged: MergeTally | None = None

    @property
    def estimate_s(self) -> tuple[float, float] | None:
        """What the rest may take: by the mean of the pilot's dates, and half-way from there to the slowest.

        The pilot's dates ran one by one: a run of many may take as long as one of them, or as all of its dates would.
        """
        took = [one.duration_s for one in self.dates if one.duration_s is not None]
        if not took or not self.left:
            return None
        lanes = ceil(self.left / min(self.parallel, self.left))
        mean = sum(took) / len(took)
        least = lanes if self.merged is None else min(lanes, self.merged.lanes)
        return round(least * mean, 3), round(lanes * (mean + max(took)) / 2, 3)

    def data(self) -> dict[str, Any]:
        low, high = self.estimate_s or (None, None)
        return {
            "dates": [
                {"logical_date": iso(one.logical_date), "state": one.state, "duration_s": one.duration_s}
                for one in self.dates
            ],
            "tasks": [{**one._asdict(), "logical_date": iso(one.logical_date)} for one in self.tasks],
            "remaining": self.left,
            **({} if self.merged is None else {"runs": self.merged.runs}),
            "parallel": self.parallel,
            "estimate": {"low_s": low, "high_s": high},
        }


def pilot_report(
    rows: Iterable[BackfillDateRow],
    instances: Iterable[InstanceRow],
    *,
    left: int,
    parallel: int,
    merged: MergeTally | None = None,
) -> PilotReport:
    """Return the report of a pilot.

    Args:
        rows: Its dates, in the order of the run.
        instances: The task instances of those dates.
        left: Dates behind it that are still to do.
        merged: The runs that they make, for a DAG that merges dates.
    """
    return PilotReport(tuple(_date(row) for row in rows), _tasks(list(instances)), left, parallel, merged)


def _date(row: BackfillDateRow) -> PilotDate:
    state = str(row.outcome) if row.outcome is not None else "blocked" if is_blocked(row) else "remaining"
    if row.outcome is RunState.FAILED and row.run_state is RunState.SUCCESS:
        state = RunState.SUCCESS
    has_ended = row.outcome is not None and row.run_started_at is not None and row.run_ended_at is not None
    took = round((row.run_ended_at - row.run_started_at) / MICROSECONDS, 3) if has_ended else None  # type: ignore[operator]
    return PilotDate(row.logical_date, state, took)


def _tasks(instances: Sequence[InstanceRow]) -> tuple[PilotTask, ...]:
    took: dict[str, list[tuple[float, int]]] = {}
    for one in instances:
        if one.started_at is not None and one.ended_at is not None:
            seconds = (one.ended_at - one.started_at) / MICROSECONDS
            took.setdefault(one.task_id, []).append((seconds, one.logical_date))
    found = []
    for task_id, tries in took.items():
        slowest, date = max(tries)
        mean = sum(seconds for seconds, _ in tries) / len(tries)
        found.append(PilotTask(task_id, round(mean, 3), round(slowest, 3), date))
    return tuple(sorted(found, key=lambda one: -one.slowest_s))
