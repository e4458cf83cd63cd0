"""A compliance report in which every text that comes from people, tasks or hosts is the same given one."""

from __future__ import annotations

from typing import Any

from backfill_cli.core.audits import AuditVerdict, Finding
from backfill_cli.core.report_facts import (
    Act,
    ActorFacts,
    BackfillFacts,
    FailureFacts,
    Operation,
    Repair,
    Rerun,
    ResetFacts,
    VersionFacts,
)
from backfill_cli.core.reports import AuditReport, Heads, ReportScope

NOW = 1_711_965_731_000_000  # 2024-04-01T10:02:11Z
DATE = 1_709_251_200  # 2024-03-01T00:00:00Z
HOLDS = AuditVerdict(12, "12:9f3c81d2", 3)
BROKEN = AuditVerdict(
    4, "4:77aa", 0, findings=(Finding("chain-broken", "entry 5 was changed after it was written", entry=5),)
)


def report(text: str = "word", *, verdict: AuditVerdict = HOLDS, **changes: Any) -> AuditReport:
    """A report with at least one row in every section."""
    act = Act(1, NOW, text, text, text, text, text)
    counts = {"total": 3, "completed": 1, "failed": 2, "blocked": 0, "skipped": 0, "remaining": 0, "interrupted": 0}
    values: dict[str, Any] = {
        "generated_at": NOW,
        "generator": "bfill 0.1.0",
        "store": text,
        "scope": ReportScope(NOW - 9, NOW, text, text, text),
        "verdict": verdict,
        "heads": Heads("", "12:9f3c81d2", "12:9f3c81d2"),
        "entries": 12,
        "first_at": NOW - 5,
        "last_at": NOW,
        "actors": [ActorFacts(text, text, 12, NOW, NOW, {text: 12}, {text: 1})],
        "operations": [Operation(text, text, 12)],
        "backfills": [
            BackfillFacts(
                text, text, text, [text], DATE, DATE, counts, {"failed": 2}, NOW, NOW + 1, [act], text, [text]
            ),
            BackfillFacts(text, text, "failed", [], None, None, {}, {}, None, None, [act]),
        ],
        "failures": [FailureFacts(text, text, text, 3, 2, [DATE], NOW, NOW, [Repair(text, text, 1, NOW)], 1)],
        "reruns": [
            Rerun(text, DATE, text, text, 1, NOW, text, text, NOW, text),
            Rerun("d", DATE, "t", None, 1, 0, "r"),
        ],
        "versions": [VersionFacts(text, text, None, 0, 1, 3)],
        "resets": [ResetFacts(NOW, text, text, text, text, text, text, text, text, 1, None, None, [text])],
    }
    return AuditReport(**(values | changes))


EMPTY: dict[str, Any] = {
    "entries": 0,
    "first_at": None,
    "last_at": None,
    **dict.fromkeys(("actors", "operations", "backfills", "failures", "reruns", "versions", "resets"), ()),
}
"""Changes that leave nothing in any section."""
