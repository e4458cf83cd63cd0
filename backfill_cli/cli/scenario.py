"""`bfill scenario list|show|run`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.groups import group
from backfill_cli.cli.help import Command
from backfill_cli.cli.output import Output
from backfill_cli.cli.shared import Looking

if TYPE_CHECKING:
    from collections.abc import Callable

    from backfill_cli.app.scenarios import Progress

_EXAMPLES = """
bfill scenario list --tag anti-pattern
bfill scenario show 17.3.1
bfill scenario run 17.3.1
bfill scenario run --all
bfill plan --dag 17.3.1 --start 2024-03-01 --end 2024-03-07 --dry-run
"""

_TAG = typer.Option("--tag", metavar="TAG", help="Only those with this tag.")

app = group("Lessons that play on this machine: each is a DAG, a demonstration and a proof.", _EXAMPLES)


@app.command(
    "list",
    cls=Command,
    short_help="The scenarios, by number.",
    help="The scenarios, by number, and the tags to filter them by.",
    epilog="bfill scenario list\nbfill scenario list --tag anti-pattern --json",
)
@spread
def list_all(tag: Annotated[str | None, _TAG] = None, *, shared: Looking) -> int:
    """List what the files say of themselves."""
    from backfill_cli.app.scenarios import list_scenarios

    return Output("scenario list", shared).result(list_scenarios(tag))


@app.command(
    "show",
    cls=Command,
    short_help="What one scenario is about.",
    help="What one scenario is about: the question, what goes wrong, what bfill does, when not to do it.",
    epilog="bfill scenario show 17.3.1\nbfill scenario show 17_03_01 --json",
)
@spread
def show(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="17.3.1, 17_03_01, or the file's name.")],
    *,
    shared: Looking,
) -> int:
    """Show one."""
    from backfill_cli.app.scenarios import show_scenario

    return Output("scenario show", shared).result(show_scenario(number))


@app.command(
    "run",
    cls=Command,
    short_help="Play one, or check several.",
    help="Play a scenario in a private folder and tell its story; several, --tag or --all: the table of their checks. "
    "Exit 1 when a check fails.",
    epilog="bfill scenario run 17.3.1\nbfill scenario run 17.3.1 --keep       # leaves its folder to look into\n"
    "bfill scenario run 17.3                # its group\nbfill scenario run --all --json",
)
@spread
def run(
    numbers: Annotated[
        list[str] | None, typer.Argument(metavar="[NUMBER…]", help="17.3.1, or 17.3 for its group.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    tag: Annotated[str | None, _TAG] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the private folder, and say where.")] = False,
    *,
    shared: Looking,
) -> int:
    """Play what was chosen: one with its story, several as a table."""
    from backfill_cli.app.scenarios import run_scenarios
    from backfill_cli.errors import UsageProblem
    from backfill_cli.loader.scenarios import choose_scenarios

    if every and numbers:
        raise UsageProblem("--all and numbers exclude each other", hint="give one of them", code="bad-usage")
    if not (numbers or every or tag):
        raise UsageProblem(
            "which scenario?", hint="name one, see: bfill scenario list; or add --all", code="missing-argument"
        )
    chosen = choose_scenarios(numbers or (), tag)
    if keep and len(chosen) > 1:
        raise UsageProblem("--keep goes with one scenario", hint="name the one to look into", code="bad-usage")
    tells = len(chosen) == 1 and not (shared.json or shared.quiet or every)  # one alone tells its story
    result = run_scenarios(
        chosen,
        narrate=tells,
        keep=keep,
        no_color=shared.no_color,
        on_progress=(lambda _: None) if tells or shared.json or shared.quiet else _progress(),
    )
    if tells and not _broke_off(result.runs[0].checks):
        return result.exit_code  # its story was the result
    return Output("scenario run", shared).result(result)


def _broke_off(checks: object) -> bool:
    from backfill_cli.app.scenarios import PLAYS_TO_ITS_END

    return isinstance(checks, list) and [one.name for one in checks] == [PLAYS_TO_ITS_END]


def _progress() -> Callable[[Progress], None]:
    """Return what shows the progress on stderr: one line that is redrawn, or a line for each scenario that ended."""
    from backfill_cli.cli import streams
    from backfill_cli.render.scenario import progress, progress_line

    is_live, width = streams.is_live(sys.stderr), streams.width_of(sys.stderr)

    def show_progress(at: Progress) -> None:
        if is_live:
            text = "" if at.run else progress(at.done, at.total, at.scenario, width)
            streams.write_quietly(sys.stderr, f"\r\x1b[K{text}")
        elif at.run:
            streams.write_quietly(sys.stderr, progress_line(at.run) + "\n")

    return show_progress
