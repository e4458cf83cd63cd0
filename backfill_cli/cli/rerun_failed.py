"""`bfill rerun-failed`."""

from __future__ import annotations

from typing import Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.help import Command
from backfill_cli.cli.options import backfill_options
from backfill_cli.cli.output import Output
from backfill_cli.cli.pacing import Pacing
from backfill_cli.cli.reports import Reporting, refuse_with_dry_run
from backfill_cli.cli.running import Running
from backfill_cli.cli.selecting import Selection
from backfill_cli.cli.shaping import Shaping
from backfill_cli.cli.shared import Shared

_EXAMPLES = """
bfill rerun-failed                                        # of the latest backfill with failures
bfill rerun-failed --dry-run                              # what that would be
bfill rerun-failed bf-20240401-7k2m --parallel 4
bfill rerun-failed --dag daily_sales --start 2024-03-01 --end 2024-03-31
bfill rerun-failed bf-20240401-7k2m --whole-run --reason "source was wrong"
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(
    cls=Command,
    epilog=_EXAMPLES,
    help="Run again the failed tasks of failed dates; the dates blocked behind them go on. What succeeded stays,"
    " missing dates stay missing.",
)
@spread
def rerun_failed(
    selection: Selection,
    running: Running,
    shaping: Shaping,
    pacing: Pacing,
    backfill_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The backfill whose failures to repeat.")
    ] = None,
    whole_run: Annotated[
        bool,
        typer.Option("--whole-run", help="All tasks, not just failed ones.", rich_help_panel="How to run"),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan instead; store nothing.", rich_help_panel="How to run")
    ] = False,
    *,
    reporting: Reporting,
    shared: Shared,
) -> int:
    """Repeat, watched; or preview."""
    from backfill_cli.cli.asking import confirmer
    from backfill_cli.cli.listening import Watching
    from backfill_cli.cli.reports import Reports
    from backfill_cli.cli.service import service_for
    from backfill_cli.core.results import PlanResult

    options = backfill_options(
        shared,
        selection,
        running,
        backfill_id=backfill_id,
        rerun_failed=True,
        whole_run=whole_run,
        dry_run=dry_run,
        **shaping.options(),
        **pacing.options(),
    )
    service = service_for(shared, workers=options.workers)
    if dry_run:
        refuse_with_dry_run(reporting)
        shown = service.would_rerun(options)
        return Output("plan" if isinstance(shown, PlanResult) else "rerun-failed", shared).result(shown)
    with (
        Reports("rerun-failed", shared, reporting, service.settings) as reports,
        Watching(shared, *reports.listeners) as watching,
    ):
        result = service.rerun_failed(options, listener=watching.listener, signals=True, confirm=confirmer(shared))
    watching.finished(result)
    result, code = reports.finished(result, lambda: service.log_folder)
    return Output("rerun-failed", shared, screen=reports.screen).result(result, exit_code=result.exit_code or code)
