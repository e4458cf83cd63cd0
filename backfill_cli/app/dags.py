"""`bfill dags list|show|validate`: what the DAG files say, and what the store holds of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from backfill_cli.app.context import AppContext
from backfill_cli.app.dues import Stretch, outlook_of
from backfill_cli.app.pools import slots_of
from backfill_cli.app.targets import find_target
from backfill_cli.core.graph import Dag
from backfill_cli.core.intervals import Span
from backfill_cli.core.listings import DagInfo, DagResult, DagsResult
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.ports import Reader
from backfill_cli.core.ranges import last_complete
from backfill_cli.errors import BfillError, ScheduleError

if TYPE_CHECKING:
    from backfill_cli.loader.folders import Listed


def list_all(ctx: AppContext) -> DagsResult:
    """Return every DAG of the dags folders, and every file there that does not load."""
    from backfill_cli.loader.folders import list_dags

    found = list_dags(ctx.settings)

    def read(reader: Reader) -> list[DagInfo]:
        return [_line(ctx, reader, one) for one in found]

    with ctx.store(write=False) as store:
        shown = store.read(read)
    return DagsResult(shown, folders=[str(one) for one in ctx.settings.dags])


def _line(ctx: AppContext, reader: Reader, found: Listed) -> DagInfo:
    """Return a DAG's line; one whose schedule cannot be asked is broken as one that does not load is."""
    error = found.dag
    if not isinstance(error, BfillError):
        try:
            return _scheduled(ctx, reader, error, _info(ctx, error, None, found.path))
        except ScheduleError as raised:
            error = raised
    return replace(_info(ctx, None, error, found.path), dag_id=found.dag_id)


def _scheduled(ctx: AppContext, reader: Reader, dag: Dag, info: DagInfo) -> DagInfo:
    """Return a DAG's line with what the scheduler has done about it and will do, as it says so itself."""
    now = ctx.clock.now_us() // 1_000_000
    outlook = outlook_of(reader, dag, Stretch(now, now))
    last = reader.last_scheduled(dag.dag_id)
    return replace(info, paused=outlook.is_paused, next_due=outlook.next_at, last_scheduled=last)


def validate(ctx: AppContext, targets: Sequence[str]) -> DagsResult:
    """Return what is wrong with these DAGs, or with all of the dags folders; exit code 3 when anything is."""
    from backfill_cli.loader.folders import dag_targets

    wanted = [one for target in targets for one in dag_targets(target, ctx.settings)] if targets else _all_targets(ctx)
    infos = _apart([_checked(ctx, target) for target in wanted])
    broken = any(one.error is not None for one in infos)
    return DagsResult(infos, folders=[str(one) for one in ctx.settings.dags], exit_code=3 if broken else 0)


def _all_targets(ctx: AppContext) -> list[str]:
    """Return what names each DAG of the dags folders, and each file there that does not load."""
    from backfill_cli.loader.folders import list_dags

    return [
        str(one.path) if one.dag_id is None else f"{one.path}:{one.dag_id}"  # a path without a name: the whole file
        for one in list_dags(ctx.settings)
    ]


def _apart(infos: Sequence[DagInfo]) -> list[DagInfo]:
    """Make a dag_id of several files an error of each: `--dag ID` could mean any of them, and history is the id's."""
    places: dict[str, dict[str, None]] = defaultdict(dict)
    for one in infos:
        if one.dag_id is not None and one.path is not None:
            places[one.dag_id][one.path] = None
    return [one if one.error is not None else _ambiguous(one, list(places.get(one.dag_id or "", ()))) for one in infos]


def _ambiguous(info: DagInfo, paths: Sequence[str]) -> DagInfo:
    if len(paths) < 2 or info.path is None:
        return info
    from backfill_cli.loader.places import short_path

    others = ", ".join(short_path(one) for one in paths if one != info.path)
    return replace(
        info,
        error=f"dag_id '{info.dag_id}' is defined in {others} as well",
        hint="give each DAG its own dag_id: their histories would be one",
        code="ambiguous-dag",
        where=short_path(info.path),
    )


def _checked(ctx: AppContext, target: str) -> DagInfo:
    from backfill_cli.app.warnings import refuse_impossible, template_problems

    try:
        with ctx.store(write=False) as store:
            found = find_target(ctx, BackfillOptions(dag_id=target), store)
            refuse_impossible(found.dag, slots_of(ctx.settings, store))
        # The conf comes with the command that runs it: nothing is said of its keys.
        unknown = template_problems(found.dag, ctx.settings, BackfillOptions(), keeps_conf=True)
        info = _info(ctx, found.dag, None, found.path, (*found.warnings, *unknown))
        with ctx.store(write=False) as store:
            return store.read(lambda reader: _scheduled(ctx, reader, found.dag, info))
    except BfillError as error:
        return _info(ctx, None, error, target)


def show(ctx: AppContext, target: str) -> DagResult:
    """Return one DAG in full, with its schedule around now and what the store holds of it."""
    with ctx.store(write=False) as store:
        found = find_target(ctx, BackfillOptions(dag_id=target), store)
        dag = found.dag

        def read(reader: Reader) -> DagResult:
            counts = reader.count_runs(dag.dag_id, -(2**60), 2**60)
            row = reader.dag(dag.dag_id)
            return DagResult(
                dag,
                *_around_now(ctx, dag),
                {str(state): number for state, number in counts.items() if number},
                len(reader.versions(dag.dag_id)),
                found.warnings,
                None if row is None else row.paused_at,
                target,
            )

        return store.read(read)


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
