"""The audit screens: the chain as a list, and the verdict of its check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from backfill_cli.core.audits import AuditResult, AuditVerdict
from backfill_cli.render.parts import folded
from backfill_cli.render.run import short_head
from backfill_cli.render.text import Part, columns, cut, line
from backfill_cli.render.theme import BOLD, DIM, look
from backfill_cli.render.words import count, moment

_OUTCOME_STYLE = {"ok": "green", "success": "green", "failed": "red", "started": "cyan", "interrupted": "yellow"}


def render(result: AuditResult, width: int) -> Iterator[Text]:
    """Return one line an entry, oldest first, its reason in full and its counts below, and the head of the chain."""
    rows: list[list[Part]] = []
    for row in result.events:
        who = f"{row.actor}@{row.host}" if row.host else row.actor
        rows.append(
            [
                (f"{row.seq:>4}", DIM),
                moment(row.at),
                cut(who, 24),
                (cut(row.action, 16), BOLD),
                cut(row.target, 30),
                (cut(row.outcome, 16), _OUTCOME_STYLE.get(row.outcome, "")),
            ]
        )
    for made, row in zip(columns(rows), result.events, strict=True):
        yield made
        if row.reason:  # somebody's own words, and what an audit is read for: never cut
            yield from folded(f"“{row.reason}”", width - 1, first=("      ", ""), rest="       ")
        if note := _details(row.details):
            yield line("      ", (cut(note, max(30, width - 8)), DIM))
    if not rows:
        yield line(" no entry matches")
    if result.head:
        yield line((" head ", DIM), short_head(result.head), f"   {count(len(rows), 'entry', 'entries')} shown")


# Where it came from and under which version: kept, and shown by --json; a line has room for what was done.
_FOR_JSON = frozenset({"uid", "pid", "cwd", "argv", "dag_version", "sudo_user", "ci"})

_SAID_AT_ZERO = frozenset({"slots", "slots_before"})
"""A count of none is no news; a pool of none is what somebody asked for."""


def _details(details: Mapping[str, Any]) -> str:
    """Plain values of the details, as a person asks for them."""
    shown = [
        f"{key} {value}"
        for key, value in details.items()
        if key not in _FOR_JSON
        and not key.endswith("digest")
        and isinstance(value, (int, float, str))
        and (value not in ("", 0) or key in _SAID_AT_ZERO)
    ]
    return ", ".join(shown[:6])


def render_verdict(verdict: AuditVerdict, width: int) -> Iterator[Text]:
    """Return whether history holds and, if not, everything that was found, the first on top."""
    seen = look("failed" if verdict.findings else "success")
    yield line(" ", (f"{seen.symbol} {verdict_words(verdict)}", seen.style))
    for found in verdict.findings:
        yield from folded(found.what, width, first=("   ", ""), rest="   ")
    yield line(("   ", ""), (checked_words(verdict), DIM))
    if verdict.head:
        yield line((" head ", DIM), verdict.head)
        if not verdict.findings:
            yield line((" keep it elsewhere and check it later: bfill audit verify --expect-head ", DIM), verdict.head)


def verdict_words(verdict: AuditVerdict) -> str:
    """Return the verdict in a few words."""
    if not verdict.findings:
        return "the audit chain holds"
    first = verdict.findings[0]
    if not first.code.startswith("chain"):
        return "history is not as the audit chain says"
    return f"the audit chain is broken at entry {first.entry}"


def checked_words(verdict: AuditVerdict) -> str:
    """Return how much was checked, as one sentence of a screen or a report."""
    entries, backfills = count(verdict.checked, "entry", "entries"), count(verdict.digests, "backfill")
    return f"{entries}, {backfills} and {count(verdict.dag_runs, 'dag_run')} checked"
