"""From a stored backfill back to a request: what `run ID` and `rerun-failed ID` go on with.

Owns the inverse of `claiming.request_of`. The dates are the stored ones, not resolved anew: "the last 30 days" of
yesterday's command stay yesterday's.
"""

from __future__ import annotations

from dataclasses import replace

from backfill_cli.app.context import AppContext
from backfill_cli.app.leaving import left_out_dates
from backfill_cli.app.plan import Prepared, policy_for, shaped
from backfill_cli.app.pools import slots_of
from backfill_cli.app.targets import find_stored_target
from backfill_cli.app.warnings import refuse_impossible
from backfill_cli.core.options import BackfillOptions, Unsaid
from backfill_cli.core.ports import Store
from backfill_cli.core.ranges import Selection
from backfill_cli.core.records import BackfillRow


def options_of(row: BackfillRow, given: BackfillOptions) -> BackfillOptions:
    """Return the options a stored backfill was made with; what is given now about how to run it wins."""
    request, parallel = row.request, given.max_parallel_runs
    return replace(
        given,
        dag_id=row.dag_id,
        backfill_id=row.backfill_id,
        max_parallel_runs=int(request["parallel"]) if isinstance(parallel, Unsaid) else parallel,
        reprocess=frozenset(request["reprocess"]),
        tasks=given.tasks or tuple(request["tasks"]),
        reset_dag_run=bool(request["reset_dag_run"]),
        rerun_failed=bool(request["rerun_failed"]),
        whole_run=bool(request["whole_run"]) or given.whole_run,
        run_backwards=bool(request["run_backwards"]),
        ignore_first_depends_on_past=bool(request["ignore_first_depends_on_past"]),
        strict_templates=bool(request["strict_templates"]) or given.strict_templates,
        between=given.between or tuple(request["between"]),
        conf=given.conf if given.conf is not None else request["conf"],
    )


def selection_of(row: BackfillRow) -> Selection:
    """Return the dates of a stored backfill, as they were resolved when it was made."""
    request = row.request
    dates = request["dates"]
    return Selection(
        int(request["first"]),
        int(request["last"]),
        None if dates is None else tuple(dates),
        limit=request["limit"],
        backwards=bool(request["run_backwards"]),
    )


def prepare_stored(ctx: AppContext, row: BackfillRow, options: BackfillOptions, store: Store) -> Prepared:
    """Understand a stored backfill anew: the DAG as it is now, the dates as they were then."""
    target = find_stored_target(ctx, row, strict=options.strict_templates)
    refuse_impossible(target.dag, slots_of(ctx.settings, store))
    selection = selection_of(row)
    policy = policy_for(options, target.dag, store, selection.first, selection.last)
    left_out = store.read(lambda reader: left_out_dates(reader, row))
    prepared = Prepared(options, target, selection, policy, row.parent_id).as_left(left_out)
    return shaped(ctx, prepared, store, row)
