"""The same store over a database in memory: for tests, and for a store that does not exist yet.

Owns nothing but the single connection that a private in-memory database allows: readers and the writer take turns on
it. Tables, queries, checks and errors are those of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from backfill_cli.store import engines
from backfill_cli.store.connections import Connection
from backfill_cli.store.problems import translate
from backfill_cli.store.reading_backfills import SqlReader
from backfill_cli.store.sql import Session, SqlStore

if TYPE_CHECKING:
    from backfill_cli.core.ports import Reader

T = TypeVar("T")


class MemoryStore(SqlStore):
    """A `Store` that ends with the process.

    Args:
        connection: A migrated database in memory.
        location: As shown to people.
        logs: The folder logs would go to.
        writable: False for the stand-in of a missing store.
    """

    def __init__(self, connection: Connection, *, location: str, logs: Path, writable: bool) -> None:
        super().__init__(
            location, folder=None, logs=logs, connect=lambda write: connection, writable=writable, patience_s=0
        )
        self._session = self._writer = Session(connection)

    def read(self, work: Callable[[Reader], T]) -> T:
        """Run `work` with nobody writing meanwhile, and return what it returns."""
        with self._writing:
            connection = self._session.connection
            mark = connection.streams_opened
            try:
                return work(SqlReader(connection, self._session.keys, self._locks))
            except engines.driver_errors() as error:
                raise translate(error, self._location) from error
            finally:
                connection.end_streams(mark)

    def close(self) -> None:
        """Forget everything."""
        self._locks.release_all()
        self._drop_writer()
