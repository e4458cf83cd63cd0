"""One DAG file → its DAGs, compiled.

Owns which DAGs belong to a file: those made while its own top level runs, in whatever function, but not those of files
it imports. How its code is kept in check is the guard's business (`loader/imports.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from backfill_cli.core.graph import Dag
from backfill_cli.errors import DefinitionError
from backfill_cli.loader.authoring import DAG
from backfill_cli.loader.imports import explained, run_file, use_folder
from backfill_cli.loader.places import short_path
from backfill_cli.loader.scopes import collecting


def load_file(path: Path, *, timeout_s: float, timezone: str = "UTC") -> list[Dag]:
    """Run a DAG file and return its DAGs, compiled, in the order of their definition.

    Args:
        timeout_s: Seconds its top level may take.
        timezone: The zone of DAGs that name none.

    Raises:
        DefinitionError: It cannot be read, raises, exits, does not end in time, is not Python, holds no DAG or two of
            one id, or one of its DAGs is impossible. `where` is the line in the user's file.
        ScheduleError, CycleError: As their names say.
    """
    path = path.resolve()
    return compiled(_defined_in(path, timeout_s), path, timezone=timezone, timeout_s=timeout_s)


def compiled(dags: Iterable[DAG], path: Path, *, timezone: str, timeout_s: float) -> list[Dag]:
    """Return the DAGs of one file compiled. Raises DefinitionError when two of them share an id."""
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
    with explained(str(path), path.parent, timeout_s=timeout_s):
        return [dag.compile(timezone=timezone) for dag in by_id.values()]


def _defined_in(path: Path, timeout_s: float) -> list[DAG]:
    use_folder(path.parent)
    try:
        with explained(str(path), path.parent, timeout_s=timeout_s), collecting() as created:
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
    return found


def dags_of(module: ModuleType) -> list[DAG]:
    """Return the DAGs bound to names of a module, each once."""
    return list({id(value): value for value in vars(module).values() if isinstance(value, DAG)}.values())


def _no_dag(module: ModuleType, path: Path) -> DefinitionError:
    uncalled = [name for name, value in vars(module).items() if getattr(value, "defines_dag", False)]
    hint = f"call it at the end of the file: {uncalled[0]}()" if uncalled else "define one: with DAG('my_dag', …):"
    return DefinitionError("holds no DAG", hint=hint, code="no-dag", where=short_path(path))
