"""`bfill run`."""

from __future__ import annotations

from typing import Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.help import Command
from backfill_cli.cli.options import backfill_options
from backfill_cli.cli.output import Output
from backfill_cli.cli.pacing import Pacing
from backfill_cli.cli.reports import Reporting, refuse_with_dry_run
from backfill_cli.cli.running import Redoing, Running
from backfill_cli.cli.selecting import Selection
from backfill_cli.cli.shaping import Shaping
from backfill_cli.cli.shared import Shared

_EXAMPLES = """
bfill run --dag daily_sales --start 2024-03-01 --end 2024-03-31 --parallel 4
bfill run --dag daily_sales --last 7d --reprocess failed --conf region=eu
bfill run --command 'etl.sh {{ ds }}' --schedule @daily --start 2024-03-01 --end 2024-03-07
bfill run --dag daily_sales --start 2023-01-01 --end 2023-12-31 --pilot 3
bfill run --dag daily_sales --start 2023-01-01 --end 2023-12-31 --chunk 7d --parallel 4
bfill run bf-20240401-7k2m          # go on with a planned or interrupted one
bfill run                           # the same, when there is only one
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(
    cls=Command,
    epilog=_EXAMPLES,
    help="Plan and execute, or go on with what was planned or interrupted. Creates and resumes dates; leaves successes"
    " and failures alone unless --reprocess names them. Ctrl-C lets running tasks end; the same command goes on.",
)
@spread
def run(
    selection: Selection,
    running: Running,
    shaping: Shaping,
    pacing: Pacing,
    redoing: Redoing,
    backfill_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="A planned or interrupted backfill, in place of a selection.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan instead; store nothing.", rich_help_panel="How to run")
    ] = False,
    *,
    reporting: Reporting,
    shared: Shared,
) -> int:
    """Run, watched; or preview."""
    from backfill_cli.cli.asking import chooser, confirmer
    from backfill_cli.cli.listening import Watching
    from backfill_cli.cli.reports import Reports
    from backfill_cli.cli.service import service_for

    more = {"backfill_id": backfill_id, "dry_run": dry_run, **shaping.options(), **pacing.options()}
    options = backfill_options(shared, selection, running, redoing, **more)
    service = service_for(shared, workers=options.workers)
    if dry_run:
        refuse_with_dry_run(reporting)
        return Output("plan", shared).result(service.plan(options))
    with (
        Reports("run", shared, reporting, service.settings) as reports,
        Watching(shared, *reports.listeners) as watching,
    ):
        result = service.run(
            options, listener=watching.listener, signals=True, choose=chooser(shared), confirm=confirmer(shared)
        )
    watching.finished(result)
    result, code = reports.finished(result, lambda: service.log_folder)
    return Output("run", shared, screen=reports.screen).result(result, exit_code=result.exit_code or code)
