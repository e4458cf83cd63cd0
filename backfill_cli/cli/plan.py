"""`bfill plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.help import Command
from backfill_cli.cli.options import backfill_options
from backfill_cli.cli.output import Output
from backfill_cli.cli.pacing import Pacing
from backfill_cli.cli.running import Redoing, Running
from backfill_cli.cli.selecting import Selection
from backfill_cli.cli.shaping import Shaping
from backfill_cli.cli.shared import Shared

NOTHING_TO_DO, SOMETHING_TO_DO = 0, 10

_EXAMPLES = """
bfill plan --dag daily_sales --start 2024-03-01 --end 2024-03-31 --dry-run
bfill plan --dag dags/sales.py --last 30d --reprocess failed,stale
bfill plan --dag daily_sales --dates 2024-03-11,2024-03-12 --json
bfill plan --dag daily_sales --last 7d --dry-run -q --detailed-exitcode || bfill run --dag daily_sales --last 7d
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(
    cls=Command,
    epilog=_EXAMPLES,
    help="Show what would happen to each date, why, and how long it takes. Nothing runs. Without --dry-run the plan is"
    " stored, and bfill run ID executes it.",
)
@spread
def plan(
    selection: Selection,
    running: Running,
    shaping: Shaping,
    pacing: Pacing,
    redoing: Redoing,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing.", rich_help_panel="How to run")] = False,
    detailed_exitcode: Annotated[
        bool,
        typer.Option("--detailed-exitcode", help="Exit 0: nothing to do, 10: there is.", rich_help_panel="How to run"),
    ] = False,
    *,
    shared: Shared,
) -> int:
    """Ask for the plan and show it."""
    from backfill_cli.cli.service import service_for

    more = {"dry_run": dry_run, **shaping.options(), **pacing.options()}
    options = backfill_options(shared, selection, running, redoing, **more)
    result = service_for(shared, workers=options.workers).plan(options)
    code = (SOMETHING_TO_DO if result.to_run else NOTHING_TO_DO) if detailed_exitcode else None
    return Output("plan", shared).result(result, exit_code=code)
