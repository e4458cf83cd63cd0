"""What a plan says of dates that would be blocked is what a run then does, whatever has become of the dates before."""

from __future__ import annotations

import random
import re

import pytest
from blackbox.conftest import bfill, forker, new_project, project
from blackbox.world import Project

from app.test_would_block import CHAIN

__all__ = ["bfill", "forker", "new_project", "project"]

LAST = 8
TASKS = ("stage", "copy", "tell")
HEALING = CHAIN.replace('run("tell")', 'run("tell", trigger_rule="all_done")')
BOTH = CHAIN.replace('run("copy")', 'run("copy", depends_on_past=True)')


def some_range(dice: random.Random) -> tuple[str, ...]:
    first, last = sorted(dice.choices(range(1, LAST + 1), k=2))
    return ("--dag", "chain", "--start", f"2024-01-{first:02}", "--end", f"2024-01-{last:02}")


@pytest.mark.parametrize("seed", range(8))
def test_a_plan_foretells_which_dates_are_blocked(project: Project, seed: int) -> None:
    """A random history: dates that failed in any task, were cleared in part or run in part, and dates never run."""
    dice = random.Random(seed)
    project.write("dags/chain.py", dice.choice((CHAIN, HEALING, BOTH)))
    broken = [(dice.choice(TASKS), f"2024-01-{dice.randint(1, LAST):02}") for _ in range(3)]
    for task_id, day in set(broken):
        project.breaks(task_id, day)
    for _ in range(3):
        project.bfill("run", *some_range(dice), "--parallel", "3", "--reprocess", dice.choice(["failed", "success"]))
        if dice.random() < 0.6:
            project.bfill("reset", *some_range(dice), "--task", dice.choice(TASKS), "--yes")
    for task_id, day in set(broken):
        project.mends(task_id, day)

    words = some_range(dice)
    flags = dice.choice([(), ("--reprocess", "failed"), ("--reprocess", "all"), ("--reset-dag-run",)])
    plan = project.bfill("plan", *words, *flags, "--dry-run", "--json").exits(0).data
    warned = [one["message"] for one in plan["warnings"] if one["code"] == "would-block"]
    behind = [re.search(r" and (up to )?(\d+) dates? behind it", one) for one in warned]
    most = len(warned) + sum(int(found[2]) for found in behind if found)
    least = len(warned) + sum(int(found[2]) for found in behind if found and not found[1])
    blocked = project.bfill("run", *words, *flags, "--parallel", "3", "--json").data["blocked"]
    assert least <= blocked
    if len(warned) < 3:  # no more than three are named
        assert blocked <= most, warned
