"""Contract section 4: which dates are selected, and what happens to each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from blackbox.world import SALES, Project

HOURLY = """\
with DAG("hourly", schedule="@hourly", start_date=datetime(2024, 1, 1), timezone="Europe/Paris"):
    EmptyOperator(task_id="tick")
with DAG("manual", schedule=None):
    EmptyOperator(task_id="tick")
with DAG("unbounded", schedule="@daily"):
    EmptyOperator(task_id="tick")
with DAG("bounded", schedule="@daily", start_date=datetime(2024, 1, 5), end_date=datetime(2024, 1, 8)):
    EmptyOperator(task_id="tick")
with DAG("weekly", schedule="@weekly", start_date=datetime(2024, 1, 1)):
    EmptyOperator(task_id="tick")
with DAG("recent", schedule="@daily", start_date=datetime(2020, 1, 1)):
    EmptyOperator(task_id="tick")
with DAG("half_hourly", schedule="*/30 * * * *", start_date=datetime(2020, 1, 1)):
    EmptyOperator(task_id="tick")
"""


@pytest.fixture(scope="module")
def project(new_project: Callable[[], Project]) -> Project:
    project = new_project()
    project.write("dags/many.py", HOURLY)
    return project


def planned(project: Project, dag_id: str, *words: str) -> list[str]:
    data = project.bfill("plan", "--dag", f"dags/many.py:{dag_id}", *words, "--dry-run", "--json").exits(0).data
    assert data["total"] == len(data["runs"])
    return [one["logical_date"][:16] for one in data["runs"]]


def today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def test_both_ends_are_included_and_a_date_means_the_whole_day_in_the_dags_zone(project: Project) -> None:
    found = planned(project, "hourly", "--start", "2024-01-07", "--end", "2024-01-07")
    assert (len(found), found[0], found[-1]) == (24, "2024-01-06T23:00", "2024-01-07T22:00")


def test_an_instant_is_exact(project: Project) -> None:
    found = planned(project, "hourly", "--start", "2024-01-07T05:00Z", "--end", "2024-01-07T08:00+01:00")
    assert found == ["2024-01-07T05:00", "2024-01-07T06:00", "2024-01-07T07:00"]


def test_start_alone_reaches_the_last_complete_interval(project: Project) -> None:
    found = planned(project, "recent", "--start", (today() - timedelta(days=3)).date().isoformat())
    assert found == [(today() - timedelta(days=days)).isoformat()[:16] for days in (3, 2, 1)]


def test_end_alone_begins_at_the_dags_start_date_and_without_one_is_refused(project: Project) -> None:
    assert planned(project, "bounded", "--end", "2024-01-06") == ["2024-01-05T00:00", "2024-01-06T00:00"]
    project.bfill("plan", "--dag", "dags/many.py:unbounded", "--end", "2024-01-06").says(2, "start_date", "--start")


def test_last_takes_whole_days_up_to_today_and_hours_from_now(project: Project) -> None:
    assert planned(project, "recent", "--last", "30d") == [
        (today() - timedelta(days=days)).isoformat()[:16] for days in range(30, 0, -1)
    ]
    assert planned(project, "recent", "--last", "3d", "--end", "2024-02-10") == [
        "2024-02-08T00:00",
        "2024-02-09T00:00",
        "2024-02-10T00:00",
    ]
    assert 11 <= len(planned(project, "half_hourly", "--last", "6h")) <= 12


def test_dates_take_every_logical_date_of_a_day_and_an_instant_is_one(project: Project) -> None:
    found = planned(project, "hourly", "--dates", "2024-01-09,2024-01-07T05:00")
    assert (len(found), found[0]) == (25, "2024-01-07T04:00")
    project.write("days.txt", "2024-01-15  # a comment\n\n2024-01-14\n", head="")
    assert planned(project, "unbounded", "--dates-from", "days.txt") == ["2024-01-14T00:00", "2024-01-15T00:00"]
    ran = project.bfill("plan", "--dag", "dags/many.py:unbounded", "--dates-from", "-", "--json", stdin="2024-01-14\n")
    assert ran.exits(0).data["total"] == 1


def test_a_date_without_a_logical_date_is_refused_with_its_neighbours(project: Project) -> None:
    project.bfill("plan", "--dag", "dags/many.py:weekly", "--dates", "2024-01-10").says(3, "2024-01-07", "2024-01-14")


def test_schedule_none_takes_single_dates_only(project: Project) -> None:
    assert planned(project, "manual", "--dates", "2024-01-10") == ["2024-01-10T00:00"]
    project.bfill("plan", "--dag", "dags/many.py:manual", "--start", "2024-01-10").says(2, "--dates")


def test_dates_outside_the_dags_bounds_are_left_out_with_a_note_and_a_count(project: Project) -> None:
    words = ("--dag", "dags/many.py:bounded", "--start", "2024-01-01", "--end", "2024-01-10", "--dry-run", "--json")
    ran = project.bfill("plan", *words).exits(0)
    assert ran.data["total"] == 4
    assert "6" in ran.problems["outside-dag-bounds"]
    assert project.bfill("plan", *words, "--ignore-dag-bounds").data["total"] == 10


def test_intervals_that_are_not_over_are_left_out_with_a_note(project: Project) -> None:
    day = today().date().isoformat()
    words = ("--dag", "dags/many.py:recent", "--start", day, "--end", day, "--dry-run", "--json")
    ran = project.bfill("plan", *words).exits(0)
    assert ran.data["total"] == 0
    assert "--include-incomplete" in ran.problems["incomplete"]
    assert project.bfill("plan", *words, "--include-incomplete").data["total"] == 1


def test_an_empty_selection_says_why_and_names_the_next_date(project: Project) -> None:
    words = ("--dag", "dags/many.py:weekly", "--start", "2024-01-08", "--end", "2024-01-10")
    ran = project.bfill("plan", *words, "--json").exits(0)
    assert (ran.data["total"], ran.data["backfill_id"]) == (0, None)
    assert "2024-01-14" in " ".join(ran.problems.values())
    assert "2024-01-14" in project.bfill("run", *words).exits(0).err + project.bfill("plan", *words).out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--start", "2024-01-07", "--end", "2024-01-01"), "2024-01-07"),
        (("--start", "2024-01-07", "--last", "3d"), "--last"),
        (("--dates", "2024-01-07", "--end", "2024-01-08"), "--dates"),
        (("--dates", "2024-01-07", "--dates-from", "x"), "--dates-from"),
        (("--dates", ""), "--dates"),
        (("--last", "3 moons"), "3 moons"),
        (("--last", "0d"), "0d"),
        (("--start", "2024-02-30"), "2024-02-30"),
        (("--start", "01/02/2024"), "01/02/2024"),
        (("--start", "2024-01-01T25:00"), "25:00"),
        (("--start", "2024-01-01", "--parallel", "0"), "--parallel"),
        (("--start", "2024-01-01", "--limit", "0"), "--limit"),
        (("--start", "2024-01-01", "--reprocess", "faild"), "failed"),
        (("--dates-from", "missing.txt"), "missing.txt"),
        ((), "dates"),
        (("bf-20240101-aaaa", "--start", "2024-01-01"), "bf-20240101-aaaa"),
    ],
)
def test_ranges_that_cannot_be_are_refused(project: Project, words: tuple[str, ...], told: str) -> None:
    dag = ("--dag", "dags/many.py:unbounded")
    with project.unchanged():
        ran = project.bfill("run", *dag, *words)
        ran.says(3 if "missing.txt" in words else 2, told)


def test_limit_takes_the_first_and_backwards_the_latest(project: Project) -> None:
    week = ("--start", "2024-01-01", "--end", "2024-01-07", "--limit", "2")
    assert planned(project, "unbounded", *week) == ["2024-01-01T00:00", "2024-01-02T00:00"]
    assert planned(project, "unbounded", *week, "--run-backwards") == ["2024-01-07T00:00", "2024-01-06T00:00"]


# actions


def actions(project: Project, *words: str) -> dict[str, str]:
    data = project.bfill("plan", "--dag", "sales", *words, "--dry-run", "--json").exits(0).data
    counted: dict[str, int] = {}
    for one in data["runs"]:
        counted[one["action"]] = counted.get(one["action"], 0) + 1
        assert one["reason"]
    assert {key: count for key, count in data["counts"].items() if count} == counted
    return {one["logical_date"][8:10]: one["action"] for one in data["runs"]}


@pytest.fixture
def mixed(new_project: Callable[[], Project]) -> Project:
    """1: success, 2: failed, 3: cleared, 4: success under an older version, 5: none."""
    project = new_project()
    project.write("dags/sales.py", SALES + "    # first\n")
    project.bfill("run", "--dag", "sales", "--dates", "2024-01-04").exits(0)
    project.write("dags/sales.py", SALES.replace("loaded", "now loaded"))
    project.breaks("load", "2024-01-02")
    project.bfill("run", "--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-03").exits(1)
    project.bfill("reset", "--dag", "sales", "--dates", "2024-01-03", "--yes").exits(0)
    return project


WEEK = ("--start", "2024-01-01", "--end", "2024-01-05")


def test_each_date_gets_its_action(mixed: Project) -> None:
    plain = {"01": "skip", "02": "skip", "03": "resume", "04": "skip", "05": "create"}
    assert actions(mixed, *WEEK) == plain
    assert actions(mixed, *WEEK, "--reprocess", "none") == plain
    assert actions(mixed, *WEEK, "--reprocess", "failed") == plain | {"02": "rerun"}
    assert actions(mixed, *WEEK, "--reprocess", "success") == plain | {"01": "rerun", "04": "rerun"}
    assert actions(mixed, *WEEK, "--reprocess", "stale") == plain | {"04": "rerun"}
    assert actions(mixed, *WEEK, "--reprocess", "failed,stale") == plain | {"02": "rerun", "04": "rerun"}
    everything = plain | {"01": "rerun", "02": "rerun", "04": "rerun"}
    assert actions(mixed, *WEEK, "--reprocess", "all") == everything
    assert actions(mixed, *WEEK, "--reprocess", "completed") == everything
    reset = dict.fromkeys(("01", "02", "03", "04"), "reset") | {"05": "create"}
    assert actions(mixed, *WEEK, "--reset-dag-run") == reset


def test_run_leaves_successes_and_failures_alone_and_still_exits_1(mixed: Project) -> None:
    mixed.mends("load", "2024-01-02")
    data = mixed.bfill("run", "--dag", "sales", *WEEK, "--json").exits(1).data
    assert (data["completed"], data["skipped"], data["failed"]) == (2, 3, 0)
    left = {one["logical_date"][8:10]: (one["state"], one["reason"]) for one in data["results"]}
    assert left["02"][0] == "failed"
    assert left["01"][0] == "success"
    assert left["01"][1]
    assert len(mixed.tries("sales", "load")["2024-01-02"]) == 1
    stale = mixed.bfill("run", "--dag", "sales", *WEEK, "--reprocess", "failed,stale", "--json").exits(0).data
    assert (stale["completed"], stale["skipped"]) == (2, 3)
    assert actions(mixed, *WEEK, "--reprocess", "stale") == dict.fromkeys(("01", "02", "03", "04", "05"), "skip")


def test_the_dags_max_active_runs_caps_parallel_and_the_plan_says_so(project: Project) -> None:
    project.write(
        "capped.py",
        """\
        with DAG("capped", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=2):
            BashOperator(task_id="nap", bash_command="sleep 0.05")
        """,
    )
    words = ("--dag", "capped.py", "--start", "2024-01-01", "--end", "2024-01-06", "--parallel", "5")
    problem = project.bfill("plan", *words, "--dry-run", "--json").problems["parallel-capped"]
    assert "max_active_runs=2" in problem
    project.bfill("run", *words).exits(0)
    from blackbox.world import most_at_once

    assert most_at_once([(one["started_at"], one["ended_at"]) for one in project.attempts("capped")]) <= 2


def test_max_active_tasks_caps_the_tasks_of_one_dag_run(project: Project) -> None:
    project.write(
        "wide.py",
        """\
        with DAG("wide", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_tasks=2):
            for n in range(5):
                BashOperator(task_id=f"nap{n}", bash_command="sleep 0.05")
        """,
    )
    project.bfill("run", "--dag", "wide.py", "--dates", "2024-01-01").exits(0)
    from blackbox.world import most_at_once

    assert most_at_once([(one["started_at"], one["ended_at"]) for one in project.attempts("wide")]) <= 2
