"""Which dates of a plan follow a dag_run that may stay as it is: those that may be blocked as soon as the plan runs.

Owns the look at a plan as it is walked (semantics section 4, rule 3: the previous run is the latest earlier one, gaps
allowed). It costs a comparison a date, and holds two hundred of them at most. What the previous run looks like, and
what the rules say to it, is `app/past.py`.
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
    """A date to run that may be blocked: its previous dag_run is one that this plan leaves alone, or goes on with.

    Args:
        row: Its row of the plan.
        previous: The dag_run it waits for.
        is_resumed: The plan goes on with that one; what has failed there stays failed, the rest runs.
        chain: Dates of one chain wait for each other; counted from 0.
        place: Its place among the dates to run.
        behind: How many dates of its chain follow it.
        is_sure: All of these have every task to run, so they wait for it: of one that was begun, the task that waits
            may be done.
    """

    row: PlanRow
    previous: RunRow
    is_resumed: bool
    chain: int
    place: int
    behind: int = 0
    is_sure: bool = True


class PastWatch:
    """Looks at the rows of a plan and the dag_runs they are merged with as both pass by; ascending.

    Args:
        dag: What runs.
        before: The latest dag_run before the selection.

    Attributes:
        followers: After all has passed by: the first hundred whose previous run is left alone, and as many others.
    """

    def __init__(self, dag: Dag, before: RunRow | None) -> None:
        self._dag = dag
        self._seen: tuple[RunRow | None, RunRow | None] = (None, before)
        self._chain: list[Follower] = []
        self._noted = [0, 0]
        self.followers: list[Follower] = []

    def over(self, past: Iterable[RunRow]) -> Iterator[RunRow]:
        for run in past:
            if counts_as_past(self._dag, run):
                self._seen = (self._seen[1], run)
            yield run

    def over_rows(self, rows: Iterable[PlanRow]) -> Iterator[PlanRow]:
        last: PlanRow | None = None
        chains = place = unsure = 0
        for row in rows:
            if row.action is not Action.SKIP:
                previous = self._previous(row.logical_date)
                is_new = previous is None or last is None or previous.logical_date > last.logical_date
                if is_new:
                    self._end_chain(place, unsure)
                    chains += 1
                place += 1
                if row.state is not None and row.action is not Action.RESET:
                    unsure = place
                if previous is not None and (is_new or _goes_on(last, previous)):
                    self._note(Follower(row, previous, not is_new, chains, place))
                last = row
            yield row
        self._end_chain(place, unsure)

    def _note(self, follower: Follower) -> None:
        if self._noted[follower.is_resumed] < LOOKED_AT:
            self._noted[follower.is_resumed] += 1
            self.followers.append(follower)
            self._chain.append(follower)

    def _end_chain(self, place: int, unsure: int) -> None:
        for one in self._chain:
            one.behind, one.is_sure = place - one.place, unsure <= one.place
        self._chain.clear()

    def _previous(self, logical_date: int) -> RunRow | None:
        """The latest dag_run before a date. Of those seen one may lie behind it: the merge looks one ahead."""
        earlier, latest = self._seen
        return earlier if latest is not None and latest.logical_date >= logical_date else latest


def _goes_on(row: PlanRow | None, run: RunRow) -> bool:
    """Whether a row of the plan goes on with that dag_run, and leaves what has ended there as it is."""
    return row is not None and row.action is Action.RESUME and row.logical_date == run.logical_date
