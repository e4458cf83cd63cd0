"""`bfill audit report`: what an auditor asks of a period, read from the chain and the ledger in one snapshot.

Owns the reading: the verdict first, then one pass over the period's entries, one over the backfills, and one over the
tries of the dates they cover. What the rows come to is `core/reporting.py` and `core/repairs.py`. A chain that does not
hold stops nothing: the verdict says so, and the report tells what the store says now.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import takewhile

from backfill_cli.app.context import AppContext
from backfill_cli.app.history import liveness
from backfill_cli.app.proving import verdict_of
from backfill_cli.core.auditing import head_text
from backfill_cli.core.audits import AuditVerdict
from backfill_cli.core.batch_tries import told_to_each
from backfill_cli.core.instants import iso
from backfill_cli.core.intervals import Span, merge
from backfill_cli.core.ports import Reader
from backfill_cli.core.problems import Problem
from backfill_cli.core.ranges import When
from backfill_cli.core.records import Action, BackfillRow
from backfill_cli.core.repairs import AttemptFold
from backfill_cli.core.report_facts import BackfillFacts, ResetFacts, VersionFacts
from backfill_cli.core.reporting import EntryFold
from backfill_cli.core.reports import AuditReport, Heads, ReportScope
from backfill_cli.core.states import GOING, BackfillState
from backfill_cli.core.when import first_second, last_second
from backfill_cli.core.zones import clock_of

REPLACED = "replaced"
ABSENT = "not in the store"
_EVERY = 2**31


def audit_report(
    ctx: AppContext,
    *,
    since: When | None = None,
    until: When | None = None,
    dag: str | None = None,
    target: str | None = None,
    actor: str | None = None,
) -> AuditReport:
    """Return the compliance report. Reads only.

    Args:
        since, until: Both included; a date is the whole day, a naive instant wall time, in the settings' zone.
        dag: A dag_id: its resets and its backfills.
        target: A backfill id or a dag_id, as the entries name it.
        actor: A name as recorded, or the user behind sudo.
    """
    clock = clock_of(ctx.settings.timezone)
    scope = ReportScope(
        None if since is None else first_second(since, clock) * 1_000_000,
        None if until is None else last_second(until, clock) * 1_000_000 + 999_999,
        dag,
        target,
        actor,
    )
    with ctx.store(write=False) as store:
        location, kept = store.location, store.kept_heads()
        return store.read(lambda reader: _Reading(reader, scope, kept).report(ctx.clock.now_us(), location))


class _Reading:
    """One report being read from one snapshot."""

    def __init__(self, reader: Reader, scope: ReportScope, kept: Sequence[str] | None) -> None:
        self._reader = reader
        self._kept = kept
        self._scope = scope
        self._fold = EntryFold(scope)
        self._rows: dict[str, BackfillRow] = {}
        self._commands: dict[str, str] = {}
        self._children: dict[str, list[str]] = defaultdict(list)
        self._is_live = liveness(reader)

    def report(self, now: int, store: str) -> AuditReport:
        from backfill_cli import __version__

        verdict = verdict_of(self._reader, self._kept)
        fold, scope = self._fold, self._scope
        fold.add(self._reader.audit(since=scope.since, until=scope.until))
        self._read_backfills()
        attempts = self._read_attempts()
        return AuditReport(
            generated_at=now,
            generator=f"bfill {__version__}",
            store=store,
            scope=scope,
            verdict=verdict,
            heads=self._heads(),
            entries=fold.entries,
            first_at=fold.first_at,
            last_at=fold.last_at,
            actors=fold.actors(),
            operations=fold.operations(),
            backfills=list(self._backfills(attempts)),
            failures=attempts.failures(),
            reruns=attempts.reruns,
            versions=list(self._versions(attempts)),
            resets=sorted([*fold.resets, *self._reset_runs()], key=lambda one: one.at),
            problems=tuple(self._problems(verdict)),
        )

    def _read_backfills(self) -> None:
        """Keep the rows that the report is about; of the others only which repaired one, and by which command."""
        for row in reversed(self._reader.backfills(limit=_EVERY)):
            self._commands[row.backfill_id] = "rerun-failed" if row.request.get("rerun_failed") else "run"
            if row.backfill_id in self._fold.touched:
                self._rows[row.backfill_id] = row
            if row.parent_id is not None:
                self._children[row.parent_id].append(row.backfill_id)

    def _read_attempts(self) -> AttemptFold:
        """Walk the tries of every date that a reported backfill covers, each once however many backfills cover it."""
        spans: dict[str, list[Span]] = defaultdict(list)
        for row in self._rows.values():
            if row.first is not None and row.last is not None:
                spans[row.dag_id].append(Span(row.first, row.last + 1))
        fold = AttemptFold(self._rows, self._scope, lambda who: self._commands.get(who or "", "run"))
        for dag_id, covered in sorted(spans.items()):
            for first, behind in merge(covered):
                rows = self._reader.attempts(dag_id, first, behind - 1)
                ends = self._reader.batch_ends(dag_id, first, behind - 1)
                fold.add(dag_id, told_to_each(rows, ends, self._worked_on))
        return fold

    def _worked_on(self, backfill_id: str, date: int, last: int) -> list[int]:
        """Return the dates that a backfill worked on together with this one: they ended as it did, or are open so."""
        rows = self._reader.backfill_dates(backfill_id, after=date - 1)
        leader = next(rows, None)
        outcome = None if leader is None else leader.outcome
        return [
            one.logical_date
            for one in takewhile(lambda one: one.logical_date <= last, rows)
            if one.action is not Action.SKIP and (one.batch == date or one.outcome is outcome is not None)
        ]

    def _heads(self) -> Heads:
        chain = head_text(self._reader.audit_head())
        if self._fold.opening is None:
            # Nothing happened: the chain stood where the last entry before left it, so that reports still join.
            before = (0, "")
            for row in self._reader.audit(until=self._scope.until):
                before = (row.seq, row.hash)
            return Heads(head_text(before), head_text(before), chain)
        return Heads(head_text(self._fold.opening), head_text(self._fold.closing), chain)

    def _backfills(self, attempts: AttemptFold) -> Iterator[BackfillFacts]:
        tries: dict[str, Counter[str]] = defaultdict(Counter)
        ran_under: dict[str, dict[str, None]] = defaultdict(dict)
        for (backfill_id, version, outcome), count in attempts.tries.items():
            tries[backfill_id][str(outcome)] += count
            ran_under[backfill_id].setdefault(version)
        for backfill_id in self._fold.touched:
            acts = tuple(self._fold.acts[backfill_id])
            versions = self._fold.versions[backfill_id] | ran_under[backfill_id]
            row = self._rows.get(backfill_id)
            if row is None:
                state = REPLACED if acts[-1].outcome == BackfillState.PLANNED else ABSENT
                dag_id = self._fold.dag_of.get(backfill_id, "")
                yield BackfillFacts(backfill_id, dag_id, state, tuple(versions), None, None, {}, {}, None, None, acts)
                continue
            yield BackfillFacts(
                backfill_id,
                row.dag_id,
                self._state(row),
                tuple(versions | {row.version: None}),
                row.first,
                row.last,
                _counts(row),
                dict(sorted(tries[backfill_id].items())),
                row.started_at,
                row.ended_at,
                acts,
                row.parent_id,
                tuple(self._children[backfill_id]),
            )

    def _state(self, row: BackfillRow) -> str:
        """A running backfill whose process is dead was interrupted, though nobody has written so yet."""
        is_orphan = row.state in GOING and not (row.owner and self._is_live(row.owner))
        return str(BackfillState.INTERRUPTED if is_orphan else row.state)

    def _versions(self, attempts: AttemptFold) -> Iterator[VersionFacts]:
        used: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        tries: Counter[tuple[str, str]] = Counter()
        for backfill_id, row in self._rows.items():
            for version in (row.version, *self._fold.versions[backfill_id]):
                used[row.dag_id][version].add(backfill_id)
        for (backfill_id, version, _), count in attempts.tries.items():
            dag_id = self._rows[backfill_id].dag_id
            used[dag_id][version].add(backfill_id)
            tries[dag_id, version] += count
        for dag_id, by_version in sorted(used.items()):
            known = {one.version: one for one in self._reader.versions(dag_id)}
            for version in [*(one for one in known if one in by_version), *sorted(by_version.keys() - known.keys())]:
                seen = known.get(version)
                yield VersionFacts(
                    dag_id,
                    version,
                    seen.first_seen_at if seen else None,
                    len(seen.tasks) if seen else 0,
                    len(by_version[version]),
                    tries[dag_id, version],
                )

    def _reset_runs(self) -> Iterator[ResetFacts]:
        """`run --reset-dag-run` resets dates too, under its own name."""
        for row in self._rows.values():
            act = next((one for one in self._fold.acts[row.backfill_id] if one.outcome == "started"), None)
            dates = row.planned.get(Action.RESET, 0)
            if act is not None and dates:
                yield ResetFacts(
                    act.at,
                    act.actor,
                    act.host,
                    row.backfill_id,
                    row.dag_id,
                    act.reason,
                    "run --reset-dag-run",
                    iso(row.first) or "",
                    iso(row.last) or "",
                    dates,
                    None,
                    None,
                )

    def _problems(self, verdict: AuditVerdict) -> Iterator[Problem]:
        from backfill_cli.core.graph import near_hint

        if verdict.finding:
            yield Problem("chain-broken", f"the record does not hold: {verdict.finding}", "bfill audit verify")
        if self._fold.entries:
            return
        dag = self._scope.dag
        known = [one.dag_id for one in self._reader.dags()]
        if dag is not None and dag not in known:
            hint = near_hint(dag, known, otherwise="the record knows a DAG by its dag_id: bfill status")
            yield Problem("unknown-dag", f"the record knows no DAG '{dag}'", hint)
        else:
            yield Problem("nothing-recorded", "no entry of the audit chain matches", "bfill audit lists every entry")


def _counts(row: BackfillRow) -> dict[str, int]:
    return {
        "total": row.total,
        "completed": row.completed,
        "failed": row.failed,
        "blocked": row.blocked,
        "skipped": row.skipped,
        "remaining": row.remaining,
        "interrupted": row.interrupted,
    }
