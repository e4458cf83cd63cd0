"""Backends by name: which there are, what is refused, and somebody else's executor (style.md section 5)."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor

import pytest
from builders import make_task

from backfill_cli.core.graph import Dag
from backfill_cli.core.invocations import AttemptReport, DagRef, Invocation
from backfill_cli.engine.attempt import Bench
from backfill_cli.engine.backends import Backends, Elsewhere, InProcesses, InThreads, check_backend, load_executor
from backfill_cli.errors import BackendError


def make_threads(workers: int) -> Executor:
    return ThreadPoolExecutor(workers)


def make_nonsense(workers: int) -> object:
    return workers


def make_trouble(workers: int) -> Executor:
    raise RuntimeError("no cluster here")


def _never(_invocation: Invocation) -> AttemptReport:
    raise AssertionError


def _no_dag(_ref: DagRef) -> Dag:
    raise AssertionError


def make_backends(default: str) -> Backends:
    return Backends(default, 2, recipe=None, bench=Bench(dag_of=_no_dag), remote=_never)


def test_a_task_runs_where_it_says_and_else_where_the_command_says() -> None:
    backends = make_backends("thread")
    try:
        assert isinstance(backends(make_task("a")), InThreads)
        assert isinstance(backends(make_task("b", executor="process")), InProcesses)
        assert isinstance(backends(make_task("c", executor="test_backends:make_threads")), Elsewhere)
        assert backends(make_task("d")) is backends(make_task("a"))
    finally:
        backends.shutdown(wait=True)


def test_an_unknown_executor_is_refused_with_near_names() -> None:
    with pytest.raises(BackendError, match="executor 'threads' is not known") as caught:
        check_backend("threads")
    assert caught.value.exit_code == 8
    assert caught.value.hint == "did you mean 'thread'? Or package.module:factory"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("test_backends:make_trouble", "RuntimeError: no cluster here"),
        ("test_backends:absent", "AttributeError"),
        ("no_such_module_at_all:make", "ModuleNotFoundError"),
        ("test_backends:make_nonsense", "made a int, which has no submit"),
    ],
)
def test_a_factory_that_fails_is_one_clear_error(name: str, says: str) -> None:
    with pytest.raises(BackendError, match=says):
        load_executor(name, 2)
