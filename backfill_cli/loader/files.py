"""One DAG file → its DAGs, compiled.

Owns which DAGs belong to a file: those made while its own top level runs, in whatever function, but not those of files
it imports. How its code is kept in check is the guard's business (`loader/imports.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from backfill_cli.core.graph import Dag
from backfill_cli.core.problems import Problem
from backfill_cli.errors import BfillError, DefinitionError
from backfill_cli.loader import rehearsal
from backfill_cli.loader.authoring import DAG
from backfill_cli.loader.imports import explained, run_file, use_folder
from backfill_cli.loader.places import short_path
from backfill_cli.loader.process_state import Change
from backfill_cli.loader.rehearsal import Bounds
from backfill_cli.loader.scopes import collecting


class Uncompiled(NamedTuple):
    """A DAG of a file that is impossible in itself, and why; its neighbours need not be."""

    dag_id: str
    error: BfillError


def load_file(path: Path, *, timeout_s: float, timezone: str = "UTC", memory_mb: int = 2_048) -> list[Dag]:
    """Run a DAG file and return its DAGs, all of them compiled; else as `load_each`.

    Raises:
        ScheduleError, CycleError, DefinitionError: One of its DAGs is impossible.
    """
    found = load_each(path, timeout_s=timeout_s, timezone=timezone, memory_mb=memory_mb)
    return [whole(one) for one in found]


def whole(one: Dag | Uncompiled) -> Dag:
    """Return the DAG. Raises the error of one that does not compile."""
    if isinstance(one, Uncompiled):
        raise one.error
    return one


def load_each(path: Path, *, timeout_s: float, timezone: str = "UTC", memory_mb: int = 2_048) -> list[Dag | Uncompiled]:
    """Run a DAG file and return its DAGs, compiled where that is possible, in the order of their definition.

    Args:
        timeout_s: Seconds its top level may take.
        timezone: The zone of DAGs that name none.
        memory_mb: MiB it may take; enforced where it can be tried in a child first.

    Raises:
        DefinitionError: It cannot be read, raises, exits, does not end in time, is not Python, holds no DAG or two of
            one id. `where` is the line in the user's file.
    """
    path = path.resolve()
    for verdict in tried([path], Bounds(timeout_s, memory_mb), timezone) or ():
        if isinstance(verdict, BfillError):
            raise verdict
    began = time.monotonic()
    dags, changes = _defined_in(path, timeout_s)
    spent_s = time.monotonic() - began
    return compiled(dags, path, timezone=timezone, timeout_s=timeout_s, spent_s=spent_s, changes=changes)


_verdicts: dict[Path, rehearsal.Verdict] = {}


def tried(paths: Sequence[Path], bounds: Bounds, timezone: str) -> list[rehearsal.Verdict] | None:
    """Return how loading each file ended in a child, tried once a process; None where no child may be made.

    Args:
        paths: Resolved.
    """

    def work(path: Path) -> rehearsal.Work:
        def load() -> list[str]:
            return [dag.dag_id for dag in load_each(path, timeout_s=bounds.timeout_s, timezone=timezone)]

        return rehearsal.Work(str(path), path.parent, load)

    new = [path for path in paths if path not in _verdicts]
    if new and not rehearsal.is_possible():
        return None
    verdicts = rehearsal.rehearse([work(path) for path in new], bounds)
    _verdicts.update(zip(new, verdicts, strict=True))
    return [_verdicts[path] for path in paths]


def compiled(
    dags: Iterable[DAG],
    path: Path,
    *,
    timezone: str,
    timeout_s: float,
    spent_s: float = 0.0,
    changes: Iterable[Change] = (),
) -> list[Dag | Uncompiled]:
    """Return the DAGs of one file, compiled where that is possible. Raises DefinitionError when two share an id.

    Args:
        spent_s: Seconds of `timeout_s` that are over.
        changes: What running the file changed about the process: a note of each DAG.
    """
    by_id: dict[str, DAG] = {}
    for dag in dags:
        if dag.dag_id in by_id:
            raise DefinitionError(
                f"dag_id '{dag.dag_id}' is used twice, first in line {by_id[dag.dag_id].place.line}",
                hint="give each DAG its own dag_id",
                code="duplicate-dag",
                where=str(dag.place),
            )
        by_id[dag.dag_id] = dag
    # Compiling runs code of users too: schedule objects, to_work of their operators.
    with explained(str(path), path.parent, timeout_s=timeout_s, spent_s=spent_s):
        found = [_compiled(dag, timezone) for dag in by_id.values()]
    notes = tuple(
        Problem("changes-process", f"{short_path(path)} changes {one.what} while it is loaded: put back", one.instead)
        for one in changes
    )
    if not notes:
        return found
    return [one if isinstance(one, Uncompiled) else replace(one, notes=one.notes + notes) for one in found]


def _compiled(dag: DAG, timezone: str) -> Dag | Uncompiled:
    try:
        return dag.compile(timezone=timezone)
    except BfillError as error:  # what users' code raises is none of ours, and an error of the file
        error.where = error.where or str(dag.place)
        return Uncompiled(dag.dag_id, error)


def _defined_in(path: Path, timeout_s: float) -> tuple[list[DAG], list[Change]]:
    use_folder(path.parent)
    try:
        with explained(str(path), path.parent, timeout_s=timeout_s) as changes, collecting() as created:
            module = run_file(path)
    except DefinitionError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.filename == str(path):
            raise DefinitionError(
                f"cannot read {short_path(path)}: {error.__cause__.strerror}", hint="check the path and its permissions"
            ) from error.__cause__
        raise
    found = [dag for dag in created if dag.home == str(path)] or dags_of(module)
    if not found:
        raise _no_dag(module, path)
    return found, changes


def dags_of(module: ModuleType) -> list[DAG]:
    """Return the DAGs bound to names of a module, each once."""
    return list({id(value): value for value in vars(module).values() if isinstance(value, DAG)}.values())


def _no_dag(module: ModuleType, path: Path) -> DefinitionError:
    uncalled = [name for name, value in vars(module).items() if getattr(value, "defines_dag", False)]
    hint = f"call it at the end of the file: {uncalled[0]}()" if uncalled else "define one: with DAG('my_dag', …):"
    return DefinitionError("holds no DAG", hint=hint, code="no-dag", where=short_path(path))
