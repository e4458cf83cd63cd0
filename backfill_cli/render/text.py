"""Lines of a screen: the one way to make a Rich `Text` here, with `safe_text` built in.

Owns `line`, padding and cutting by display cells (a Chinese task name is twice as wide as it is long), and `write`,
which prints lines without wrapping: a command to copy must stay in one piece, the terminal folds what is too long.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from typing import IO, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from backfill_cli.render.safe import safe_text

Part = str | tuple[str, str] | Text


def line(*parts: Part) -> Text:
    """Return one line; a part is text, (text, style), or a line made before."""
    made = Text(no_wrap=True, overflow="ignore")
    for part in parts:
        if isinstance(part, Text):
            made.append_text(part)
        elif isinstance(part, tuple):
            made.append(safe_text(part[0]), style=part[1])
        else:
            made.append(safe_text(part))
    return made


def pad(text: str, width: int) -> str:
    """Return the text filled with spaces on the right to `width` cells; a longer one stays as it is."""
    clean = safe_text(text)
    return clean + " " * max(0, width - cell_len(clean))


def cut(text: str, width: int) -> str:
    """Return the text in at most `width` cells, `…` for what is left out."""
    clean = safe_text(text)
    if cell_len(clean) <= width:
        return clean
    return set_cell_size(clean, max(0, width - 1)).rstrip() + "…"


def wide(text: str) -> int:
    """Return how many cells the text takes on a terminal."""
    return cell_len(safe_text(text))


def columns(rows: Sequence[Sequence[Part]], *, gap: int = 2, indent: int = 1) -> list[Text]:
    """Return rows as lines whose columns stand under each other; the last column is not filled up."""
    if not rows:
        return []
    cells = [[part if isinstance(part, Text) else line(part) for part in row] for row in rows]
    widths = [max(one.cell_len for one in column) for column in zip(*cells, strict=True)]
    lines: list[Text] = []
    for row in cells:
        made = line(" " * indent)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
            made.append_text(cell)
            if number < len(row) - 1 and width:
                made.append(" " * (width - cell.cell_len + gap))
        made.rstrip()
        lines.append(made)
    return lines


class _HonestConsole(Console):
    """Rich leaves the program with exit code 1 when a reader has left; that is for the command line to decide."""

    def on_broken_pipe(self) -> None:
        """Raise what Rich caught, again."""
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def console_for(file: IO[str], *, colour: bool, width: int) -> Console:
    """Return a Console that adds nothing of its own: no markup, no highlighting, no wrapping."""
    return _HonestConsole(
        file=file,
        width=width,
        color_system="auto" if colour else None,
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
        legacy_windows=False,
    )


def write(lines: Iterable[Text], file: IO[str], *, colour: bool, width: int) -> None:
    """Print lines to a file. Raises OSError as the file does."""
    console = console_for(file, colour=colour, width=width)
    if not colour:
        for one in lines:
            file.write(one.plain.rstrip() + "\n")
        return
    for one in lines:
        one.rstrip()
        console.print(one, end="\n", soft_wrap=True, **_PLAIN)


_PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "emoji": False, "crop": False, "overflow": "ignore"}
