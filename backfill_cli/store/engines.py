"""Which database library, and how a connection to it is set up: everything that depends on the dialect.

Owns the choice of SQLite library, connect settings and journal mode; PostgreSQL joins here. Leaves SQL to `reading.py`
and `writing.py`, which keep to forms both databases share.

Source: sqlite.org/wal.html, section 11, "the WAL-reset bug": before 3.51.3 (back-ports 3.50.7, 3.44.6) two connections
that checkpoint at once can corrupt a WAL database. Where the linked library is older, pysqlite3 brings a sound one;
without it the store keeps a rollback journal, which is slower and lets readers wait for the writer, but is safe.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import quote

from backfill_cli.store.connections import Connection
from backfill_cli.store.problems import READ_ONLY, is_unfinished, problem

if TYPE_CHECKING:
    from sqlalchemy import Engine

BUSY_MS = 100
"""How long SQLite itself waits for a lock; the patience beyond that is in sql.py, around the whole transaction."""


def has_sound_wal(version: tuple[int, ...]) -> bool:
    """Return whether this SQLite version can checkpoint from two connections without corrupting the store."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


@cache
def driver() -> ModuleType:
    """Return the DBAPI module for SQLite: the linked one where it is sound, else pysqlite3, else the linked one."""
    import sqlite3

    chosen: ModuleType = sqlite3
    if not has_sound_wal(sqlite3.sqlite_version_info):
        try:
            import pysqlite3.dbapi2 as newer
        except ImportError:
            pass
        else:
            chosen = newer if newer.sqlite_version_info > sqlite3.sqlite_version_info else sqlite3
    # Both drivers look in vain for a way to adapt each None they bind, at 0.8 µs; told of one, they take 0.1 µs.
    chosen.register_adapter(type(None), _none)
    return chosen


def _none(value: None) -> None:
    return value


def connect(path: str, *, write: bool, roll_back: bool = True) -> Connection:
    """Return a connection to an existing SQLite file; without `write` it can change nothing.

    A process killed in the middle of a change leaves a journal that the next one must roll back before it can read,
    and that takes a connection that may write. Nothing committed changes by it.

    Args:
        roll_back: Whether to do that; without it the driver's error says that it has to be done.

    Raises:
        StoreError: A change was left unfinished, and cannot be rolled back because the file is read-only.
        The driver's own error, for the caller to translate: it knows the location as people see it.
    """
    try:
        return _connect(path, write=write)
    except driver().OperationalError as error:
        if not roll_back or not is_unfinished(error):
            raise
    try:
        _connect(path, write=True).close()
        return _connect(path, write=write)
    except driver().OperationalError as error:
        if not is_unfinished(error):
            raise
        raise problem(READ_ONLY, path, "a killed process left a change to roll back") from error


def _connect(path: str, *, write: bool) -> Connection:
    raw = driver().connect(
        f"file:{quote(os.fsencode(path))}?mode={'rw' if write else 'ro'}",
        uri=True,
        # Explicit BEGIN everywhere: the driver's own idea of when a transaction starts is a legacy trap.
        isolation_level=None,
        # Connections go from thread to thread through a pool, one thread at a time.
        check_same_thread=False,
    )
    connection = Connection(raw, Path(path))
    try:
        _settle(connection)
        if not write:
            connection.run("PRAGMA query_only = ON")
        # The first look at the file: whatever is wrong with it shows here.
        connection.one("PRAGMA schema_version")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_memory() -> Connection:
    """Return a connection to a new, private, empty database in memory."""
    connection = Connection(driver().connect(":memory:", isolation_level=None, check_same_thread=False))
    _settle(connection)
    return connection


def _settle(connection: Connection) -> None:
    for setting in (
        f"busy_timeout = {BUSY_MS}",
        # FULL syncs the WAL at every commit. EXTRA is FULL plus, under a rollback journal, a sync of the folder:
        # without it a power cut can bring the journal back and undo a commit that was already printed.
        "synchronous = EXTRA",
        "foreign_keys = ON",
        # A store from elsewhere may hold views and defaults that call functions: only harmless ones may run.
        "trusted_schema = OFF",
        "cell_size_check = ON",
        # 16 MiB of log instead of 4: a quarter of the syncs that taking it into the store costs.
        "wal_autocheckpoint = 4000",
        "cache_size = -8000",
    ):
        connection.run(f"PRAGMA {setting}")


def raise_journal(connection: Connection) -> None:
    """Switch to a write-ahead log for as long as somebody writes, where the library is sound.

    A reader at this very moment makes the switch impossible; the rollback journal then serves, only slower.
    """
    module = driver()
    if has_sound_wal(module.sqlite_version_info):
        _try_journal(connection, "WAL")
        return
    _try_journal(connection, "DELETE")
    # A process with a sound library has the store open in WAL mode: leave all checkpoints to it.
    connection.run("PRAGMA wal_autocheckpoint = 0")


def rest_journal(connection: Connection) -> None:
    """Switch back to a rollback journal when the last writer leaves.

    A store at rest is then one file, and a reader finds all it needs in it: opening a file in WAL mode makes -wal and
    -shm files beside it even for mode=ro, and immutable=1, which does not, reads garbage when a writer comes along.
    With other connections open SQLite refuses, and the last of those that write does it.
    """
    connection.run("PRAGMA busy_timeout = 0")
    # First emptied, then removed: a log whose removal fails must hold nothing that could be taken in once more.
    connection.one("PRAGMA wal_checkpoint(TRUNCATE)")
    _try_journal(connection, "DELETE")


def _try_journal(connection: Connection, mode: str) -> None:
    try:
        connection.run(f"PRAGMA journal_mode = {mode}")
    except driver().OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != driver().SQLITE_BUSY:
            raise


def sqlalchemy_engine(path: str) -> Engine:
    """Return an SQLAlchemy engine for a SQLite file, for SQLModel sessions: tests, tools, one-off questions.

    The store itself does not go through it: importing SQLAlchemy takes longer than most commands do.
    """
    from sqlalchemy import create_engine

    return create_engine(f"sqlite:///{path}", module=driver())


def driver_errors() -> tuple[type[Exception], ...]:
    """Return what a call into the driver may raise: its own errors, and text in a damaged store it cannot decode."""
    return driver().Error, UnicodeDecodeError
