"""The logs of dates that are done for good: found beside the store, and removed.

Owns the walk through `logs/DAG_ID/RUN_ID/TASK_ID.TRY.log`. The ledger says which dates are done; a file that was
written to since is of a try that came after, whatever the ledger said a moment ago. Links are never followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from backfill_cli.core.intervals import epoch_seconds

if TYPE_CHECKING:
    from backfill_cli.core.ports import Store


def old_logs(store: Store, dag_id: str, before: int) -> Iterator[Path]:
    """Yield the logs of a DAG's dates that succeeded before an instant (epoch microseconds)."""
    from backfill_cli.store.pruning import is_done

    for folder in _folders(Path(store.logs) / dag_id):
        run_type, _, text = folder.name.partition("__")
        date = _date(text)
        if date is None:
            continue
        if not store.read(lambda reader, kind=run_type, at=date: is_done(reader, dag_id, at, kind, before)):  # type: ignore[misc]
            continue
        for entry in sorted(os.scandir(folder), key=lambda one: one.name):
            is_log = entry.is_file(follow_symlinks=False) and entry.name.endswith(".log")
            if is_log and entry.stat(follow_symlinks=False).st_mtime_ns // 1_000 < before:
                yield Path(entry.path)


def remove_log(path: Path) -> bool:
    """Remove a log, and its folder when it was the last one in it; whether it went."""
    try:
        path.unlink()
    except OSError:
        return False
    with suppress(OSError):  # there are others in it
        path.parent.rmdir()
    return True


def _folders(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda one: one.name)
    except OSError:
        return
    if folder.is_symlink():
        return
    yield from (Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))


def _date(text: str) -> int | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return epoch_seconds(at) if at.utcoffset() is not None else None
