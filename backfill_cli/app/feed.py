"""Feeding a run: the dates still to do, each with what the store knows of it, a page at a time.

Owns the reading that the machine must not do: the stored dag_run and its task instances, the previous run for
depends_on_past, the latest earlier success for the macros. One snapshot a page, so a window of any length costs the
memory of a page.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backfill_cli.app.leaving import first_run
from backfill_cli.app.past import past_run, run_before
from backfill_cli.core.auditing import canonical
from backfill_cli.core.clearing import cleared_by
from backfill_cli.core.context import PreviousSuccess
from backfill_cli.core.following import counts_as_past
from backfill_cli.core.ports import Reader, Store
from backfill_cli.core.progress import RunSpec
from backfill_cli.core.records import Action, BackfillRow, InstanceRow, PlanRow, RunRow
from backfill_cli.core.rules import PastRun
from backfill_cli.core.states import RunState

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.listening import ProgressCounts

PAGE = 500


class StoreFeed:
    """The dates of one backfill that have no outcome yet, in the order they are to be opened.

    All of them; or, for one who runs them in waves (`app/waves.py`), first these (`only`), then those up to a date
    (`up_to`), and so on.
    """

    def __init__(self, store: Store, dag: Dag, row: BackfillRow) -> None:
        self._store = store
        self._dag = dag
        self._row = row
        self._backwards = bool(row.request.get("run_backwards"))
        self._after: int | None = None
        self._last: int | None = None
        self._single: deque[int] | None = None
        self._page: deque[RunSpec] = deque()
        self._is_done = False
        conf = row.request.get("conf")
        self._conf: Mapping[str, Any] | None = conf
        self._conf_text = canonical(conf or {})
        self._ignored = self._first_run() if row.request.get("ignore_first_depends_on_past") else None

    def take(self, most: int) -> Sequence[RunSpec]:
        """Return up to `most` dates; none when there are no more."""
        if not self._page and not self._is_done:
            self._page.extend(self._store.read(self._read_page))
        return [self._page.popleft() for _ in range(min(most, len(self._page)))]

    def to_come(self, dates: Collection[int]) -> frozenset[int]:
        """Return those of these dates, which have no outcome, that have not been given yet; with `only`, of its own."""
        ahead = {*self._ahead(), *(self._single or ())}
        return frozenset(date for date in dates if date in ahead or (self._single is None and self._is_unread(date)))

    def _is_unread(self, logical_date: int) -> bool:
        is_read = self._after is not None and not self._is_beyond(logical_date, self._after)
        return not is_read or (self._last is not None and self._is_beyond(logical_date, self._last))

    def leave_out(self, dates: Collection[int], counts: ProgressCounts) -> None:
        """Read again what was read ahead: these dates are left out by now, and others may have another run before."""
        ahead = self._ahead()
        self._forget_ahead()
        if self._ignored in dates:
            self._ignored = self._first_run()
        if ahead and self._single is not None:
            self._single.extendleft(reversed(ahead))
        elif ahead:
            self._after = ahead[0] + 1 if self._backwards else ahead[0] - 1

    def _ahead(self) -> list[int]:
        """The dates that were read and not given yet, in the order of the run."""
        batches = ([spec.logical_date, *(one.logical_date for one in spec.members)] for spec in self._page)
        return [date for batch in batches for date in (reversed(batch) if self._backwards else batch)]

    def _forget_ahead(self) -> None:
        self._page.clear()

    def only(self, dates: Iterable[int]) -> None:
        """Give these dates next, as far as they are still to be done."""
        self._single = deque(dates)
        self._is_done = False

    def up_to(self, last: int | None, *, after: int | None) -> None:
        """Give the dates behind `after` next, in the order of the run, and none behind `last`; None is no bound."""
        self._single = None
        self._after, self._last, self._is_done = after, last, False

    def _read_page(self, reader: Reader) -> list[RunSpec]:
        rows = self._next_rows(reader) if self._single is None else self._next_single(reader, self._single)
        if not rows:
            self._is_done = True
            return []
        page = PageOfRuns(reader, self._dag, rows)
        return [self._spec(page, row) for row in rows]

    def _next_rows(self, reader: Reader) -> list[PlanRow]:
        rows = reader.pending(self._row.backfill_id, after=self._after, limit=PAGE, backwards=self._backwards)
        if rows:
            self._after = rows[-1].logical_date
        return [row for row in rows if self._last is None or not self._is_beyond(row.logical_date, self._last)]

    def _first_run(self) -> int | None:
        """The backfill's first date, of those that nobody took out of it."""
        return self._store.read(lambda reader: first_run(reader, self._row))

    def _is_beyond(self, logical_date: int, other: int) -> bool:
        """Whether a date comes behind another one in the order of the run."""
        return logical_date < other if self._backwards else logical_date > other

    def _next_single(self, reader: Reader, dates: deque[int]) -> list[PlanRow]:
        """The next of the dates that were named which is still to be done: pages around far dates would be long."""
        while dates:
            date = dates.popleft()
            rows = reader.pending(self._row.backfill_id, after=date - 1, limit=1)
            if rows and rows[0].logical_date == date:
                return rows
        return []

    def _spec(self, page: PageOfRuns, row: PlanRow, *, is_same: bool | None = None) -> RunSpec:
        """Return a date with what is stored of it.

        Args:
            is_same: Whether what is stored of its tasks was done for the dates that run now; None asks its dag_run, for
                a date alone. Else all of them run again.
        """
        stored = page.runs.get(row.logical_date)
        instances: tuple[InstanceRow, ...] = ()
        xcoms: Mapping[str, Mapping[str, str]] = {}
        if stored is not None:
            instances = tuple(page.reader.instances(self._dag.dag_id, row.logical_date, row.logical_date))
            xcoms = page.reader.xcoms(self._dag.dag_id, row.logical_date)
        conf, conf_text = self._conf_for(stored, row.action)
        is_same = is_same if is_same is not None else stored is None or stored.batch is None
        clears = self._clears(stored, instances, row.action) if is_same else frozenset(one.task_id for one in instances)
        return RunSpec(
            row.logical_date,
            row.data_interval_end,
            row.action,
            stored,
            instances,
            xcoms,
            clears,
            page.previous_run(row.logical_date),
            page.previous_success(row.logical_date),
            row.logical_date == self._ignored,
            conf,
            conf_text,
        )

    def _conf_for(self, stored: RunRow | None, action: Action) -> tuple[Mapping[str, Any], str]:
        """The conf of the dag_run is kept, unless this backfill runs it again with another one."""
        if stored is None or (self._conf is not None and action in (Action.RERUN, Action.RESET)):
            return self._conf or {}, self._conf_text
        return json.loads(stored.conf), stored.conf

    def _clears(self, stored: RunRow | None, instances: Sequence[InstanceRow], action: Action) -> frozenset[str]:
        if stored is None or (stored.backfill_id == self._row.backfill_id and not stored.state.is_terminal):
            return frozenset()  # nothing to clear, or this backfill was stopped in it, after it had cleared it
        request = self._row.request
        return cleared_by(
            action,
            stored.state,
            instances,
            self._dag,
            rerun_failed=bool(request.get("rerun_failed")),
            whole_run=bool(request.get("whole_run")),
        )


