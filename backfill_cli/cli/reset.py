"""`bfill reset`."""

from __future__ import annotations

from typing import Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.help import Command
from backfill_cli.cli.options import backfill_options
from backfill_cli.cli.output import Output
from backfill_cli.cli.running import OrphansChoice
from backfill_cli.cli.selecting import Selection
from backfill_cli.cli.shared import Shared

_EXAMPLES = """
bfill reset --dag daily_sales --start 2024-03-11 --end 2024-03-12
bfill reset --dag daily_sales --dates 2024-03-11 --task load --downstream
bfill reset bf-20240401-7k2m --where failed --yes --reason "late file replaced"
"""

_WHAT = "What to clear"

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(
    cls=Command,
    epilog=_EXAMPLES,
    help="Clear task instances and XComs of dates, so that the next run does them again. Starts nothing, keeps the"
    " history of tries, refuses dates that are being run, and asks first.",
)
@spread
def reset(
    selection: Selection,
    backfill_id: Annotated[str | None, typer.Argument(metavar="ID", help="The backfill whose dates to clear.")] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="SELECT",
            help="Only these tasks: load, load+, load_*. May be repeated.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    downstream: Annotated[
        bool, typer.Option("--downstream", help="And all tasks behind them.", rich_help_panel=_WHAT)
    ] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where", metavar="STATE", help="Only what is in this state; may be repeated.", rich_help_panel=_WHAT
        ),
    ] = None,
    orphans: OrphansChoice = "end",
    *,
    shared: Shared,
) -> int:
    """Clear, after asking."""
    from backfill_cli.cli.asking import confirmer
    from backfill_cli.cli.service import service_for
    from backfill_cli.cli.words import states
    from backfill_cli.errors import UsageProblem

    if downstream and not task:
        raise UsageProblem(
            "--downstream needs --task", hint="name the task: --task load --downstream", code="needs-task"
        )
    options = backfill_options(shared, selection, backfill_id=backfill_id, orphans=orphans)
    result = service_for(shared).reset(
        options,
        tasks=tuple(task or ()),
        downstream=downstream,
        where=states("--where", where or ()),
        confirm=confirmer(shared),
    )
    return Output("reset", shared).result(result)
