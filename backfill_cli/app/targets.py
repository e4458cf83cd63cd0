"""Which DAG, which dates: what every command with a selection asks first.

Owns the way from options to a loaded DAG and a resolved selection. Nothing is written here, and the store is only read:
a mistake found here leaves everything as it was.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backfill_cli.errors import InputError, NotFoundError, UsageProblem

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.options import BackfillOptions
    from backfill_cli.core.ports import Store
    from backfill_cli.core.ranges import Selection
    from backfill_cli.core.records import BackfillRow
    from backfill_cli.loader.resolve import Resolved


def find_target(ctx: AppContext, options: BackfillOptions, store: Store) -> Resolved:
    """Return the DAG the options name.

    Raises:
        UsageProblem: None or several ways to name it were used.
        InputError: It cannot be found or loaded.
    """
    from backfill_cli.loader import resolve

    settings = ctx.settings
    named = [one for one in (options.dag_id, options.dag, options.command) if one is not None]
    if len(named) != 1:
        raise UsageProblem(
            "no DAG is named" if not named else "--dag and --command exclude each other",
            hint="give --dag DAG, or --command 'etl.sh {{ ds }}' --schedule @daily",
            code="no-dag" if not named else "dag-conflict",
        )
    if options.command is not None:
        from backfill_cli.loader.adhoc import adhoc_dag

        zone = options.timezone or settings.timezone
        _, definition = adhoc_dag(options.command, options.schedule, options.name, zone)
        found = resolve.resolve_definition(definition, settings=settings)
    elif options.dag is not None:
        found = resolve.resolve_object(options.dag, settings=settings)  # type: ignore[arg-type]
    else:
        assert options.dag_id is not None
        found = _named(ctx, options.dag_id, store)
    if options.strict_templates:
        found = replace(found, dag=replace(found.dag, strict_templates=True))
    return found


def find_stored_target(ctx: AppContext, row: BackfillRow, *, strict: bool = False) -> Resolved:
    """Return the DAG of a stored backfill, found as it was found then.

    Args:
        strict: `--strict-templates` is given now; it adds to what was asked then.

    Raises:
        InputError: It cannot be found or loaded.
        StoreError: The definition of a --command DAG is not what was stored: it was sound then.
    """
    from backfill_cli.loader import resolve

    target = str(row.request["target"])
    if target.startswith(resolve.DEFINITION):
        try:
            found = resolve.resolve_definition(target.removeprefix(resolve.DEFINITION), settings=ctx.settings)
        except InputError as error:
            from backfill_cli.store.problems import damaged

            raise damaged("backfills", f"a --command that cannot be one: {error.message}") from error
    elif target:
        found = resolve.resolve_dag(target, settings=ctx.settings)
    else:
        raise NotFoundError(
            f"DAG '{row.dag_id}' of {row.backfill_id} was made in Python and is in no file",
            hint="run it from the program that made it, or write it into a DAG file",
            code="dag-in-process",
        )
    if strict or row.request["strict_templates"]:
        found = replace(found, dag=replace(found.dag, strict_templates=True))
    return found


def _named(ctx: AppContext, name: str, store: Store) -> Resolved:
    """Return the DAG of a `--dag` value; an id found nowhere else is looked for in the file it last ran from."""
    from backfill_cli.loader import resolve

    try:
        return resolve.resolve_dag(
            name, settings=ctx.settings, known_definition=lambda dag_id: _definition(store, dag_id)
        )
    except NotFoundError:
        known = store.read(lambda reader: reader.dag(name))
        if known is None or known.path is None:
            raise
        return resolve.resolve_dag(f"{known.path}:{name}", settings=ctx.settings)


def _definition(store: Store, dag_id: str) -> str | None:
    row = store.read(lambda reader: reader.dag(dag_id))
    return row.definition if row else None


def find_selection(ctx: AppContext, options: BackfillOptions, dag: Dag) -> Selection:
    """Return the logical dates the options mean for the DAG (contract section 4)."""
    from backfill_cli.core.ranges import RangeRequest, resolve_range

    request = RangeRequest(
        start=options.start_date,
        end=options.end_date,
        last=options.last,
        dates=options.dates,
        include_incomplete=options.include_incomplete,
        ignore_dag_bounds=options.ignore_dag_bounds,
        limit=options.limit,
        backwards=options.run_backwards,
    )
    return resolve_range(
        request,
        schedule=dag.schedule,
        zone=dag.timezone,
        dag_start=dag.start_date,
        dag_end=dag.end_date,
        now=ctx.clock.now_us() // 1_000_000,
    )


def has_range(options: BackfillOptions) -> bool:
    """Whether any option selects dates."""
    return bool(options.start_date or options.end_date or options.last or options.dates)


def has_selection(options: BackfillOptions) -> bool:
    """Whether any option names a DAG or selects dates."""
    return has_range(options) or any(one is not None for one in (options.dag_id, options.dag, options.command))
