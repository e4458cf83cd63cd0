"""Commands that stand under one word: `bfill pools list`, `bfill dags show`."""

from __future__ import annotations

import typer

from backfill_cli.cli.help import Group


def group(summary: str, examples: str) -> typer.Typer:
    """Return an app for the commands under one word; the word alone shows what there is."""
    app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.callback(invoke_without_command=True, epilog=examples, help=summary)
    def show_help(context: typer.Context) -> int:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())
        return 0

    return app
