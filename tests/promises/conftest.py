"""The tests of what bfill promises: how many trials, from which seed, and the figures they show.

A few trials of each run with every other test; `--long` runs as many as docs/promises.md speaks of. A failure says how
to replay the trial it was seen in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from blackbox.conftest import bfill, forker, inside, new_project, project, sales
from blackbox.world import Forker, Project

from promises.abreast import Abreast
from promises.harness import Trials, mutated
from promises.tampering import World

__all__ = ["bfill", "forker", "inside", "new_project", "project", "sales"]

_TRIALS = pytest.StashKey[Trials]()
_FIGURES = pytest.StashKey[list[dict[str, Any]]]()


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> Trials:
    """The trials of this test, as `@pytest.mark.promise(number, short=…, long=…)` says, or `--trials`, `--seed`."""
    mark = request.node.get_closest_marker("promise")
    assert mark is not None, (
        "a test with trials says which promise it is about: @pytest.mark.promise(1, short=60, long=1000)"
    )
    option = request.config.getoption
    count = option("--trials") or mark.kwargs["long" if option("--long") else "short"]
    made = request.node.stash[_TRIALS] = Trials(count, option("--seed"))
    return made


@pytest.fixture(scope="session")
def history_world(forker: Forker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A long history that the tests of promises 6 and 15 tamper with, copy by copy."""
    world = World(tmp_path_factory.mktemp("history"), forker)
    yield world
    world.close()


@pytest.fixture(scope="session")
def abreast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Abreast]:
    """Runs trials that wait more than they compute beside each other."""
    made = Abreast(tmp_path_factory.mktemp("abreast"))
    yield made
    made.close()


@pytest.fixture
def mutant(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Forker]:
    """The command line of a mutant, named by `parametrize("mutant", …, indirect=True)`."""
    with closing(Forker(mutated(request.param, tmp_path))) as forker:
        yield forker


@pytest.fixture
def new_mutant(mutant: Forker, new_project: Callable[[], Project]) -> Callable[[], Project]:
    """A function that makes a project whose bfill is the mutant."""

    def make() -> Project:
        project = new_project()
        project.forker = mutant
        return project

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: Any = yield
    mark = item.get_closest_marker("promise")
    trials = item.stash.get(_TRIALS, None)
    if report.failed and trials is not None and trials.current is not None:
        again = f"python -m pytest '{item.nodeid}' --trials 1 --seed {trials.current.seed}"
        report.sections.append(("replay", f"trial {trials.current.number}, seed {trials.current.seed}: {again}"))
    # A skipped test is a figure too: nobody should think it was shown.
    if mark is not None and (report.when == "call" or report.skipped):
        figure = {
            "promise": mark.args[0],
            "test": item.nodeid,
            "outcome": report.outcome,
            "trials": trials.count if trials else 1,
            "seconds": round(report.duration, 1),
            "seen": dict(trials.seen) if trials else {},
        }
        item.config.stash.setdefault(_FIGURES, []).append(figure)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--figures")
    if path:
        figures = session.config.stash.get(_FIGURES, [])
        Path(path).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
