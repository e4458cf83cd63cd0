"""What of a store's history may go, and its removal.

Owns the rule, in SQL: tries and XComs of dates that succeeded, and the planned dates of backfills that have nothing
left to do or to repair, when both ended long enough ago. dag_runs and task instances stay: they are the ledger, from
which `run` knows what is done and what a date behind may rest on. So does every row of a backfill and of the chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

from backfill_cli.core.upkeep import Pruned
from backfill_cli.store import engines
from backfill_cli.store.connections import Connection
from backfill_cli.store.patience import PATIENCE_S, patiently
from backfill_cli.store.problems import translate
from backfill_cli.store.reading_backfills import SqlReader

if TYPE_CHECKING:
    from pathlib import Path

    from backfill_cli.core.ports import Reader, Writer

_DONE = "r.dag = ? AND r.state = 'success' AND r.owner IS NULL AND r.ended_at < ?"
_OF_DONE = f"EXISTS (SELECT 1 FROM dag_runs r WHERE r.logical_date = x.logical_date AND {_DONE})"
_ATTEMPTS = (
    "SELECT x.logical_date, t.task_id, x.try_number, x.started_at, x.ended_at, x.outcome, x.reason FROM attempts x "
    f"LEFT JOIN tasks t ON t.task = x.task WHERE x.dag = ? AND {_OF_DONE} "
    "ORDER BY x.logical_date, x.task, x.try_number"
)
_XCOMS = f"SELECT x.logical_date FROM xcoms x WHERE x.dag = ? AND {_OF_DONE}"
_ENDED = (
    "f.dag = ? AND f.owner IS NULL AND f.state IN ('success', 'failed', 'cancelled') AND f.ended_at < ? "
    "AND NOT EXISTS (SELECT 1 FROM backfill_dates p LEFT JOIN dag_runs r ON r.dag = f.dag "
    "AND r.logical_date = p.logical_date "
    "WHERE p.backfill = f.backfill AND p.action <> 'skip' AND r.state IS NOT 'success')"
)
_PLANNED = (
    "SELECT f.backfill, f.first_date, f.last_date, "
    "(SELECT count(*) FROM backfill_dates p WHERE p.backfill = f.backfill) "
    f"FROM backfills f WHERE {_ENDED} ORDER BY f.backfill"
)


def find(reader: Reader, dag_id: str, before: int) -> Pruned:
    """Return what of a DAG ended before an instant (epoch microseconds) and may go; logs are not looked at."""
    connection, dag = _at(reader, dag_id)
    found = Pruned(dag_id)
    dates: set[int] = set()
    for date, *_ in connection.rows(_ATTEMPTS, (dag, dag, before)):
        found.attempts += 1
        dates.add(date)
    for (date,) in connection.rows(_XCOMS, (dag, dag, before)):
        found.xcoms += 1
        dates.add(date)
    found.dates = len(dates)
    bounds = [*_ends(dates)]
    for _, first, last, planned in connection.rows(_PLANNED, (dag, before)):
        if planned:
            found.backfills += 1
            found.planned_dates += planned
            bounds += [first, last]
    known = [one for one in bounds if one is not None]
    found.first, found.last = (min(known), max(known)) if known else (None, None)
    return found


def remove(writer: Writer, dag_id: str, before: int) -> str:
    """Remove what `find` found, in the transaction at hand; returns a digest of the tries that went.

    Whoever kept a backup can show with it that these tries, and no others, are the ones that are gone.
    """
    connection, dag = _at(writer, dag_id)
    digest = sha256()
    for row in connection.rows(_ATTEMPTS, (dag, dag, before)):
        digest.update(repr(row).encode("utf-8", "backslashreplace"))
    ended = [row[0] for row in connection.all(_PLANNED, (dag, before))]
    for table in ("attempts", "xcoms"):
        connection.run(f"DELETE FROM {table} AS x WHERE x.dag = ? AND {_OF_DONE}", (dag, dag, before))
    connection.many("DELETE FROM backfill_dates WHERE backfill = ?", ((one,) for one in ended))
    return digest.hexdigest()


def is_done(reader: Reader, dag_id: str, logical_date: int, run_type: str, before: int) -> bool:
    """Return whether a dag_run of that name succeeded before the instant, and nobody works on it."""
    connection, dag = _at(reader, dag_id)
    query = f"SELECT 1 FROM dag_runs r WHERE {_DONE} AND r.logical_date = ? AND coalesce(r.run_type, 'backfill') = ?"
    return connection.one(query, (dag, before, logical_date, run_type)) is not None


def shrink(path: Path) -> int:
    """Give the room that was won back to the disk; returns the bytes. Takes as much room again while it works.

    Raises:
        StoreError: Others use the store, or there is no room: nothing has changed then.
    """

    def once() -> int:
        try:
            connection = engines.connect(str(path), write=True)
            try:
                size = path.stat().st_size
                connection.run("VACUUM")
                return size - path.stat().st_size
            finally:
                connection.close()
        except engines.driver_errors() as error:
            raise translate(error, str(path)) from error

    return patiently(once, PATIENCE_S / 10)


def _at(reader: Reader, dag_id: str) -> tuple[Connection, int | None]:
    assert isinstance(reader, SqlReader)  # every Store has one
    return reader._connection, reader._keys.find_dag(dag_id)


def _ends(dates: set[int]) -> Iterator[int]:
    if dates:
        yield min(dates)
        yield max(dates)
