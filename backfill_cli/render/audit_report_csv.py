"""The compliance report as CSV (RFC 4180): one rectangular table whose first column says what a row is about.

Owns the columns and the escaping. Every cell is quoted. A spreadsheet runs what begins with `=` or its like as a
formula; such a cell gets an apostrophe in front, which makes it text (OWASP, "CSV Injection").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from backfill_cli.core.instants import iso, iso_us
from backfill_cli.core.report_facts import BackfillFacts, FailureFacts
from backfill_cli.core.reports import AuditReport
from backfill_cli.render.safe import safe_text

COLUMNS = (
    "section", "at", "until", "actor", "host", "action", "target", "dag_id", "dag_version", "first_date", "last_date",
    "task_id", "outcome", "count", "completed", "failed", "blocked", "skipped", "remaining", "parent_id", "repaired_by",
    "reason", "details",
)  # fmt: skip

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Row = Mapping[str, Any]


def csv(report: AuditReport) -> Iterator[str]:
    """Yield the lines, each with its CRLF; no line end stands inside a cell."""
    yield _line(COLUMNS)
    for row in _rows(report):
        assert row.keys() <= set(COLUMNS), row.keys()
        yield _line([row.get(column) for column in COLUMNS])


def cell(value: Any) -> str:
    """Return a quoted cell that no spreadsheet takes for a formula; None is empty."""
    text = "" if value is None else str(value)
    # Spaces in front do not keep every spreadsheet from it.
    guard = "'" if text.lstrip(" \xa0\u3000").startswith(_FORMULA) else ""
    return f'"{guard}{safe_text(text).replace(chr(34), chr(34) * 2)}"'


def _line(values: Any) -> str:
    return ",".join(map(cell, values)) + "\r\n"


def _rows(report: AuditReport) -> Iterator[Row]:
    scope, verdict, heads = report.scope, report.verdict, report.heads
    narrowed = {"dag": scope.dag, "target": scope.target, "actor": scope.actor}
    yield {
        "section": "report",
        "at": iso_us(report.generated_at),
        "target": report.store,
        "details": _pairs({"generator": report.generator, **narrowed}),
    }
    yield {
        "section": "verdict",
        "outcome": "broken" if verdict.finding else "holds",
        "count": verdict.checked,
        "target": verdict.head,
        "reason": verdict.finding,
        "details": _pairs({"digests": verdict.digests, "first_bad": verdict.first_bad}),
    }
    yield {"section": "period asked", "at": iso_us(scope.since), "until": iso_us(scope.until)}
    yield {
        "section": "period covered",
        "at": iso_us(report.first_at),
        "until": iso_us(report.last_at),
        "count": report.entries,
    }
    for action, head in heads.data().items():
        yield {"section": "head", "action": action, "target": head}
    for actor in report.actors:
        yield {
            "section": "actor",
            "at": iso_us(actor.first_at),
            "until": iso_us(actor.last_at),
            "actor": actor.actor,
            "host": ", ".join(actor.hosts),
            "count": actor.entries,
            "details": _pairs({"sudo_from": actor.sudo_from, "ci_jobs": ", ".join(actor.ci_jobs)}),
        }
    for one in report.operations:
        yield {"section": "operation", "action": one.action, "outcome": one.outcome, "count": one.entries}
    for backfill in report.backfills:
        yield _backfill(backfill)
    for failure in report.failures:
        yield from _failure(failure)
    for version in report.versions:
        yield {
            "section": "version",
            "at": iso_us(version.first_seen_at),
            "dag_id": version.dag_id,
            "dag_version": version.version,
            "count": version.backfills,
            "details": _pairs({"tasks": version.tasks, "tries": version.tries}),
        }
    for rerun in report.reruns:
        yield {
            "section": "executed again",
            "at": iso_us(rerun.lost_at),
            "until": iso_us(rerun.redone_at),
            "dag_id": rerun.dag_id,
            "target": rerun.backfill_id,
            "first_date": iso(rerun.logical_date),
            "last_date": iso(rerun.logical_date),
            "task_id": rerun.task_id,
            "outcome": rerun.outcome,
            "repaired_by": rerun.redone_by,
            "reason": rerun.reason,
            "details": _pairs({"lost_try": rerun.lost_try}),
        }
    for reset in report.resets:
        yield {
            "section": "reset",
            "at": iso_us(reset.at),
            "actor": reset.actor,
            "host": reset.host,
            "action": reset.command,
            "target": reset.target,
            "dag_id": reset.dag_id,
            "first_date": reset.start,
            "last_date": reset.end,
            "task_id": ", ".join(reset.tasks) or "all",
            "count": reset.dates,
            "reason": reset.reason,
            "details": _pairs({"task_instances": reset.task_instances, "xcoms": reset.xcoms}),
        }


def _backfill(one: BackfillFacts) -> Row:
    counts = {name: one.counts.get(name) for name in ("completed", "failed", "blocked", "skipped", "remaining")}
    return {
        "section": "backfill",
        "at": iso_us(one.started_at),
        "until": iso_us(one.ended_at),
        "actor": ", ".join(dict.fromkeys(act.actor for act in one.acts)),
        "host": ", ".join(dict.fromkeys(act.host for act in one.acts)),
        "action": one.command,
        "target": one.backfill_id,
        "dag_id": one.dag_id,
        "dag_version": ", ".join(one.versions),
        "first_date": iso(one.first),
        "last_date": iso(one.last),
        "outcome": one.state,
        "count": one.counts.get("total"),
        **counts,
        "parent_id": one.parent_id,
        "repaired_by": ", ".join(one.repaired_by),
        "reason": "; ".join(one.reasons),
        "details": _pairs({"entries": ", ".join(str(act.seq) for act in one.acts), **_tries(one)}),
    }


def _failure(one: FailureFacts) -> Iterator[Row]:
    """A row for the cause, and one for each thing that repaired some of its dates."""
    about: Row = {"dag_id": one.dag_id, "task_id": one.task_id, "reason": one.reason}
    yield {
        "section": "failure",
        "at": iso_us(one.first_at),
        "until": iso_us(one.last_at),
        "first_date": iso(one.shown[0]),
        "count": one.dates,
        "remaining": one.unrepaired,
        "details": _pairs({"tries": one.tries, "dates": " ".join(str(iso(date)) for date in one.shown)}),
        **about,
    }
    for repair in one.repairs:
        yield {
            "section": "repair",
            "until": iso_us(repair.last_at),
            "action": repair.how,
            "repaired_by": repair.backfill_id,
            "count": repair.dates,
            **about,
        }


def _tries(one: BackfillFacts) -> dict[str, int]:
    return {f"tries {outcome}": count for outcome, count in one.tries.items()}


def _pairs(values: Mapping[str, Any]) -> str:
    return "; ".join(f"{key}={value}" for key, value in values.items() if value not in (None, ""))
