"""The compliance report as one value: who did what, when, from where, why, with which result, and whether that holds.

Owns the report and its scope; its rows are `core/report_facts.py`. What is folded into them is `core/reporting.py` (the
chain's entries) and `core/repairs.py` (the tries); how they look is `render/audit_report*.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backfill_cli.core.audits import AuditVerdict
from backfill_cli.core.instants import iso_us
from backfill_cli.core.problems import Problem
from backfill_cli.core.report_facts import (
    ActorFacts,
    BackfillFacts,
    FailureFacts,
    Operation,
    Rerun,
    ResetFacts,
    VersionFacts,
)


@dataclass(frozen=True, slots=True)
class ReportScope:
    """What the report was asked to cover; None asks for nothing. `since` and `until` are both included."""

    since: int | None = None
    until: int | None = None
    dag: str | None = None
    target: str | None = None
    actor: str | None = None

    def holds(self, at: int) -> bool:
        """Whether an instant lies in the period."""
        return (self.since is None or self.since <= at) and (self.until is None or at <= self.until)

    def data(self) -> dict[str, Any]:
        return {
            "since": iso_us(self.since),
            "until": iso_us(self.until),
            "dag": self.dag,
            "target": self.target,
            "actor": self.actor,
        }


@dataclass(frozen=True, slots=True)
class Heads:
    """Where the chain stood, as `seq:hash`; "" where there was no entry yet.

    Args:
        opening: Before the first entry of the period: the closing head of the report before this one.
        closing: At the last entry of the period.
        chain: Now.
    """

    opening: str
    closing: str
    chain: str

    def data(self) -> dict[str, Any]:
        return {"opening": self.opening, "closing": self.closing, "chain": self.chain}


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Everything an auditor asks of a period.

    Args:
        generator: The program and its version.
        entries: Entries in the scope; `first_at` and `last_at` are theirs, None without any.
        verdict: Of the whole chain, whatever the scope.
    """

    generated_at: int
    generator: str
    store: str
    scope: ReportScope
    verdict: AuditVerdict
    heads: Heads
    entries: int
    first_at: int | None
    last_at: int | None
    actors: Sequence[ActorFacts] = ()
    operations: Sequence[Operation] = ()
    backfills: Sequence[BackfillFacts] = ()
    failures: Sequence[FailureFacts] = ()
    reruns: Sequence[Rerun] = ()
    versions: Sequence[VersionFacts] = ()
    resets: Sequence[ResetFacts] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or 6 when the chain does not hold: the report is complete all the same."""
        return self.verdict.exit_code

    def data(self) -> dict[str, Any]:
        """Return the JSON of the report; the lists are iterators, so that a long report is never held twice."""
        return {
            "generated_at": iso_us(self.generated_at),
            "generator": self.generator,
            "store": self.store,
            "scope": self.scope.data(),
            "verdict": {"holds": not self.verdict.finding, **self.verdict.data()},
            "heads": self.heads.data(),
            "entries": self.entries,
            "first_at": iso_us(self.first_at),
            "last_at": iso_us(self.last_at),
            "actors": (one.data() for one in self.actors),
            "operations": (one.data() for one in self.operations),
            "backfills": (one.data() for one in self.backfills),
            "failures": (one.data() for one in self.failures),
            "reexecuted": (one.data() for one in self.reruns),
            "versions": (one.data() for one in self.versions),
            "resets": (one.data() for one in self.resets),
        }
