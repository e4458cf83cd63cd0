"""Which dates of a plan follow a dag_run that the plan leaves alone: those that may be blocked as soon as it runs.

Owns the look at a plan as it is walked (semantics section 4, rule 3: the previous run is the latest earlier one, gaps
allowed). It costs a comparison a date, and holds a hundred of them at most. What the previous run looks like, and what
the rules say to it, is `app/past.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from backfill_cli.core.graph import Dag
from backfill_cli.core.records import Action, PlanRow, RunRow, RunType

LOOKED_AT = 100


def counts_as_past(dag: Dag, run: RunRow) -> bool:
    """Return whether later runs may wait for it: with catchup, a manual run is nobody's previous one (rule 3)."""
    return not (dag.catchup and run.run_type is RunType.MANUAL)


@dataclass(slots=True)
class Follower:
    """A date to run whose previous dag_run this plan does not run.

    Args:
        row: Its row of the plan.
        previous: The dag_run it waits for.
        behind: How many dates of the plan wait for this one, directly or through each other.
    """

    row: PlanRow
    previous: RunRow
    behind: int = 0


class PastWatch:
    """Looks at the rows of a plan and the dag_runs they are merged with as both pass by; ascending.

    Args:
        dag: What runs.
        before: The latest dag_run before the selection.
    """

    def __init__(self, dag: Dag, before: RunRow | None) -> None:
        self._dag = dag
        self._seen: tuple[RunRow | None, RunRow | None] = (None, before)
        self._to_run: int | None = None
        self.followers: list[Follower] = []

    def over(self, past: Iterable[RunRow]) -> Iterator[RunRow]:
        for run in past:
            if counts_as_past(self._dag, run):
                self._seen = (self._seen[1], run)
            yield run

    def over_rows(self, rows: Iterable[PlanRow]) -> Iterator[PlanRow]:
        current: Follower | None = None
        for row in rows:
            if row.action is not Action.SKIP:
                previous = self._previous(row.logical_date)
                if previous is None:
                    current = None
                elif self._to_run is None or previous.logical_date > self._to_run:
                    current = Follower(row, previous)
                    if len(self.followers) < LOOKED_AT:
                        self.followers.append(current)
                elif current is not None:
                    current.behind += 1
                self._to_run = row.logical_date
            yield row

    def _previous(self, logical_date: int) -> RunRow | None:
        """The latest dag_run before a date. Of those seen one may lie behind it: the merge looks one ahead."""
        earlier, latest = self._seen
        return earlier if latest is not None and latest.logical_date >= logical_date else latest
