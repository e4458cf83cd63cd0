"""`bfill scheduler --once`: one pass over the DAGs; what is due at a moment is created and run to its end.

Owns the order of DAGs and what each comes to. What is due of one, and how it runs, is `app/shifts.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backfill_cli.app.context import AppContext
from backfill_cli.app.pools import slots_of
from backfill_cli.app.shifts import NothingDue, Stretch, may_be_due, why_nothing, work_shift
from backfill_cli.app.targets import find_target
from backfill_cli.app.warnings import refuse_impossible
from backfill_cli.core.listening import Listener
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.results import BackfillResult
from backfill_cli.core.scheduling import ScheduleOptions, ScheduleResult, Standing
from backfill_cli.errors import BfillError, UsageProblem

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.when import When
    from backfill_cli.loader.resolve import Resolved


def schedule_once(ctx: AppContext, options: ScheduleOptions, listeners: Sequence[Listener] = ()) -> ScheduleResult:
    """Run what is due of every DAG, one DAG after the other, to its end or to a stop.

    A DAG that cannot be loaded or run never holds another one back: its error stands in the result.
    """
    found: list[Standing] = []
    stopped_by: int | None = None
    for name in options.dags or _all(ctx, found):
        try:
            with ctx.store(write=False) as store:
                target = find_target(ctx, BackfillOptions(dag_id=name), store)
                refuse_impossible(target.dag, slots_of(ctx.settings, store))
            standing = _pass(ctx, target, options, listeners)
        except BfillError as error:
            found.append(Standing(name, error=error.message, hint=error.hint, error_code=error.exit_code))
            continue
        found.append(standing)
        stopped_by = next((one.stopped_by for one in standing.results if one.stopped_by is not None), None)
        if stopped_by is not None:
            break
    return ScheduleResult(found, stopped_by)


def _all(ctx: AppContext, found: list[Standing]) -> list[str]:
    """Return what names each DAG of the dags folders; what does not load is found with its error."""
    from backfill_cli.loader.folders import list_dags

    listed = list_dags(ctx.settings)
    places = Counter(one.dag_id for one in listed)
    names = []
    for one in listed:
        if isinstance(one.dag, BfillError):
            error = one.dag
            name = one.dag_id or str(one.path)
            found.append(Standing(name, error=error.message, hint=error.hint, error_code=error.exit_code))
        elif one.dag_id is not None and places[one.dag_id] > 1:
            if one.dag_id not in names:
                names.append(one.dag_id)  # resolved by its id, which is refused: their histories would be one
        else:
            names.append(f"{one.path}:{one.dag_id}")
    return names


def _pass(ctx: AppContext, target: Resolved, options: ScheduleOptions, listeners: Sequence[Listener]) -> Standing:
    dag = target.dag
    stretch = _stretch(ctx, options, dag.timezone)
    results: list[BackfillResult] = []
    while _may_be_due(ctx, dag, stretch):
        try:
            result = work_shift(ctx, target, stretch, options, listeners)
        except NothingDue:
            break
        results.append(result)
        if result.stopped_by is not None or result.blocked or result.remaining:
            break
    with ctx.store(write=False) as store:
        why, next_at = store.read(lambda reader: why_nothing(reader, dag, stretch))
    return Standing(dag.dag_id, why, dag.timezone, next_at, tuple(results))


def _may_be_due(ctx: AppContext, dag: Dag, stretch: Stretch) -> bool:
    with ctx.store(write=False) as store:
        return store.read(lambda reader: may_be_due(reader, dag, stretch))


def _stretch(ctx: AppContext, options: ScheduleOptions, timezone: str) -> Stretch:
    now = ctx.clock.now_us() // 1_000_000 if options.now is None else _second(options.now, timezone)
    until = now if options.until is None else _second(options.until, timezone)
    if until < now:
        raise UsageProblem(
            "--until is before --now", hint="name the later moment with --until", code="reversed-stretch"
        )
    return Stretch(now, until)


def _second(when: When, timezone: str) -> int:
    from backfill_cli.core.when import first_second
    from backfill_cli.core.zones import clock_of

    return first_second(when, clock_of(timezone))
