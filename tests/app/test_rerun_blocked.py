"""A blocked date may hold a failure of its own: `rerun-failed` runs that again too, and lets the rest go on."""

from __future__ import annotations

from blackbox.conftest import bfill, forker, new_project, project
from blackbox.world import Project

__all__ = ["bfill", "forker", "new_project", "project"]

DAG = """\
with DAG("chain", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task(depends_on_past=True)
    def chained(ds: str):
        broken("chained", ds)
    @task
    def free(ds: str):
        broken("free", ds)
    chained(), free()
"""
DAYS = [f"2024-01-0{number}" for number in range(1, 4)]


def test_a_failure_on_a_blocked_date_runs_again_too(project: Project) -> None:
    project.write("dags/chain.py", DAG)
    project.breaks("chained", DAYS[0])
    project.breaks("free", DAYS[1])
    data = project.bfill("run", "--dag", "chain", "--start", DAYS[0], "--end", DAYS[2], "--json").exits(1).data
    assert (data["failed"], data["blocked"]) == (1, 2)
    project.mends("chained", DAYS[0])
    project.mends("free", DAYS[1])
    data = project.bfill("rerun-failed", "--json").exits(0).data
    assert (data["total_dates"], data["completed"]) == (3, 3)
    assert project.tries("chain", "free") == {
        DAYS[0]: ["success"],
        DAYS[1]: ["failed", "success"],
        DAYS[2]: ["success"],
    }


def test_run_leaves_the_failure_of_a_blocked_date_alone(project: Project) -> None:
    project.write("dags/chain.py", DAG)
    project.breaks("chained", DAYS[0])
    project.breaks("free", DAYS[1])
    words = ("run", "--dag", "chain", "--start", DAYS[0], "--end", DAYS[2], "--json")
    project.bfill(*words).exits(1)
    project.mends("free", DAYS[1])
    project.bfill(*words).exits(1)
    assert project.tries("chain", "free")[DAYS[1]] == ["failed"]
