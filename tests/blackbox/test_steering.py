"""Live control: a running backfill steered from another terminal, seen from outside and measured."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from blackbox.world import Going, Project, Ran, until

NAPS = """\
with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=16):
    BashOperator(task_id="nap", bash_command="sleep 0.25")
"""
WORDS = ("run", "--dag", "naps", "--start", "2024-01-01", "--json")


@pytest.fixture
def naps(project: Project) -> Project:
    project.write("dags/naps.py", NAPS)
    return project


def begin(project: Project, *words: str, dates: int = 30) -> tuple[Going, str]:
    """Start a backfill of so many dates, and return it with its id once a task of it has ended."""
    going = project.start(*WORDS, "--end", f"2024-01-{dates:02}", *words)
    until(lambda: project.rows("SELECT 1 FROM attempts LIMIT 1"))
    (row,) = project.rows("SELECT backfill_id FROM backfills")
    return going, row["backfill_id"]


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def answered(ran: Ran) -> float:
    return at(ran.exits(0).data["answered_at"])


def begun(project: Project) -> list[float]:
    return [at(one["started_at"]) for one in project.attempts("naps")]


def state_of(project: Project) -> dict[str, str]:
    (row,) = project.rows("SELECT state, reason, owner FROM backfills")
    return row


def test_nothing_begins_behind_the_answer_to_a_pause_and_what_runs_ends_by_itself(naps: Project) -> None:
    going, backfill_id = begin(naps, "--parallel", "3")
    asked = time.time()
    paused = naps.bfill("pause", backfill_id, "--reason", "maintenance", "--json")
    assert answered(paused) - asked < 1
    assert paused.data["state"] == "paused"
    time.sleep(1)
    tries = naps.attempts("naps")
    assert max(begun(naps)) <= answered(paused)
    assert {one["outcome"] for one in tries} == {"success"}
    assert naps.rows("SELECT 1 FROM task_instances WHERE state IN ('queued', 'running')") == []
    stored = state_of(naps)
    assert stored["state"] == "paused"
    assert stored["reason"].endswith("maintenance")
    resumed = naps.bfill("resume", backfill_id, "--json")
    data = going.wait().exits(0).data
    assert (data["completed"], data["state"]) == (30, "success")
    behind = [one for one in begun(naps) if one > answered(paused)]
    assert len(behind) == 30 - len(tries)
    assert 0 <= min(behind) - answered(resumed) < 1
    events = naps.bfill("audit", "--json").data["events"]
    assert [one["action"] for one in events] == ["run", "pause", "resume", "run"]
    assert (events[1]["reason"], events[1]["target"], events[1]["outcome"]) == ("maintenance", backfill_id, "done")
    assert "pause" in " ".join(events[1]["details"]["command"])
    assert naps.bfill("audit", "verify").code == 0
    assert naps.bfill("store", "check").code == 0
