"""The compliance report as Markdown (GitHub's tables), which also reads well as plain text on a terminal.

Owns escaping: no text from the record starts a cell, a line, a tag, a link or an emphasis, and none drives a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from backfill_cli.core.reports import AuditReport
from backfill_cli.render.audit_report import Cell, Table, facts, tables, verdict_words
from backfill_cli.render.safe import safe_text
from backfill_cli.render.theme import ANSI, look

# What Markdown acts upon inside a line; the colon and the dot are those of bare addresses, of which GitHub makes links.
# An underscore between letters or digits is one of a name: it stays readable.
_ACTIVE = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.", re.IGNORECASE)
_TAGS = re.compile(r"[<>]|&(?=#?\w+;)")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: str) -> str:
    """Return one line of Markdown that shows exactly this text, control characters as escapes."""
    shown = _TAGS.sub(lambda match: _ENTITIES[match.group()], safe_text(text))
    return _ACTIVE.sub(lambda match: "\\" + match.group(), shown)


def markdown(report: AuditReport, *, colour: bool = False) -> Iterator[str]:
    """Yield the report; with `colour` the verdict stands in its colour, for a terminal."""
    yield "# Audit report\n\n"
    yield _verdict(report, colour=colour)
    for label, lines in facts(report):
        yield f"- {label}: {_cell(lines)}\n"
    yield "- All instants are UTC.\n"
    for table in tables(report):
        yield from _table(table)


def _verdict(report: AuditReport, *, colour: bool) -> str:
    headline, below = verdict_words(report)
    is_broken = bool(report.verdict.finding)
    symbol = look("failed" if is_broken else "success").symbol
    text = f"**{symbol} {escaped(headline)}.** {escaped(below)}"
    if colour:
        text = f"{ANSI['error' if is_broken else 'good']}{text}{ANSI['off']}"
    return text + "\n\n"


def _table(table: Table) -> Iterator[str]:
    yield f"\n## {table.title}\n\n{table.note}\n\n"
    is_empty = True
    for row in table.rows:
        if is_empty:
            yield "| " + " | ".join(column.name for column in table.columns) + " |\n"
            yield "|" + "|".join("---:" if column.kind == "number" else "---" for column in table.columns) + "|\n"
            is_empty = False
        yield "| " + " | ".join(map(_cell, row)) + " |\n"
    if is_empty:
        yield "None.\n"


def _cell(lines: Cell) -> str:
    """One line: a terminal shows the source, where a line break would be the letters `<br>`."""
    return "; ".join(map(escaped, lines))
