"""The flags that every command takes, and how those that only look take them.

Owns contract section 5, shared options.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

_SHARED = "Shared options"


@dataclass(frozen=True, slots=True)
class Shared:
    """What every command that acts accepts."""

    store: Annotated[
        str | None,
        typer.Option("--store", metavar="PATH|URL", help="Where state lives (BFILL_STORE).", rich_help_panel=_SHARED),
    ] = None
    conf: Annotated[
        list[str] | None,
        typer.Option(
            "--conf",
            metavar="JSON|@FILE|KEY=VALUE",
            help="Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.",
            rich_help_panel=_SHARED,
        ),
    ] = None
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the audit chain.", rich_help_panel=_SHARED)
    ] = None
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", rich_help_panel=_SHARED)] = False
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.", rich_help_panel=_SHARED)] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Nothing but errors.", rich_help_panel=_SHARED)] = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="More, and tracebacks of bugs.", rich_help_panel=_SHARED)
    ] = False
    no_color: Annotated[bool, typer.Option("--no-color", help="No colour (NO_COLOR).", rich_help_panel=_SHARED)] = False


@dataclass(frozen=True, slots=True)
class Looking(Shared):
    """The same for commands that only look: what cannot matter to them is accepted, and hidden from their help."""

    conf: Annotated[list[str] | None, typer.Option("--conf", hidden=True)] = None
    reason: Annotated[str | None, typer.Option("--reason", hidden=True)] = None
    yes: Annotated[bool, typer.Option("--yes", "-y", hidden=True)] = False
