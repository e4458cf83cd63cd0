"""Feeding a run whose DAG merges dates: consecutive ones come as one, each batch as one RunSpec.

Owns the reading for it. Which dates make a batch is `core/merging.py`; what the store knows of a date, and the pages,
are `app/feed.py`'s. A batch that ran before goes on with its own task instances; one of other dates begins anew, for
what is done of another stretch of time is not done of this one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from backfill_cli.app.feed import PageOfRuns, StoreFeed
from backfill_cli.core.merging import Candidate, Merge, Merger, merge_of
from backfill_cli.core.progress import Member, RunSpec
from backfill_cli.core.records import BackfillRow, InstanceRow, PlanRow, RunRow, RunType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backfill_cli.core.graph import Dag
    from backfill_cli.core.ports import Reader, Store
    from backfill_cli.core.shapes import Shape


def feed_of(store: Store, dag: Dag, row: BackfillRow, shape: Shape | None) -> StoreFeed:
    """Return the dates of a backfill, merged where its DAG says so. What a scheduler creates runs date by date."""
    merge = None if row.is_scheduled else merge_of(dag.batch_intervals, shape)
    return StoreFeed(store, dag, row) if merge is None else MergedFeed(store, dag, row, merge)


class MergedFeed(StoreFeed):
    """The dates of a backfill as batches. The pilot's dates, which are far from each other, come one by one."""

    def __init__(self, store: Store, dag: Dag, row: BackfillRow, merge: Merge) -> None:
        super().__init__(store, dag, row)
        self._merge = merge
        self._kept: list[PlanRow] = []

    def _ahead(self) -> list[int]:
        return [*super()._ahead(), *(row.logical_date for row in self._kept)]

    def _forget_ahead(self) -> None:
        super()._forget_ahead()
        self._kept = []

    def _read_page(self, reader: Reader) -> list[RunSpec]:
        """Return a page of batches; dates of one that may go on in the next page are kept for it."""
        if self._single is not None:
            return super()._read_page(reader)
        while True:
            rows = self._next_rows(reader)
            self._is_done = not rows
            rows, self._kept = [*self._kept, *rows], []
            if not rows:
                return []
            page = PageOfRuns(reader, self._dag, rows)
            specs = [self._merged(page, batch) for batch in self._batches(page, rows)]
            if specs:
                return specs

    def _batches(self, page: PageOfRuns, rows: Sequence[PlanRow]) -> Iterator[list[PlanRow]]:
        """Yield the batches of the page, each ascending, but for the last one as long as more dates may come."""
        of_date = {row.logical_date: row for row in rows}
        merger = Merger(self._merge, self._dag.timezone)
        for row in rows:
            stored = page.runs.get(row.logical_date)
            _, conf = self._conf_for(stored, row.action)
            if ended := merger.take(candidate(row, stored, conf)):
                yield [of_date[one.logical_date] for one in ended]
        last = [of_date[one.logical_date] for one in merger.end()]
        if self._is_done:
            yield last
        else:
            self._kept = last[::-1] if self._backwards else last

    def _merged(self, page: PageOfRuns, rows: Sequence[PlanRow]) -> RunSpec:
        first, *others = rows
        if not others:
            return self._spec(page, first)
        spec = self._spec(page, first, is_same=_ran_together(page.runs, rows))
        own: dict[int, list[InstanceRow]] = defaultdict(list)
        if any(row.logical_date in page.runs for row in others):
            for one in page.reader.instances(self._dag.dag_id, others[0].logical_date, others[-1].logical_date):
                own[one.logical_date].append(one)
        members = (
            Member(row.logical_date, row.data_interval_end, _type_of(page.runs.get(row.logical_date)), tuple(found))
            for row in others
            for found in [own.get(row.logical_date, ())]
        )
        return replace(spec, members=tuple(members))


def candidate(row: PlanRow, stored: RunRow | None, conf: str) -> Candidate:
    """Return a date to do, for the rule of merging."""
    batch = None if stored is None or stored.batch is None else stored.leader
    return Candidate(row.logical_date, row.data_interval_end, conf, batch)


def _ran_together(runs: Mapping[int, RunRow], rows: Sequence[PlanRow]) -> bool:
    """Whether exactly these dates, ascending, ran as one batch: what is done of its tasks is done of all."""
    first, last = rows[0].logical_date, rows[-1].logical_date
    leader = runs.get(first)
    if leader is None or leader.batch != last:
        return False
    members = (runs.get(row.logical_date) for row in rows[1:])
    return all(one is not None and one.batch == first for one in members)


def _type_of(stored: RunRow | None) -> RunType:
    return RunType.BACKFILL if stored is None else stored.run_type
