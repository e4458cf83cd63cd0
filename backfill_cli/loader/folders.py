"""The dags folders: what is in their files. Which files count is `loader/scanning.py`.

One broken file never hides the DAGs of another: its error is a value here, and the caller's to report.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from backfill_cli.core.graph import Dag
from backfill_cli.errors import BfillError
from backfill_cli.loader.files import Uncompiled, load_each, tried
from backfill_cli.loader.rehearsal import Bounds
from backfill_cli.loader.scanning import dag_files
from backfill_cli.loader.settings import Settings


class Listed(NamedTuple):
    """One DAG of the dags folders, or what is wrong with one (`dag_id`) or with a whole file (None)."""

    dag: Dag | BfillError
    path: Path
    dag_id: str | None


class Scanned(NamedTuple):
    """What one file of the dags folders defines: its dag_ids, or why it does not load.

    Args:
        loaded: Its DAGs, when it has been run in this process already.
    """

    found: tuple[str, ...] | BfillError
    path: Path
    loaded: tuple[Dag | Uncompiled, ...] | None = None

    def dags(self, settings: Settings) -> tuple[Dag | Uncompiled, ...]:
        """Return its DAGs. Raises BfillError when it does not load, or does not load again."""
        if isinstance(self.found, BfillError):
            raise self.found
        return tuple(_load(self.path, settings)) if self.loaded is None else self.loaded


def list_dags(settings: Settings) -> list[Listed]:
    """Return every DAG of the dags folders, by file and then by definition; what does not load is its error."""
    found: list[Listed] = []
    for one in scan_dags(settings):
        try:
            dags = one.dags(settings)
        except BfillError as error:
            found.append(Listed(error, one.path, None))
            continue
        found.extend(Listed(dag.error if isinstance(dag, Uncompiled) else dag, one.path, dag.dag_id) for dag in dags)
    return found


def dag_targets(target: str, settings: Settings) -> list[str]:
    """Return what names each DAG of a file, when the target is a file that loads; else the target as it is."""
    path = Path(target).expanduser()
    if not path.is_file():
        return [target]
    try:
        return [f"{target}:{dag.dag_id}" for dag in _load(path, settings)]
    except BfillError:
        return [target]


def scan_dags(settings: Settings) -> list[Scanned]:
    """Return what each file of the dags folders defines; files that hold no DAG are left out.

    Where a child may try them first, this process needs to run only those that it uses.
    """
    paths = list(dag_files(settings.dags))
    verdicts = tried(paths, Bounds(settings.import_timeout_s, settings.import_memory_mb), settings.timezone)
    scanned = _run(paths, settings) if verdicts is None else map(Scanned, verdicts, paths)
    # A helper module that imports backfill_cli is no broken DAG file.
    return [one for one in scanned if not isinstance(one.found, BfillError) or one.found.code != "no-dag"]


def _run(paths: Iterable[Path], settings: Settings) -> Iterable[Scanned]:
    for path in paths:
        try:
            dags = tuple(_load(path, settings))
        except BfillError as error:
            yield Scanned(error, path)
        else:
            yield Scanned(tuple(dag.dag_id for dag in dags), path, dags)


def _load(path: Path, settings: Settings) -> list[Dag | Uncompiled]:
    timeout_s, memory_mb = settings.import_timeout_s, settings.import_memory_mb
    return load_each(path, timeout_s=timeout_s, timezone=settings.timezone, memory_mb=memory_mb)
