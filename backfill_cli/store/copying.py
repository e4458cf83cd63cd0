"""A whole copy of a store, made while others read and write it.

Owns how a copy gets to the disk: under a name nobody could have planted a link at, private, looked at, synced, and only
then put in its place in one step. What stood there before stands there until that step, whatever fails. The copying
itself is SQLite's backup API over one snapshot: everything committed before, nothing half.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from backfill_cli.store import engines
from backfill_cli.store.connections import Connection
from backfill_cli.store.locks import sync_folder


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


def _fill(source: Connection, name: str) -> None:
    copy = Connection(engines.driver().connect(name, isolation_level=None))
    try:
        source.copy_into(copy)
        # A snapshot of a store that is being written says that it has a log beside it. The copy has none.
        engines.rest_journal(copy)
    finally:
        copy.close()


def _synced(made: Path) -> int:
    # Nobody has this file open in SQLite any more, so opening it drops no lock.
    descriptor = os.open(made, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
