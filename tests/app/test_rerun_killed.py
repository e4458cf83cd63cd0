"""A repair that was killed in the middle is what the same command goes on with, however few failures are left."""

from __future__ import annotations

import signal

import pytest
from blackbox.conftest import bfill, forker, new_project, project
from blackbox.world import Project, until

__all__ = ["bfill", "forker", "new_project", "project"]

DAG = """\
HERE = Path(__file__).parent.parent

with DAG("repair", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def work(ds: str):
        broken("work", ds)
        (HERE / f"at.{ds}").touch()
        while (HERE / "wait").exists() and ds == "2024-01-03":
            time.sleep(0.005)
    work()
"""
DAYS = [f"2024-01-0{number}" for number in range(1, 5)]


@pytest.mark.parametrize("words", [(), ("--dag", "repair"), ("--dag", "repair", "--start", DAYS[0], "--end", DAYS[-1])])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_repair_that_was_stopped_in_the_middle_finds_itself(
    project: Project, words: tuple[str, ...], how: signal.Signals
) -> None:
    project.write("dags/repair.py", DAG)
    project.breaks("work", *DAYS)
    failed = project.bfill("run", "--dag", "repair", "--start", DAYS[0], "--end", DAYS[-1], "--json").exits(1).data
    project.mends("work", *DAYS)
    (project.folder / "wait").touch()
    going = project.start("rerun-failed", *words, "--json", env={"BFILL_GRACE_S": "0.1"})
    until((project.folder / f"at.{DAYS[2]}").exists)
    going.signal(how)
    (project.folder / "wait").unlink()
    going.wait()
    data = project.bfill("rerun-failed", *words, "--json").exits(0).data
    assert (data["parent_id"], data["total_dates"], data["completed"]) == (failed["backfill_id"], 4, 4)
    assert project.runs("repair") == dict.fromkeys(DAYS, "success")
