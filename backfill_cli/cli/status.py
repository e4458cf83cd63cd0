"""`bfill status`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from backfill_cli.cli import streams
from backfill_cli.cli.bundles import spread
from backfill_cli.cli.help import Command
from backfill_cli.cli.options import at_least_one, backfill_options
from backfill_cli.cli.output import Output
from backfill_cli.cli.selecting import Range
from backfill_cli.cli.shared import Looking

if TYPE_CHECKING:
    from collections.abc import Callable

    from backfill_cli.core.standing import StatusResult
    from backfill_cli.core.when import When

_EXAMPLES = """
bfill status                                          # the latest backfills, and what is running
bfill status bf-20240401-7k2m --watch
bfill status --dag daily_sales --last 60d
bfill status --dag daily_sales --last 60d --where failed,missing
bfill status --dag daily_sales --start 2024-01-01 --gaps --json
"""

_WHAT = "What to show"
_EVERY_S = 1.0

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(
    cls=Command,
    epilog=_EXAMPLES,
    help="The latest backfills; with an id or a DAG and a range: totals, a grid of dates, failures by cause, what is"
    " slow, missing or stale, and what to type next. Reads only.",
)
@spread
def status(
    selection: Range,
    backfill_id: Annotated[str | None, typer.Argument(metavar="ID", help="One backfill.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where", metavar="STATE", help="Only dates in this state; may be repeated.", rich_help_panel=_WHAT
        ),
    ] = None,
    gaps: Annotated[bool, typer.Option("--gaps", help="Only what is missing.", rich_help_panel=_WHAT)] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Redraw until it ends.", rich_help_panel=_WHAT)] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", help="At most N dates a page.", rich_help_panel=_WHAT)
    ] = 1000,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="WHEN", help="Go on behind this logical date.", rich_help_panel=_WHAT),
    ] = None,
    *,
    shared: Looking,
) -> int:
    """Ask once and show, or again and again."""
    from backfill_cli.cli.service import service_for
    from backfill_cli.cli.words import states
    from backfill_cli.errors import UsageProblem

    if watch and shared.json:
        raise UsageProblem(
            "--watch does not go with --json, which is one document", hint="leave out one", code="watch-and-json"
        )
    options = backfill_options(shared, selection, backfill_id=backfill_id)
    service = service_for(shared)
    shown = states("--where", where or ())
    page = at_least_one("--limit", limit) or limit
    behind = None if after is None else _when(after)

    def ask() -> StatusResult:
        found: StatusResult = service.status(options, where=shown, gaps=gaps, limit=page, after=behind)
        return found

    result = _watched(ask, shared) if watch else ask()
    return Output("status", shared).result(result)


def _when(text: str) -> When:
    from backfill_cli.core.when import parse_when

    return parse_when(text)


def _watched(ask: Callable[[], StatusResult], shared: Looking) -> StatusResult:
    """Show the state until nothing runs any more, or until Ctrl-C; the last one is returned to be shown for good."""
    from backfill_cli.render.watch import watch_lines, watch_screen

    if shared.quiet or not streams.is_live(sys.stdout):
        return watch_lines(ask, sys.stderr, every_s=_EVERY_S, quiet=shared.quiet)
    colour = streams.wants_colour(sys.stdout, no_color=shared.no_color)
    return watch_screen(ask, sys.stdout, colour=colour, every_s=_EVERY_S)
