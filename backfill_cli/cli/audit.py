"""`bfill audit`, `bfill audit verify` and `bfill audit report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.help import Command, Group
from backfill_cli.cli.options import at_least_one
from backfill_cli.cli.output import Output
from backfill_cli.cli.shared import Looking

if TYPE_CHECKING:
    from backfill_cli.core.when import When

_EXAMPLES = """
bfill audit
bfill audit --actor ana --since 2024-03-01
bfill audit --target daily_sales --action run --json
bfill audit verify
bfill audit verify --expect-head 1042:9f3c81d2e0…      # a head you kept elsewhere
bfill audit report --since 2024-03-01 --until 2024-03-31 --out march.html
"""

_REPORT_EXAMPLES = """
bfill audit report --since 2024-03-01 --until 2024-03-31
bfill audit report --since 2024-03-01 --until 2024-03-31 --out march.html
bfill audit report --dag daily_sales --format csv --out sales.csv
bfill audit report --actor ana --json
"""

_WHICH = "Which entries"

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(
    invoke_without_command=True,
    epilog=_EXAMPLES,
    help="Who did what, when, from where, why, and with which result; oldest first. The entries are a hash chain.",
)
@spread
def audit(
    context: typer.Context,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="NAME", help="Done by.", rich_help_panel=_WHICH)
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", metavar="WORD", help="What was done: run, reset…", rich_help_panel=_WHICH)
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="NAME", help="A DAG or a backfill.", rich_help_panel=_WHICH)
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="From here on, included.", rich_help_panel=_WHICH)
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="WHEN", help="Up to here, included.", rich_help_panel=_WHICH)
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", help="At most the latest N.", rich_help_panel=_WHICH)
    ] = None,
    *,
    shared: Looking,
) -> int:
    """List, unless a command below was called."""
    if context.invoked_subcommand is not None:
        _refuse_flags_before(context)
        return 0
    from backfill_cli.cli.service import service_for

    result = service_for(shared).audit(
        actor=actor,
        action=action,
        target=target,
        since=_when(since),
        until=_when(until),
        limit=at_least_one("--limit", limit),
    )
    return Output("audit", shared).result(result)


@app.command(
    "verify",
    cls=Command,
    help="Check the chain, the heads kept of it, and history against the digests in it: every dag_run with its task "
    "instances and tries, every backfill with its dates. Exit 6 when anything was changed, removed or inserted.",
    short_help="Check that the chain holds, and history with it.",
    epilog="bfill audit verify\nbfill audit verify --expect-head 1042:9f3c81d2e0…\nbfill audit verify --json",
)
@spread
def verify(
    expect_head: Annotated[
        str | None,
        typer.Option("--expect-head", metavar="SEQ:HASH", help="A head kept elsewhere; it must be in the chain."),
    ] = None,
    *,
    shared: Looking,
) -> int:
    """Check and say the verdict."""
    from backfill_cli.cli.service import service_for

    return Output("audit verify", shared).result(service_for(shared).audit_verify(expect_head=expect_head))


@app.command(
    "report",
    cls=Command,
    help="The compliance report: who did what, why, with which result, what failed and what repaired it, and whether "
    "the record holds. Exit 6 when it does not: the report is complete, and says so on top. Instants are UTC.",
    short_help="Who, what, why, failures, repairs: as md, html, json or csv.",
    epilog=_REPORT_EXAMPLES,
)
@spread
def report(
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="From here on, included.", rich_help_panel=_WHICH)
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="WHEN", help="Up to here, included.", rich_help_panel=_WHICH)
    ] = None,
    dag: Annotated[
        str | None,
        typer.Option("--dag", metavar="DAG_ID", help="A DAG: its backfills and resets.", rich_help_panel=_WHICH),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="NAME", help="A DAG or a backfill.", rich_help_panel=_WHICH)
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option("--actor", metavar="NAME", help="Done by, through sudo or not.", rich_help_panel=_WHICH),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="md (default), html, json or csv; else by the name of --out."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE|-", help="A private file (0600), replaced in one step; - is stdout."),
    ] = None,
    *,
    shared: Looking,
) -> int:
    """Make the report, and write it where it was asked for."""
    from backfill_cli.cli.destination import Destination

    # Before the work: a file that cannot be written should not cost an hour first.
    destination = Destination.of(format_, out, shared)
    from backfill_cli.cli.service import service_for

    made = service_for(shared).audit_report(since=_when(since), until=_when(until), dag=dag, target=target, actor=actor)
    return destination.write(made, Output("audit report", shared))


def _refuse_flags_before(context: typer.Context) -> None:
    """`bfill audit --json verify` would drop the flag without a word."""
    from backfill_cli.errors import UsageProblem

    for name, value in context.params.items():
        if value:
            flag = "--" + name.replace("_", "-")
            word = context.invoked_subcommand
            raise UsageProblem(
                f"{flag} does not go before {word}",
                hint=f"flags stand at the end: bfill audit {word} …",
                code="bad-usage",
            )


def _when(text: str | None) -> When | None:
    from backfill_cli.core.when import parse_when

    return None if text is None else parse_when(text)
