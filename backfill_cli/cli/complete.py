"""`bfill __complete KIND BEGUN [WORD…]`: what the shell files in `completions/` ask when TAB is pressed.

Owns the protocol: a candidate a line, `word` and a note with a tab between them, best first; nothing, and exit code 0,
whatever is wrong. It is answered before Typer is imported (`__main__.py`): a test pins the modules it takes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path


def answer(argv: Sequence[str]) -> int:
    """Print the candidates for a kind, the begun word, and the complete words of the line behind `bfill`."""
    if len(argv) < 2:
        return 0
    from backfill_cli.app.completing import Completer, Line

    kind, begun, *words = argv
    try:
        completer = Completer(Line(words, begun), cwd=Path.cwd(), environ=os.environ, now=datetime.now())  # noqa: DTZ005
        lines = [f"{one.word}\t{_shown(one.note)}\n" for one in completer.candidates(kind)]
        sys.stdout.write("".join(lines))
        sys.stdout.flush()
    except Exception:
        # A traceback in the middle of somebody's command line helps nobody, and the command itself will say it better.
        if os.environ.get("BFILL_COMPLETE_DEBUG"):
            raise
        sys.stdout = None  # nothing is left to flush to a shell that has gone
    return 0


def _shown(note: str) -> str:
    return "".join(char if char.isprintable() else " " for char in note)[:80]
