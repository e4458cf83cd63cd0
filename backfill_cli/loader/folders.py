"""The dags folders: what is in their files. Which files count is `loader/scanning.py`.

One broken file never hides the DAGs of another: its error is a value here, and the caller's to report.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from backfill_cli.core.graph import Dag
from backfill_cli.errors import BfillError
from backfill_cli.loader.files import load_file
from backfill_cli.loader.scanning import dag_files
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
