"""Which function shows which result: the one table, and `show`, which writes a result for people.

A screen is a pure function: result and width in, lines out. It is looked up by the command, since one result may have
several faces (`dags list`, `dags validate`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

Screen = Callable[[Any, int], Iterable["Text"]]

# command → module and function: a command imports the one screen it shows.
SCREENS = {
    "plan": ("plan", "render"),
    "run": ("run", "render"),
    "rerun-failed": ("run", "render"),
    "reset": ("reset", "render"),
    "cancel": ("steering", "render"),
    "set": ("steering", "render"),
    "pause": ("steering", "render"),
    "skip": ("steering", "render"),
    "resume": ("steering", "render"),
    "status": ("status", "render"),
    "audit": ("audit", "render"),
    "audit verify": ("audit", "render_verdict"),
    "scheduler": ("scheduler", "render"),
    "dags pause": ("scheduler", "render_pause"),
    "dags unpause": ("scheduler", "render_pause"),
    "dags list": ("dags", "render_list"),
    "dags show": ("dags", "render_dag"),
    "dags validate": ("dags", "render_validate"),
    "logs": ("logs", "render"),
    "pools list": ("pools", "render_list"),
    "pools set": ("pools", "render_set"),
    "pools delete": ("pools", "render_delete"),
    "explain": ("explain", "render"),
    "store check": ("store", "render_check"),
    "store backup": ("store", "render_backup"),
    "store prune": ("store", "render_prune"),
    "scenario list": ("scenario", "render_list"),
    "scenario show": ("scenario", "render_show"),
    "scenario run": ("scenario", "render_runs"),
}


def screen(command: str) -> Screen:
    """Return the function that draws a command's result. Raises KeyError for a command without a screen."""
    module, function = SCREENS[command]
    found: Screen = getattr(import_module(f"backfill_cli.render.{module}"), function)
    return found


def show(command: str, result: Any, file: IO[str], *, colour: bool, width: int) -> None:
    """Write a result for people. Raises OSError as the file does."""
    from backfill_cli.render.text import write

    write(screen(command)(result, width), file, colour=colour, width=width)