class PageOfRuns:
    """A page of dates with the dag_runs around them, read from one snapshot."""

    def __init__(self, reader: Reader, dag: Dag, rows: Sequence[PlanRow]) -> None:
        self.reader = reader
        self._dag = dag
        low = min(rows[0].logical_date, rows[-1].logical_date)
        high = max(rows[0].logical_date, rows[-1].logical_date)
        self.runs = {run.logical_date: run for run in reader.runs(dag.dag_id, low, high)}
        self._dates = sorted(self.runs)
        self._to_do = frozenset(row.logical_date for row in rows)
        self._run_before = run_before(reader, dag, low) if dag.waits_on_past else None
        before = reader.run_before(dag.dag_id, low, state=RunState.SUCCESS)
        self._success_before = before
        self._successes = [date for date in self._dates if self.runs[date].state is RunState.SUCCESS]

    def previous_success(self, logical_date: int) -> PreviousSuccess | None:
        place = bisect_left(self._successes, logical_date)
        run = self.runs[self._successes[place - 1]] if place else self._success_before
        return None if run is None else PreviousSuccess(run.leader, run.data_interval_end, run.started_at)

    def previous_run(self, logical_date: int) -> PastRun | None:
        """The latest earlier dag_run in the store; one this page will open itself the machine knows better."""
        if not self._dag.waits_on_past:
            return None
        run = self._run_before
        for date in reversed(self._dates[: bisect_left(self._dates, logical_date)]):
            if counts_as_past(self._dag, self.runs[date]):
                run = self.runs[date]
                break
        if run is None:
            return None
        if run.logical_date in self._to_do:
            return PastRun(run.logical_date, {}, is_open=True, is_finished=False)
        return past_run(self.reader, self._dag, run)
