"""Folding the chain's entries into the facts of a report: who, which operations, the acts of each backfill, resets.

Owns what an entry counts towards, and which entries are in the scope. One pass, one entry at a time: memory grows with
actors and backfills, not with the chain. What an entry's details hold was written by some earlier version, or by
whoever broke the chain: nothing here trusts their shape.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backfill_cli.core.records import AuditRow
from backfill_cli.core.report_facts import Act, ActorFacts, Operation, ResetFacts
from backfill_cli.core.reports import ReportScope

_BEHIND_SUDO = re.compile(r"(?P<user>.*) \(sudo (?P<behind>.*)\)", re.DOTALL)


@dataclass(slots=True)
class _Actor:
    entries: int = 0
    first_at: int = 0
    last_at: int = 0
    hosts: Counter[str] = field(default_factory=Counter)
    ci_jobs: Counter[str] = field(default_factory=Counter)


class EntryFold:
    """Takes the entries of a period in order; afterwards its attributes hold what they come to.

    Attributes:
        entries, first_at, last_at: Of those in scope.
        acts: backfill id → every entry of the period about it, in scope or not: a backfill's story is told whole.
        dag_of: backfill id → dag_id, as the entries say.
        versions: backfill id → versions they name, in order.
        touched: Backfills with an entry in scope, in order of appearance.
        opening, closing: (seq, hash) before the first and at the last entry of the period.
    """

    def __init__(self, scope: ReportScope) -> None:
        self._scope = scope
        self.entries = 0
        self.first_at: int | None = None
        self.last_at: int | None = None
        self.acts: dict[str, list[Act]] = defaultdict(list)
        self.dag_of: dict[str, str] = {}
        self.versions: dict[str, dict[str, None]] = defaultdict(dict)
        self.touched: dict[str, None] = {}
        self.resets: list[ResetFacts] = []
        self.opening: tuple[int, str] | None = None
        self.closing: tuple[int, str] = (0, "")
        self._actors: dict[str, _Actor] = {}
        self._operations: Counter[tuple[str, str]] = Counter()

    def add(self, rows: Iterable[AuditRow]) -> None:
        """Fold entries in, ascending."""
        for row in rows:
            if self.opening is None:
                self.opening = (row.seq - 1, row.previous)
            self.closing = (row.seq, row.hash)
            dag_id = _word(row.details.get("dag_id"))
            is_backfill = _is_about_backfill(row, dag_id)
            if is_backfill:
                self._note_act(row, dag_id)
            if is_in_scope(row, self._scope):
                self._count(row)
                if is_backfill:
                    self.touched.setdefault(row.target)
                elif row.action == "reset":
                    self.resets.append(_reset(row, dag_id))

    def actors(self) -> list[ActorFacts]:
        """Return who acted, the busiest first."""
        found = [
            ActorFacts(
                name,
                behind_sudo(name),
                one.entries,
                one.first_at,
                one.last_at,
                dict(one.hosts.most_common()),
                dict(one.ci_jobs.most_common()),
            )
            for name, one in self._actors.items()
        ]
        return sorted(found, key=lambda one: (-one.entries, one.actor))

    def operations(self) -> list[Operation]:
        """Return the entries by action and outcome, by name."""
        return [Operation(action, outcome, count) for (action, outcome), count in sorted(self._operations.items())]

    def _note_act(self, row: AuditRow, dag_id: str) -> None:
        self.acts[row.target].append(
            Act(row.seq, row.at, row.actor, row.host, row.action, row.outcome, row.reason),
        )
        if dag_id:
            self.dag_of[row.target] = dag_id
        version = _word(row.details.get("dag_version"))
        if version:
            self.versions[row.target].setdefault(version)

    def _count(self, row: AuditRow) -> None:
        self.entries += 1
        # The clock of a machine may have been set back: the period is that of the instants, not of the order.
        self.first_at = row.at if self.first_at is None else min(self.first_at, row.at)
        self.last_at = row.at if self.last_at is None else max(self.last_at, row.at)
        self._operations[row.action, row.outcome] += 1
        one = self._actors.get(row.actor)
        if one is None:
            one = self._actors[row.actor] = _Actor(first_at=row.at, last_at=row.at)
        one.entries += 1
        one.first_at, one.last_at = min(one.first_at, row.at), max(one.last_at, row.at)
        one.hosts[row.host] += 1
        job = ci_job(row.details.get("ci"))
        if job:
            one.ci_jobs[job] += 1


def is_in_scope(row: AuditRow, scope: ReportScope) -> bool:
    """Return whether an entry is one the report was asked for.

    `actor` is the whole name as recorded, the user in it, or the one behind sudo: what somebody did through sudo is
    theirs. `dag` also takes the entries of the DAG's backfills; `target` is one word, as in `bfill audit`.
    """
    if not scope.holds(row.at):
        return False
    if scope.target is not None and row.target != scope.target:
        return False
    if scope.dag is not None and scope.dag not in (row.target, row.details.get("dag_id")):
        return False
    if scope.actor is None or row.actor == scope.actor:
        return True
    match = _BEHIND_SUDO.fullmatch(row.actor)
    return match is not None and scope.actor in (match["user"], match["behind"])


def behind_sudo(actor: str) -> str | None:
    """Return the user behind `root (sudo ana)`: ana; None for a plain name."""
    match = _BEHIND_SUDO.fullmatch(actor)
    return match["behind"] if match else None


def ci_job(value: Any) -> str:
    """Return a CI job in one line, `github GITHUB_RUN_ID=17`; "" for none."""
    if not isinstance(value, Mapping):
        return ""
    facts = [f"{key}={one}" for key, one in value.items() if key != "system"]
    return " ".join([_word(value.get("system")) or "ci", *facts])


def _is_about_backfill(row: AuditRow, dag_id: str) -> bool:
    """By its id, or by naming a DAG that is not its target: details that were tampered with must not hide it."""
    return row.action != "reset" and (row.target.startswith("bf-") or dag_id not in ("", row.target))


def _reset(row: AuditRow, dag_id: str) -> ResetFacts:
    details = row.details
    bounds = details.get("range")
    start, end = bounds if isinstance(bounds, list) and len(bounds) == 2 else ("", "")
    tasks = details.get("tasks")
    return ResetFacts(
        at=row.at,
        actor=row.actor,
        host=row.host,
        target=row.target,
        dag_id=dag_id or row.target,
        reason=row.reason,
        command="reset",
        start=_word(start),
        end=_word(end),
        dates=_number(details.get("dates")),
        task_instances=_number(details.get("task_instances")),
        xcoms=_number(details.get("xcoms")),
        tasks=tuple(str(one) for one in tasks) if isinstance(tasks, list) else (),
    )


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
