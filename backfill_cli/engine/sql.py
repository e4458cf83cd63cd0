"""Running SQL work: the statements of one task, in one transaction, over a named connection.

Owns SQLAlchemy for tasks. Data values arrive as bind parameters; the first result set is the task's result, at most
1,000 rows (contract section 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from backfill_cli.core.graph import near_hint
from backfill_cli.core.sqlbind import escape_colons
from backfill_cli.core.templates import Place, compile_field
from backfill_cli.core.work import SqlWork
from backfill_cli.engine.attempt import Attempt, Result, ShellFailed
from backfill_cli.engine.runners import in_time, resolve_argument
from backfill_cli.errors import InputError

MAX_ROWS = 1_000
"""Rows of a result set that become the task's XCom."""


def run_sql_task(attempt: Attempt) -> Result:
    """Run the statements in one transaction and return the first result set as a list of rows."""
    work = attempt.task.work
    assert isinstance(work, SqlWork)
    engine = engine_for(connection_url(work.connection, attempt))
    given = {name: resolve_argument(value, attempt) for name, value in work.parameters.items()}
    try:
        with in_time(attempt), _transaction(engine) as connection:
            rows = _execute(connection, work, given, attempt)
    except SQLAlchemyError as error:
        raise ShellFailed(f"SQL: {getattr(error, 'orig', None) or error}") from error
    return Result(rows)


def _execute(connection: Connection, work: SqlWork, given: dict[str, Any], attempt: Attempt) -> list[list[Any]] | None:
    rows: list[list[Any]] | None = None
    for statement in work.sql:
        field = compile_field(statement, Place.SQL).render(attempt.context, strict=attempt.dag.strict_templates)
        values = {**given, **field.binds}
        result = connection.execute(text(escape_colons(field.text, values)), values)
        if result.returns_rows and rows is None:
            rows = [[_plain(value) for value in row] for row in result.fetchmany(MAX_ROWS)]
            if result.fetchone() is not None:
                attempt.log.line(f"the result set has more than {MAX_ROWS:,} rows; the first are kept")
        elif not result.returns_rows and result.rowcount >= 0:
            attempt.log.line(f"{result.rowcount} rows affected")
    return rows


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction over everything in the block, DDL included.

    Python's sqlite3 begins one only at the first INSERT, UPDATE or DELETE: a table made or dropped before would stay so
    after a failure. Over SQLite the transaction is therefore begun by name; at once for writing, because a reader that
    turns writer among parallel dates gets SQLITE_BUSY without any wait.
    """
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            yield connection
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError as error:
            if "readonly" not in str(error.orig):
                raise
            connection.exec_driver_sql("BEGIN")
        yield connection
        connection.exec_driver_sql("COMMIT")  # without it, closing the connection undoes everything


def connection_url(name: str, attempt: Attempt) -> str:
    """Return the URL of a connection. Raises InputError when nobody has set it."""
    try:
        return attempt.bench.connections[name]
    except KeyError:
        raise InputError(
            f"connection '{name}' is not set",
            hint=near_hint(
                name,
                attempt.bench.connections,
                otherwise=f"set BFILL_CONN_{name.upper()} or [connections] in bfill.toml",
            ),
            code="unknown-connection",
        ) from None


@cache
def engine_for(url: str) -> Engine:
    """Return an engine for a URL, one a process; every task opens a connection of its own."""
    try:
        return create_engine(make_url(url), poolclass=NullPool)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise InputError(
            f"a connection is not a SQLAlchemy URL, or its driver is not installed: {error}",
            hint="write sqlite:////folder/file.db or postgresql+psycopg://user@host/name",
            code="bad-connection",
        ) from error


def _plain(value: Any) -> Any:
    """Return a column value as JSON can hold it; instants as ISO 8601, exact numbers and bytes as text."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value
