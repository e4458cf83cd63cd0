"""`bfill dags list|show|validate`: what the DAG files say, and what the store holds of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from backfill_cli.app.context import AppContext
from backfill_cli.app.targets import find_target
from backfill_cli.core.graph import Dag
from backfill_cli.core.intervals import Span
from backfill_cli.core.listings import DagInfo, DagResult, DagsResult
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.ports import Reader
from backfill_cli.core.ranges import last_complete
from backfill_cli.errors import BfillError


def list_all(ctx: AppContext) -> DagsResult:
    """Return every DAG of the dags folders, and every file there that does not load."""
    from backfill_cli.loader.folders import list_dags

    found = [
        _info(ctx, None, one.dag, one.path) if isinstance(one.dag, BfillError) else _info(ctx, one.dag, None, one.path)
        for one in list_dags(ctx.settings)
    ]
    return DagsResult(found, folders=[str(one) for one in ctx.settings.dags])


def validate(ctx: AppContext, targets: Sequence[str]) -> DagsResult:
    """Return what is wrong with these DAGs, or with all of the dags folders; exit code 3 when anything is."""
    infos = [_checked(ctx, target) for target in targets or _all_targets(ctx)]
    broken = any(one.error is not None for one in infos)
    return DagsResult(infos, folders=[str(one) for one in ctx.settings.dags], exit_code=3 if broken else 0)


def _all_targets(ctx: AppContext) -> list[str]:
    """Return what names each DAG of the dags folders, and each file there that does not load."""
    from backfill_cli.loader.folders import list_dags

    return [
        str(one.path) if isinstance(one.dag, BfillError) else f"{one.path}:{one.dag.dag_id}"
        for one in list_dags(ctx.settings)
    ]


def _checked(ctx: AppContext, target: str) -> DagInfo:
    from backfill_cli.app.warnings import refuse_impossible, template_problems

    try:
        with ctx.store(write=False) as store:
            found = find_target(ctx, BackfillOptions(dag_id=target), store)
        refuse_impossible(found.dag, ctx.settings)
        if found.dag.strict_templates:  # the conf comes with the command that runs it
            deque(template_problems(found.dag, ctx.settings, BackfillOptions(), keeps_conf=True), maxlen=0)
        return _info(ctx, found.dag, None, found.path, found.warnings)
    except BfillError as error:
        return _info(ctx, None, error, target)


def show(ctx: AppContext, target: str) -> DagResult:
    """Return one DAG in full, with its schedule around now and what the store holds of it."""
    with ctx.store(write=False) as store:
        found = find_target(ctx, BackfillOptions(dag_id=target), store)
        dag = found.dag

        def read(reader: Reader) -> tuple[dict[str, int], int]:
            counts = reader.count_runs(dag.dag_id, -(2**60), 2**60)
            return {str(state): number for state, number in counts.items() if number}, len(reader.versions(dag.dag_id))

        counts, versions = store.read(read)
    complete, following = _around_now(ctx, dag)
    return DagResult(dag, complete, following, counts, versions, found.warnings)


def _info(
    ctx: AppContext, dag: Dag | None, error: BfillError | None, path: str | Path | None, warnings: Sequence[object] = ()
) -> DagInfo:
    shown = None if path is None else str(path)
    if dag is None:
        assert error is not None
        return DagInfo(None, shown, error=error.message, hint=error.hint, code=error.code, where=error.where)
    info = DagInfo(
        dag.dag_id,
        dag.path or shown,
        dag.schedule.describe(),
        dag.timezone,
        dag.version,
        len(dag.tasks),
        dag.tags,
        dag.description,
        _around_now(ctx, dag)[0],
    )
    return replace(info, warnings=tuple(warnings))  # type: ignore[arg-type]


def _around_now(ctx: AppContext, dag: Dag) -> tuple[Span | None, Span | None]:
    """The latest interval that is over, and the one that is running or comes next, within the DAG's own bounds."""
    if dag.schedule.kind == "none":
        return None, None
    now = ctx.clock.now_us() // 1_000_000
    complete = last_complete(dag.schedule, now)
    if complete is not None and dag.end_date is not None and complete.start > dag.end_date:
        complete = dag.schedule.previous(dag.end_date + 1)
    if complete is not None and dag.start_date is not None and complete.start < dag.start_date:
        complete = None
    first = dag.schedule.first_at_or_after(now if dag.start_date is None else dag.start_date)
    following = dag.schedule.next(complete.start) if complete else first
    if following is not None and dag.end_date is not None and following.start > dag.end_date:
        following = None
    return complete, following
