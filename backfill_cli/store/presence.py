"""Schedulers that stay, as others see them: a lock beside the store, held for as long as one lives.

Owns the name of that lock. A scheduler at rest owns no dates and has the store not even open, so there is no row about
it; the kernel says that it lives (`locks.py`), and forgets it however it ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from backfill_cli.store.locks import OwnerLocks, is_locked
from backfill_cli.store.opening import store_path

_HEAD = "scheduler-"


class Presence(NamedTuple):
    """One that lives: its process, and since when, epoch microseconds."""

    pid: int
    since: int


@contextmanager
def present(location: str) -> Iterator[None]:
    """Let others see, while the block lasts, that a scheduler in this process looks after the store at a location.

    Raises:
        StoreError: Nothing can be written there.
    """
    folder = _folder(location)
    if folder is None:
        yield
        return
    locks = OwnerLocks(folder)
    locks.hold(_HEAD + os.urandom(8).hex())
    try:
        yield
    finally:
        locks.release_all()


def schedulers(location: str) -> list[Presence]:
    """Return those that live on this machine and look after the store at a location, oldest first. Reads only."""
    folder = _folder(location)
    found = []
    for path in () if folder is None else folder.glob(f"{_HEAD}*.lock"):
        with suppress(OSError, ValueError):  # it leaves just now
            if is_locked(path):
                pid = int(path.with_suffix(".children").read_text(encoding="ascii").split()[0])
                found.append(Presence(pid, path.stat().st_mtime_ns // 1_000))
    return sorted(found, key=lambda one: one.since)


def _folder(location: str) -> Path | None:
    path = store_path(location)
    return None if path is None else path.parent / "locks"
