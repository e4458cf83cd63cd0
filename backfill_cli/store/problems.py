"""Turns what a database driver or the system raises into one line a person can act on.

Owns the codes (`store-locked store-full store-read-only store-damaged store-newer store-not-bfill store-io store-gone`)
and their hints. Nothing outside store/ sees a driver's exception.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NamedTuple

from backfill_cli.errors import StoreError


class StoreBusy(StoreError):
    """Somebody else is writing right now: worth trying again, which `sql.py` does until its patience ends."""


class Problem(NamedTuple):
    """How one kind of failure is told."""

    code: str
    what: str
    hint: str


LOCKED = Problem("store-locked", "is locked by another process", "wait until the other command has finished")
FULL = Problem("store-full", "cannot grow: the disk or quota is full", "free some space; then the same command goes on")
READ_ONLY = Problem("store-read-only", "is read-only", "make the file and its folder writable, or name another --store")
DAMAGED = Problem("store-damaged", "is damaged", "restore a backup, or look at it with: bfill store check")
FOREIGN = Problem("store-not-bfill", "is not a bfill store", "name another file with --store")
IO = Problem(
    "store-io",
    "cannot be read or written",
    "look at the disk and the permissions of the folder; then the same command goes on",
)
GONE = Problem(
    "store-gone",
    "was removed, moved or replaced while it was open",
    "put it back, or restore a backup; then the same command goes on",
)
NEWER = Problem("store-newer", "was written by a newer bfill", "upgrade bfill, or name another --store")

# SQLite's primary result codes (sqlite.org/rescode.html); the extended ones are these plus higher bits.
_BY_RESULT_CODE = {
    3: IO,  # PERM
    5: LOCKED,  # BUSY
    6: LOCKED,  # LOCKED
    8: READ_ONLY,
    10: IO,  # IOERR
    11: DAMAGED,  # CORRUPT
    13: FULL,
    14: IO,  # CANTOPEN
    15: LOCKED,  # PROTOCOL: too many readers raced for a snapshot
    23: IO,  # AUTH
    26: FOREIGN,  # NOTADB
}

# What a system call says instead: a quota is a full disk to SQLite in one place and an I/O error in the next.
_BY_ERRNO = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: READ_ONLY,
    errno.EPERM: READ_ONLY,  # an immutable file, whoever asks
}


def is_unfinished(error: Exception) -> bool:
    """Return whether a driver's exception, met while reading, means that a killed process left a change to roll back.

    SQLite says READONLY then: somebody must write before anybody can read. (The extended code would be
    READONLY_ROLLBACK; pysqlite3 reports the primary one.)
    """
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == 8


def problem(kind: Problem, location: str, detail: str = "") -> StoreError:
    """Return the error for one kind of failure; `detail` is put behind what is wrong."""
    error = StoreBusy if kind is LOCKED else StoreError
    return error(
        f"store {location} {kind.what}" + (f": {one_line(detail)}" if detail else ""), hint=kind.hint, code=kind.code
    )


def damaged(table: str, detail: str) -> StoreError:
    """Return the error for a row that no bfill can have written."""
    return StoreError(
        f"the store is damaged: table {table} holds {one_line(detail)}", hint=DAMAGED.hint, code=DAMAGED.code
    )


def translate(error: Exception, location: str, *, written_in: Path | None = None) -> StoreError:
    """Return the StoreError that a driver's exception amounts to.

    Without a result code of its own the driver speaks about text it cannot decode, a table that is not there or a
    value no bfill writes: a store that is not as it should be.

    Args:
        written_in: The store's folder, when the error came while writing: an I/O error is then looked into.
    """
    result_code = getattr(error, "sqlite_errorcode", None)
    kind = _BY_RESULT_CODE.get(result_code & 0xFF, DAMAGED) if isinstance(result_code, int) else DAMAGED
    if kind is IO and written_in is not None:
        kind = _look_into(written_in)
    return problem(kind, location, "" if kind in (LOCKED, FULL, READ_ONLY, FOREIGN) else str(error))


def refused(error: OSError, location: str) -> StoreError:
    """Return the StoreError that a failed system call amounts to."""
    kind = _BY_ERRNO.get(error.errno or 0, IO)
    return problem(kind, location, (error.strerror or str(error)) if kind is IO else "")


def _look_into(folder: Path) -> Problem:
    """Return what keeps a folder from being written, by writing a nameless file in it; IO when nothing does now.

    SQLite says "disk I/O error" for much that a person can tell apart: a quota, a full disk under its shared memory, a
    file system that was mounted read-only after an error.
    """
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, bytes(1 << 16))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, AttributeError) as error:  # AttributeError: a system without nameless files
        return _BY_ERRNO.get(getattr(error, "errno", 0), IO)
    return IO


def one_line(text: str) -> str:
    """Return text from elsewhere as one line of at most 200 characters that cannot drive a terminal."""
    shown = "".join(char if char.isprintable() else " " for char in text[:400])
    return " ".join(shown.split())[:200]
