"""GitHub Actions: failures as annotations of the run, and the result as a summary of the step.

Owns both texts and their escaping: what a task or a user wrote stays inside its line, its cell and its command. Writing
them is the business of `cli/reports.py`.

Source: docs.github.com, "Workflow commands for GitHub Actions": the toolkit's escapeData and escapeProperty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from backfill_cli.core.results import BackfillResult, FailureGroup
from backfill_cli.errors import BfillError
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.safe import safe_text
from backfill_cli.render.words import count, duration

ANNOTATIONS = 10
"""GitHub shows ten errors a step and drops the rest without a word; the last of ours says how many there are."""

_LISTED = 20
"""Groups in the table of a summary, which may have 1 MiB."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~<>&$@])")


def failure_annotations(result: BackfillResult) -> Iterator[str]:
    """Yield one workflow command a group of failures, each a whole line."""
    dates = _dates(result)
    groups = result.failures
    shown = groups if len(groups) <= ANNOTATIONS else groups[: ANNOTATIONS - 1]
    for group in shown:
        yield _command(f"{result.dag_id} {group.task_id}", _told(group, dates))
    if len(groups) > len(shown):
        rest = groups[len(shown) :]
        yield _command(result.dag_id, f"{len(rest)} more causes, {count(sum(one.count for one in rest), 'date')}")
    if result.blocked:
        yield _command(result.dag_id, f"{count(result.blocked, 'date')} blocked behind failures", level="warning")


def error_annotation(error: BfillError, command: str) -> str:
    """Return the workflow command for an error that came in place of a result."""
    return _command(command, f"{error.message}\n{error.hint}" if error.hint else error.message)


def summary(result: BackfillResult, command: str) -> str:
    """Return the Markdown for the step: how it ended, the counts, failures by cause, what to type next."""
    took = f" in {duration(result.took_s)}" if result.took_s is not None else ""
    sign = "✅" if result.exit_code == 0 else "❌"
    counts = {
        "dates": result.total_dates,
        "ok": result.completed,
        "failed": result.failed,
        "blocked": result.blocked,
        "left alone": result.skipped,
        "remaining": result.remaining,
    }
    lines = [
        f"### {sign} {command} {_plain(result.dag_id)}: {result.state}{took}",
        "",
        "| " + " | ".join(counts) + " |",
        "|" + "---:|" * len(counts),
        "| " + " | ".join(f"{number:,}" for number in counts.values()) + " |",
        "",
    ]
    if result.failures:
        lines += ["| dates | task | cause | which |", "|---:|---|---|---|", *_rows(result), ""]
    if result.backfill_id:
        lines += [f"Backfill `{result.backfill_id}`, audit head `{result.audit_head}`", ""]
    if result.next_command:
        lines += ["Next:", "", *_fenced(result.next_command), ""]
    return "\n".join(lines) + "\n"


def _rows(result: BackfillResult) -> Iterator[str]:
    dates = _dates(result)
    for group in result.failures[:_LISTED]:
        which = _which(group, dates)
        yield f"| {group.count:,} | {_plain(group.task_id)} | {_plain(group.reason)[:500]}{_alike(group)} | {which} |"
    if len(result.failures) > _LISTED:
        yield f"| | | … and {len(result.failures) - _LISTED:,} more causes | |"


def _dates(result: BackfillResult) -> DateFormat:
    return DateFormat(result.timezone, [one for group in result.failures for one in group.dates])


def _told(group: FailureGroup, dates: DateFormat) -> str:
    return f"{count(group.count, 'date')}: {group.task_id}: {group.reason}{_alike(group)}\n{_which(group, dates)}"


def _alike(group: FailureGroup) -> str:
    return f" (+{group.variants - 1:,} alike)" if group.variants > 1 else ""


def _which(group: FailureGroup, dates: DateFormat) -> str:
    shown = ", ".join(dates.argument(one) for one in group.dates[:5])
    return shown + (" …" if group.count > 5 else "")


def _command(title: str, message: str, *, level: str = "error") -> str:
    prop = _data(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={prop}::{_data(message)}\n"


def _data(text: str) -> str:
    lines = "\n".join(safe_text(one) for one in text.split("\n"))
    return lines.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _plain(text: str) -> str:
    """Text in a Markdown cell as it is: no link, no mention, no table of its own."""
    return _MARKDOWN.sub(r"\\\1", safe_text(text)).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\@", "&#64;")


def _fenced(command: str) -> list[str]:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", command)), default=0))
    return [f"{fence}sh", safe_text(command), fence]
