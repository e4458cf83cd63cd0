"""What ran again after a kill is listed by whoever runs it again, whichever command found the dead process out."""

from __future__ import annotations

import signal
from typing import Any

from blackbox.conftest import bfill, forker, new_project, project
from blackbox.world import Project, until

__all__ = ["bfill", "forker", "new_project", "project"]

DAG = """\
HERE = Path(__file__).parent.parent

with DAG("again", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def work(ds: str):
        (HERE / f"at.{ds}").touch()
        while (HERE / "wait").exists():
            time.sleep(0.005)
    work()
"""
WORDS = ("run", "--dag", "again", "--start", "2024-01-01", "--end", "2024-01-03", "--parallel", "2", "--json")


def killed_with_two_open(project: Project) -> None:
    project.write("dags/again.py", DAG)
    (project.folder / "wait").touch()
    going = project.start(*WORDS)
    until(lambda: len(list(project.folder.glob("at.*"))) == 2)
    going.signal(signal.SIGKILL)
    going.wait()
    (project.folder / "wait").unlink()


def days(data: dict[str, Any]) -> list[str]:
    assert {(one["task_id"], one["lost_try"]) for one in data["reexecuted"]} <= {("work", 1)}
    return [one["logical_date"][8:10] for one in data["reexecuted"]]


def test_a_reset_that_recovers_the_dead_process_does_not_swallow_what_was_lost(project: Project) -> None:
    killed_with_two_open(project)
    project.bfill("reset", "--dag", "again", "--dates", "2024-01-01", "--yes", "--json").exits(0)
    assert days(project.bfill(*WORDS).exits(0).data) == ["01", "02"]


def test_what_another_backfill_ran_again_is_listed_by_it_and_by_the_one_that_lost_it(project: Project) -> None:
    killed_with_two_open(project)
    other = project.bfill(*WORDS[:3], "--dates", "2024-01-02", "--json").exits(0).data
    assert days(other) == ["02"]
    data = project.bfill(*WORDS).exits(0).data
    assert days(data) == ["01", "02"]
    for backfill, found in ((data, ["01", "02"]), (other, ["02"])):
        assert days(project.bfill("status", backfill["backfill_id"], "--json").exits(0).data) == found
    assert days(project.bfill("status", "--dag", "again", "--last", "1d", "--json").exits(0).data) == []
    assert "2 tasks ran again after an interruption" in project.bfill("status", data["backfill_id"]).out


def test_what_was_lost_and_has_not_run_again_yet_is_not_listed(project: Project) -> None:
    killed_with_two_open(project)
    (killed,) = project.bfill("status", "--json").exits(0).data["backfills"]
    assert days(project.bfill("status", killed["backfill_id"], "--json").exits(0).data) == []
    project.bfill(*WORDS[:3], "--dates", "2024-01-03", "--json").exits(0)
    assert days(project.bfill("status", killed["backfill_id"], "--json").exits(0).data) == []


def test_a_clean_run_lists_nothing(project: Project) -> None:
    project.write("dags/again.py", DAG)
    assert days(project.bfill(*WORDS).exits(0).data) == []
