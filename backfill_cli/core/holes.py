"""The parts of a compiled field as values: places, holes, who chose their text, what they refer to.

Owns the words that `core/templates.py`, `core/quoting.py` and `core/sqlbind.py` share. Loads nothing heavy.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, NamedTuple


class Place(StrEnum):
    """Where a rendered field goes: it decides how values are put in."""

    PLAIN = "plain"
    SHELL = "shell"
    SQL = "sql"


class Trust(StrEnum):
    """Where the text of a `{{ … }}` comes from."""

    CONSTANT = "constant"
    """Words of the template itself: as good as literal text."""
    MACRO = "macro"
    """Dates and identifiers of the run."""
    DATA = "data"
    """Anything that somebody else may have chosen: conf, params, XCom, variables, connections."""


class References(NamedTuple):
    """Names a template uses.

    `optional` ones stand before `default(…)` or `is defined` and may be missing; `required` ones are looked at by an
    outermost `{% if %}` or `{% for %}` whatever the values are, so that the template fails without them.
    """

    names: frozenset[str] = frozenset()
    conf: frozenset[str] = frozenset()
    params: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    connections: frozenset[str] = frozenset()
    xcoms: frozenset[tuple[str, str]] = frozenset()
    attributes: frozenset[tuple[str, str]] = frozenset()
    optional: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()


class Hole(NamedTuple):
    """One `{{ … }}`: its source, what stands between the braces, its line and column (from 1), who chose its text."""

    source: str
    inner: str
    line: int
    column: int
    trust: Trust

    @property
    def shown(self) -> str:
        """The source for a message: one line, at most 120 characters."""
        return shortened(self.source, 120)

    @property
    def where(self) -> str:
        """`line 2, column 7`."""
        return f"line {self.line}, column {self.column}"


Item = str | tuple[int, Any]
"""What a rendering consists of: literal text, or the value of the hole of that number; UNDEFINED when it had none."""


class _Undefined:
    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = _Undefined()


def shortened(text: str, limit: int) -> str:
    """`text` on one line and no longer than `limit`: an error has two lines, whatever a template or value contains."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def words(text: str) -> frozenset[str]:
    """The set of the words in `text`: tables of names stay readable."""
    return frozenset(text.split())
