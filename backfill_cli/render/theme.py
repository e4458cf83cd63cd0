"""One symbol and one colour a state: the only table of them. A state is never told by its colour alone.

Owns the look; says nothing about layout. Styles are Rich style names, and ANSI codes for the few lines that are written
without Rich (errors).
"""

from __future__ import annotations

from typing import NamedTuple

from backfill_cli.core.records import Action


class Look(NamedTuple):
    """How a state shows: in a line, in the cell of a grid, and its style."""

    symbol: str
    style: str
    cell: str


def _look(symbol: str, style: str, cell: str = "") -> Look:
    return Look(symbol, style, cell or symbol)


STATES: dict[str, Look] = {
    "success": _look("✓", "green", "■"),
    "failed": _look("✗", "bold red"),
    "upstream_failed": _look("⊘", "red"),
    "running": _look("▶", "cyan"),
    "up_for_retry": _look("↻", "yellow"),
    "queued": _look("·", "dim"),
    "scheduled": _look("·", "dim"),
    "skipped": _look("–", "dim"),
    "removed": _look("×", "dim"),
    "blocked": _look("◌", "magenta"),
    "interrupted": _look("↯", "yellow"),
    "cleared": _look("↺", "yellow"),
    "partial": _look("◐", "yellow"),
    "remaining": _look("·", "dim"),
    "missing": _look("□", "yellow"),
    "stale": _look("~", "yellow"),
    "planned": _look("○", "blue"),
    "paused": _look("‖", "yellow"),
    "cancelled": _look("×", "yellow"),
}

ACTIONS: dict[Action, Look] = {
    Action.CREATE: _look("+", "green"),
    Action.RESUME: _look("↻", "cyan"),
    Action.RERUN: _look("~", "yellow"),
    Action.RESET: _look("±", "magenta"),
    Action.SKIP: _look("=", "dim"),
}

# What a cell shows that stands for several dates: the first of these that occurs.
WORST_FIRST = (
    "failed",
    "upstream_failed",
    "blocked",
    "interrupted",
    "partial",
    "cleared",
    "running",
    "up_for_retry",
    "missing",
    "stale",
    "queued",
    "scheduled",
    "remaining",
    "skipped",
    "success",
)

DIM = "dim"
BOLD = "bold"
WARN = "yellow"
COMMAND = "cyan"

ANSI = {
    "error": "\x1b[1;31m",
    "hint": "\x1b[36m",
    "warn": "\x1b[33m",
    "good": "\x1b[32m",
    "bold": "\x1b[1m",
    "off": "\x1b[0m",
}

_UNKNOWN = _look("?", "")


def look(state: str) -> Look:
    """Return the look of a state; an unknown word (a newer store) shows as `?`."""
    return STATES.get(state, _UNKNOWN)


def worst(states: list[str]) -> str:
    """Return the state that a cell standing for all of these should show."""
    present = set(states)
    for state in WORST_FIRST:
        if state in present:
            return state
    return states[0]
