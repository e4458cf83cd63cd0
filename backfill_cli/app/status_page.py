"""A page of dates, with their task instances: what both views of `status` show.

Owns paging by logical date and the way from rows to views. Details come from one page, so that a million dates cost
what a thousand do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING

from backfill_cli.app.batches import Batches
from backfill_cli.core.records import InstanceRow
from backfill_cli.core.standing import STALE, RunView, SlowTask, TaskView
from backfill_cli.core.states import Outcome, TaskState

if TYPE_CHECKING:
    from backfill_cli.core.ports import Reader
    from backfill_cli.core.ranges import When


@dataclass(frozen=True, slots=True)
class Page:
    """Which dates to show: those in `where`, after a logical date (epoch seconds), at most so many."""

    where: frozenset[str]
    after: int | None
    limit: int

    def wants(self, state: str, *, stale: bool) -> bool:
        return not self.where or state in self.where or (stale and STALE in self.where)


def after_date(after: When | None, zone: str) -> int | None:
    if after is None:
        return None
    from backfill_cli.core.when import first_second
    from backfill_cli.core.zones import clock_of

    return first_second(after, clock_of(zone))


def instances_on(
    reader: Reader, dag_id: str, dates: Sequence[tuple[int, int | None]]
) -> tuple[Mapping[int, list[InstanceRow]], Mapping[int, int | None]]:
    """Return the task instances of dates, and under which date those of each stand.

    Args:
        dates: Each with the `batch` of its dag_run.
    """
    places = Batches(reader, dag_id).places(dates)
    wanted = frozenset(one for one in places.values() if one is not None)
    at: dict[int, list[InstanceRow]] = defaultdict(list)
    if wanted:
        for one in reader.instances(dag_id, min(wanted), max(wanted)):
            if one.logical_date in wanted:
                at[one.logical_date].append(one)
    return {date: at[place] for date, place in places.items() if place in at}, places


def task_views(rows: Iterable[InstanceRow], task_ids: Sequence[str], *, fill: bool) -> dict[str, TaskView]:
    """The task instances of a date in DAG order; one that has no row yet is `scheduled`."""
    known = {
        one.task_id: TaskView(one.state, one.try_number, one.started_at, one.ended_at, one.retry_at, one.reason)
        for one in rows
    }
    if not fill:
        return known
    scheduled = TaskView(TaskState.SCHEDULED, 0, None, None, None, None)
    return {one: known.get(one, scheduled) for one in (*task_ids, *(one for one in known if one not in task_ids))}


def slowest_tasks(reader: Reader, dag_id: str, runs: Sequence[RunView]) -> list[SlowTask]:
    """The slowest successful try of each task on the page beside its median; slowest first."""

    if not runs:
        return []
    low, high = runs[0].logical_date, runs[-1].logical_date
    seconds: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for one in islice(reader.attempts(dag_id, min(low, high), max(low, high)), 100_000):
        if one.outcome is Outcome.SUCCESS:
            seconds[one.task_id].append(((one.ended_at - one.started_at) / 1_000_000, one.logical_date))
    found = []
    for task_id, took in seconds.items():
        longest, date = max(took)
        if len(took) > 1 and longest >= 0.01:
            found.append(SlowTask(task_id, round(longest, 3), round(median(one for one, _ in took), 3), date))
    return sorted(found, key=lambda one: -one.seconds)[:3]
