"""The compliance report as one HTML file: no script, nothing fetched, readable on a screen and on paper.

Owns the page and its escaping. Every text from the record passes `_text`; classes come from fixed words alone. The
page's own policy allows one style sheet, by its digest, and nothing else: what slipped through could still do nothing.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape

from backfill_cli.core.reports import AuditReport
from backfill_cli.render.audit_report import Cell, Column, Table, facts, tables, verdict_words
from backfill_cli.render.safe import safe_text
from backfill_cli.render.theme import STATES, look

_STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --dim: #59636e; --line: #d5dae0; --good: #116329; --bad: #b3131b; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 32px 40px 64px; color: var(--ink); background: #fff;
  font: 14px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 26px; margin: 0 0 16px; }
h2 { font-size: 18px; margin: 36px 0 2px; }
p.note { margin: 0 0 10px; color: var(--dim); }
p.verdict { margin: 0 0 20px; padding: 14px 18px; border: 1px solid; border-left-width: 8px; border-radius: 6px; }
p.verdict strong { display: block; font-size: 17px; }
p.good { color: var(--good); background: #eefbf1; }
p.bad { color: var(--bad); background: #fff0f0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 20px; margin: 0; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: 6px 10px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--dim); font-weight: 600; border-bottom-width: 2px; white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; }
td.text { overflow-wrap: anywhere; min-width: 8em; max-width: 34em; }
td.fixed span { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td.state span { white-space: nowrap; font-weight: 600; }
.is-success { color: var(--good); }
.is-failed { color: var(--bad); }
.is-other { color: #8a4b00; }
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  body { max-width: none; padding: 0; font-size: 9pt; }
  table { font-size: 7pt; }
  th, td { padding: 3px 5px; }
  div.wide { overflow: visible; }
  h2 { break-after: avoid; }
  p.note { break-after: avoid; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  p.verdict { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
_DIGEST = b64encode(sha256(_STYLE.encode()).digest()).decode()


def html(report: AuditReport) -> Iterator[str]:
    """Yield the page."""
    headline, below = verdict_words(report)
    is_broken = bool(report.verdict.finding)
    symbol = look("failed" if is_broken else "success").symbol
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{_DIGEST}'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>Audit report: {_text(headline).lower()}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        "<h1>Audit report</h1>\n"
        f'<p class="verdict {"bad" if is_broken else "good"}"><strong>{symbol} {_text(headline)}</strong>'
        f"{_text(below)}</p>\n<dl>\n"
    )
    for label, lines in facts(report):
        yield f"<dt>{label}</dt><dd>{_lines(tuple(map(_text, lines)))}</dd>\n"
    yield "<dt>Instants</dt><dd>all of them UTC</dd>\n</dl>\n"
    for table in tables(report):
        yield from _table(table)
    yield "</body>\n</html>\n"


def _table(table: Table) -> Iterator[str]:
    yield f'<h2>{table.title}</h2>\n<p class="note">{table.note}</p>\n'
    is_empty = True
    for row in table.rows:
        if is_empty:
            heads = "".join(f'<th scope="col" class="{one.kind}">{one.name}</th>' for one in table.columns)
            yield f'<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n'
            is_empty = False
        yield "<tr>" + "".join(map(_cell, table.columns, row)) + "</tr>\n"
    yield "<p>None.</p>\n" if is_empty else "</tbody>\n</table></div>\n"


def _cell(column: Column, lines: Cell) -> str:
    if column.kind == "state":
        inside = _state(lines[0])
    else:
        inside = _lines(tuple(map(_unbroken, lines)) if column.kind == "fixed" else tuple(map(_text, lines)))
    return f'<td class="{column.kind}">{inside}</td>'


def _unbroken(text: str) -> str:
    """Ids and instants hold hyphens, at which a browser would break them; a range may be broken in its middle."""
    return " … ".join(f"<span>{_text(one)}</span>" for one in text.split(" … "))


def _state(word: str) -> str:
    """A symbol and a colour, never a colour alone; a word nobody knows gets neither a class nor a symbol of its own."""
    kind = word if word in ("success", "failed") else "other"
    symbol = f"{look(word).symbol} " if word in STATES else ""
    return f'<span class="is-{kind}">{symbol}{_text(word)}</span>'


def _lines(lines: Cell) -> str:
    """Lines that are HTML already, under each other."""
    return lines[0] if len(lines) == 1 else "".join(f"<div>{one}</div>" for one in lines)


def _text(text: str) -> str:
    return escape(safe_text(text), quote=True)
