"""Clearing and `rerun-failed` in a chain: what was cleared and is in the way of a repair goes on with it."""

from __future__ import annotations

import pytest
from blackbox.conftest import bfill, forker, new_project, project
from blackbox.world import Project

from app.test_would_block import CHAIN, chain, warning

__all__ = ["bfill", "forker", "new_project", "project"]


@pytest.fixture
def stuck(project: Project) -> Project:
    """The 2nd failed, the 3rd to the 5th are blocked behind it."""
    project.write("dags/chain.py", CHAIN)
    project.breaks("copy", "2024-01-02")
    assert project.bfill("run", *chain("01", "05"), "--json").exits(1).data["blocked"] == 3
    project.mends("copy", "2024-01-02")
    return project


@pytest.mark.parametrize("words", [(), chain("01", "05")])
def test_a_failed_date_that_was_cleared_by_hand_does_not_block_its_own_repair(
    stuck: Project, words: tuple[str, ...]
) -> None:
    stuck.bfill("reset", *chain("02"), "--where", "failed", "--where", "upstream_failed", "--yes").exits(0)
    data = stuck.bfill("rerun-failed", *words, "--json").exits(0).data
    assert (data["total_dates"], data["completed"], data["blocked"]) == (4, 4, 0)
    assert stuck.tries("chain", "stage")["2024-01-02"] == ["success"], "what had succeeded is left alone"


def test_a_date_cleared_between_a_failure_and_what_is_blocked_goes_on_too(stuck: Project) -> None:
    stuck.bfill("rerun-failed").exits(0)
    stuck.breaks("copy", "2024-01-05")
    stuck.bfill("run", *chain("05"), "--reset-dag-run").exits(1)
    stuck.bfill("reset", *chain("04"), "--yes").exits(0)
    stuck.bfill("reset", *chain("01"), "--yes").exits(0)
    stuck.mends("copy", "2024-01-05")
    data = stuck.bfill("rerun-failed", *chain("01", "05"), "--json").exits(0).data
    assert data["total_dates"] == 2, "the 4th is in the way of the 5th; the 1st, before two successes, is in nobody's"
    assert stuck.runs("chain")["2024-01-01"] == "queued"


def test_where_no_task_waits_on_the_past_nothing_is_in_the_way(project: Project) -> None:
    project.write("dags/chain.py", CHAIN.replace("wait_for_downstream=True", "retries=0"))
    project.breaks("copy", "2024-01-03")
    project.bfill("run", *chain("01", "03")).exits(1)
    project.bfill("reset", *chain("02"), "--yes").exits(0)
    project.mends("copy", "2024-01-03")
    assert project.bfill("rerun-failed", *chain("01", "03"), "--json").exits(0).data["total_dates"] == 1
    assert warning(project, *chain("01", "05")) == ("", "")
