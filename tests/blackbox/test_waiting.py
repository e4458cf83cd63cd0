"""`status` from another terminal: what each task of a running backfill waits for, in words and numbers."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from blackbox.world import Going, Project, until

DAG_FILE = """\
with DAG("calls", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=2):
    @task(retries=1, retry_delay=timedelta(minutes=5))
    def flaky(ds: str):
        if ds == "2024-01-02":
            raise RuntimeError("not yet")
    @task(pool="api", pool_slots=2)
    def call():
        time.sleep(30)
    @task
    def behind():
        pass
    flaky()
    call() >> behind()
"""


@pytest.fixture
def going(project: Project) -> Iterator[Going]:
    """Three dates of which two are open, a pool in which one of them fits, and another process that has the rest."""
    project.bfill("pools", "set", "api", "3").exits(0)
    project.write("dags/calls.py", DAG_FILE)
    going = project.start("run", "--dag", "calls", "--start", "2024-01-01", "--end", "2024-01-03", "--parallel", "5")
    yield going
    going.signal(signal.SIGINT)
    going.signal(signal.SIGINT)
    going.wait()


def waits_for(data: dict[str, Any]) -> dict[tuple[str, str], str | None]:
    return {
        (run["logical_date"][8:10], task_id): view["waits_for"]
        for run in data["runs"]
        for task_id, view in run["tasks"].items()
    }


def test_every_task_that_has_not_run_says_what_it_waits_for(project: Project, going: Going) -> None:
    (backfill,) = until(lambda: project.rows("SELECT backfill_id FROM backfills"))
    words = ("status", backfill["backfill_id"])

    def settled() -> Any:
        data = project.bfill(*words, "--json").exits(0).data
        return data if any("pool api" in one["reason"] for one in data["waiting"]) else None

    data = until(settled)
    told = waits_for(data)
    assert told["01", "call"] is None, "it runs"
    assert told["02", "call"] == "pool api: needs 2, 1 of 3 free"
    assert told["01", "behind"] == told["02", "behind"] == "the tasks before it"
    assert re.fullmatch(r"its next try, in \d+ s \(RuntimeError: not yet\)", told["02", "flaky"] or "")
    assert told["03", "call"] == "its date to begin: 2 run together"
    assert {one["reason"]: one["tasks"] for one in data["waiting"]} == {
        "pool api: needs 2, 1 of 3 free": 1,
        "the next try": 1,
    }
    explained = project.bfill("explain", "2024-01-03", "--dag", "calls").exits(0).out
    assert "all rules allow it; it waits for its date to begin: 2 run together" in explained
    screen = project.bfill(*words).exits(0).out
    assert "waiting   1 task for pool api: needs 2, 1 of 3 free" in screen
    assert re.search(r" 1 task for the next try, in \d+ s \(RuntimeError: not yet\)", screen)
    by_range = project.bfill("status", "--dag", "calls", "--json").exits(0).data
    assert waits_for(by_range)["02", "call"] == "pool api: needs 2, 1 of 3 free"
    assert_no_gap_is_what_a_process_comes_to(project, backfill["backfill_id"])
    assert project.rows("SELECT count(*) AS n FROM waits") == [{"n": 1}]


def assert_no_gap_is_what_a_process_comes_to(project: Project, backfill_id: str) -> None:
    """Whoever believed that it is missing would type a command that is refused: another process holds it."""
    words = ("status", "--dag", "calls", "--start", "2024-01-01", "--end", "2024-01-04")
    data = project.bfill(*words, "--json").exits(0).data
    assert data["counts"] == {"running": 2, "remaining": 1, "missing": 1}
    assert waits_for(data)["03", "call"] == "its date to begin: 2 run together"
    assert [gap["start"][:10] for gap in data["gaps"]] == ["2024-01-04"]
    assert project.bfill(*words).out.splitlines()[-1] == f" next: bfill status {backfill_id} --watch"
    (left,) = project.bfill(*words, "--where", "remaining", "--json").exits(0).data["runs"]
    assert left["logical_date"][:10] == "2024-01-03"


def test_who_has_the_rest_is_named(project: Project, going: Going) -> None:
    (first,) = until(lambda: project.rows("SELECT backfill_id FROM backfills"))
    until(lambda: project.rows("SELECT * FROM pool_leases WHERE pool = 'api' AND used = 2"))
    other = project.start("run", "--dag", "calls", "--dates", "2024-01-09")
    said = f"pool api: needs 2, 1 of 3 free; {first['backfill_id']} holds 2"

    def told() -> Any:
        ids = [row["backfill_id"] for row in project.rows("SELECT backfill_id FROM backfills")]
        return said in [
            one["reason"] for name in ids for one in project.bfill("status", name, "--json").data["waiting"]
        ]

    until(told)
    other.signal(signal.SIGINT)
    other.wait()


def test_a_pool_with_room_is_not_what_a_full_dag_run_waits_for(project: Project) -> None:
    """It said `pool default_pool: needs 1, 0 of 128 free` with four of them taken: the lease was all it could use."""
    project.write(
        "dags/wide.py",
        """
        with DAG("wide", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_tasks=2):
            for n in range(4):
                BashOperator(task_id=f"t{n}", bash_command=f"until test -e {os.getcwd()}/go; do sleep 0.05; done")
        """,
    )
    going = project.start("run", "--dag", "wide", "--start", "2024-01-01", "--end", "2024-01-02", "--parallel", "2")
    words = ("status", "--dag", "wide", "--json")
    waiting = until(lambda: (found := project.bfill(*words).exits(0).data["waiting"]) and found)
    assert waiting == [{"reason": "max_active_tasks: 2 a dag_run", "tasks": 4}]
    (pool,) = project.bfill("pools", "list", "--json").exits(0).data["pools"]
    assert (pool["taken"], pool["waiting"]) == (4, 0)
    project.write("go", "")
    going.wait().exits(0)


def test_when_nothing_runs_nothing_is_said_to_wait(project: Project) -> None:
    project.write("dags/calls.py", DAG_FILE.replace("time.sleep(30)", "pass").replace("retries=1", "retries=0"))
    project.bfill("pools", "set", "api", "3").exits(0)
    project.bfill("run", "--dag", "calls", "--start", "2024-01-01", "--end", "2024-01-03").exits(1)
    data = project.bfill("status", "--dag", "calls", "--json").data
    assert data["waiting"] == []
    assert set(waits_for(data).values()) == {None}
    assert project.rows("SELECT * FROM waits") == []
