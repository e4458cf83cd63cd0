"""Promise 1: after SIGKILL at any instant the same command ends with every date in exactly one final state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from blackbox.world import Forker, Project

from promises.callkills import Template, killed_once, small
from promises.harness import Trials, caught, mutated
from promises.killstories import tell
from promises.strace import needs_strace

NewProject = Callable[[], Project]

STRIDE = 7_919
"""A prime: consecutive seeds meet calls all over a run, and as many seeds as calls meet each once."""


@pytest.mark.promise(1, short=24, long=500)
def test_commands_killed_at_random_instants_end_as_if_nobody_had_killed_them(
    trials: Trials, new_project: NewProject
) -> None:
    for trial in trials:
        tell(new_project(), trial, trials.see)
    if trials.count > 10:
        for whom in ("the process alone", "the whole tree", *(("a child",) if trials.count >= 100 else ())):
            assert trials.seen[f"killed {whom}"]
        assert trials.seen["kills"] >= trials.count
        assert trials.seen["hit while the store was open for writing"] > trials.seen["kills"] / 3


@needs_strace
@pytest.mark.parametrize("prepare", [small, killed_once], ids=["a first run", "a run that recovers a killed one"])
@pytest.mark.promise(1, short=8, long=100_000)
def test_a_kill_at_every_write_and_sync(
    trials: Trials, new_project: NewProject, prepare: Callable[[Project], Project]
) -> None:
    """With as many trials as there are calls each is met once; fewer are a sample, and the seed says which."""
    template = Template(prepare(new_project()))
    trials.see("calls", len(template.spots))
    trials.count = min(trials.count, len(template.spots))
    for trial in trials:
        template.kill_at(template.spots[trial.seed * STRIDE % len(template.spots)], trial, trials.see)
    assert trials.seen["not met"] <= trials.count / 4, trials.seen


@needs_strace
@pytest.mark.promise(1, short=2, long=40)
def test_a_kill_at_a_write_of_the_program_itself(trials: Trials, new_project: NewProject) -> None:
    """The others are forks of a warm process; here the interpreter starts, too."""
    template = Template(small(new_project()))
    for trial in trials:
        spot = template.spots[trial.seed * STRIDE % len(template.spots)]
        template.kill_at(spot, trial, trials.see, real=True)
    assert trials.seen["killed"]


@pytest.fixture
def mutant(request: pytest.FixtureRequest, new_project: NewProject, tmp_path: Path) -> Iterator[NewProject]:
    """A function that makes projects in which a mutant of bfill runs."""
    copy = mutated(request.param, tmp_path)
    with closing(Forker(copy)) as forker:

        def make() -> Project:
            project = new_project()
            project.forker = forker
            project.env["PYTHONPATH"] = str(copy)
            return project

        yield make


@pytest.mark.long
@pytest.mark.promise(1)
@pytest.mark.parametrize(
    "mutant",
    ["dead-owner-keeps-its-dates", "lost-tries-count-as-done", "successes-run-again", "recovered-tries-unlisted"],
    indirect=True,
)
def test_random_kills_catch(mutant: NewProject) -> None:
    caught(lambda trial: tell(mutant(), trial, _unseen))


@needs_strace
@pytest.mark.long
@pytest.mark.promise(1)
@pytest.mark.parametrize("mutant", ["submit-before-commit", "no-transaction"], indirect=True)
def test_kills_at_system_calls_catch(mutant: NewProject) -> None:
    template = Template(small(mutant()))
    caught(lambda trial: template.kill_at(template.spots[trial.seed * STRIDE % len(template.spots)], trial, _unseen))


def _unseen(_: str, __: int = 1) -> None:
    pass
