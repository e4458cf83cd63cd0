"""Where tries run: a table from name to backend. A worker that vanishes becomes a `lost` report here.

Owns the choice, by task, and nothing of the loop: no backend has a name in `coordinator.py`. `thread` runs a try in
this process (`threads.py`). `process` runs Python work in child processes, so that timeouts and cancellation really
end it; shell and SQL work has its own process group or connection and stays in threads. `package.module:factory` takes
anybody's `concurrent.futures.Executor`, made by `factory(workers)`; what it gets are plain values that pickle.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from typing import Protocol

from backfill_cli import clock
from backfill_cli.core.graph import Task, join_hints, near_hint
from backfill_cli.core.invocations import AttemptReport, Invocation
from backfill_cli.core.work import PythonWork
from backfill_cli.engine.attempt import Bench
from backfill_cli.engine.messages import Tell, lost, started
from backfill_cli.engine.threads import InThreads
from backfill_cli.errors import BackendError, BfillError

Remote = Callable[[Invocation], AttemptReport]
"""Runs a try on a machine that has nothing but the invocation; a module-level function, or a partial of one."""


class Backend(Protocol):
    """Takes tries, and is shut down at the end."""

    def submit(self, invocation: Invocation, task: Task, bench: Bench, tell: Tell) -> None:
        """Start a try when there is a worker for it, and tell how it ended. Raises RuntimeError when it never will."""
        ...

    def shutdown(self, *, wait: bool) -> None:
        """Take nothing more; with `wait`, return when what runs has ended."""
        ...


class InProcesses:
    """Python work runs in child processes, all other work in threads."""

    def __init__(self, workers: int, recipe: object, bench: Bench) -> None:
        from backfill_cli.engine.processes import ProcessExecutor

        self._processes = ProcessExecutor(workers, recipe, bench.register, bench.lineage)
        self._threads = InThreads(workers)

    def submit(self, invocation: Invocation, task: Task, bench: Bench, tell: Tell) -> None:
        if not isinstance(task.work, PythonWork) or task.work.decides == "shell":
            self._threads.submit(invocation, task, bench, tell)
            return
        future = self._processes.submit(self._processes.run, invocation, task, lambda: tell(started(invocation)))
        _tell_end(future, invocation, tell)

    def shutdown(self, *, wait: bool) -> None:
        self._processes.shutdown(wait=wait, cancel_futures=True)
        self._threads.shutdown(wait=wait)


class Elsewhere:
    """Tries run wherever somebody else's executor takes them."""

    def __init__(self, executor: Executor, remote: Remote) -> None:
        self._executor = executor
        self._remote = remote

    def submit(self, invocation: Invocation, task: Task, bench: Bench, tell: Tell) -> None:
        _tell_end(self._executor.submit(self._remote, invocation), invocation, tell)

    def shutdown(self, *, wait: bool) -> None:
        self._executor.shutdown(wait=wait, cancel_futures=True)


class Backends:
    """The backends of one run, each made when the first task asks for it.

    Args:
        default: The name for tasks that choose none.
        workers: Tries at once, in each backend.
        recipe: What a process of its own makes its bench from.
        bench: This process's.
        remote: What somebody else's executor runs.
    """

    def __init__(self, default: str, workers: int, *, recipe: object, bench: Bench, remote: Remote) -> None:
        self._default = default
        self._workers = workers
        self._recipe = recipe
        self._bench = bench
        self._remote = remote
        self._made: dict[str, Backend] = {}

    def __call__(self, task: Task) -> Backend:
        """Return the backend of a task. Raises BackendError when it cannot be made."""
        name = task.executor or self._default
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def shutdown(self, *, wait: bool) -> None:
        for backend in self._made.values():
            backend.shutdown(wait=wait)

    def _make(self, name: str) -> Backend:
        if name == "thread":
            return InThreads(self._workers)
        if name == "process":
            return InProcesses(self._workers, self._recipe, self._bench)
        return Elsewhere(load_executor(name, self._workers), self._remote)


NAMES = ("thread", "process")


def check_backend(name: str) -> None:
    """Refuse a name that is no backend. Raises BackendError."""
    if name not in NAMES and ":" not in name:
        raise BackendError(
            f"executor '{name}' is not known",
            hint=join_hints(near_hint(name, NAMES), "or package.module:factory"),
            code="unknown-executor",
        )


def load_executor(name: str, workers: int) -> Executor:
    """Return what `package.module:factory` makes, given the number of workers. Raises BackendError."""
    from importlib import import_module

    check_backend(name)
    module, _, attribute = name.partition(":")
    try:
        executor = getattr(import_module(module), attribute)(workers)
    except BfillError:
        raise
    except Exception as error:
        raise BackendError(
            f"executor '{name}' cannot start: {type(error).__name__}: {error}",
            hint="the factory takes the number of workers and returns a concurrent.futures.Executor",
            code="executor-start",
        ) from error
    if not hasattr(executor, "submit"):
        raise BackendError(
            f"executor '{name}' made a {type(executor).__name__}, which has no submit",
            hint="return a concurrent.futures.Executor",
            code="executor-start",
        )
    made: Executor = executor
    return made


def _tell_end(future: Future[AttemptReport], invocation: Invocation, tell: Tell) -> None:
    """Tell the report that a future comes to, or that its worker vanished."""

    def take(done: Future[AttemptReport]) -> None:
        # Asked for, not raised: whatever leaves a done-callback that is no Exception takes the report with it.
        error = CancelledError("cancelled before it began") if done.cancelled() else done.exception()
        tell(done.result() if error is None else lost(invocation, clock.now_us(), error))

    future.add_done_callback(take)
