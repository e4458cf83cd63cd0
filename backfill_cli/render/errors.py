"""The two lines of an error: what is wrong, and what to type or edit. Written without Rich: they come at once."""

from __future__ import annotations

from backfill_cli.render.safe import safe_text
from backfill_cli.render.theme import ANSI


def two_lines(message: str, hint: str, *, colour: bool) -> str:
    """Return `error: …` and, if there is one, `hint: …`, each on one line, with line ends."""
    made = _labelled("error", message, colour)
    return made + _labelled("hint", hint, colour) if hint else made


def warning(message: str, hint: str, *, colour: bool) -> str:
    """Return `warning: …` and its hint, for what goes to stderr beside a result."""
    made = _labelled("warning", message, colour)
    return made + _labelled("hint", hint, colour) if hint else made


def _labelled(label: str, text: str, colour: bool) -> str:
    code = {"error": ANSI["error"], "hint": ANSI["hint"], "warning": ANSI["warn"]}[label]
    head = f"{code}{label}:{ANSI['off']}" if colour else f"{label}:"
    return f"{head} {safe_text(text)}\n"
