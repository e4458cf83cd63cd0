"""History as it is, for the digests: raw values of dag_runs and all below them, of backfills, and of the audit chain.

Owns the queries whose rows pass no check: a digest covers what is there, and whoever verifies must get past a row that
no bfill has written. Text that is no Unicode comes as Python escapes it (`surrogateescape`): it differs from any text
that is. Names stand in for keys, because a key says nothing; a key without a name stays the number it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from backfill_cli.core.histories import History, HistoryPage, Ledger, StoredBackfill, Values
from backfill_cli.store.connections import Row
from backfill_cli.store.problems import damaged
from backfill_cli.store.reading import LedgerReader

_RUNS = (
    "SELECT logical_date, digest, backfill, data_interval_end, run_type, state, version, conf, started_at, ended_at, "
    "reason, owner FROM dag_runs WHERE dag = ? AND logical_date > ?"
)


class _Below(NamedTuple):
    """A table below dag_runs.

    Args:
        of_backfill: The condition for rows that one backfill has to do with.
    """

    table: str
    columns: str
    order: str
    of_backfill: str


_RUN_IS_OF = (
    "EXISTS (SELECT 1 FROM dag_runs r WHERE r.dag = x.dag AND r.logical_date = x.logical_date AND r.backfill = ?)"
)
_INSTANCES = _Below(
    "task_instances",
    "x.logical_date, x.task, x.state, x.try_number, x.spent, x.losses, x.started_at, x.ended_at, x.retry_at, x.reason",
    "x.logical_date, x.task",
    _RUN_IS_OF,
)
_TRIES = _Below(
    "attempts",
    "x.logical_date, x.task, x.try_number, x.started_at, x.ended_at, x.outcome, x.reason, x.version, x.backfill",
    "x.logical_date, x.task, x.try_number",
    f"(x.backfill = ? OR {_RUN_IS_OF})",
)
_BACKFILLS = (
    "SELECT f.backfill_id, coalesce(d.dag_id, f.dag), f.state, coalesce(v.digest, f.version), f.identity, f.request, "
    "f.created_at, f.first_date, f.last_date, f.planned, f.parent_id, f.started_at, f.ended_at, f.completed, f.failed, "
    "f.blocked, f.interrupted, f.reason, f.owner FROM backfills f "
    "LEFT JOIN dags d ON d.dag = f.dag LEFT JOIN dag_versions v ON v.version = f.version"
)
_DATES = (
    "SELECT p.logical_date, p.data_interval_end, p.action, p.state, p.outcome, coalesce(s.sentence, p.reason) "
    "FROM backfill_dates p LEFT JOIN reasons s ON s.reason = p.reason "
    "WHERE p.backfill = (SELECT backfill FROM backfills WHERE backfill_id = ?) AND p.logical_date > ? "
    "ORDER BY p.logical_date LIMIT 2000"
)
_AUDIT = (
    "SELECT seq, at, actor, host, action, target, reason, outcome, details, previous, hash FROM audit_events "
    "WHERE seq > ? ORDER BY seq LIMIT 500"
)
_LOWEST = -(2**63)
"""Less than any logical date: the first page begins behind it, and rows at dates that no calendar has are seen too."""
_MOST_RUNS, _MOST_ROWS = 256, 16_384
"""How many dag_runs a page holds, and about how many rows below them: flat memory, and few queries a dag_run."""


class ProofReader(LedgerReader):
    """What digests are made of, over one snapshot."""

    def digest_key(self) -> bytes:
        """Return the key of this store, 32 bytes. Raises StoreError when somebody has removed or changed it."""
        row = self._connection.one("SELECT value FROM meta WHERE name = 'digest_key'")
        try:
            key = bytes.fromhex(row[0]) if row else b""
        except (TypeError, ValueError):
            key = b""
        if len(key) != 32:
            raise damaged("meta", "no key to make digests with")
        return key

    def ledger(self, dag_id: str) -> Ledger | None:
        """Return what the DAG's dag_runs came to when the last entry was made; None before the first."""
        row = self._connection.one("SELECT digests, attested FROM dags WHERE dag_id = ?", (dag_id,))
        return None if row is None or row[0] is None else Ledger(*row)

    def histories(
        self, dag_id: str, first: int | None = None, last: int | None = None, *, backfill_id: str | None = None
    ) -> Iterator[HistoryPage]:
        """Stream a DAG's dag_runs with all below them, by logical date; changing them between two pages is safe.

        Args:
            first, last: Bounds on logical dates, both included; None for all there is, calendar or not.
            backfill_id: Only the dag_runs it worked on last; of other dates come its own attempts, as strays.
        """
        dag = self._keys.find_dag(dag_id)
        names = _Names(self, dag)
        most = max(1, min(_MOST_RUNS, _MOST_ROWS // (1 + len(names.tasks))))
        after: Any = _LOWEST if first is None else first - 1
        backfill = self._keys.backfill(backfill_id)
        query = _RUNS
        only: tuple[Any, ...] = ()
        if last is not None:
            query, only = f"{query} AND logical_date <= ?", (*only, last)
        if backfill is not None:
            query, only = f"{query} AND backfill = ?", (*only, backfill)
        query = f"{query} ORDER BY logical_date LIMIT {most}"
        while True:
            page = self._raw(query, (dag, after, *only))
            # The last page goes on to the end: what lies behind the last dag_run is seen too.
            until = page[-1][0] if len(page) == most else last
            yield names.page(
                page,
                self._below(_INSTANCES, dag, after, until, backfill),
                self._below(_TRIES, dag, after, until, backfill),
            )
            if len(page) < most:
                return
            after = until

    def is_unattested(self, dag_id: str) -> bool:
        """Return whether any dag_run of the DAG has no digest."""
        query = "SELECT 1 FROM dag_runs WHERE dag = ? AND digest IS NULL LIMIT 1"
        return bool(self._raw(query, (self._keys.find_dag(dag_id),)))

    def stored_backfill(self, backfill_id: str) -> StoredBackfill | None:
        """Return one row of backfills as it is."""
        for row in self._raw(f"{_BACKFILLS} WHERE f.backfill_id = ?", (backfill_id,)):
            return StoredBackfill(row[0], row[1], row)
        return None

    def stored_backfills(self) -> list[StoredBackfill]:
        """Return every row of backfills as it is, in order of creation."""
        return [StoredBackfill(row[0], row[1], row) for row in self._raw(f"{_BACKFILLS} ORDER BY f.backfill")]

    def stored_dates(self, backfill_id: str) -> Iterator[list[Row]]:
        """Stream the rows of backfill_dates of one backfill, in lists, by date."""
        after = _LOWEST
        while page := self._raw(_DATES, (backfill_id, after)):
            yield page
            after = page[-1][0]

    def stored_audit(self) -> Iterator[Row]:
        """Stream the rows of audit_events as they are, by seq."""
        after = _LOWEST
        while page := self._raw(_AUDIT, (after,)):
            yield from page
            after = page[-1][0]

    def strangers(self) -> Iterator[tuple[str, int, int]]:
        """Yield (table, key, logical date) of rows whose DAG or backfill is not in the store, one a table."""
        for table in ("dag_runs", "task_instances", "attempts"):
            query = f"SELECT dag, logical_date FROM {table} WHERE dag NOT IN (SELECT dag FROM dags) LIMIT 1"
            for dag, date in self._raw(query):
                yield table, dag, date
        for backfill, date in self._raw(
            "SELECT backfill, logical_date FROM backfill_dates "
            "WHERE backfill NOT IN (SELECT backfill FROM backfills) LIMIT 1"
        ):
            yield "backfill_dates", backfill, date

    def finished_without_run(self, dag_id: str) -> list[tuple[str, int]]:
        """Return the first few (backfill id, logical date) that a backfill finished and that have no dag_run."""
        return self._raw(
            "SELECT f.backfill_id, p.logical_date FROM backfills f JOIN backfill_dates p ON p.backfill = f.backfill "
            "WHERE f.dag = ? AND p.outcome IS NOT NULL AND NOT EXISTS "
            "(SELECT 1 FROM dag_runs r WHERE r.dag = f.dag AND r.logical_date = p.logical_date) LIMIT 10",
            (self._keys.find_dag(dag_id),),
        )

    def is_to_do(self, backfill_id: str, logical_date: int) -> bool:
        """Return whether that backfill has the date among those it works on."""
        query = (
            "SELECT 1 FROM backfill_dates p JOIN backfills f ON f.backfill = p.backfill "
            "WHERE f.backfill_id = ? AND p.logical_date = ? AND p.action <> 'skip'"
        )
        return bool(self._raw(query, (backfill_id, logical_date)))

    def _below(self, what: _Below, dag: int | None, after: Any, until: Any, backfill: int | None) -> list[Row]:
        """Return rows of dates after < date <= until, without `until` of all dates behind `after`."""
        values: tuple[Any, ...] = (dag, after)
        span = "x.dag = ? AND x.logical_date > ?"
        if until is not None:
            values += (until,)
            span += " AND x.logical_date <= ?"
        if backfill is not None:
            values += (backfill,) * what.of_backfill.count("?")
            span += f" AND {what.of_backfill}"
        return self._raw(f"SELECT {what.columns} FROM {what.table} x WHERE {span} ORDER BY {what.order}", values)

    def _raw(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        return self._connection.all_as_is(sql, parameters)


class _Names:
    """The names behind the keys of one DAG's history."""

    def __init__(self, reader: ProofReader, dag: int | None) -> None:
        self.tasks: dict[Any, Any] = dict(reader._raw("SELECT task, task_id FROM tasks WHERE dag = ?", (dag,)))
        self._versions = dict(reader._raw("SELECT version, digest FROM dag_versions WHERE dag = ?", (dag,)))
        self._backfills = dict(reader._raw("SELECT backfill, backfill_id FROM backfills WHERE dag = ?", (dag,)))

    def page(self, runs: list[Row], instances: list[Row], attempts: list[Row]) -> HistoryPage:
        """Put rows together by logical date."""
        tasks, versions, backfills = self.tasks.get, self._versions.get, self._backfills.get
        by_date: dict[Any, tuple[list[Values], list[Values]]] = {row[0]: ([], []) for row in runs}
        strays: list[tuple[str, Any, Values]] = []
        for row in instances:
            found = by_date.get(row[0])
            values = (tasks(row[1], row[1]), *row[2:])
            if found is None:
                strays.append(("task_instances", row[0], values))
            else:
                found[0].append(values)
        for date, task, number, begun, ended, outcome, reason, version, backfill in attempts:
            found = by_date.get(date)
            values = (
                tasks(task, task), number, begun, ended, outcome, reason, versions(version, version),
                backfills(backfill, backfill),
            )  # fmt: skip
            if found is None:
                strays.append(("attempts", date, values))
            else:
                found[1].append(values)
        histories = [
            History(
                date, digest, backfills(backfill, backfill),
                (end, run_type, state, versions(version, version), conf, begun, ended, reason, owner),
                *by_date[date],
            )
            for date, digest, backfill, end, run_type, state, version, conf, begun, ended, reason, owner in runs
        ]  # fmt: skip
        return HistoryPage(histories, strays)
