"""A whole copy of a store, made while others read and write it.

Owns how a copy gets to the disk: under a name nobody could have planted a link at, private, looked at, synced, and only
then put in its place in one step. What stood there before stands there until that step, whatever fails. The copying
itself is SQLite's backup API over one snapshot: everything committed before, nothing half.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from backfill_cli.store import engines, migrations, problems, schema
from backfill_cli.store.companions import refuse_foreign_log
from backfill_cli.store.connections import Connection
from backfill_cli.store.keys import Keys
from backfill_cli.store.locks import OwnerLocks, sync_folder
from backfill_cli.store.reading_backfills import SqlReader


class BackedUp(NamedTuple):
    """A backup that is on the disk.

    Args:
        size: Bytes.
        head: (seq, hash) of its last audit entry.
        has_heads: Whether the file of the audit heads came along.
    """

    size: int
    head: tuple[int, str]
    has_heads: bool


def back_up(source: Path, target: Path) -> BackedUp:
    """Copy a store with its file of audit heads, and look at every page of the copy before it takes its place.

    Raises:
        StoreError: The source is no store, is of a newer bfill, or its copy is damaged.
        OSError, the driver's own error: As `copy_store`.
    """
    from backfill_cli.store.heads import HeadFile

    # Read before the snapshot: every head in it is then of an entry that the copy holds.
    heads = HeadFile(source).lines()
    found: tuple[int, str] = (0, "")

    def inspect(copy: Connection) -> None:
        nonlocal found
        number = migrations.version(copy, str(source))
        for (line,) in copy.rows("PRAGMA quick_check(1)"):
            if line != "ok":
                raise problems.problem(problems.DAMAGED, str(source), str(line))
        schema.require(copy, number)
        found = SqlReader(copy, Keys(copy), OwnerLocks(None)).audit_head()

    refuse_foreign_log(source)
    connection = engines.connect(str(source), write=False)
    try:
        size = copy_store(connection, target, inspect=inspect)
    finally:
        connection.close()
    beside = HeadFile(target).path
    if heads is None:
        # Those of another backup that stood here would speak against this one.
        beside.unlink(missing_ok=True)
    else:
        _write_private(beside, "\n".join(heads).encode())
    sync_folder(target.parent)
    return BackedUp(size, found, heads is not None)


def copy_store(source: Connection, target: Path, *, inspect: Callable[[Connection], None] | None = None) -> int:
    """Put a copy of the database at `target` (0600), in place of a file that may stand there; returns its bytes.

    Args:
        source: A connection that is not writing.
        inspect: Looks at the copy before it takes its place; what it raises leaves everything as it was.

    Raises:
        OSError: The folder cannot be written, or the disk is full or failing.
        The driver's own error: of the source, or of a disk that is full.
    """
    from tempfile import mkstemp

    descriptor, name = mkstemp(prefix=f".{target.name}-", suffix=".tmp", dir=target.parent)
    os.close(descriptor)
    made = Path(name)
    try:
        _fill(source, name)
        if inspect is not None:
            copy = engines.connect(name, write=False)
            try:
                inspect(copy)
            finally:
                copy.close()
        size = _synced(made)
        made.replace(target)
        sync_folder(target.parent)
        return size
    finally:
        for left in (name, f"{name}-journal", f"{name}-wal", f"{name}-shm"):
            Path(left).unlink(missing_ok=True)


def is_unfinished(path: Path) -> bool:
    """Return whether a killed process left a change that has to be rolled back before anybody can read the store."""
    try:
        engines.connect(str(path), write=False, roll_back=False).close()
    except engines.driver_errors() as error:
        return problems.is_unfinished(error)
    return False


@contextmanager
def copied(path: Path) -> Iterator[Path]:
    """Make a copy of a store's files in a folder of its own that goes with the block: one to roll back and look at.

    Only for a store that nobody has open in this process, and nobody is writing: bytes are copied as they lie there.
    """
    from shutil import copyfile
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="bfill-check-") as folder:
        for end in ("", "-journal", "-wal", ".heads"):
            one = path.with_name(path.name + end)
            if one.is_file() and not one.is_symlink():
                copyfile(one, Path(folder, one.name), follow_symlinks=False)
        yield Path(folder, path.name)


def _fill(source: Connection, name: str) -> None:
    copy = Connection(engines.driver().connect(name, isolation_level=None))
    try:
        source.copy_into(copy)
        # A snapshot of a store that is being written says that it has a log beside it. The copy has none.
        engines.rest_journal(copy)
    finally:
        copy.close()


def _write_private(path: Path, content: bytes) -> None:
    from tempfile import mkstemp

    descriptor, name = mkstemp(prefix=f".{path.name}-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _synced(made: Path) -> int:
    # Nobody has this file open in SQLite any more, so opening it drops no lock.
    descriptor = os.open(made, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
