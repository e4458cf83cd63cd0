"""Completion for bash, zsh and fish: the files in `completions/`, written from the command line itself.

Commands, flags and words that never change stand in the files; dag ids, backfill ids, tasks and dates are asked of
`bfill __complete` (`cli/complete.py`) at every TAB. `table.py` reads the app once, a module for each shell writes it
down. `python -m backfill_cli.cli.completions` rewrites the files; a test keeps them equal to the app.
"""

from __future__ import annotations

from importlib import import_module

FILES = {"bash": "bfill.bash", "zsh": "_bfill", "fish": "bfill.fish"}
"""Shell → the name its file has to have: zsh and fish load it by that name."""


def script(shell: str) -> str:
    """Return the completion file of one shell. Raises KeyError for a shell that has none."""
    from backfill_cli.cli.completions.table import commands

    if shell not in FILES:
        raise KeyError(shell)
    text: str = import_module(f"backfill_cli.cli.completions.{shell}").write(commands())
    return text
