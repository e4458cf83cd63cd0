"""The compliance report as one value: who did what, when, from where, why, with which result, and whether that holds.

Owns the shape, and the keys of its JSON. What is folded into it is `core/reporting.py` (the chain's entries) and
`core/repairs.py` (the tries); how it looks is `render/audit_report*.py`. Instants are epoch microseconds, logical dates
epoch seconds; JSON shows both as ISO 8601 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backfill_cli.core.audits import AuditVerdict
from backfill_cli.core.instants import iso, iso_us
from backfill_cli.core.problems import Problem


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
class ActorFacts:
    """Somebody who acted, as the chain names them.

    Args:
        sudo_from: The user behind `sudo`, None without it.
        hosts, ci_jobs: Name → entries from there; a CI job reads `github GITHUB_RUN_ID=17`.
    """

    actor: str
    sudo_from: str | None
    entries: int
    first_at: int
    last_at: int
    hosts: Mapping[str, int]
    ci_jobs: Mapping[str, int]

    def data(self) -> dict[str, Any]:
        return {
            "actor": self.actor,
            "sudo_from": self.sudo_from,
            "entries": self.entries,
            "first_at": iso_us(self.first_at),
            "last_at": iso_us(self.last_at),
            "hosts": dict(self.hosts),
            "ci_jobs": dict(self.ci_jobs),
        }


class Operation(NamedTuple):
    """How many entries record this action with this outcome."""

    action: str
    outcome: str
    entries: int

    def data(self) -> dict[str, Any]:
        return self._asdict()


class Act(NamedTuple):
    """One entry about a backfill."""

    seq: int
    at: int
    actor: str
    host: str
    action: str
    outcome: str
    reason: str | None

    def data(self) -> dict[str, Any]:
        return self._asdict() | {"at": iso_us(self.at)}


@dataclass(frozen=True, slots=True)
class BackfillFacts:
    """A backfill and everything the period's entries say of it.

    Args:
        state: A backfill state as it is now; `replaced` for a plan that another one replaced, `not in the store` for
            a backfill that the chain knows and the store does not.
        versions: Those it was planned with and ran under.
        counts: Dates: total, completed, failed, blocked, skipped, remaining, interrupted; empty when not in the store.
        tries: Tries by outcome.
    """

    backfill_id: str
    dag_id: str
    state: str
    versions: Sequence[str]
    first: int | None
    last: int | None
    counts: Mapping[str, int]
    tries: Mapping[str, int]
    started_at: int | None
    ended_at: int | None
    acts: Sequence[Act]
    parent_id: str | None = None
    repaired_by: Sequence[str] = ()

    @property
    def actors(self) -> list[str]:
        """Who had a hand in it, `name@host`, in order of appearance."""
        return list(dict.fromkeys(f"{act.actor}@{act.host}" for act in self.acts))

    @property
    def reasons(self) -> list[str]:
        """What they gave as `--reason`, in order of appearance."""
        return list(dict.fromkeys(act.reason for act in self.acts if act.reason))

    @property
    def command(self) -> str:
        """The command it was last worked on with."""
        commands = [act.action for act in self.acts if act.action != "recover"]
        return commands[-1] if commands else ""

    def data(self) -> dict[str, Any]:
        return {
            "backfill_id": self.backfill_id,
            "dag_id": self.dag_id,
            "state": self.state,
            "command": self.command,
            "dag_versions": list(self.versions),
            "start": iso(self.first),
            "end": iso(self.last),
            "counts": dict(self.counts),
            "tries": dict(self.tries),
            "started_at": iso_us(self.started_at),
            "ended_at": iso_us(self.ended_at),
            "actors": self.actors,
            "reasons": self.reasons,
            "parent_id": self.parent_id,
            "repaired_by": list(self.repaired_by),
            "entries": [act.data() for act in self.acts],
        }


class Repair(NamedTuple):
    """What made failed dates good: a later try of the same backfill (`retry`), or another backfill by its command."""

    backfill_id: str | None
    how: str
    dates: int
    last_at: int

    def data(self) -> dict[str, Any]:
        return self._asdict() | {"last_at": iso_us(self.last_at)}


@dataclass(frozen=True, slots=True)
class FailureFacts:
    """Tries of one task that failed for one cause.

    Args:
        tries: Failed tries, those that were retried included.
        dates: Dates with such a try; the first of them stand in `shown`.
        unrepaired: Dates on which no later try of the task has succeeded (or skipped) so far.
    """

    dag_id: str
    task_id: str
    reason: str
    tries: int
    dates: int
    shown: Sequence[int]
    first_at: int
    last_at: int
    repairs: Sequence[Repair]
    unrepaired: int

    def data(self) -> dict[str, Any]:
        return {
            "dag_id": self.dag_id,
            "task_id": self.task_id,
            "reason": self.reason,
            "tries": self.tries,
            "total_dates": self.dates,
            "dates": [iso(one) for one in self.shown],
            "first_at": iso_us(self.first_at),
            "last_at": iso_us(self.last_at),
            "repairs": [repair.data() for repair in self.repairs],
            "unrepaired": self.unrepaired,
        }


class Rerun(NamedTuple):
    """A try that an interruption cut off, and the try that did it again; None while there is none."""

    dag_id: str
    logical_date: int
    task_id: str
    backfill_id: str | None
    lost_try: int
    lost_at: int
    reason: str
    redone_by: str | None = None
    redone_at: int | None = None
    outcome: str | None = None

    def data(self) -> dict[str, Any]:
        return self._asdict() | {
            "logical_date": iso(self.logical_date),
            "lost_at": iso_us(self.lost_at),
            "redone_at": iso_us(self.redone_at),
        }


class VersionFacts(NamedTuple):
    """A version of a DAG that was planned or ran; `first_seen_at` is None when the store does not know it."""

    dag_id: str
    version: str
    first_seen_at: int | None
    tasks: int
    backfills: int
    tries: int

    def data(self) -> dict[str, Any]:
        return self._asdict() | {"first_seen_at": iso_us(self.first_seen_at)}


@dataclass(frozen=True, slots=True)
class ResetFacts:
    """Task instances that went back to the start.

    Args:
        target: The DAG of a `reset`, the backfill of a `run --reset-dag-run`.
        dates, task_instances, xcoms: How many; None where the record does not say.
        tasks: Ids; empty for all.
    """

    at: int
    actor: str
    host: str
    target: str
    dag_id: str
    reason: str | None
    command: str
    start: str
    end: str
    dates: int | None
    task_instances: int | None
    xcoms: int | None
    tasks: Sequence[str] = ()

    def data(self) -> dict[str, Any]:
        return {
            "at": iso_us(self.at),
            "actor": self.actor,
            "host": self.host,
            "command": self.command,
            "target": self.target,
            "dag_id": self.dag_id,
            "start": self.start or None,
            "end": self.end or None,
            "dates": self.dates,
            "task_instances": self.task_instances,
            "xcoms": self.xcoms,
            "tasks": list(self.tasks) or "all",
            "reason": self.reason,
        }


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
    problems: tuple[Problem, ...] = field(default=())

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
