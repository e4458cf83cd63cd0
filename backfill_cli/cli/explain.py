"""`bfill explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.help import Command
from backfill_cli.cli.options import backfill_options
from backfill_cli.cli.output import Output
from backfill_cli.cli.selecting import Range
from backfill_cli.cli.shared import Looking

_EXAMPLES = """
bfill explain --dag daily_sales 2024-03-11              # why is it (not) done, and what does it wait for
bfill explain bf-20240401-7k2m 2024-03-11
bfill explain --dag daily_sales 2024-03-11 --task load --json
bfill explain --dag hourly_stock 2024-03-11T14:00
"""

_WHICH = "Which date"

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(
    cls=Command,
    epilog=_EXAMPLES,
    help="One date, rule by rule: why a range takes it or leaves it out, what a run would do with it, how its tasks"
    " stand, what each waits for and where that began, and what to type next. Reads only.",
)
@spread
def explain(
    words: Annotated[list[str], typer.Argument(metavar="[ID] DATE", help="The date; of a backfill, or with --dag.")],
    dag: Annotated[
        str | None, typer.Option("--dag", metavar="DAG", help="The DAG, in place of an id.", rich_help_panel=_WHICH)
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="SELECT",
            help="Only these tasks: load, +load, load+, load_*. May be repeated.",
            rich_help_panel=_WHICH,
        ),
    ] = None,
    *,
    shared: Looking,
) -> int:
    """Ask and show."""
    from backfill_cli.cli.service import service_for
    from backfill_cli.core.when import parse_when

    backfill_id, day = _split(words, with_id=dag is None)
    options = backfill_options(shared, Range(dag=dag), backfill_id=backfill_id)
    result = service_for(shared).explain(options, date=parse_when(day), task_ids=tuple(task or ()))
    return Output("explain", shared).result(result)


def _split(words: list[str], *, with_id: bool) -> tuple[str | None, str]:
    """Return (id, date). Raises UsageProblem when words are missing or left over."""
    from backfill_cli.errors import UsageProblem

    if len(words) != 1 + with_id:
        form = "ID DATE" if with_id else "--dag DAG DATE"
        missing = len(words) <= with_id
        raise UsageProblem(
            "explain needs a DAG or an id, and a date" if missing else f"'{words[1 + with_id]}' is one word too many",
            hint=f"write: bfill explain {form}" + (", or bfill explain --dag DAG DATE" if with_id else ""),
            code="bad-usage",
        )
    return (words[0] if with_id else None), words[-1]
