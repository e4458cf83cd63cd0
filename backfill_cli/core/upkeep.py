"""What `store check`, `store backup` and `store prune` answer.

Owns the shapes and what a set of findings comes to. `data()` gives the JSON `data` of the envelope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from backfill_cli.core.instants import iso_us
from backfill_cli.core.problems import Problem


class Severity(StrEnum):
    """How bad a finding is; worst first."""

    DAMAGE = "damage"
    """The file or a row of it cannot be what bfill wrote: exit 4."""
    HISTORY = "history"
    """The audit chain or a digest does not verify: exit 6."""
    WARNING = "warning"
    """The store is sound, and at risk."""
    NOTE = "note"
    """Worth knowing; nothing to do, or the next command does it."""


class Finding(NamedTuple):
    """One thing that is not as it should be: a stable code, what is so, and what to do about it (may be empty)."""

    code: str
    severity: Severity
    message: str
    hint: str = ""

    def data(self) -> dict[str, str]:
        return {"code": self.code, "severity": self.severity, "message": self.message, "hint": self.hint}


class Part(NamedTuple):
    """One part of a check.

    Args:
        name: `pages`, `rows`…
        state: `ok`, `found` (something), or `not reached`, because an earlier part found the store unreadable.
        told: What was looked at, in words.
        worst: The severity of what was found.
    """

    name: str
    state: str
    told: str = ""
    worst: Severity | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check of a store found, and how far it came.

    Args:
        facts: What kind of store it is: schema, bytes, SQLite library, file system…
        audit_head: `seq:hash` as far as the chain holds; "" without one.
    """

    location: str
    parts: Sequence[Part]
    findings: Sequence[Finding]
    facts: Mapping[str, Any]
    audit_head: str

    @property
    def exit_code(self) -> int:
        """4 when the store is damaged, else 6 when its history does not verify, else 0."""
        found = {one.severity for one in self.findings}
        return 4 if Severity.DAMAGE in found else 6 if Severity.HISTORY in found else 0

    def data(self) -> dict[str, Any]:
        return {
            "store": self.location,
            "parts": [{"name": one.name, "state": one.state, "looked_at": one.told} for one in self.parts],
            "findings": [one.data() for one in self.findings],
            "facts": dict(self.facts),
            "audit_head": self.audit_head,
        }


@dataclass(frozen=True, slots=True)
class BackupResult:
    """A copy that was made, looked at and synced.

    Args:
        audit_head: Of the copy: what `audit verify --expect-head` can later be asked about it.
    """

    location: str
    target: str
    size: int
    audit_head: str
    problems: Sequence[Problem] = ()
    exit_code: int = 0

    def data(self) -> dict[str, Any]:
        return {"store": self.location, "backup": self.target, "bytes": self.size, "audit_head": self.audit_head}


@dataclass(slots=True)
class Pruned:
    """What goes, or went, of one DAG.

    Args:
        first, last: Bounds of the logical dates concerned, epoch seconds; None when nothing goes.
        dates: dag_runs whose tries or values go; they stay themselves.
        planned_dates: Rows of backfills that ended long ago.
    """

    dag_id: str
    first: int | None = None
    last: int | None = None
    dates: int = 0
    attempts: int = 0
    xcoms: int = 0
    backfills: int = 0
    planned_dates: int = 0
    logs: int = 0

    def __bool__(self) -> bool:
        return bool(self.attempts or self.xcoms or self.planned_dates or self.logs)

    def counts(self) -> dict[str, int]:
        names = ("dates", "attempts", "xcoms", "backfills", "planned_dates", "logs")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What `store prune` removed, or with a dry run would remove.

    Args:
        before: Everything that ended before it, epoch microseconds.
        freed: Bytes the file became smaller by; None when that was not tried.
    """

    location: str
    before: int
    pruned: Sequence[Pruned]
    dry_run: bool
    audit_head: str
    freed: int | None = None
    problems: Sequence[Problem] = ()
    next_command: str = ""
    exit_code: int = 0
    total: Pruned = field(init=False)

    def __post_init__(self) -> None:
        total = Pruned("")
        for one in self.pruned:
            for name, number in one.counts().items():
                setattr(total, name, getattr(total, name) + number)
        object.__setattr__(self, "total", total)

    def data(self) -> dict[str, Any]:
        return {
            "store": self.location,
            "before": iso_us(self.before),
            "dry_run": self.dry_run,
            "total": self.total.counts(),
            "dags": [{"dag_id": one.dag_id, **one.counts()} for one in self.pruned],
            "freed_bytes": self.freed,
            "audit_head": self.audit_head,
        }
