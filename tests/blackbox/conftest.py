"""A project in a private folder, the real command line in it, and the Python service over the same store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from blackbox.throttled_server import CALLS, Throttled, throttled
from blackbox.world import Forker, Project

Bfill = Callable[..., Any]


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    forker = Forker()
    yield forker
    forker.close()


@pytest.fixture(scope="session")
def new_project(forker: Forker, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Project]:
    """A function that makes a project; tests that share one make it in a fixture of their module."""

    def make() -> Project:
        base = tmp_path_factory.mktemp("project")
        folder, streams = base / "work", base / "streams"
        (folder / "dags").mkdir(parents=True)
        streams.mkdir()
        return Project(forker, folder, streams)

    return make


@pytest.fixture
def project(new_project: Callable[[], Project]) -> Project:
    return new_project()


@pytest.fixture
def bfill(project: Project) -> Bfill:
    """`bfill(*words)`: one command line in the project, to its end."""
    return project.bfill


@pytest.fixture
def inside(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The project as the working directory of this process, for the Python service."""
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = list(sys.path)
    yield project
    sys.path[:] = before


@pytest.fixture
def sales(project: Project) -> Path:
    """The DAG `sales`."""
    from blackbox.world import SALES

    return project.write("dags/sales.py", SALES)


@pytest.fixture
def server() -> Iterator[Throttled]:
    """An HTTP server that defends itself."""
    with throttled() as server:
        yield server


@pytest.fixture
def calls(project: Project, server: Throttled) -> Project:
    """A DAG `calls` whose task `call`, of the pool `api`, asks that server; another one, `free`, does not."""
    project.write("dags/calls.py", CALLS)
    project.env["URL"] = f"{server.url}/"
    return project
