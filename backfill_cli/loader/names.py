"""Which connections and variables a task's definition names, so that a change of theirs changes the version.

Owns the search in templates and SQL tasks. What code computes at run time cannot be known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from backfill_cli.core.work import PythonWork, ShellWork, SqlWork, Work

_OPENING = re.compile(r"\{[{%]")
_CLOSING = {"{{": "}}", "{%": "%}"}
_VARIABLE = re.compile(r"""\bvar\.(?:value|json)(?:\.(?!get\b)(\w+)|\.get\(\s*['"]([^'"]+)|\[\s*['"]([^'"]+))""")
_CONNECTION = re.compile(r"""\bconn(?:\.(?!get\b)(\w+)|\.get\(\s*['"]([^'"]+)|\[\s*['"]([^'"]+))""")


def connections_in(works: Iterable[Work]) -> frozenset[str]:
    """Names of connections: `conn.NAME` in templates, `conn_id` of SQL tasks."""
    found: set[str] = set()
    for work in works:
        if isinstance(work, SqlWork):
            found.add(work.connection)
        found |= _named(work, _CONNECTION)
    return frozenset(found)


def variables_in(works: Iterable[Work]) -> frozenset[str]:
    """Names of variables: `var.value.NAME` and `var.json.NAME` in templates."""
    return frozenset(name for work in works for name in _named(work, _VARIABLE))


def texts_of(work: Work) -> Iterator[str]:
    """Yield every text of a task that may hold a template."""
    match work:
        case ShellWork():
            yield work.command
            yield from work.env.values()
            yield work.cwd or ""
        case SqlWork():
            yield from work.sql
            yield from _texts(work.parameters)
        case PythonWork():
            yield from _texts(work.args)
            yield from _texts(work.kwargs)
            if work.shell:
                yield from texts_of(work.shell)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            yield from _texts(one)


def _blocks(text: str) -> Iterator[str]:
    """Yield each `{{ … }}` and `{% … %}`. Not one pattern: over many that are never closed it would take for ever."""
    end, unclosed = 0, set[str]()
    for opening in _OPENING.finditer(text):
        if opening.start() < end or opening[0] in unclosed:
            continue
        closed = text.find(_CLOSING[opening[0]], opening.end())
        if closed < 0:
            unclosed.add(opening[0])
            continue
        end = closed + 2
        yield text[opening.start() : end]


def _named(work: Work, pattern: re.Pattern[str]) -> set[str]:
    return {
        next(filter(None, match.groups()))
        for text in texts_of(work)
        for block in _blocks(text)
        for match in pattern.finditer(block)
    }
