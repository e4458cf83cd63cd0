"""Batches in the ledger: under which date the task instances of another one stand.

Owns the question, asked of a store. A date of a batch has a dag_run of its own and no task instances: they are those of
the first date, as long as that one says that it ran up to there. Where the first one has run again since, without the
others, they keep their states, and what their tasks did is known from the tries alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.core.records import InstanceRow, RunRow
from backfill_cli.core.states import RunState, TaskState

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.ports import Reader


def gone(run: RunRow, dag: Dag) -> list[InstanceRow]:
    """Return what the tasks of a date are taken to be whose batch is there no longer: as its dag_run ended."""
    if not run.state.is_terminal:
        return []
    state = TaskState.SUCCESS if run.state is RunState.SUCCESS else TaskState.FAILED
    why = "as its batch ended, whose first date has run again since"
    return [
        InstanceRow(run.logical_date, task_id, state, 0, 0, 0, run.started_at, run.ended_at, None, why)
        for task_id in dag.tasks
    ]


class Completed(NamedTuple):
    """Some dag_runs, with all that run together with one of them.

    Args:
        runs: By date.
        together: The dates of each batch, by its first one.
        alone: Dates whose batch is there no longer, since its first date has run again.
    """

    runs: dict[int, RunRow]
    together: dict[int, list[int]]
    alone: set[int]


class Batches:
    """The batches of a DAG, as far as they are asked for; costs nothing where there are none."""

    def __init__(self, reader: Reader, dag_id: str) -> None:
        self._reader = reader
        self._dag_id = dag_id
        self._leaders: dict[int, RunRow | None] = {}

    def place_of(self, logical_date: int, batch: int | None) -> int | None:
        """Return the date under which the task instances of a date stand; None when they are another run's by now.

        Args:
            batch: Of its dag_run (`RunRow.batch`).
        """
        if batch is None or batch >= logical_date:
            return logical_date
        if batch not in self._leaders:
            self._leaders[batch] = self._reader.run(self._dag_id, batch)
        leader = self._leaders[batch]
        is_its = leader is not None and leader.batch is not None and leader.batch >= logical_date
        return batch if is_its else None

    def places(self, dates: Iterable[tuple[int, int | None]]) -> Mapping[int, int | None]:
        """Return the same for many dates, each with its `batch`."""
        return {date: self.place_of(date, batch) for date, batch in dates}

    def whole(self, run: RunRow) -> list[RunRow]:
        """Return the dag_runs, ascending, that run together with this one and still do: it alone, or its batch."""
        place = self.place_of(run.logical_date, run.batch)
        leader = run if place == run.logical_date else self._leaders.get(run.logical_date if place is None else place)
        if place is None or leader is None or leader.batch is None:
            return [run]
        runs = self._reader.runs(self._dag_id, leader.logical_date, leader.batch)
        return [one for one in runs if one.leader == leader.logical_date]

    def completed(self, some: Iterable[RunRow]) -> Completed:
        """Return these dag_runs with the rest of their batches: what is done to task instances is done to all."""
        found = Completed({run.logical_date: run for run in some}, {}, set())
        for run in [run for run in found.runs.values() if run.batch is not None]:
            place = self.place_of(run.logical_date, run.batch)
            if place is None:
                found.alone.add(run.logical_date)
            elif place not in found.together:
                whole = self.whole(run)
                found.runs.update((one.logical_date, one) for one in whole)
                found.together[place] = [one.logical_date for one in whole]
        return found
