"""`bfill status --dag … --start …`: a range of a DAG, with what is missing and what is stale.

Owns the view of it. What all its dates come to is `range_tally.py`'s; a page of them is shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from heapq import merge
from typing import TYPE_CHECKING

from backfill_cli.app.commands import selection_words
from backfill_cli.app.history import liveness
from backfill_cli.app.outcomes import failure_groups
from backfill_cli.app.range_tally import Tally
from backfill_cli.app.reexecuting import reexecuted
from backfill_cli.app.status_page import Page, after_date, instances_on, slowest_tasks, task_views
from backfill_cli.app.status_waits import running, with_waits
from backfill_cli.app.targets import find_selection, find_target, has_range
from backfill_cli.core.instants import instant, run_id
from backfill_cli.core.planning import BLOCKED, CLEARED, INTERRUPTED, PARTIAL
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import RunType
from backfill_cli.core.results import DateResult
from backfill_cli.core.standing import MISSING, REMAINING, STALE, RunView, StatusResult
from backfill_cli.core.states import RunState

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.options import BackfillOptions
    from backfill_cli.core.ports import Reader, Store
    from backfill_cli.core.ranges import Selection, When
    from backfill_cli.core.records import BackfillRow

_UNFINISHED = (RunState.QUEUED, RunState.RUNNING)


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
    now = ctx.clock.now_us()

    def read(reader: Reader) -> StatusResult:
        result = _range_result(reader, dag, options, selection, page, gaps, problems)
        return with_waits(reader, result, running(reader, dag.dag_id), now)

    return store.read(read)


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
    first, last = selection.first, selection.last
    live = reader.overlapping(dag.dag_id, first, last)
    tally = Tally(dag.version, liveness(reader), page)
    tally.take(
        iter(selection.spans(dag.schedule)),
        reader.ended_runs(dag.dag_id, first, last),
        reader.runs(dag.dag_id, first, last, states=_UNFINISHED),
        merge(*(reader.claimed(row.backfill_id, first, last) for row in live)),
    )
    runs = [] if gaps else _range_views(reader, dag, tally.shown)
    results = [
        DateResult(instant(view.logical_date), view.run_id, view.state, None, None, batch=view.batch) for view in runs
    ]
    return StatusResult(
        dag.dag_id,
        first=tally.first,
        last=tally.last,
        timezone=dag.timezone,
        schedule=dag.schedule.describe(),
        counts=dict(tally.counts),
        task_ids=tuple(dag.tasks),
        runs=runs,
        more=tally.more,
        after=runs[-1].logical_date if tally.more and runs else None,
        gaps=tally.missing,
        slowest=slowest_tasks(reader, dag.dag_id, runs),
        failures=failure_groups(reader, dag.dag_id, tally.first, tally.last, results),
        reexecuted=reexecuted(
            reader, dag.dag_id, *((runs[0].logical_date, runs[-1].logical_date) if runs else (None, None))
        ),
        stale_because=_why_stale(reader, dag, tally.stale),
        problems=problems,
        gaps_only=gaps,
        next_command=_next_for_range(options, tally.counts, live),
    )


def _range_views(reader: Reader, dag: Dag, shown: Sequence[tuple[int, str, bool]]) -> list[RunView]:
    if not shown:
        return []
    first, last = shown[0][0], shown[-1][0]
    runs = {run.logical_date: run for run in reader.runs(dag.dag_id, first, last)}
    batches = [(date, runs[date].batch if date in runs else None) for date, _, _ in shown]
    instances, places = instances_on(reader, dag.dag_id, batches)
    views = []
    for date, state, stale in shown:
        run = runs.get(date)
        fill = state == REMAINING or (run is not None and places[date] is not None)
        tasks = task_views(instances.get(date, ()), tuple(dag.tasks), fill=fill)
        run_type = run.run_type if run else RunType.BACKFILL
        batch = None if run is None or run.batch is None else run.leader
        reason = run.reason if run else None
        views.append(RunView(date, run_id(run_type, date), state, reason, stale, tasks, batch))
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


def _next_for_range(options: BackfillOptions, counts: Mapping[str, int], live: Sequence[BackfillRow]) -> str:
    """Return what to type now. Where somebody works in the range, a command over all of it would be refused."""
    import shlex

    if live:
        return f"bfill status {live[0].backfill_id} --watch"
    words = shlex.join(selection_words(options))
    if counts.get("failed") or counts.get(BLOCKED):
        return f"bfill rerun-failed {words}"
    if has_range(options) and any(counts.get(one) for one in (MISSING, INTERRUPTED, CLEARED, PARTIAL)):
        return f"bfill run {words}"
    return f"bfill run {words} --reprocess stale" if has_range(options) and counts.get(STALE) else ""
