"""What `reset` says of the dates behind those it clears, in a DAG that waits on the past."""

from __future__ import annotations

import shlex

import pytest
from blackbox.conftest import bfill, forker, new_project, project
from blackbox.world import Project

from app.test_would_block import CHAIN, chain

__all__ = ["bfill", "forker", "new_project", "project"]


@pytest.fixture
def done(project: Project) -> Project:
    """Four days are done."""
    project.write("dags/chain.py", CHAIN)
    project.bfill("run", *chain("01", "04")).exits(0)
    return project


def notes(project: Project, *words: str) -> dict[str, str]:
    return project.bfill("reset", *words, "--yes", "--json").exits(0).problems


def test_later_dates_that_waited_for_what_is_cleared_are_named_with_the_command_that_clears_them_too(
    done: Project,
) -> None:
    found = notes(done, *chain("02"), "--task", "stage", "--downstream")
    message, _, hint = found["later-dates"].partition(" | ")
    assert message == "2024-01-03 and what follows it stay as they are; they waited for the stage of what is cleared"
    command = "bfill reset --dag chain --start 2024-01-02 --end 2024-01-04 --task stage --downstream"
    assert hint == f"if they build on it, clear them too: {command}"
    assert "later-dates" not in notes(done, *shlex.split(command)[2:])
    assert set(done.runs("chain").values()) == {"success", "queued"}


def test_a_downstream_cleared_without_the_task_that_fed_it_is_warned_about(done: Project) -> None:
    found = notes(done, *chain("02"), "--task", "copy")
    assert found["run-over"].startswith("stage of 2024-01-03 has run since, so copy of 2024-01-02 may find what that")
    assert "--task stage --downstream" in found["run-over"]
    assert "run-over" not in notes(done, *chain("02"), "--task", "stage", "--downstream")


def test_it_makes_no_difference_that_later_dates_are_cleared_in_the_same_way(done: Project) -> None:
    """All four copies cleared: each would find what the last stage has left."""
    assert notes(done, *chain("01", "04"), "--task", "copy")["run-over"].startswith("stage of 2024-01-02 has run since")


def test_what_counts_is_which_date_ran_last_and_not_which_is_later(done: Project) -> None:
    """The 2nd and 3rd ran again: what the 4th had left is gone, and the 3rd's is there."""
    notes(done, *chain("02", "03"))
    done.bfill("run", *chain("01", "04")).exits(0)
    assert notes(done, *chain("04"), "--task", "copy")["run-over"].startswith("stage of 2024-01-03 has run since")
    assert notes(done, *chain("03"), "--task", "copy") == {}


@pytest.mark.parametrize("words", [chain("04"), (*chain("02"), "--task", "tell"), chain("01", "04")])
def test_nothing_is_said_where_nothing_later_has_run_over_it(done: Project, words: tuple[str, ...]) -> None:
    """The last date; a task that nobody waits for; every date at once, so that nothing later is left."""
    assert notes(done, *words) == {}


def test_nothing_is_said_of_a_later_date_whose_task_has_not_run(done: Project) -> None:
    notes(done, *chain("03", "04"))
    assert "later-dates" not in notes(done, *chain("02"))


def test_nothing_is_said_in_a_dag_that_does_not_wait(project: Project) -> None:
    project.write("dags/chain.py", CHAIN.replace("wait_for_downstream=True", "retries=0"))
    project.bfill("run", *chain("01", "03")).exits(0)
    assert notes(project, *chain("02")) == {}
