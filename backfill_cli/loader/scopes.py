"""Which DAG and task group the `with` blocks around the running line have opened.

Owns that stack, and the list of DAGs a file makes while it is loaded. Both are context variables: files loaded in two
threads do not see each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from backfill_cli.errors import DefinitionError

if TYPE_CHECKING:
    from backfill_cli.loader.authoring import DAG, TaskGroup

_open: ContextVar[tuple[tuple[DAG, TaskGroup | None], ...]] = ContextVar("open_scopes", default=())
_created: ContextVar[list[DAG] | None] = ContextVar("created_dags", default=None)


def enter(dag: DAG, group: TaskGroup | None) -> None:
    """Open a scope: tasks defined from here on belong to it."""
    _open.set((*_open.get(), (dag, group)))


def leave() -> None:
    """Close the innermost scope."""
    _open.set(_open.get()[:-1])


def current(dag: DAG | None = None) -> tuple[DAG | None, TaskGroup | None]:
    """Return the open DAG and task group; for a given DAG, its open group if it is the open one."""
    scopes = _open.get()
    if not scopes or dag not in (None, scopes[-1][0]):
        return dag, None
    return scopes[-1]


def home_of(label: str, dag: DAG | None, group: TaskGroup | None, where: str) -> tuple[DAG, TaskGroup | None]:
    """Return the DAG and task group that something new belongs to, given or open.

    Raises:
        DefinitionError: Neither is there.
    """
    found, open_group = (group.dag, group) if group else current(dag)
    if found is None:
        raise DefinitionError(
            f"{label} belongs to no DAG",
            hint="define it inside `with DAG(...)`, or pass dag=",
            code="no-dag",
            where=where,
        )
    return found, open_group


MAX_DAGS = 5_000
"""DAGs of one file."""


def created(dag: DAG) -> bool:
    """Note a new DAG for the file that is being loaded; False when none is.

    Raises:
        DefinitionError: The file makes too many.
    """
    found = _created.get()
    if found is None:
        return False
    if len(found) >= MAX_DAGS:
        raise DefinitionError(
            f"the file makes more than {MAX_DAGS:,} DAGs",
            hint="one DAG can run for many regions or customers: give them as --conf, or as tasks",
            code="too-many-dags",
            where=str(dag.place),
        )
    found.append(dag)
    return True


@contextmanager
def collecting() -> Iterator[list[DAG]]:
    """Collect every DAG made inside the block, bound to a name or not; no scope is open at its start."""
    found: list[DAG] = []
    before, scopes = _created.set(found), _open.set(())
    try:
        yield found
    finally:
        _created.reset(before)
        _open.reset(scopes)
