"""Limits of rate: measured from the start times of real tries, in one process and in two, and across a kill."""

from __future__ import annotations

import signal
import time
from datetime import datetime
from itertools import pairwise

import pytest

from blackbox.world import Project

POOLED = """\
for name in ("one", "two"):
    with DAG(name, schedule="@daily", start_date=datetime(2020, 1, 1), max_active_runs=400):
        @task(pool="api")
        def call(): ...
        @task
        def free(): ...
        call()
        free()
"""

WINDOW_S = 4.0
STARTS = 40
"""40 starts in 4 s: the minute of `600/min`, shortened."""


@pytest.fixture
def pooled(project: Project) -> Project:
    project.write("dags/pooled.py", POOLED)
    project.write("bfill.toml", '[pools.api]\nslots = 16\nrate_limit = "40/4s"\n')
    return project


def starts(project: Project, dag_id: str | None = None, task_id: str = "call") -> list[float]:
    """When the tries of a task began, epoch seconds, ascending."""
    rows = project.rows("SELECT dag_id, task_id, started_at FROM v_attempts ORDER BY started_at")
    return [
        datetime.fromisoformat(row["started_at"]).timestamp()
        for row in rows
        if row["task_id"] == task_id and dag_id in (None, row["dag_id"])
    ]


def busiest(times: list[float]) -> int:
    """The most starts in any window of the limit."""
    return max(sum(first <= one < first + WINDOW_S for one in times) for first in times)


def rate(times: list[float]) -> float:
    """Starts a window, over all of them."""
    return (len(times) - 1) / (times[-1] - times[0]) * WINDOW_S


def week(dag_id: str, days: int) -> tuple[str, ...]:
    return "run", "--dag", dag_id, "--start", "2024-01-01", "--limit", str(days), "--parallel", "400"


def test_a_pool_keeps_its_rate_within_5_percent_and_holds_nobody_else(pooled: Project) -> None:
    pooled.bfill(*week("one", 80)).exits(0)
    times = starts(pooled)
    assert len(times) == 80
    assert STARTS * 0.95 <= rate(times) <= STARTS * 1.05
    assert busiest(times) <= STARTS * 1.05
    assert max(starts(pooled, task_id="free")) < times[20], "other tasks waited for the pool's limit"


def test_two_processes_share_the_rate_of_a_pool(pooled: Project) -> None:
    going = [pooled.start(*week(dag_id, 60)) for dag_id in ("one", "two")]
    for one in going:
        one.wait().exits(0)
    times = starts(pooled)
    both = starts(pooled, "one"), starts(pooled, "two")
    assert max(both[0][0], both[1][0]) < min(both[0][-1], both[1][-1]), "they did not run at the same time"
    assert STARTS * 0.95 <= rate(times) <= STARTS * 1.05
    assert busiest(times) <= STARTS * 1.05


def test_a_killed_process_leaves_no_burst_to_the_next(pooled: Project) -> None:
    going = pooled.start(*week("one", 60))
    while not going.says("waiting") or len(starts(pooled)) < 10:
        time.sleep(0.02)
    going.signal(signal.SIGKILL)
    going.wait()
    pooled.bfill("run").exits(0)
    assert busiest(starts(pooled)) <= STARTS * 1.05


def test_a_limit_of_a_task_holds_its_own_tries_alone_retries_included(project: Project) -> None:
    project.write(
        "dags/calls.py",
        """\
        with DAG("calls", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=9):
            @task(rate_limit="5/s", retries=1, retry_delay=timedelta(0))
            def call(ti=None):
                if ti.try_number == 1:
                    raise RuntimeError("once")
            @task
            def free(): ...
            call()
            free()
        """,
    )
    project.bfill("run", "--dag", "calls", "--start", "2024-01-01", "--limit", "8", "--parallel", "8").exits(0)
    times = starts(project)
    assert len(times) == 16
    assert min(after - before for before, after in pairwise(times)) > 0.1
    assert 0.95 * 5 <= 15 / (times[-1] - times[0]) <= 1.05 * 5
    assert starts(project, task_id="free")[-1] < times[4]


def test_a_clock_that_has_been_set_back_stalls_nobody(pooled: Project) -> None:
    """The store says that the next start is in a year: it was written by a clock that was wrong."""
    pooled.bfill(*week("one", 2)).exits(0)
    from blackbox.world import sqlite

    with sqlite().connect(pooled.store) as connection:
        connection.execute("UPDATE rate_limits SET next_at = next_at + 365 * 86400000000")
    connection.close()
    began = time.monotonic()
    pooled.bfill(*week("one", 4)).exits(0)
    assert time.monotonic() - began < 5


def test_whoever_waits_for_a_rate_can_be_stopped_and_is_told(pooled: Project) -> None:
    pooled.write("bfill.toml", '[pools.api]\nrate_limit = "1/h"\n')
    going = pooled.start(*week("one", 3), "--max-duration", "2s", "--json")
    ran = going.wait(20).exits(1)
    assert (ran.data["state"], ran.data["completed"]) == ("interrupted", 1)
    assert "rate limit 1/h of pool api" in ran.err
    going = pooled.start("run")
    while not going.says("rate limit 1/h of pool api"):
        time.sleep(0.02)
    going.signal(signal.SIGTERM)
    assert going.wait(10).code == 143


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[pools.api]\nrate_limit = "often"\n', "rate_limit = 'often'"),
        ("[pools.api]\nrate = 5\n", "rate_limit"),
        ("[pools]\napi = true\n", "pool api = True"),
    ],
)
def test_a_limit_that_is_none_is_refused_with_its_place(pooled: Project, text: str, told: str) -> None:
    pooled.write("bfill.toml", text)
    pooled.bfill(*week("one", 1)).says(3, "bfill.toml:1", told)


def test_a_limit_of_a_task_that_is_none_is_refused_with_its_place(project: Project) -> None:
    project.write(
        "dags/calls.py",
        """\
        with DAG("calls", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="call", bash_command="true", rate_limit="7/never")
        """,
    )
    project.bfill("run", "--dag", "calls", "--start", "2024-01-01").says(3, "calls.py:13", "7/never", "100/min")
