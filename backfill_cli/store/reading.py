"""Queries over the ledger: DAGs, dag_runs, task instances, attempts, XComs.

Owns half of `Reader` (core/ports.py); `reading_backfills.py` has the other. Plain SQL in the forms SQLite and
PostgreSQL share; every row passes a `Shape` of rows.py on its way out. Names behind a key come by LEFT JOIN: a row
whose name is missing is damage to report, not a row to lose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import islice

from backfill_cli.core.records import (
    SCHEDULED,
    AttemptRow,
    DagRow,
    DurationRow,
    EndedRuns,
    InstanceRow,
    LeftRun,
    RunRow,
    VersionRow,
)
from backfill_cli.core.states import Outcome, RunState, TaskState
from backfill_cli.store import counting
from backfill_cli.store.connections import Connection
from backfill_cli.store.keys import Keys
from backfill_cli.store.problems import damaged
from backfill_cli.store.rows import (
    ATTEMPT,
    BATCH_END,
    DAG,
    DATE,
    DURATION,
    FINISHED,
    INSTANCE,
    LEFT_RUN,
    RUN,
    RUN_STATES,
    VERSION,
    VERSION_NAME,
    XCOM,
)

RUN_COLUMNS = (
    "r.logical_date, r.data_interval_end, r.run_type, r.state, v.digest, r.conf, r.started_at, r.ended_at, r.reason, "
    "b.backfill_id, r.owner, r.batch"
)
RUN_NAMES = "LEFT JOIN dag_versions v ON v.version = r.version LEFT JOIN backfills b ON b.backfill = r.backfill"
_RUNS = f"SELECT {RUN_COLUMNS} FROM dag_runs r {RUN_NAMES}"
_DAGS = (
    "SELECT d.dag_id, d.path, v.digest, d.definition, d.paused_at FROM dags d "
    "LEFT JOIN dag_versions v ON v.version = d.version"
)
# Word for word the condition of the partial index (steps/), for the planner to recognise; both databases do.
ACTIVE = "(r.state IN ('queued', 'running') OR r.owner IS NOT NULL)"
_BLOCK = 4_096
"""dag_runs that are read and compared together."""

_OPEN = frozenset({RunState.QUEUED, RunState.RUNNING})


class LedgerReader:
    """What has been stored about DAGs and their dates, over one snapshot."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    def dags(self) -> list[DagRow]:
        """Return every DAG, by name."""
        return list(DAG.records(self._connection.rows(f"{_DAGS} ORDER BY d.dag_id")))

    def dag(self, dag_id: str) -> DagRow | None:
        """Return one DAG, None when the store has never seen it."""
        return DAG.maybe(self._connection.one(f"{_DAGS} WHERE d.dag_id = ?", (dag_id,)))

    def versions(self, dag_id: str) -> list[VersionRow]:
        """Return every version seen, oldest first."""
        rows = self._connection.rows(
            "SELECT digest, first_seen_at, tasks FROM dag_versions WHERE dag = ? ORDER BY version",
            (self._keys.find_dag(dag_id),),
        )
        return list(VERSION.records(rows))

    def runs(
        self,
        dag_id: str,
        first: int,
        last: int,
        *,
        states: Sequence[RunState] | None = None,
        backwards: bool = False,
    ) -> Iterator[RunRow]:
        """Stream the dag_runs with first <= logical_date <= last, by logical date."""
        wanted, words = one_of("r.state", states)
        if states and _OPEN.issuperset(states):
            # Said in the words of the partial index, so that the few open runs are found without walking history.
            wanted += f" AND {ACTIVE}"
        rows = self._connection.rows(
            f"{_RUNS} WHERE r.dag = ? AND r.logical_date BETWEEN ? AND ?{wanted} "
            f"ORDER BY r.logical_date {'DESC' if backwards else 'ASC'}",
            (self._keys.find_dag(dag_id), first, last, *words),
        )
        return RUN.records(rows)

    def ended_runs(self, dag_id: str, first: int, last: int) -> Iterator[EndedRuns]:
        """Stream the terminal dag_runs of those dates, by date, in blocks.

        What a row says but its date is looked up once a state and version, not once a row.
        """
        dag = self._keys.find_dag(dag_id)
        names = self._connection.rows("SELECT version, digest FROM dag_versions WHERE dag = ?", (dag,))
        versions = dict(VERSION_NAME.records(names))
        rows = self._connection.rows(
            "SELECT logical_date, state, version FROM dag_runs "
            "WHERE dag = ? AND logical_date BETWEEN ? AND ? AND state IN ('success', 'failed') ORDER BY logical_date",
            (dag, first, last),
        )
        known: dict[tuple[str, int], tuple[RunState, str]] = {}
        while block := list(islice(rows, _BLOCK)):
            dates, states, numbers = zip(*block, strict=True)
            kinds = list(zip(states, numbers, strict=True))
            for kind in set(kinds) - known.keys():
                if kind[1] not in versions:
                    raise damaged("dag_runs", f"version {kind[1]!r}, which its DAG never had")
                known[kind] = RUN_STATES[kind[0]], versions[kind[1]]
            if set(map(type, dates)) != {int}:
                raise damaged("dag_runs", "a date that is no number")
            yield EndedRuns(list(dates), list(map(known.__getitem__, kinds)))

    def batch_ends(self, dag_id: str, first: int, last: int) -> Mapping[int, int]:
        """Return for the first date of each batch, of now and of before, its last one; a walk over the dates."""
        within = (self._keys.find_dag(dag_id), first, last)
        rows = self._connection.rows(
            "SELECT batch, max(logical_date) FROM dag_runs "
            "WHERE dag = ? AND logical_date BETWEEN ? AND ? AND batch <> logical_date GROUP BY batch",
            within,
        )
        ends = {min(pair): max(pair) for pair in BATCH_END.records(rows)}
        if not ends:
            return ends
        # Of dates that have run otherwise since only backfills know: they finished them without a try of their own.
        finished = self._connection.rows(
            "SELECT p.backfill, p.logical_date, EXISTS (SELECT 1 FROM attempts a WHERE a.dag = f.dag AND "
            "a.logical_date = p.logical_date AND a.backfill = p.backfill) FROM backfill_dates p "
            "JOIN backfills f ON f.backfill = p.backfill WHERE f.dag = ? AND p.logical_date BETWEEN ? AND ? "
            "AND p.outcome IS NOT NULL AND p.action <> 'skip' ORDER BY p.backfill, p.logical_date",
            within,
        )
        of, leader = None, 0
        for backfill, date, was_tried in FINISHED.records(finished):
            if was_tried:
                of, leader = backfill, date
            elif backfill == of:
                ends[leader] = max(date, ends.get(leader, date))
        return ends

    def run(self, dag_id: str, logical_date: int) -> RunRow | None:
        """Return one dag_run, None when the date was never opened."""
        dag = self._keys.find_dag(dag_id)
        return RUN.maybe(self._connection.one(f"{_RUNS} WHERE r.dag = ? AND r.logical_date = ?", (dag, logical_date)))

    def run_before(
        self, dag_id: str, logical_date: int, *, state: RunState | None = None, skip_manual: bool = False
    ) -> RunRow | None:
        """Return the latest dag_run strictly before the date, of that state if one is given."""
        dag = self._keys.find_dag(dag_id)
        if dag is None:
            return None
        manual = " AND coalesce(r.run_type, 'backfill') <> 'manual'" if skip_manual else ""
        latest = "ORDER BY r.logical_date DESC LIMIT 1"
        if state is None:
            query = f"{_RUNS} WHERE r.dag = ? AND r.logical_date < ?{manual} {latest}"
            return RUN.maybe(self._connection.one(query, (dag, logical_date)))
        query = f"{_RUNS} WHERE r.dag = ? AND r.logical_date BETWEEN ? AND ? AND r.state = ?{manual} {latest}"
        for first, last in counting.stretches_before(self._connection, dag, logical_date, state):
            row = self._connection.one(query, (dag, first, last, state.value))
            if row is not None:
                return RUN.record(row)
        return None

    def last_scheduled(self, dag_id: str) -> int | None:
        """Return the end of the latest scheduled dag_run's interval, None before the first."""
        row = self._connection.one(
            "SELECT r.data_interval_end FROM dag_runs r WHERE r.dag = ? AND r.run_type = 'scheduled' "
            "ORDER BY r.logical_date DESC LIMIT 1",
            (self._keys.find_dag(dag_id),),
        )
        return DATE.maybe(row)

    def left_scheduled(self, dag_id: str) -> list[LeftRun]:
        """Return the dag_runs that a scheduler created and did not finish, and that nobody owns; by date."""
        rows = self._connection.rows(
            "SELECT r.logical_date, r.data_interval_end, r.state, f.state FROM dag_runs r "
            "JOIN backfills f ON f.backfill = r.backfill JOIN backfill_dates p ON p.backfill = r.backfill "
            f"AND p.logical_date = r.logical_date WHERE r.dag = ? AND {ACTIVE} AND r.owner IS NULL "
            "AND r.run_type = 'scheduled' AND f.identity = ? AND p.outcome IS NULL ORDER BY r.logical_date",
            (self._keys.find_dag(dag_id), SCHEDULED),
        )
        return list(LEFT_RUN.records(rows))

    def count_runs(self, dag_id: str, first: int, last: int) -> Mapping[RunState, int]:
        """Return the dag_runs of a range by state; states without any are left out."""
        dag = self._keys.find_dag(dag_id)
        return {} if dag is None else counting.count_runs(self._connection, dag, first, last)

    def instances(
        self, dag_id: str, first: int, last: int, *, states: Sequence[TaskState] | None = None
    ) -> Iterator[InstanceRow]:
        """Stream the task instances of those dates, by date and task (in DAG order)."""
        wanted, words = one_of("i.state", states)
        rows = self._connection.rows(
            "SELECT i.logical_date, t.task_id, i.state, i.try_number, i.spent, i.losses, i.started_at, i.ended_at, "
            "i.retry_at, i.reason FROM task_instances i LEFT JOIN tasks t ON t.task = i.task "
            f"WHERE i.dag = ? AND i.logical_date BETWEEN ? AND ?{wanted} ORDER BY i.logical_date, i.task",
            (self._keys.find_dag(dag_id), first, last, *words),
        )
        return INSTANCE.records(rows)

    def ever_ran(self, dag_id: str, task_id: str, before: int) -> bool:
        """Return whether any task instance of this task exists strictly before the date."""
        row = self._connection.one(
            "SELECT 1 FROM tasks WHERE dag = ? AND task_id = ? AND first_date < ?",
            (self._keys.find_dag(dag_id), task_id, before),
        )
        return row is not None

    def attempts(
        self,
        dag_id: str,
        first: int,
        last: int,
        *,
        task_id: str | None = None,
        backfill_id: str | None = None,
        outcome: Outcome | None = None,
    ) -> Iterator[AttemptRow]:
        """Stream the attempts of those dates, by date, task and try."""
        dag = self._keys.find_dag(dag_id)
        narrowed = ""
        values: list[int | str | None] = []
        if task_id is not None:
            narrowed += " AND a.task = (SELECT task FROM tasks WHERE dag = ? AND task_id = ?)"
            values += [dag, task_id]
        if backfill_id is not None:
            narrowed += " AND a.backfill = ?"
            values.append(self._keys.backfill(backfill_id))
        if outcome is not None:
            narrowed += " AND a.outcome = ?"
            values.append(outcome.value)
        rows = self._connection.rows(
            "SELECT a.logical_date, t.task_id, a.try_number, a.started_at, a.ended_at, a.outcome, a.reason, v.digest, "
            "b.backfill_id FROM attempts a LEFT JOIN tasks t ON t.task = a.task "
            "LEFT JOIN dag_versions v ON v.version = a.version LEFT JOIN backfills b ON b.backfill = a.backfill "
            f"WHERE a.dag = ? AND a.logical_date BETWEEN ? AND ?{narrowed} "
            "ORDER BY a.logical_date, a.task, a.try_number",
            (dag, first, last, *values),
        )
        return ATTEMPT.records(rows)

    def durations(self, dag_id: str, *, attempts: int = 2_000) -> list[DurationRow]:
        """Return what successful tries took, among the latest `attempts` by logical date, in DAG order.

        `low_s` and `high_s` are the first and the ninth decile: an estimate should survive a few odd tries.
        """
        rows = self._connection.rows(
            "SELECT t.task_id, a.ended_at - a.started_at FROM (SELECT task, outcome, started_at, ended_at "
            "FROM attempts WHERE dag = ? ORDER BY logical_date DESC LIMIT ?) a LEFT JOIN tasks t ON t.task = a.task "
            "WHERE a.outcome = 'success' ORDER BY a.task",
            (self._keys.find_dag(dag_id), attempts),
        )
        taken: dict[str, list[float]] = {}
        for task_id, microseconds in DURATION.records(rows):
            # The wall clock may have been set back during a try.
            taken.setdefault(task_id, []).append(max(0, microseconds) / 1e6)
        return [_duration(task_id, seconds) for task_id, seconds in taken.items()]

    def xcoms(self, dag_id: str, logical_date: int) -> Mapping[str, Mapping[str, str]]:
        """Return task_id → key → JSON text of one date."""
        rows = self._connection.rows(
            "SELECT t.task_id, x.name, x.value FROM xcoms x LEFT JOIN tasks t ON t.task = x.task "
            "WHERE x.dag = ? AND x.logical_date = ? ORDER BY x.task, x.name",
            (self._keys.find_dag(dag_id), logical_date),
        )
        values: dict[str, dict[str, str]] = {}
        for task_id, name, value in XCOM.records(rows):
            values.setdefault(task_id, {})[name] = value
        return values


def one_of(column: str, words: Sequence[StrEnum] | None) -> tuple[str, list[str]]:
    """Return the condition that a column holds one of these words, and its parameters; None asks for nothing."""
    if words is None:
        return "", []
    if not words:
        return " AND 1 = 0", []
    return f" AND {column} IN ({', '.join('?' * len(words))})", [word.value for word in words]


def _duration(task_id: str, seconds: list[float]) -> DurationRow:
    from statistics import fmean, quantiles  # takes as long to import as a page of status to read

    deciles = quantiles(seconds, n=10, method="inclusive") if len(seconds) > 1 else seconds
    return DurationRow(task_id, len(seconds), fmean(seconds), deciles[0], deciles[-1])
