"""Which logical date is meant, and which rules of ranges take it or leave it out: the first half of `explain`.

Owns no rule: each is asked of the enumerator of ranges (`core/ranges.py`), by itself.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from backfill_cli.app.naming import typed
from backfill_cli.app.targets import find_selection
from backfill_cli.core.explanations import SelectionRule
from backfill_cli.core.intervals import Span
from backfill_cli.core.when import first_second, last_second
from backfill_cli.core.zones import clock_of
from backfill_cli.errors import UsageProblem

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.options import BackfillOptions
    from backfill_cli.core.ports import Store
    from backfill_cli.core.ranges import When


def date_meant(ctx: AppContext, options: BackfillOptions, dag: Dag, when: When, store: Store) -> Span:
    """Return the interval meant: of the one dag_run that stands there, else of the schedule."""
    clock = clock_of(dag.timezone)
    first, last = first_second(when, clock), last_second(when, clock)
    stored = store.read(lambda reader: list(islice(reader.runs(dag.dag_id, first, last), 2)))
    everything = replace(options, dates=(when,), include_incomplete=True, ignore_dag_bounds=True)
    on_schedule = dag.schedule.count(first, last) if dag.schedule.kind != "none" else len(stored)
    if len(stored) == 1 and on_schedule <= 1:
        return Span(stored[0].logical_date, stored[0].data_interval_end)
    found = list(find_selection(ctx, everything, dag).spans(dag.schedule))
    if len(found) > 1:
        bounds = f"{clock.show(found[0].start)} … {clock.show(found[-1].start)}"
        raise UsageProblem(
            f"{when} has {len(found):,} logical dates: {bounds}",
            hint=f"name one of them: {typed(found[0].start, dag).isoformat()}",
            code="several-dates",
        )
    return found[0]


def selection_rules(ctx: AppContext, options: BackfillOptions, dag: Dag, span: Span) -> list[SelectionRule]:
    """Ask the enumerator of ranges about this date: with each rule by itself."""
    clock, schedule = clock_of(dag.timezone), dag.schedule
    show = clock.show
    if schedule.kind == "none":
        return [SelectionRule("schedule", True, "the DAG has no schedule: dates are named")]
    around = [one.start for one in (schedule.previous(span.start), schedule.next(span.start)) if one is not None]
    near = f"its neighbours are {' and '.join(map(show, around))}" if around else "it has no neighbours"
    if not schedule.count(span.start, span.start):
        text = f"not a logical date of {schedule.describe()}: no range takes it; {near}"
        return [SelectionRule("schedule", False, text)]
    is_within = bool(find_selection(ctx, replace(options, include_incomplete=True), dag).dates)
    is_over = bool(find_selection(ctx, replace(options, ignore_dag_bounds=True), dag).dates)
    named = (("starts", dag.start_date), ("ends", dag.end_date))
    bounds = " and ".join(f"{word} {show(bound)}" for word, bound in named if bound is not None)
    within = f"the DAG {bounds}" if bounds else "the DAG has no start_date and no end_date"
    over = f"over since {show(span.end)}" if is_over else f"not over before {show(span.end)}"
    return [
        SelectionRule("schedule", True, f"a logical date of {schedule.describe()}; {near}"),
        SelectionRule("dag-bounds", is_within, within + ("" if is_within else "; --ignore-dag-bounds takes it")),
        SelectionRule("complete", is_over, over + ("" if is_over else "; --include-incomplete takes it")),
    ]
