"""`bfill status`: how things stand, from the ledger and from who is alive.

Owns three views: the latest backfills; one backfill; a range of a DAG, with what is missing and what is stale. Counts
over a range come from counters, and details from one page of dates, so that a million dates cost what a thousand do.
`blocked`, `interrupted`, `missing` and `stale` are derived here and stored nowhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from backfill_cli.app.commands import selection_words
from backfill_cli.app.history import liveness
from backfill_cli.app.lookup import find_backfill
from backfill_cli.app.outcomes import date_result, failure_groups
from backfill_cli.app.targets import find_selection, find_target, has_range
from backfill_cli.core.instants import instant, run_id
from backfill_cli.core.planning import BLOCKED, CLEARED, INTERRUPTED, PARTIAL, unfinished_because
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import Action, BackfillRow, InstanceRow, RunRow, RunType
from backfill_cli.core.results import DateResult
from backfill_cli.core.standing import BackfillView, RunView, SlowTask, StatusResult, TaskView
from backfill_cli.core.states import BackfillState, Outcome, RunState, TaskState
from backfill_cli.errors import UsageProblem

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.intervals import Span
    from backfill_cli.core.options import BackfillOptions
    from backfill_cli.core.ports import Reader, Store
    from backfill_cli.core.ranges import Selection, When

LATEST = 20
MISSING = "missing"
STALE = "stale"
STATES = frozenset({*RunState, BLOCKED, INTERRUPTED, CLEARED, PARTIAL, MISSING, STALE, "skipped", "remaining"})


@dataclass(frozen=True, slots=True)
class Page:
    """Which dates to show: those in `where`, after a logical date (epoch seconds), at most so many."""

    where: frozenset[str]
    after: int | None
    limit: int

    def wants(self, state: str, *, stale: bool) -> bool:
        return not self.where or state in self.where or (stale and STALE in self.where)


def status(
    ctx: AppContext,
    options: BackfillOptions,
    *,
    where: frozenset[str] = frozenset(),
    gaps: bool = False,
    limit: int = 1_000,
    after: When | None = None,
) -> StatusResult:
    """Return how a backfill, a range, or everything stands. Reads only.

    Args:
        where: Only dates in these states (dag_run states, blocked, interrupted, cleared, missing, stale).
        gaps: Only what is missing.
        limit: Dates on the page.
        after: Go on behind this logical date.
    """
    unknown = where - STATES
    if unknown:
        raise UsageProblem(
            f"--where '{min(unknown)}' is not a state of a date", hint=f"use one of: {', '.join(sorted(STATES))}"
        )
    with ctx.store(write=False) as store:
        if options.backfill_id is not None:
            if has_range(options) or options.dag_id is not None:
                raise UsageProblem(
                    "a backfill id and a selection exclude each other",
                    hint=f"bfill status {options.backfill_id}",
                    code="id-and-selection",
                )
            row = find_backfill(store, options.backfill_id)
            page = Page(where, _after(after, str(row.request.get("timezone", "UTC"))), limit)
            return store.read(lambda reader: _of_backfill(ctx, reader, row, page))
        if options.dag_id is None and options.dag is None and options.command is None:
            if has_range(options):
                raise UsageProblem("a range needs a DAG", hint="add --dag DAG", code="no-dag")
            return store.read(lambda reader: _latest(ctx, reader, where))
        return _of_range(ctx, options, where, after, limit, gaps, store)


def _after(after: When | None, zone: str) -> int | None:
    if after is None:
        return None
    from backfill_cli.core.when import first_second
    from backfill_cli.core.zones import clock_of

    return first_second(after, clock_of(zone))


# the latest backfills


def _latest(ctx: AppContext, reader: Reader, where: frozenset[str]) -> StatusResult:
    states = [BackfillState(one) for one in where if one in set(BackfillState)] or None
    rows = reader.backfills(states=states, limit=LATEST)
    running = reader.backfills(states=[BackfillState.RUNNING, BackfillState.PAUSED], limit=LATEST)
    known = {row.backfill_id for row in rows}
    older = [row for row in running if row.backfill_id not in known and states is None]
    return StatusResult(None, backfills=[view_of(ctx, reader, row) for row in (*older, *rows)])


def view_of(ctx: AppContext, reader: Reader, row: BackfillRow) -> BackfillView:
    """Return a backfill with what is derived: a running one whose owner is dead is `interrupted`."""
    owner = reader.owner(row.owner) if row.owner else None
    state: str = row.state
    if row.state is BackfillState.RUNNING and (owner is None or not owner.is_alive):
        state = BackfillState.INTERRUPTED
    rate = eta = None
    done = row.completed + row.failed
    if state == BackfillState.RUNNING and row.started_at is not None and done:
        seconds = max(0.001, (ctx.clock.now_us() - row.started_at) / 1_000_000)
        rate = done / seconds * 60
        eta = round(row.remaining / (done / seconds), 1)
    alive = owner if owner is not None and owner.is_alive else None
    repaired_by, is_broken = _repairs(reader, row)
    return BackfillView(
        row,
        state,
        alive.pid if alive else None,
        alive.host if alive else None,
        rate,
        eta,
        repaired_by,
        str(row.request.get("timezone", "UTC")),
        is_broken,
    )


def _repairs(reader: Reader, row: BackfillRow) -> tuple[tuple[str, ...], bool]:
    """Which later backfills made a failed or blocked date of this one a success, and whether any is left."""
    if not (row.failed or row.blocked) or not row.state.is_terminal:
        return (), bool(row.failed)
    repairs: dict[str, None] = {}
    is_broken = False
    for one in reader.backfill_dates(row.backfill_id):
        if one.action is Action.SKIP or one.outcome is RunState.SUCCESS:
            continue
        run = reader.run(row.dag_id, one.logical_date)
        if run is not None and run.state is RunState.SUCCESS and run.backfill_id is not None:
            repairs[run.backfill_id] = None
        else:
            is_broken = True
    return tuple(repairs), is_broken


# one backfill


def _of_backfill(ctx: AppContext, reader: Reader, row: BackfillRow, page: Page) -> StatusResult:
    view = view_of(ctx, reader, row)
    versions = {one.version: tuple(one.tasks) for one in reader.versions(row.dag_id)}
    task_ids = versions.get(row.version, ())
    shown: list[DateResult] = []
    counts: Counter[str] = Counter()
    more = False
    for one in reader.backfill_dates(row.backfill_id):
        result = date_result(one, row, is_live=view.pid is not None)
        counts[result.state] += 1
        passed = page.after is not None and one.logical_date <= page.after
        if passed or not page.wants(result.state, stale=False):
            continue
        if len(shown) == page.limit:
            more = True
        else:
            shown.append(result)
    runs = _views_of(reader, row.dag_id, shown, task_ids)
    last_shown = runs[-1].logical_date if runs else None
    return StatusResult(
        row.dag_id,
        backfill=view,
        first=row.first,
        last=row.last,
        timezone=str(row.request.get("timezone", "UTC")),
        schedule=str(row.request.get("schedule", "")),
        counts=dict(counts),
        task_ids=task_ids or _task_ids(runs),
        runs=runs,
        more=more,
        after=last_shown if more else None,
        slowest=_slowest(reader, row.dag_id, runs),
        failures=failure_groups(reader, row.dag_id, row.first, row.last, shown),
        next_command=_next_for(view),
    )


def _next_for(view: BackfillView) -> str:
    row = view.row
    if view.state in (BackfillState.PLANNED, BackfillState.INTERRUPTED):
        return f"bfill run {row.backfill_id}"
    if view.is_broken and row.state.is_terminal:
        return f"bfill rerun-failed {row.backfill_id}"
    return ""


def _views_of(reader: Reader, dag_id: str, shown: Sequence[DateResult], task_ids: Sequence[str]) -> list[RunView]:
    if not shown:
        return []
    dates = [int(one.logical_date.timestamp()) for one in shown]
    instances = _instances(reader, dag_id, dates)
    found = []
    for date, one in zip(dates, shown, strict=True):
        tasks = _tasks(instances.get(date, ()), task_ids, fill=one.state not in (MISSING,))
        found.append(RunView(date, one.run_id, one.state, one.reason, False, tasks))
    return found


def _instances(reader: Reader, dag_id: str, dates: Sequence[int]) -> Mapping[int, list[InstanceRow]]:
    wanted = frozenset(dates)
    found: dict[int, list[InstanceRow]] = defaultdict(list)
    for one in reader.instances(dag_id, min(dates), max(dates)):
        if one.logical_date in wanted:
            found[one.logical_date].append(one)
    return found


def _tasks(rows: Iterable[InstanceRow], task_ids: Sequence[str], *, fill: bool) -> dict[str, TaskView]:
    """The task instances of a date in DAG order; one that has no row yet is `scheduled`."""
    known = {
        one.task_id: TaskView(one.state, one.try_number, one.started_at, one.ended_at, one.retry_at, one.reason)
        for one in rows
    }
    if not fill:
        return known
    scheduled = TaskView(TaskState.SCHEDULED, 0, None, None, None, None)
    return {one: known.get(one, scheduled) for one in (*task_ids, *(one for one in known if one not in task_ids))}


def _task_ids(runs: Sequence[RunView]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(task_id for run in runs for task_id in run.tasks))


# a range of a DAG


def _of_range(
    ctx: AppContext,
    options: BackfillOptions,
    where: frozenset[str],
    after: When | None,
    limit: int,
    gaps: bool,
    store: Store,
) -> StatusResult:
    target = find_target(ctx, options, store)
    dag = target.dag
    page = Page(where, _after(after, dag.timezone), limit)
    if has_range(options):
        selection = find_selection(ctx, options, dag)
    else:
        selection = store.read(lambda reader: _all_history(reader, dag))
    problems = [*target.warnings, *selection.notes]
    return store.read(lambda reader: _range_result(reader, dag, options, selection, page, gaps, problems))


def _all_history(reader: Reader, dag: Dag) -> Selection:
    """Everything the ledger has of a DAG: what `--dag` alone means."""
    from backfill_cli.core.ranges import Selection

    first = next(iter(reader.runs(dag.dag_id, -(2**60), 2**60)), None)
    last = next(iter(reader.runs(dag.dag_id, -(2**60), 2**60, backwards=True)), None)
    return Selection(first.logical_date, last.logical_date) if first and last else Selection(1, 0)


def _range_result(
    reader: Reader,
    dag: Dag,
    options: BackfillOptions,
    selection: Selection,
    page: Page,
    gaps: bool,
    problems: list[Problem],
) -> StatusResult:
    is_live = liveness(reader)
    counts: Counter[str] = Counter()
    missing: list[tuple[int, int, int]] = []
    shown: list[tuple[Span, RunRow | None, str]] = []
    stale_dates: dict[str, list[int]] = defaultdict(list)
    first = last = None
    more = was_missing = False
    for span, run in _with_runs(
        selection.spans(dag.schedule), reader.runs(dag.dag_id, selection.first, selection.last)
    ):
        first = span.start if first is None else first
        last = span.start
        state = _state_of(run, is_live)
        stale = run is not None and run.state is RunState.SUCCESS and run.version != dag.version
        counts[STALE if stale else state] += 1
        if stale and run is not None:
            stale_dates[run.version].append(span.start)
        if run is None:
            _grow(missing, span.start, goes_on=was_missing)
        was_missing = run is None
        if (page.after is None or span.start > page.after) and page.wants(state, stale=stale):
            if len(shown) == page.limit:
                more = True
            else:
                shown.append((span, run, state))
    runs = [] if gaps else _range_views(reader, dag, shown)
    results = [DateResult(instant(view.logical_date), view.run_id, view.state, None, None) for view in runs]
    return StatusResult(
        dag.dag_id,
        first=first,
        last=last,
        timezone=dag.timezone,
        schedule=dag.schedule.describe(),
        counts=dict(counts),
        task_ids=tuple(dag.tasks),
        runs=runs,
        more=more,
        after=runs[-1].logical_date if more and runs else None,
        gaps=missing,
        slowest=_slowest(reader, dag.dag_id, runs),
        failures=failure_groups(reader, dag.dag_id, first, last, results),
        stale_because=_why_stale(reader, dag, stale_dates),
        problems=problems,
        gaps_only=gaps,
        next_command=_next_for_range(options, counts),
    )


def _with_runs(spans: Iterable[Span], history: Iterator[RunRow]) -> Iterator[tuple[Span, RunRow | None]]:
    """Pair each interval with its dag_run, or None; both ascend."""
    run = next(history, None)
    for span in spans:
        while run is not None and run.logical_date < span.start:
            run = next(history, None)
        yield span, run if run is not None and run.logical_date == span.start else None


def _state_of(run: RunRow | None, is_live: Callable[[str], bool]) -> str:
    if run is None:
        return MISSING
    if run.state.is_terminal or (run.owner is not None and is_live(run.owner)):
        return run.state
    return unfinished_because(run)


def _grow(missing: list[tuple[int, int, int]], date: int, *, goes_on: bool) -> None:
    if goes_on:
        first, _, count = missing[-1]
        missing[-1] = (first, date, count + 1)
    else:
        missing.append((date, date, 1))


def _range_views(reader: Reader, dag: Dag, shown: Sequence[tuple[Span, RunRow | None, str]]) -> list[RunView]:
    if not shown:
        return []
    instances = _instances(reader, dag.dag_id, [span.start for span, _, _ in shown])
    views = []
    for span, run, state in shown:
        tasks = _tasks(instances.get(span.start, ()), tuple(dag.tasks), fill=run is not None)
        stale = run is not None and run.state is RunState.SUCCESS and run.version != dag.version
        run_type = run.run_type if run else RunType.BACKFILL
        views.append(
            RunView(span.start, run_id(run_type, span.start), state, run.reason if run else None, stale, tasks)
        )
    return views


def _why_stale(reader: Reader, dag: Dag, dates: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """Say for each older version which tasks are not what they were."""
    if not dates:
        return {}
    then = {one.version: one.tasks for one in reader.versions(dag.dag_id)}
    why: dict[str, list[int]] = defaultdict(list)
    for version, found in dates.items():
        old = then.get(version, {})
        now = {task_id: task.digest for task_id, task in dag.tasks.items()}
        changed = [one for one in now if one in old and old[one] != now[one]]
        added = [one for one in now if one not in old]
        gone = [one for one in old if one not in now]
        parts = [
            f"{word} {', '.join(names)}"
            for word, names in (("changed:", changed), ("new:", added), ("gone:", gone))
            if names
        ]
        why["; ".join(parts) or "the DAG's settings changed"] += found
    return {reason: sorted(found) for reason, found in why.items()}


def _next_for_range(options: BackfillOptions, counts: Mapping[str, int]) -> str:
    import shlex

    words = shlex.join(selection_words(options))
    if counts.get("failed") or counts.get(BLOCKED):
        return f"bfill rerun-failed {words}"
    if has_range(options) and any(counts.get(one) for one in (MISSING, INTERRUPTED, CLEARED, PARTIAL)):
        return f"bfill run {words}"
    return f"bfill run {words} --reprocess stale" if has_range(options) and counts.get(STALE) else ""


def _slowest(reader: Reader, dag_id: str, runs: Sequence[RunView]) -> list[SlowTask]:
    """The slowest successful try of each task on the page beside its median; slowest first."""
    from statistics import median

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
