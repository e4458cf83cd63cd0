"""Whether DAG files have changed since one looked: names, times and sizes, and no file is opened for it.

Owns what counts as a change. Every Python file below the dags folders does, also one that defines no DAG: a DAG file
may import it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from backfill_cli.loader.scanning import python_files

Signature = Mapping[str, tuple[int, int, int]]


def signature(places: Iterable[Path]) -> Signature:
    """Return all that is to be compared of the Python files in and below these places."""
    found: dict[str, tuple[int, int, int]] = {}
    for place in places:
        for path in [place] if place.suffix == ".py" else python_files(place):
            try:
                stat = path.stat()
            except OSError:
                continue  # removed while one looked
            found[str(path)] = stat.st_mtime_ns, stat.st_size, stat.st_ino
    return found
