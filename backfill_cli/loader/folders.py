"""The dags folders: which files define DAGs, and what is in them.

Owns the walk. One broken file never hides the DAGs of another: its error is a value here, and the caller's to report.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from backfill_cli.core.graph import Dag
from backfill_cli.errors import BfillError
from backfill_cli.loader.files import load_file
from backfill_cli.loader.settings import Settings


class Listed(NamedTuple):
    """One DAG of the dags folders, or one file that does not load."""

    dag: Dag | BfillError
    path: Path


def list_dags(settings: Settings) -> list[Listed]:
    """Return every DAG of the dags folders, by file and then by definition; a file that does not load is its error."""
    found: list[Listed] = []
    for path in dag_files(settings.dags):
        try:
            dags = load_file(path, timeout_s=settings.import_timeout_s, timezone=settings.timezone)
        except BfillError as error:
            if error.code != "no-dag":  # a helper module that imports backfill_cli is no broken DAG file
                found.append(Listed(error, path))
        else:
            found.extend(Listed(dag, path) for dag in dags)
    return found


def dag_files(places: Sequence[Path]) -> Iterator[Path]:
    """Yield the Python files below the folders that may define a DAG, sorted, each once.

    A file counts when it mentions `dag` and `backfill_cli` (Airflow's safe mode): helpers are not run for nothing.
    Hidden folders and files are passed over.
    """
    seen: set[Path] = set()
    for place in places:
        for path in [place] if place.is_file() else _python_files(place):
            resolved = path.resolve()
            if resolved not in seen and (place.is_file() or _may_define_dag(path)):
                seen.add(resolved)
                yield resolved


def _python_files(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(files):
            if name.endswith(".py") and not name.startswith("."):
                yield Path(parent, name)


def _may_define_dag(path: Path) -> bool:
    try:
        content = path.read_bytes()
    except OSError:
        return True  # let loading say what is wrong with it
    return b"dag" in content.lower() and b"backfill_cli" in content
