"""The commands: one table of name, group, module and one line of help. A command is imported when it is used.

Owns the top of the command line. A new command is a module with an `app`, and a row here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer

from backfill_cli.cli.help import Group, Row


class Entry(NamedTuple):
    """One command. `app` is what its Typer is called in the module."""

    panel: str
    module: str
    summary: str
    app: str = "app"


CATALOG: dict[str, Entry] = {
    "plan": Entry("Backfill", "plan", "Show what would happen to each date, why, and how long it takes."),
    "run": Entry("Backfill", "run", "Plan and execute, or resume what was interrupted."),
    "rerun-failed": Entry("Backfill", "rerun_failed", "Run again what failed, and what was blocked behind it."),
    "reset": Entry("Backfill", "reset", "Clear task instances and XComs of dates; start nothing."),
    "scheduler": Entry("Backfill", "scheduler", "Create and run what is due, as of now or any moment."),
    "pause": Entry(
        "Steer", "steering", "Let nothing new start in a running backfill; what runs ends by itself.", "pause"
    ),
    "resume": Entry("Steer", "steering", "Let a paused backfill go on.", "resume"),
    "cancel": Entry("Steer", "steering", "End a backfill for good, at once or when what runs has ended.", "cancel"),
    "set": Entry("Steer", "steering", "Change how many dates a running backfill has open together.", "set_values"),
    "skip": Entry("Steer", "steering", "Leave dates out of a backfill in which nothing has begun.", "skip"),
    "status": Entry("Look", "status", "The latest backfills, one of them, or a range of a DAG."),
    "logs": Entry("Look", "logs", "What the tasks of a date wrote."),
    "explain": Entry("Look", "explain", "Why one date is taken or left out, and what its tasks wait for."),
    "audit": Entry("Look", "audit", "Who did what, when, why, and whether that record holds."),
    "dags": Entry("Look", "dags", "List, show and validate DAG files."),
    "pools": Entry("Keep", "pools", "Limits on what runs at once: how large, who has the slots, what waits."),
    "store": Entry("Keep", "store", "Check, back up and prune the file where state lives."),
    "scenario": Entry("Learn", "scenario", "Lessons to play, read and use as DAGs."),
    "completion": Entry("Learn", "completion", "The completion file of a shell: bash, zsh or fish."),
}

_EXAMPLES = """
bfill plan --dag daily_sales --start 2024-03-01 --end 2024-03-31 --dry-run
bfill run  --dag daily_sales --start 2024-03-01 --end 2024-03-31 --parallel 4
bfill run  --command 'etl.sh {{ ds }}' --schedule @daily --last 7d
bfill rerun-failed
bfill status
"""


class Root(Group):
    """`bfill` itself: knows its commands by the catalog and builds one only when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(CATALOG)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = CATALOG.get(cmd_name)
        if entry is None:
            return None
        if cmd_name not in self.commands:
            module = import_module(f"backfill_cli.cli.{entry.module}")
            made = typer.main.get_command(getattr(module, entry.app))
            made.name = cmd_name
            self.commands[cmd_name] = made
        return self.commands[cmd_name]

    def command_rows(self, ctx: Any) -> list[tuple[str, list[Row]]]:
        panels: dict[str, list[Row]] = {}
        for name, entry in CATALOG.items():
            panels.setdefault(entry.panel, []).append((name, entry.summary))
        return list(panels.items())

    def footer(self) -> str:
        return (
            "Shared options stand after the command: --store, --json, -q, -v, --no-color, -y, --conf, --reason.\n"
            "Help for one command: bfill COMMAND --help"
        )


app = typer.Typer(
    cls=Root,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(
    invoke_without_command=True, help="bfill: run the past again, in parallel, with memory and proof.", epilog=_EXAMPLES
)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
) -> int:
    """Answer `--version`; without a command, show the help."""
    if version:
        from backfill_cli import __version__

        typer.echo(f"bfill {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
    return 0


def root_command() -> Root:
    """Return the command line as one object. A fresh one: in-process callers do not share state."""
    made = typer.main.get_command(app)
    assert isinstance(made, Root)
    return made
