"""`bfill explain`: why one date is taken or left out, how its tasks stand, and what they wait for. Reads only.

Owns the reading, and the choice of the next command. What the rules say is `core/explaining.py`; whether a range takes
the date is asked of `core/ranges.py`, what a run would do with it of `core/planning.py`: nothing is decided anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from shlex import join
from typing import TYPE_CHECKING

from backfill_cli.app.batches import Batches, gone
from backfill_cli.app.commands import selection_words
from backfill_cli.app.explain_range import date_meant, selection_rules
from backfill_cli.app.history import liveness
from backfill_cli.app.leaving import first_run
from backfill_cli.app.lookup import find_backfill, is_killed
from backfill_cli.app.naming import naming
from backfill_cli.app.past import past_run, run_before
from backfill_cli.app.pools import views
from backfill_cli.app.status_waits import turn_words
from backfill_cli.app.targets import find_stored_target, find_target
from backfill_cli.app.warnings import moved_warnings
from backfill_cli.core.explaining import Cause, DateFacts, cause_of, checks_of
from backfill_cli.core.explanations import ExplainResult, InBackfill, PreviousRun, SelectionRule, TaskExplained
from backfill_cli.core.instants import instant, run_id
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.planning import Policy, decide_action, unfinished_because
from backfill_cli.core.records import SCHEDULED, RunType
from backfill_cli.core.standing import MISSING
from backfill_cli.core.states import FAILURES, GOING, BackfillState, RunState, TaskState
from backfill_cli.core.zones import EARLIEST, LATEST

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.intervals import Span
    from backfill_cli.core.ports import Reader
    from backfill_cli.core.ranges import When
    from backfill_cli.core.records import AttemptRow, BackfillRow, InstanceRow, RunRow
    from backfill_cli.loader.resolve import Resolved
    from backfill_cli.loader.settings import Settings

_LATEST = 20
"""Backfills of a DAG that are looked at for one that holds the date, the latest first."""


def explain(ctx: AppContext, options: BackfillOptions, *, when: When, task_ids: tuple[str, ...] = ()) -> ExplainResult:
    """Return everything about one date.

    Args:
        options: `backfill_id`, or a DAG.
        when: A day with one logical date, or an instant.
        task_ids: Only these tasks, as `--task` selects them.

    Raises:
        NotFoundError: The schedule has no such date, and no dag_run stands there; the hint names its neighbours.
        UsageProblem: The day has several.
    """
    with ctx.store(write=False) as store:
        row = None if options.backfill_id is None else find_backfill(store, options.backfill_id)
        target = find_target(ctx, options, store) if row is None else find_stored_target(ctx, row)
        dag = target.dag
        asked = options if row is None else BackfillOptions(dag_id=dag.dag_id)
        shown = dag.select(task_ids) if task_ids else frozenset(dag.tasks)
        span = date_meant(ctx, asked, dag, when, store)
        asked = replace(asked, dates=(instant(span.start),))
        rules = selection_rules(ctx, asked, dag, span)
        notes = [*target.warnings, *moved_warnings(target, store)]
        result = store.read(
            lambda reader: _Look(ctx.settings, reader, dag, row).result(target, asked, span, rules, shown)
        )
    return replace(result, problems=notes)


class _Look:
    """One snapshot of the store, looked at for one date."""

    def __init__(self, settings: Settings, reader: Reader, dag: Dag, row: BackfillRow | None) -> None:
        self._settings = settings
        self._reader = reader
        self._dag = dag
        self._row = row
        self._is_live = liveness(reader)
        self._at = lru_cache(maxsize=None)(self.facts)
        self._batches = Batches(reader, dag.dag_id)

    def facts(self, logical_date: int) -> DateFacts:
        reader, dag = self._reader, self._dag
        run = reader.run(dag.dag_id, logical_date)
        instances = {one.task_id: one for one in self._instances(run, logical_date)}
        place = self._place(run, logical_date)
        before = run_before(reader, dag, place) if dag.waits_on_past else None
        previous = None if before is None else past_run(reader, dag, before, is_open=self._held(before))
        is_live, ignores = self._held(run), self._ignores_past(run, place)
        free = self._free() if is_live else {}
        waits = self._waits(run, place) if is_live else {}
        coming = self._will_do(logical_date) if run is None else None
        turn = "" if coming is None else turn_words(reader, coming)
        return DateFacts(logical_date, run, instances, previous, ignores, is_live, free, waits, turn)

    def _place(self, run: RunRow | None, logical_date: int) -> int:
        """Return the date under which its tasks stand and wait: of a batch, the first."""
        place = self._batches.place_of(logical_date, None if run is None else run.batch)
        return logical_date if place is None else place

    def _waits(self, run: RunRow | None, place: int) -> dict[str, str]:
        """Return what the process that has the date says its tasks wait for: limits, hours, breakers, slots."""
        waits = None if run is None or run.owner is None else self._reader.waits(run.owner)
        return {one.task_id: one.why for one in (waits.tasks if waits else ()) if one.logical_date == place}

    def _free(self) -> dict[str, tuple[int, int]]:
        pools = views(self._settings, self._reader).values()
        return {pool.name: (pool.free, pool.slots) for pool in pools if pool.free is not None}

    def _instances(self, run: RunRow | None, logical_date: int) -> Iterable[InstanceRow]:
        """Return the task instances of a date: of a batch those of its first date, which are everybody's."""
        place = self._batches.place_of(logical_date, None if run is None else run.batch)
        if place is not None:
            return self._reader.instances(self._dag.dag_id, place, place)
        return () if run is None else gone(run, self._dag)

    def _held(self, run: RunRow | None) -> bool:
        return run is not None and run.owner is not None and self._is_live(run.owner)

    def _ignores_past(self, run: RunRow | None, logical_date: int) -> bool:
        """Whether the backfill that has the date began with it, and was told to ignore what is before."""
        row = self._row
        if row is None and run is not None and run.backfill_id is not None and not run.state.is_terminal:
            row = self._reader.backfill(run.backfill_id)
        if row is None or not row.request.get("ignore_first_depends_on_past"):
            return False
        return logical_date == first_run(self._reader, row)

    def state(self, run: RunRow | None) -> str:
        """Return how a dag_run stands: `blocked` and its kin are derived, as everywhere."""
        if run is None:
            return MISSING
        return str(run.state) if run.state.is_terminal or self._held(run) else unfinished_because(run)

    def result(
        self, target: Resolved, options: BackfillOptions, span: Span, rules: list[SelectionRule], shown: frozenset[str]
    ) -> ExplainResult:
        dag, facts = self._dag, self._at(span.start)
        run = facts.run
        policy = Policy(dag.version, is_live=self._is_live)
        decided = decide_action(run, policy) if all(one.passed for one in rules) else None
        tasks = self._tasks(facts, shown)
        state = self.state(run)
        owner = self._reader.owner(run.owner) if run is not None and run.owner is not None else None
        is_stale = run is not None and run.state is RunState.SUCCESS and run.version != dag.version
        result = ExplainResult(
            dag.dag_id,
            dag.version,
            dag.schedule.describe(),
            dag.timezone,
            span.start,
            span.end,
            run_id(run.run_type if run else RunType.BACKFILL, span.start),
            rules,
            decided[0] if decided else None,
            decided[1] if decided else "",
            state,
            run,
            is_stale,
            (owner.pid, owner.host) if owner is not None and owner.is_alive else None,
            self._backfill(run, span.start),
            dag.waits_on_past,
            self._previous(facts),
            tasks,
            options.dag_id or dag.dag_id,
            batch=() if run is None else tuple(one.logical_date for one in self._batches.whole(run)),
        )
        return replace(result, next_command=self._next(options, result))

    def _backfill(self, run: RunRow | None, logical_date: int) -> InBackfill | None:
        row = self._row
        if row is None and run is not None and run.backfill_id is not None:
            row = self._reader.backfill(run.backfill_id)
        elif row is None and run is None:
            row = self._will_do(logical_date)
        if row is None:
            return None
        found = self._reader.backfill_dates(row.backfill_id, after=logical_date - 1, limit=1)
        planned = next((one for one in found if one.logical_date == logical_date), None)
        state = BackfillState.INTERRUPTED if is_killed(self._reader, row) else row.state
        return InBackfill(row.backfill_id, state, planned)

    def _will_do(self, logical_date: int) -> BackfillRow | None:
        """Return the backfill of a living process that has the date still before it, or the latest that holds it."""
        reader, dag_id = self._reader, self._dag.dag_id
        for row in reader.overlapping(dag_id, logical_date, logical_date):
            if any(reader.claimed(row.backfill_id, logical_date, logical_date)):
                return row
        latest = reader.backfills(dag_id=dag_id, besides=SCHEDULED, limit=_LATEST)
        return next((row for row in latest if any(reader.controls().dates(row.backfill_id, [logical_date]))), None)

    def _previous(self, facts: DateFacts) -> PreviousRun | None:
        before, dag = facts.previous, self._dag
        if before is None:
            return None
        low = max(before.logical_date + 1, EARLIEST if dag.start_date is None else dag.start_date)
        high = min(facts.logical_date - 1, LATEST if dag.end_date is None else dag.end_date)
        missing = dag.schedule.count(low, high) if dag.schedule.kind != "none" else 0
        first = next(iter(dag.schedule.spans(low, high))).start if missing else None
        last = next(iter(dag.schedule.spans_backwards(low, high))).start if missing else None
        state = self.state(self._reader.run(dag.dag_id, before.logical_date))
        return PreviousRun(before.logical_date, state, missing, first, last)

    def _tasks(self, facts: DateFacts, shown: frozenset[str]) -> list[TaskExplained]:
        """The tasks of the DAG in its order, then those that are in it no longer."""
        last: dict[str, AttemptRow] = {}
        place = self._place(facts.run, facts.logical_date)
        for one in self._reader.attempts(self._dag.dag_id, place, place):
            last[one.task_id] = one
        dag = self._dag
        found = []
        for task_id, task in dag.tasks.items():
            if task_id in shown:
                checks = checks_of(dag, task, facts)
                cause = cause_of(dag, facts, task_id, self._at)
                instance = facts.instances.get(task_id)
                found.append(TaskExplained(task_id, facts.state(task_id), instance, last.get(task_id), checks, cause))
        for task_id, instance in facts.instances.items():
            if task_id not in dag.tasks and shown == dag.tasks.keys():
                found.append(TaskExplained(task_id, instance.state, instance, last.get(task_id), removed=True))
        return found

    def _next(self, options: BackfillOptions, result: ExplainResult) -> str:
        """Return what to type now: what mends the cause first, since this date goes on behind it."""
        if result.action is None or (result.state == RunState.SUCCESS and not result.is_stale):
            return ""
        # A date of a batch that is named alone would run alone, and anew.
        ends = (result.batch[0], result.batch[-1]) if len(result.batch) > 1 else (result.logical_date,)
        causes = [one.cause for one in result.tasks if one.cause is not None and one.cause.dates]
        first = min(causes, key=lambda one: one.logical_date, default=None)
        watched = self._watched(result, first)
        if watched is not None:
            row = self._reader.backfill(watched)
            is_paused = row is not None and row.state is BackfillState.PAUSED
            return f"bfill resume {watched}" if is_paused else f"bfill status {watched} --watch"
        if first is not None:
            # All dates from the cause to this one: what is blocked behind a repair goes on with it.
            command = "rerun-failed" if TaskState(first.state) in FAILURES else "run"
            begin = self._place(self._at(first.logical_date).run, first.logical_date)
            return f"bfill {command} {join(self._words(options, begin, ends[-1]))}"
        backfill = result.backfill
        if result.run is None and backfill is not None and backfill.will_do and not backfill.state.is_terminal:
            return f"bfill run {backfill.backfill_id}"
        words = self._words(options, *ends)
        if result.state == RunState.FAILED:
            return f"bfill rerun-failed {join(words)}"
        return f"bfill run {join([*words, '--reprocess', 'stale'] if result.is_stale else words)}"

    def _watched(self, result: ExplainResult, cause: Cause | None) -> str | None:
        """Return the backfill that works on the date, or on its cause, or that will come to it."""
        runs = [result.run] if cause is None else [result.run, self._at(cause.logical_date).run]
        held = next((run.backfill_id for run in runs if run is not None and self._held(run)), None)
        backfill = result.backfill
        will_come = result.run is None and backfill is not None and backfill.will_do and backfill.state in GOING
        return backfill.backfill_id if will_come and backfill is not None else held

    def _words(self, options: BackfillOptions, first: int, last: int | None = None) -> list[str]:
        return selection_words(naming(options, self._dag, first, last))
