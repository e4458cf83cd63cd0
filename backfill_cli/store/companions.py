"""The log beside a store, and whether it is the store's own.

Owns one look, at a file SQLite itself would believe: it takes in a `-wal` file that lies beside a database without
asking where it comes from, so that a backup put in the place of a store that was killed is mixed with what the log of
the old one says. A store at rest says in its header that it has no log (`engines.rest_journal`); one that says so and
has one is not as any bfill has left it.

Source: sqlite.org/fileformat2.html, section 1.3.3 (bytes 18 and 19); sqlite.org/howtocorrupt.html, section 1.4.
"""

from __future__ import annotations

import os
from pathlib import Path

from backfill_cli.errors import StoreError
from backfill_cli.store.problems import DAMAGED

_HAS_LOG = 2
_kept: dict[tuple[int, int], int] = {}
"""Device and inode → a descriptor that is never closed: closing it would drop the locks SQLite has on the same file."""


def refuse_foreign_log(path: Path) -> None:
    """Raise StoreError when a log lies beside a store that has none; that hardly ever there is one makes it cheap."""
    log = path.with_name(f"{path.name}-wal")
    try:
        if not log.stat().st_size:
            return
        versions = _versions(path)
        # Asked again: the last process that wrote may have taken it in just now.
        if _HAS_LOG in versions or not versions or not log.stat().st_size:
            return
    except OSError:
        return  # no log; or a store that whoever opens it next will say more about
    raise StoreError(
        f"store {path} {DAMAGED.what}: {log.name} beside it is of another store, or of another copy of this one",
        hint=f"if a backup was just put in its place, move the log away: mv '{log}' '{log}.old'",
        code=DAMAGED.code,
    )


def _versions(path: Path) -> bytes:
    """Return the two bytes that say whether a database file has a log."""
    found = path.stat()
    key = found.st_dev, found.st_ino
    if key not in _kept:
        _kept[key] = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    return os.pread(_kept[key], 2, 18)
