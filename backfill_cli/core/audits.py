"""What `audit` and `audit verify` answer: entries of the chain, and whether it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from backfill_cli.core.instants import iso, iso_us
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import AuditRow

MOST_FINDINGS = 20
"""Findings of a verdict: where more is wrong, the first tell what happened."""


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Entries of the audit chain, and where it stands."""

    events: Sequence[AuditRow]
    head: str
    exit_code: int = 0

    def data(self) -> dict[str, Any]:
        return {
            "events": [
                {
                    "seq": row.seq,
                    "at": iso_us(row.at),
                    "actor": row.actor,
                    "host": row.host,
                    "action": row.action,
                    "target": row.target,
                    "reason": row.reason,
                    "outcome": row.outcome,
                    "details": dict(row.details),
                    "hash": row.hash,
                }
                for row in self.events
            ],
            "head": self.head,
        }


class Finding(NamedTuple):
    """Something that is not as it was written.

    Args:
        code: A stable slug, such as `chain-broken` or `run-changed`.
        what: The finding in words, on one line once shown: it may hold text from the store.
        entry: The first bad entry of the chain, or the entry that says otherwise; None where no entry says so.
        target: The backfill id or dag_id it is about.
        logical_date: The dag_run's, epoch seconds.
    """

    code: str
    what: str
    entry: int | None = None
    target: str | None = None
    logical_date: int | None = None

    def data(self) -> dict[str, Any]:
        date = None if self.logical_date is None else iso(self.logical_date)
        return {
            "code": self.code,
            "what": self.what,
            "entry": self.entry,
            "target": self.target,
            "logical_date": date,
        }


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What `audit verify` found: how much was checked, and what is not as it was written.

    Args:
        checked: Entries of the chain that hold.
        head: `seq:hash` of the last of them.
        digests: Backfills whose digest was checked.
        dag_runs: dag_runs whose digest was checked.
        findings: The first first; `MOST_FINDINGS` at most.
        problems: What is no alarm, but worth knowing.
    """

    checked: int
    head: str
    digests: int
    dag_runs: int = 0
    findings: Sequence[Finding] = ()
    problems: Sequence[Problem] = ()

    @property
    def first_bad(self) -> int | None:
        """The entry of the first finding."""
        return self.findings[0].entry if self.findings else None

    @property
    def finding(self) -> str:
        """The first finding in words."""
        return self.findings[0].what if self.findings else ""

    @property
    def exit_code(self) -> int:
        return 6 if self.findings else 0

    def data(self) -> dict[str, Any]:
        return {
            "checked": self.checked,
            "digests": self.digests,
            "dag_runs": self.dag_runs,
            "head": self.head,
            "first_bad": self.first_bad,
            "finding": self.finding or None,
            "findings": [one.data() for one in self.findings],
        }
