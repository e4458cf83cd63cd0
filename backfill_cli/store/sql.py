"""SqlStore: transactions around the queries, and the patience with others who are writing.

Owns one writer connection behind a lock, a pool of reader connections, and the retry of whole transactions. A busy
database is waited for (patience.py) by running the work again from its first read. Everything a driver raises leaves
as a StoreError.

There is one implementation of `Store`: the one for tests and for a store that does not exist yet is this one over a
database in memory. A second one in dicts would be a second place for every rule, and tests would prove that one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from backfill_cli.errors import StoreError
from backfill_cli.store import engines
from backfill_cli.store.connections import Connection
from backfill_cli.store.keys import Keys
from backfill_cli.store.locks import OwnerLocks
from backfill_cli.store.patience import PATIENCE_S, patiently
from backfill_cli.store.problems import DAMAGED, GONE, LOCKED, READ_ONLY, is_unfinished, problem, translate
from backfill_cli.store.reading_backfills import SqlReader
from backfill_cli.store.writing_backfills import SqlWriter

if TYPE_CHECKING:
    from backfill_cli.core.ports import Reader, Writer
    from backfill_cli.core.records import AuditRow

T = TypeVar("T")


class Session:
    """A connection and the keys it has learnt."""

    __slots__ = ("connection", "keys")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.keys = Keys(connection)


class SqlStore:
    """The `Store` of core/ports.py over a SQL database.

    Args:
        location: As shown to people.
        folder: Where logs and locks go, beside the store; None for a store in memory keeps locks in the process.
        connect: Makes a connection; called with whether it is to write.
        writable: Whether `write` is allowed at all.
        patience_s: Seconds until a busy store becomes a StoreError.
        keeps_heads: Whether each commit that moves the audit chain is followed by a line in the file of its heads.
    """

    def __init__(
        self,
        location: str,
        *,
        folder: Path | None,
        logs: Path,
        connect: Callable[[bool], Connection],
        writable: bool,
        patience_s: float = PATIENCE_S,
        keeps_heads: bool = False,
    ) -> None:
        self._location = location
        self._keeps_heads = keeps_heads
        self._folder = folder
        self._logs = logs
        self._connect = connect
        self._writable = writable
        self._patience_s = patience_s
        self._locks = OwnerLocks(None if folder is None else folder / "locks")
        self._writing = threading.RLock()
        self._writer: Session | None = None
        self._idle: list[Session] = []
        self._damage: StoreError | None = None

    @property
    def location(self) -> str:
        return self._location

    @property
    def logs(self) -> str:
        return str(self._logs)

    def read(self, work: Callable[[Reader], T]) -> T:
        """Run `work` over one snapshot and return what it returns."""
        return patiently(lambda: self._read_once(work), self._patience_s)

    def write(self, work: Callable[[Writer], T]) -> T:
        """Run `work` in one BEGIN IMMEDIATE transaction, all of it again when the store is busy.

        A second thread waits until the first has written; a `write` inside `work` is a bug and says so.

        Raises:
            StoreError: Locked for too long, full, read-only or damaged. Nothing was written.
        """
        if not self._writable:
            raise problem(READ_ONLY, self._location, "it was opened for reading")
        if self._damage is not None:
            # Whatever is written now rests on what was read before: nothing is, until a person has looked.
            raise self._damage
        with self._writing:
            return patiently(lambda: self._write_once(work), self._patience_s)

    def kept_heads(self) -> Sequence[str] | None:
        """Return the lines of the file that keeps the audit heads; None when there is none.

        They are compared with a snapshot that is taken afterwards: each is of an earlier commit then.
        """
        if not self._keeps_heads:
            return None
        from backfill_cli.store.heads import HeadFile

        return HeadFile(Path(self._location)).lines()

    def hold_owner(self, owner: str) -> None:
        """Take the kernel locks that prove this process and its children alive; before `add_owner`."""
        self._locks.hold(owner)

    def release_owner(self, owner: str) -> None:
        """Give the locks back and remove their files; after the owner's row is gone."""
        self._locks.release(owner)

    def heirloom(self, owner: str) -> int | None:
        """Return the descriptor that every child of a held owner is to inherit."""
        return self._locks.heirloom(owner)

    def children_lock(self, owner: str) -> str | None:
        """Return the path of the lock file that an owner's children inherit; None where there is none."""
        path = self._locks.children_path(owner)
        return None if path is None else str(path)

    def has_children(self, owner: str) -> bool:
        """Return whether anything a dead owner has started still lives, as the kernel knows it."""
        return self._locks.has_children(owner)

    def forget_owner(self, owner: str) -> None:
        """Remove what a dead owner left beside the store; after it has been recovered."""
        self._locks.forget(owner)

    def close(self) -> None:
        """Give locks and connections back. A store that nobody else writes is one file again afterwards."""
        self._locks.release_all()
        while self._idle:
            self._idle.pop().connection.close()
        with self._writing:
            if self._writer is not None:
                try:
                    # Adrift, it would tidy up beside a file that is not its own.
                    if not self._writer.connection.is_adrift():
                        engines.rest_journal(self._writer.connection)
                except engines.driver_errors():
                    # All is committed; the next writer finds a log to take in, as after a crash.
                    pass
                self._drop_writer()

    def _read_once(self, work: Callable[[Reader], T]) -> T:
        try:
            session = self._idle.pop()
        except IndexError:
            session = self._new_session(write=False)
        connection = session.connection
        sound = False
        try:
            connection.run("BEGIN")
            result = work(SqlReader(connection, session.keys, self._locks))
            sound = True
            return result
        except engines.driver_errors() as error:
            if is_unfinished(error):
                # The next connection rolls back (engines.connect), so trying again helps.
                raise problem(LOCKED, self._location) from error
            raise self._noted(translate(error, self._location)) from error
        except StoreError as error:
            self._noted(error)
            raise
        finally:
            self._give_back(session, sound=sound)

    def _give_back(self, session: Session, *, sound: bool) -> None:
        connection = session.connection
        try:
            connection.end_streams()
            if connection.in_transaction:
                connection.run("ROLLBACK")
        except engines.driver_errors():
            sound = False
        if sound:
            self._idle.append(session)
        else:
            connection.close()

    def _write_once(self, work: Callable[[Writer], T]) -> T:
        session = self._writer or self._new_session(write=True)
        self._writer = session
        connection = session.connection
        if connection.in_transaction:
            raise RuntimeError("write inside write: use the Writer at hand")
        mark = connection.streams_opened
        try:
            connection.run("BEGIN IMMEDIATE")
            writer = SqlWriter(connection, session.keys, self._locks)
            result = work(writer)
            connection.end_streams(mark)
            connection.run("COMMIT")
        except engines.driver_errors() as error:
            self._undo(session, mark)
            self._refuse_adrift(connection, error)
            raise self._noted(translate(error, self._location, written_in=self._folder)) from error
        except BaseException as error:
            self._undo(session, mark)
            if isinstance(error, StoreError):
                self._noted(error)
            raise
        # Asked once more behind the commit: it may have gone to a file that has no name any more.
        self._refuse_adrift(connection)
        if writer.entries and self._keeps_heads:
            self._keep_heads(writer.entries)
        return result

    def _refuse_adrift(self, connection: Connection, cause: Exception | None = None) -> None:
        """Raise StoreError when the store's file is no longer the one that is open."""
        if connection.is_adrift():
            raise problem(GONE, self._location) from cause

    def _noted(self, error: StoreError) -> StoreError:
        """Remember damage: a store found damaged is not written to any more by this process."""
        if error.code == DAMAGED.code:
            self._damage = error
        return error

    def _keep_heads(self, entries: Sequence[AuditRow]) -> None:
        from backfill_cli.core.heads import head_line
        from backfill_cli.store.heads import HeadFile

        HeadFile(Path(self._location)).append([head_line(row) for row in entries])

    def _undo(self, session: Session, mark: int) -> None:
        """Roll back; a connection that cannot is dropped, and the next write opens another."""
        session.keys.forget()
        try:
            session.connection.end_streams(mark)
            if session.connection.in_transaction:
                session.connection.run("ROLLBACK")
        except engines.driver_errors():
            self._drop_writer()

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.connection.close()
            self._writer = None

    def _new_session(self, *, write: bool) -> Session:
        try:
            return Session(self._connect(write))
        except engines.driver_errors() as error:
            raise translate(error, self._location, written_in=self._folder if write else None) from error
