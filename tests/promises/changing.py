"""Every change there is to the rows of a history, one at a time, and whole dag_runs taken away or put back.

What STRICT tables refuse is put in past the schema, as an edit of the file would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from blackbox.world import sqlite

from promises.tampering import World, writing

BELOW = ("dag_runs", "task_instances", "attempts")


def remove_run(world: World, random: Random) -> str:
    """Remove a dag_run with all below it; returns what a finding has to name."""
    with writing(world.store) as connection:
        dag, date = random.choice(connection.execute("SELECT dag, logical_date FROM dag_runs").fetchall())
        for table in BELOW:
            connection.execute(f"DELETE FROM {table} WHERE dag = ? AND logical_date = ?", (dag, date))
    return datetime.fromtimestamp(date, UTC).isoformat()


def put_older_run(world: World, random: Random) -> str:
    """Put a dag_run back to what an earlier copy of the store holds, its digest included; returns its DAG."""
    with writing(world.store) as connection:
        connection.execute("ATTACH ? AS older", (str(random.choice(world.history.earlier)),))
        moved = connection.execute(
            "SELECT d.dag_id, r.dag, r.logical_date FROM dag_runs r JOIN older.dag_runs o USING (dag, logical_date)"
            " JOIN dags d USING (dag) WHERE o.digest <> r.digest"
        ).fetchall()
        if not moved:
            return ""
        dag_id, *at = random.choice(moved)
        for table in BELOW:
            connection.execute(f"DELETE FROM {table} WHERE dag = ? AND logical_date = ?", at)
            connection.execute(
                f"INSERT INTO {table} SELECT * FROM older.{table} WHERE dag = ? AND logical_date = ?", at
            )
    return str(dag_id)


@dataclass(frozen=True)
class Change:
    """One change of one row.

    Args:
        table: Where.
        sql, values: What is done to it.
        told: In words.
        row: The row as it was.
    """

    table: str
    sql: str
    values: tuple[Any, ...]
    told: str
    row: dict[str, Any]


TABLES = ("dag_runs", "task_instances", "attempts", "backfills", "backfill_dates", "audit_events")


def changes(connection: Any) -> Iterator[Change]:
    """Yield every change of the tables of history: each value to others, each row gone, each row twice."""
    for table in TABLES:
        columns = connection.execute(f"SELECT name, type, pk FROM pragma_table_info('{table}')").fetchall()
        keys = [name for name, _, pk in columns if pk]
        names = [name for name, _, _ in columns]
        where = " AND ".join(f"{key} = ?" for key in keys)
        for values in connection.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall():
            row = dict(zip(names, values, strict=True))
            key = tuple(row[one] for one in keys)
            at = f"{table} {dict(zip(keys, key, strict=True))}"
            for name, kind, _ in columns:
                for other in others(name, kind, row[name]):
                    yield Change(
                        table,
                        f"UPDATE {table} SET {name} = ? WHERE {where}",
                        (other, *key),
                        f"{at}: {name} {row[name]!r} → {other!r}",
                        row,
                    )
            yield Change(table, f"DELETE FROM {table} WHERE {where}", key, f"{at} removed", row)
            again = {**row, **doubled(table, row)}
            yield Change(
                table,
                f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                tuple(again.values()),
                f"{at} a second time",
                again,
            )


def others(name: str, kind: str, value: Any) -> Iterator[Any]:
    """Yield other values for a column: of its type, none, and of another type."""
    if kind == "INTEGER":
        yield 1 if value is None else value + 1
        yield "x"
    else:
        yield "x" if value is None else value + " "
        yield 7 if value is None else value.encode()
    if value is not None:
        yield None
    if name in ("state", "outcome", "action"):
        yield from {"success", "failed", "run", "skip", "running"} - {value}


def doubled(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """What has to be different in a second row like this one."""
    match table:
        case "audit_events":
            return {"seq": row["seq"] + 1_000}
        case "backfills":
            return {"backfill": row["backfill"] + 1_000, "backfill_id": row["backfill_id"] + "x"}
        case "attempts":
            return {"try_number": row["try_number"] + 100}
        case _:
            return {"logical_date": row["logical_date"] + 86_400 * 365}


def apply(store: Path, change: Change) -> bool:
    """Make a change as the file would take it; False when SQLite refuses it even without the schema's conditions."""
    with writing(store) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        try:
            connection.execute(change.sql, change.values)
        except sqlite().Error:
            connection.rollback()
        else:
            return True
    return _past_the_schema(store, change)


def _past_the_schema(store: Path, change: Change) -> bool:
    """Make a change while the schema says that the table takes anything; afterwards it says what it said."""
    with closing(sqlite().connect(str(store), isolation_level=None)) as connection:
        (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (change.table,)).fetchone()
        _say(connection, change.table, sql.replace(", STRICT", "").replace(" STRICT", "").replace(" NOT NULL", ""))
    with closing(sqlite().connect(str(store), isolation_level=None)) as connection:
        try:
            connection.execute(change.sql, change.values)
            done = True
        except sqlite().Error:
            done = False
    with closing(sqlite().connect(str(store), isolation_level=None)) as connection:
        _say(connection, change.table, sql)
    return done


def _say(connection: Any, table: str, sql: str) -> None:
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (sql, table))
    connection.execute(f"PRAGMA schema_version = {version + 1}")


def names_row(findings: list[dict[str, Any]], change: Change, store: Path) -> bool:
    """Whether a finding names the entry, the dag_run or the backfill that a change was about."""
    row = change.row
    if change.table == "audit_events":
        return any(one["entry"] in (row["seq"], row["seq"] + 1) for one in findings)
    if change.table in ("backfills", "backfill_dates"):
        with writing(store) as connection:
            found = connection.execute("SELECT backfill_id FROM backfills WHERE backfill = ?", (row["backfill"],))
            known = {one for (one,) in found} | {row.get("backfill_id")}
        return any(one["target"] in known or str(row["backfill"]) in one["what"] for one in findings)
    date = datetime.fromtimestamp(row["logical_date"], UTC).isoformat()
    return any(date in one["what"] for one in findings)
