"""What `audit` and `audit verify` answer: entries of the chain, and whether it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backfill_cli.core.instants import iso_us
from backfill_cli.core.records import AuditRow


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


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What `audit verify` found: how many entries hold, and the first that does not."""

    checked: int
    head: str
    digests: int
    first_bad: int | None = None
    finding: str = ""

    @property
    def exit_code(self) -> int:
        return 0 if not self.finding else 6

    def data(self) -> dict[str, Any]:
        return {
            "checked": self.checked,
            "digests": self.digests,
            "head": self.head,
            "first_bad": self.first_bad,
            "finding": self.finding or None,
        }
