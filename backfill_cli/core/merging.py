"""Merged intervals: which dates of a backfill one execution of the tasks works on together.

Owns the rule, for DAGs that say `batch_intervals`. A batch is a stretch of consecutive intervals to be worked on: the
end of one is the start of the next, with nothing left alone in between, all of one conf. How long it may be the DAG
says, and the chunk it lies in. A batch is made when its dates are opened; what is stored of one is a key of its dates'
dag_runs (`RunRow.batch`), from which a later command learns which dates ran together.

Source: `BackfillPolicy.multi_run(max_partitions_per_run)` of Dagster and `batch_size` of SQLMesh, whose ledgers are by
interval as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from backfill_cli.core.shapes import Shape, days_in
from backfill_cli.core.zones import DAY, clock_of

CHUNK = "chunk"
"""What `batch_intervals=True` is kept as: the chunk says how long a batch may be."""

MOST = 1_000
"""Dates of one batch, at most: one transaction writes all of them, and a shell task has them in its environment."""


class Merge(NamedTuple):
    """How long a batch may be.

    Args:
        dates: So many dates, at most.
        days: So many days in the DAG's zone, at most, counted from the first date of the batch; None is no bound.
        together: Only dates that ran together before do so again: nothing says how long a batch may be.
    """

    dates: int = MOST
    days: int | None = None
    together: bool = False


class Candidate(NamedTuple):
    """A date to work on. `conf` is JSON text; `batch` the first date of the batch it ran in last, None without one."""

    logical_date: int
    data_interval_end: int
    conf: str = "{}"
    batch: int | None = None


def merge_of(batch_intervals: str | None, shape: Shape | None) -> Merge | None:
    """Return how a run merges dates; None when it never does.

    Args:
        batch_intervals: As a DAG keeps it: `chunk`, a number of dates such as `7`, or days such as `7d`; None is no.
        shape: The waves of the run; no batch is ever in two of them.
    """
    if batch_intervals is None:
        return None
    if batch_intervals == CHUNK:
        return Merge(together=shape is None or shape.chunk is None)
    days = days_in(batch_intervals)
    return Merge(days=days) if days else Merge(min(int(batch_intervals), MOST))


class Merger:
    """Puts the dates to work on, taken one by one in the order of the run, into batches."""

    def __init__(self, merge: Merge, timezone: str) -> None:
        self._merge = merge
        self._clock = clock_of(timezone)
        self._batch: list[Candidate] = []

    def take(self, one: Candidate) -> list[Candidate]:
        """Take the next date; returns the batch that it ends, ascending, or nothing when it joins it."""
        if self._joins(one):
            self._batch.append(one)
            return []
        ended = self.end()
        self._batch.append(one)
        return ended

    def end(self) -> list[Candidate]:
        """Return the last batch, ascending, and begin anew."""
        ended, self._batch = sorted(self._batch), []
        return ended

    def _joins(self, one: Candidate) -> bool:
        if not self._batch:
            return True
        first, last, merge = self._batch[0], self._batch[-1], self._merge
        if one.conf != last.conf or len(self._batch) >= merge.dates:
            return False
        # Ascending the one follows the other, backwards the other way round.
        if last.data_interval_end != one.logical_date and one.data_interval_end != last.logical_date:
            return False
        if merge.days is not None and abs(self._day(one) - self._day(first)) >= merge.days:
            return False
        return not merge.together or (one.batch is not None and one.batch == last.batch)

    def _day(self, one: Candidate) -> int:
        return (one.logical_date + self._clock.offset_at(one.logical_date)) // DAY


def batches(dates: Iterable[Candidate], merge: Merge, timezone: str) -> Iterator[list[Candidate]]:
    """Yield the batches of dates that come in the order of the run; each is ascending."""
    merger = Merger(merge, timezone)
    for one in dates:
        if ended := merger.take(one):
            yield ended
    if ended := merger.end():
        yield ended


class MergeTally(NamedTuple):
    """What the batches of a plan come to.

    Args:
        dates: Dates to run.
        runs: Executions of the tasks they make.
        largest: Dates of the largest batch.
        lanes: How often the runs open together are full, one wave after another: what the time follows from.
    """

    dates: int
    runs: int
    largest: int
    lanes: int

    def data(self) -> dict[str, int]:
        return {"dates": self.dates, "runs": self.runs, "largest": self.largest}


def tally_batches(dates: Iterable[tuple[int, Candidate]], merge: Merge, timezone: str, *, parallel: int) -> MergeTally:
    """Walk the dates to run, in the order of the run, and return what their batches come to.

    Args:
        dates: Each with the number of its wave (`core/waves.py`): 0 is the pilot, whose dates run one by one.
        parallel: Runs open together.
    """
    merger = Merger(merge, timezone)
    total = runs = largest = lanes = in_wave = pilot = current = 0

    def note(batch: list[Candidate]) -> int:
        nonlocal largest
        largest = max(largest, len(batch))
        return 1 if batch else 0

    for wave, one in dates:
        total += 1
        if not wave:
            pilot += 1
            continue
        if wave != current:
            in_wave += note(merger.end())
            runs, lanes, in_wave, current = runs + in_wave, lanes - (-in_wave // parallel), 0, wave
        in_wave += note(merger.take(one))
    in_wave += note(merger.end())
    runs += in_wave + pilot
    lanes += -(-in_wave // parallel) - (-pilot // parallel)
    return MergeTally(total, runs, max(largest, min(pilot, 1)), lanes)
