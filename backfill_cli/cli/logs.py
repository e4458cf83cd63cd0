"""`bfill logs`."""

from __future__ import annotations

from typing import Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.help import Command
from backfill_cli.cli.options import at_least_one, backfill_options
from backfill_cli.cli.output import Output
from backfill_cli.cli.selecting import Range
from backfill_cli.cli.shared import Looking

_EXAMPLES = """
bfill logs bf-20240401-7k2m 2024-03-11 load
bfill logs bf-20240401-7k2m 2024-03-11              # every task of the date
bfill logs --dag daily_sales 2024-03-11 load --try 2
"""

_WHICH = "Which try"

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(
    cls=Command,
    epilog=_EXAMPLES,
    help="What the tasks of one date wrote: of a backfill, or with --dag of that DAG; every try, or one.",
)
@spread
def logs(
    words: Annotated[list[str], typer.Argument(metavar="[ID] DATE [TASK]", help="The date, and one task of it.")],
    dag: Annotated[
        str | None, typer.Option("--dag", metavar="DAG", help="The DAG, in place of an id.", rich_help_panel=_WHICH)
    ] = None,
    try_number: Annotated[
        int | None, typer.Option("--try", metavar="N", help="Only this try, from 1.", rich_help_panel=_WHICH)
    ] = None,
    *,
    shared: Looking,
) -> int:
    """Find the files and show them."""
    from backfill_cli.cli.service import service_for
    from backfill_cli.core.when import parse_when

    backfill_id, day, task_id = _split(words, with_id=dag is None)
    result = service_for(shared).logs(
        backfill_options(shared, Range(dag=dag), backfill_id=backfill_id),
        date=parse_when(day),
        task_id=task_id,
        try_number=at_least_one("--try", try_number),
    )
    return Output("logs", shared).result(result)


def _split(words: list[str], *, with_id: bool) -> tuple[str | None, str, str | None]:
    """Return (id, date, task). Raises UsageProblem when words are missing or left over."""
    from backfill_cli.errors import UsageProblem

    backfill_id = words[0] if with_id else None
    rest = words[1:] if with_id else words
    if not 1 <= len(rest) <= 2:
        form = "ID DATE [TASK]" if with_id else "--dag DAG DATE [TASK]"
        raise UsageProblem(
            "logs needs a date" if not rest else f"'{rest[2]}' is one word too many",
            hint=f"write: bfill logs {form}",
            code="bad-usage",
        )
    return backfill_id, rest[0], rest[1] if len(rest) == 2 else None
