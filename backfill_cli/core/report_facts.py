"""The rows of the compliance report: actors, operations, backfills, failures, repairs, versions, resets.

Owns their shape and their JSON, no rule. Instants are epoch microseconds, logical dates epoch seconds; JSON shows both
as ISO 8601 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from backfill_cli.core.instants import iso, iso_us


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
