"""Where tries run: a table from name to executor factory; the interface is `concurrent.futures.Executor`.

Owns the choice and nothing of the loop: no backend has a name in `coordinator.py`. Threads are the default. Processes
and third-party executors join as further rows, or as `package.module:factory`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

from backfill_cli.core.graph import near_hint
from backfill_cli.errors import BackendError

Factory = Callable[[int], Executor]


def _threads(workers: int) -> Executor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(workers, thread_name_prefix="bfill")


BACKENDS: dict[str, Factory] = {"thread": _threads}


def make_executor(name: str, workers: int) -> Executor:
    """Return a new executor of that name with so many workers, started on demand.

    Raises:
        BackendError: No backend of that name, or its factory fails.
    """
    factory = BACKENDS.get(name)
    if factory is not None:
        return factory(workers)
    raise BackendError(f"executor '{name}' is not known", hint=near_hint(name, BACKENDS), code="unknown-executor")
