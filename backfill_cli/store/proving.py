"""History as it is, for the digests: rows of dag_runs and all below them, of backfills, and of the audit chain.

Owns the queries whose rows pass no check: a digest covers what is there, and whoever verifies must get past a row that
no bfill has written. Rows that are many come as text that SQLite makes (`_text`), which costs half of what it takes to
fetch the values and write them down. Names stand in for keys, because a key says nothing; a key without a name stays
the number it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from backfill_cli.core.histories import HistoryPage, Ledger, StoredBackfill, Text
from backfill_cli.store.connections import Connection, Row
from backfill_cli.store.keys import Keys
from backfill_cli.store.problems import damaged

_NAMES = {
    "task": "coalesce(t.task_id, x.task)",
    "version": "coalesce(v.digest, x.version)",
    "maker": "coalesce(b.backfill_id, x.backfill)",
    "sentence": "coalesce(s.sentence, x.reason)",
}
_COMMA = " || ',' || "


def _text(mark: str, numbers: str, texts: str, later: str = "") -> str:
    """Return the expression that writes columns as one text, of which no two rows of any table have the same.

    Numbers are written as such, text in hexadecimal: bytes that are no Unicode and what stands behind a NUL count too.
    Both forms are the same in every version of SQLite.

    Args:
        mark: A letter for the table.
        numbers, texts: Columns, separated by spaces; `task`, `version`, `maker` and `sentence` stand for the names.
        later: A number that came into the table later, written only where it is not NULL: what was attested before
            has the text it had then.
    """
    written = [f"quote(x.{one})" for one in numbers.split()]
    written += [f"quote(CAST({_NAMES.get(one, f'x.{one}')} AS BLOB))" for one in texts.split()]
    also = f" || CASE WHEN x.{later} IS NULL THEN '' ELSE ',{later}' || quote(x.{later}) END" if later else ""
    return f"CAST('{mark}' || {_COMMA.join(written)}{also} AS BLOB)"


_VERSION = "LEFT JOIN dag_versions v ON v.version = x.version"
_TASK = "LEFT JOIN tasks t ON t.task = x.task"
_MAKER = "LEFT JOIN backfills b ON b.backfill = x.backfill"
_RUN_IS_OF = (
    "EXISTS (SELECT 1 FROM dag_runs r WHERE r.dag = x.dag AND r.logical_date = x.logical_date AND r.backfill = ?)"
)


class _Query(NamedTuple):
    """Rows of one table of history.

    Args:
        columns: What is selected; the logical date first.
        source: The table, called x, and where the names come from.
        order: By what, the logical date first.
        of_backfill: The condition for rows that one backfill has to do with.
    """

    columns: str
    source: str
    order: str
    of_backfill: str


_RUNS = _Query(
    f"x.logical_date, x.digest, {_NAMES['maker']}, "
    + _text(
        "r",
        "logical_date data_interval_end started_at ended_at",
        "run_type state version conf reason maker owner",
        later="batch",
    ),
    f"dag_runs x {_VERSION} {_MAKER}",
    "x.logical_date",
    "x.backfill = ?",
)
_INSTANCES = _Query(
    "x.logical_date, " + _text("i", "try_number spent losses started_at ended_at retry_at", "task state reason"),
    f"task_instances x {_TASK}",
    "x.logical_date, x.task",
    _RUN_IS_OF,
)
_TRIES = _Query(
    f"x.logical_date, {_NAMES['maker']}, "
    + _text("a", "logical_date try_number started_at ended_at", "task outcome reason version maker"),
    f"attempts x {_TASK} {_VERSION} {_MAKER}",
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
    f"SELECT x.logical_date, {_text('d', 'logical_date data_interval_end', 'action state outcome sentence')} "
    "FROM backfill_dates x LEFT JOIN reasons s ON s.reason = x.reason "
    "WHERE x.backfill = (SELECT backfill FROM backfills WHERE backfill_id = ?) AND x.logical_date > ? "
    "ORDER BY x.logical_date LIMIT 2000"
)
_AUDIT = (
    "SELECT seq, at, actor, host, action, target, reason, outcome, details, previous, hash FROM audit_events "
    "WHERE seq > ? ORDER BY seq LIMIT 500"
)
_LOWEST = -(2**63)
"""Less than any logical date: the first page begins behind it, and rows at dates that no calendar has are seen too."""
_MOST_RUNS, _MOST_ROWS = 256, 16_384
"""How many dag_runs a page holds, and about how many rows below them: flat memory, and few queries a dag_run."""


class StoredHistory:
    """What digests are made of, over one snapshot; in a write transaction also where they go."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

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
            backfill_id: Only the dag_runs it worked on last, and its own attempts at any date.
        """
        dag = self._keys.find_dag(dag_id)
        tasks = len(self._connection.all("SELECT 1 FROM tasks WHERE dag = ?", (dag,)))
        most = max(1, min(_MOST_RUNS, _MOST_ROWS // (1 + tasks)))
        backfill = self._keys.backfill(backfill_id)
        after: Any = _LOWEST if first is None else first - 1
        while True:
            runs = self._walk(_RUNS, dag, after, last, backfill, f" LIMIT {most}")
            # The last page goes on to the end: what lies behind the last dag_run is seen too.
            until = runs[-1][0] if len(runs) == most else last
            yield HistoryPage(
                runs,
                self._walk(_INSTANCES, dag, after, until, backfill),
                self._walk(_TRIES, dag, after, until, backfill),
            )
            if len(runs) < most:
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

    def stored_dates(self, backfill_id: str) -> Iterator[Sequence[Text]]:
        """Stream the rows of backfill_dates of one backfill, in lists, by date."""
        after: Any = _LOWEST
        while page := self._raw(_DATES, (backfill_id, after)):
            yield [text for _, text in page]
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

    def wrong_types(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield (table, column, the row's key) of values that are not of their column's type, one a column.

        STRICT tables take none; a record can still be changed in the file, or while the schema says something else.
        """
        for table in ("dag_runs", "task_instances", "attempts", "backfills", "backfill_dates"):
            columns = self._raw(f"SELECT name, lower(type), pk FROM pragma_table_info('{table}')")
            key = [name for name, _, pk in columns if pk]
            for name, kind, _ in columns:
                odd = f"{name} IS NOT NULL AND typeof({name}) <> '{kind}'"
                for row in self._raw(f"SELECT {', '.join(key)} FROM {table} WHERE {odd} LIMIT 1"):
                    yield table, name, dict(zip(key, row, strict=True))

    def is_to_do(self, backfill_id: str, logical_date: int) -> bool:
        """Return whether that backfill has the date among those it works on."""
        query = (
            "SELECT 1 FROM backfill_dates p JOIN backfills f ON f.backfill = p.backfill "
            "WHERE f.backfill_id = ? AND p.logical_date = ? AND p.action <> 'skip'"
        )
        return bool(self._raw(query, (backfill_id, logical_date)))

    def set_digests(self, dag_id: str, digests: Iterable[tuple[int, int]]) -> None:
        """Store (digest, logical date) pairs of dag_runs."""
        dag = self._keys.dag(dag_id)
        self._connection.many(
            "UPDATE dag_runs SET digest = ? WHERE dag = ? AND logical_date = ?",
            ((digest, dag, date) for digest, date in digests),
        )

    def set_ledger(self, dag_id: str, ledger: Ledger) -> None:
        """Store what the digests of a DAG's dag_runs come to."""
        self._connection.run("UPDATE dags SET digests = ?, attested = ? WHERE dag_id = ?", (*ledger, dag_id))

    def _walk(
        self, what: _Query, dag: int | None, after: Any, until: Any, backfill: int | None, limit: str = ""
    ) -> list[Any]:
        """Return rows of dates after < date <= until, without `until` of all dates behind `after`."""
        values: tuple[Any, ...] = (dag, after)
        span = "x.dag = ? AND x.logical_date > ?"
        if until is not None:
            values += (until,)
            span += " AND x.logical_date <= ?"
        if backfill is not None:
            values += (backfill,) * what.of_backfill.count("?")
            span += f" AND {what.of_backfill}"
        query = f"SELECT {what.columns} FROM {what.source} WHERE {span} ORDER BY {what.order}{limit}"
        return self._raw(query, values)

    def _raw(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        return self._connection.all_as_is(sql, parameters)
