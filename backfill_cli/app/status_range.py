"""`bfill status --dag … --start …`: a range of a DAG, with what is missing and what is stale.

Owns the walk over the schedule beside the ledger. It looks at every date of the range once, and shows a page of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from backfill_cli.app.commands import selection_words
from backfill_cli.app.history import liveness
from backfill_cli.app.outcomes import failure_groups
from backfill_cli.app.reexecuting import reexecuted
from backfill_cli.app.status_page import MISSING, STALE, Page, after_date, instances_on, slowest_tasks, task_views
from backfill_cli.app.targets import find_selection, find_target, has_range
from backfill_cli.core.instants import instant, run_id
from backfill_cli.core.planning import BLOCKED, CLEARED, INTERRUPTED, PARTIAL, unfinished_because
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import RunRow, RunType
from backfill_cli.core.results import DateResult
from backfill_cli.core.standing import RunView, StatusResult
from backfill_cli.core.states import RunState

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.intervals import Span
    from backfill_cli.core.options import BackfillOptions
    from backfill_cli.core.ports import Reader, Store
    from backfill_cli.core.ranges import Selection, When


def status_of_range(
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
    page = Page(where, after_date(after, dag.timezone), limit)
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
        slowest=slowest_tasks(reader, dag.dag_id, runs),
        failures=failure_groups(reader, dag.dag_id, first, last, results),
        reexecuted=reexecuted(
            reader, dag.dag_id, *((runs[0].logical_date, runs[-1].logical_date) if runs else (None, None))
        ),
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
    instances = instances_on(reader, dag.dag_id, [span.start for span, _, _ in shown])
    views = []
    for span, run, state in shown:
        tasks = task_views(instances.get(span.start, ()), tuple(dag.tasks), fill=run is not None)
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
