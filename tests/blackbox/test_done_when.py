"""The list of issue 2, "it is done when": each promise through the command line and through the Python service."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from backfill_cli import DAG, BackfillOptions, BackfillPreview, BackfillResult, BackfillService, PythonOperator
from blackbox.world import Project, most_at_once

WEEK = ("--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-07")
DAYS = [f"2024-01-0{day}" for day in range(1, 8)]

SLEEPY = """\
with DAG("sleepy", schedule="@daily", start_date=datetime(2024, 1, 1)):
    a = BashOperator(task_id="a", bash_command="sleep 0.05")
    b = BashOperator(task_id="b", bash_command="sleep 0.05")
    a >> b
"""

MACROS = """\
def seen(templates_dict):
    return templates_dict
with DAG("macros", schedule="{schedule}", start_date=datetime(2023, 1, 1), params={{"size": 3}}):
    first = PythonOperator(task_id="first", python_callable=lambda: "2020-02-02")
    second = PythonOperator(task_id="second", python_callable=seen, templates_dict={{
        "ds": "{{{{ ds }}}}",
        "near": "{{{{ prev_ds }}}}/{{{{ next_ds }}}}",
        "conf": "{{{{ dag_run.conf.region }}}} {{{{ conf.region }}}}",
        "several": "{{{{ ds }}}}-{{{{ ds_nodash }}}}-{{{{ params.size }}}}-{{{{ dag_run.conf.region }}}}",
        "unknown": "{{{{ nothing_like_it }}}} on {{{{ ds }}}}",
        "xcom_first": "{{{{ macros.ds_add(ti.xcom_pull(task_ids='first'), 1) }}}} {{{{ ds }}}}",
    }})
    first >> second
"""


def options(dag_id: str = "sales", start: Any = date(2024, 1, 1), end: Any = date(2024, 1, 7), **more: Any) -> Any:
    return BackfillOptions(dag_id=dag_id, start_date=start, end_date=end, **more)


@pytest.fixture
def service(inside: Project) -> BackfillService:
    return BackfillService(store=inside.store)


# seven daily dates


def test_seven_daily_dates_make_seven_runs(project: Project, sales: Path) -> None:
    data = project.bfill("run", *WEEK, "--json").exits(0).data
    assert (data["total_dates"], data["completed"]) == (7, 7)
    assert [one["logical_date"] for one in data["results"]] == [f"{day}T00:00:00+00:00" for day in DAYS]
    assert {one["state"] for one in data["results"]} == {"success"}
    assert project.runs("sales") == dict.fromkeys(DAYS, "success")
    assert len(project.attempts("sales")) == 14


def test_seven_daily_dates_make_seven_runs_in_python(service: BackfillService, project: Project, sales: Path) -> None:
    result = service.backfill(options())
    assert isinstance(result, BackfillResult)
    assert (result.total_dates, result.completed, result.failed, result.skipped) == (7, 7, 0, 0)
    assert [one.logical_date for one in result.results] == [datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 8)]
    assert [one.run_id for one in result.results] == [f"backfill__{day}T00:00:00+00:00" for day in DAYS]
    assert {one.state for one in result.results} == {"success"}
    assert all(one.duration_s is not None and one.duration_s >= 0 for one in result.results)
    assert project.runs("sales") == dict.fromkeys(DAYS, "success")


# max_parallel_runs


def open_together(project: Project, dag_id: str) -> tuple[int, int]:
    """The most dag_runs open at once: from the times of their attempts, and from the runs themselves."""
    attempts = project.rows(
        "SELECT min(started_at) AS begin, max(ended_at) AS end FROM v_attempts WHERE dag_id = ? GROUP BY logical_date",
        dag_id,
    )
    runs = project.rows("SELECT started_at AS begin, ended_at AS end FROM v_dag_runs WHERE dag_id = ?", dag_id)
    first, second = ([(row["begin"], row["end"]) for row in rows] for rows in (attempts, runs))
    return most_at_once(first), most_at_once(second)


def test_never_more_than_three_dag_runs_are_open_with_parallel_3(project: Project) -> None:
    project.write("dags/sleepy.py", SLEEPY)
    project.bfill("run", "--dag", "sleepy", "--start", "2024-01-01", "--end", "2024-01-09", "--parallel", "3").exits(0)
    assert len(project.runs("sleepy")) == 9
    by_attempts, by_runs = open_together(project, "sleepy")
    assert 2 <= by_attempts <= 3
    assert by_runs <= 3


def test_never_more_than_three_dag_runs_are_open_with_max_parallel_runs_3_in_python(
    service: BackfillService, project: Project
) -> None:
    project.write("dags/sleepy.py", SLEEPY)
    service.backfill(options("sleepy", end=date(2024, 1, 9), max_parallel_runs=3))
    by_attempts, by_runs = open_together(project, "sleepy")
    assert 2 <= by_attempts <= 3
    assert by_runs <= 3


def test_without_parallel_one_dag_run_is_open_at_a_time(project: Project) -> None:
    project.write("dags/sleepy.py", SLEEPY)
    project.bfill("run", "--dag", "sleepy", "--start", "2024-01-01", "--end", "2024-01-04").exits(0)
    assert open_together(project, "sleepy")[0] == 1


def test_parallel_1_is_one_for_a_plan_that_was_stored_with_more(project: Project) -> None:
    """Without the flag a stored backfill keeps its own number; 1 is a number like any other."""
    project.write("dags/sleepy.py", SLEEPY)
    for end, more, least, most in (("04", (), 2, 3), ("08", ("--parallel", "1"), 1, 1)):
        words = ("--dag", "sleepy", "--start", "2024-01-01", "--end", f"2024-01-{end}", "--parallel", "3")
        planned = project.bfill("plan", *words, "--json").exits(0).data["backfill_id"]
        project.bfill("run", planned, *more).exits(0)
        together = project.rows(
            "SELECT min(a.started_at) AS begin, max(a.ended_at) AS end FROM v_attempts a"
            " WHERE a.dag_id = 'sleepy' AND a.logical_date > ? GROUP BY a.logical_date",
            "2024-01-00" if end == "04" else "2024-01-04T01",
        )
        assert len(together) == 4
        assert least <= most_at_once([(row["begin"], row["end"]) for row in together]) <= most


# dry_run


def test_a_dry_run_shows_the_dates_and_writes_nothing(project: Project, sales: Path) -> None:
    for command in ("plan", "run"):
        with project.unchanged():
            data = project.bfill(command, *WEEK, "--dry-run", "--json").exits(0).data
        assert [one["logical_date"][:10] for one in data["runs"]] == DAYS
        assert data["backfill_id"] is None
    assert not project.store.parent.exists()


def test_a_dry_run_in_python_returns_the_dates_and_writes_nothing(
    service: BackfillService, project: Project, sales: Path
) -> None:
    with project.unchanged():
        preview = service.backfill(options(dry_run=True))
    assert isinstance(preview, BackfillPreview)
    assert preview.dates == [datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 8)]
    assert (preview.existing_runs, preview.new_runs) == ([], preview.dates)
    service.backfill(options(start=date(2024, 1, 3), end=date(2024, 1, 4)))
    with project.unchanged():
        preview = service.backfill(options(dry_run=True))
    assert isinstance(preview, BackfillPreview)
    assert preview.existing_runs == [datetime(2024, 1, day, tzinfo=UTC) for day in (3, 4)]
    assert sorted([*preview.existing_runs, *preview.new_runs]) == preview.dates
    assert not set(preview.existing_runs) & set(preview.new_runs)


# rerun_failed


def test_rerun_failed_runs_only_failed_dates(project: Project, sales: Path) -> None:
    project.breaks("load", "2024-01-03", "2024-01-05")
    first = project.bfill("run", *WEEK, "--json").exits(1).data
    assert (first["completed"], first["failed"]) == (5, 2)
    project.mends("load", "2024-01-03", "2024-01-05")
    again = project.bfill("rerun-failed", "--json").exits(0).data
    assert [one["logical_date"][:10] for one in again["results"]] == ["2024-01-03", "2024-01-05"]
    assert (again["total_dates"], again["completed"], again["parent_id"]) == (2, 2, first["backfill_id"])
    assert project.tries("sales", "load")["2024-01-03"] == ["failed", "success"]
    assert project.tries("sales", "extract") == {day: ["success"] for day in DAYS}


def test_rerun_failed_in_python_runs_only_failed_dates(service: BackfillService, project: Project, sales: Path) -> None:
    project.breaks("load", "2024-01-03", "2024-01-05")
    first = service.backfill(options())
    assert isinstance(first, BackfillResult)
    assert (first.completed, first.failed) == (5, 2)
    preview = service.backfill(options(rerun_failed=True, dry_run=True))
    assert isinstance(preview, BackfillPreview)
    assert [one.day for one in preview.dates] == [3, 5]
    project.mends("load", "2024-01-03", "2024-01-05")
    again = service.backfill(options(rerun_failed=True))
    assert isinstance(again, BackfillResult)
    assert [one.logical_date.day for one in again.results] == [3, 5]
    assert (again.completed, again.parent_id) == (2, first.backfill_id)
    assert project.tries("sales", "extract") == {day: ["success"] for day in DAYS}


# reset_dag_run

STAINED = """\
with DAG("stained", schedule="@daily", start_date=datetime(2024, 1, 1)):
    def push(ti, ds):
        ti.xcom_push("leftover" if not Path("second").exists() else "fresh", ds)
        return Path("second").exists()
    first = PythonOperator(task_id="first", python_callable=push)
    second = PythonOperator(task_id="second", python_callable=lambda ds: broken("second", ds))
    first >> second
"""


def test_reset_dag_run_clears_task_instances_and_xcoms_first(project: Project) -> None:
    project.write("dags/stained.py", STAINED)
    week = ("--dag", "stained", "--start", "2024-01-01", "--end", "2024-01-02")
    project.bfill("run", *week).exits(0)
    assert project.xcoms("stained", "2024-01-01") == {
        ("first", "leftover"): "2024-01-01",
        ("first", "return_value"): False,
    }
    project.write("second", "")
    project.breaks("second", "2024-01-02")
    data = project.bfill("run", *week, "--reset-dag-run", "--json").exits(1).data
    assert (data["completed"], data["failed"]) == (1, 1)
    assert project.tries("stained", "first") == {"2024-01-01": ["success"] * 2, "2024-01-02": ["success"] * 2}
    assert project.xcoms("stained", "2024-01-01") == {("first", "fresh"): "2024-01-01", ("first", "return_value"): True}


def test_reset_dag_run_in_python_clears_first(service: BackfillService, project: Project) -> None:
    project.write("dags/stained.py", STAINED)
    asked = {"start": date(2024, 1, 1), "end": date(2024, 1, 1)}
    service.backfill(options("stained", **asked))
    project.write("second", "")
    result = service.backfill(options("stained", reset_dag_run=True, **asked))
    assert isinstance(result, BackfillResult)
    assert result.completed == 1
    assert project.xcoms("stained") == {("first", "fresh"): "2024-01-01", ("first", "return_value"): True}


# hourly, and nothing


def test_an_hourly_schedule_makes_the_right_number(service: BackfillService, project: Project) -> None:
    project.write(
        "dags/hourly.py",
        "with DAG('hourly', schedule='@hourly', start_date=datetime(2024, 1, 1)):\n    EmptyOperator(task_id='tick')\n",
    )
    data = project.bfill("run", "--dag", "hourly", "--start", "2024-01-01", "--end", "2024-01-02", "--json").data
    assert data["completed"] == 48
    assert data["results"][-1]["logical_date"] == "2024-01-02T23:00:00+00:00"
    result = service.backfill(options("hourly", datetime(2024, 1, 3, 5), datetime(2024, 1, 3, 8)))
    assert isinstance(result, BackfillResult)
    assert [one.logical_date.hour for one in result.results] == [5, 6, 7, 8]


def test_an_empty_range_makes_no_run_and_is_no_error(service: BackfillService, project: Project, sales: Path) -> None:
    nothing = ("--start", "2023-05-01", "--end", "2023-05-03")
    with project.unchanged():
        ran = project.bfill("run", "--dag", "sales", *nothing, "--json").exits(0)
        assert ran.data["total_dates"] == 0
        assert "2024-01-01" in " ".join(ran.problems.values())
        result = service.backfill(options(start=date(2023, 5, 1), end=date(2023, 5, 3)))
    assert isinstance(result, BackfillResult)
    assert (result.total_dates, result.results, result.exit_code) == (0, [], 0)


# macros


@pytest.mark.parametrize(
    ("schedule", "day", "near"),
    [
        ("@daily", "2024-01-31", "2024-01-30/2024-02-01"),
        ("@weekly", "2024-01-07", "2023-12-31/2024-01-14"),
        ("@monthly", "2024-01-01", "2023-12-01/2024-02-01"),
    ],
)
def test_macros_render_by_schedule(project: Project, schedule: str, day: str, near: str) -> None:
    project.write("dags/macros.py", MACROS.format(schedule=schedule))
    project.bfill("run", "--dag", "macros", "--dates", day, "--conf", "region=eu", "--json").exits(0)
    nodash = day.replace("-", "")
    assert project.xcoms("macros", day)["second", "return_value"] == {
        "ds": day,
        "near": near,
        "conf": "eu eu",
        "several": f"{day}-{nodash}-3-eu",
        "unknown": "{{ nothing_like_it }} on " + day,
        "xcom_first": f"2020-02-03 {day}",
    }


def test_macros_render_in_python_too(service: BackfillService, project: Project) -> None:
    project.write("dags/macros.py", MACROS.format(schedule="@daily"))
    service.backfill(options("macros", conf={"region": "eu"}, start=date(2024, 1, 31), end=date(2024, 1, 31)))
    found = project.xcoms("macros")["second", "return_value"]
    assert found["several"] == "2024-01-31-20240131-3-eu"
    assert found["unknown"] == "{{ nothing_like_it }} on 2024-01-31"
    assert found["xcom_first"] == "2020-02-03 2024-01-31"


def test_a_dag_object_runs_as_a_file_does(service: BackfillService, project: Project) -> None:
    seen: list[str] = []

    def note(ds: str) -> None:
        seen.append(ds)

    with DAG("in_memory", schedule="@daily", start_date=datetime(2024, 1, 1)) as dag:
        PythonOperator(task_id="only", python_callable=note)
    result = service.backfill(
        BackfillOptions(dag=dag, start_date=datetime(2024, 1, 1), end_date=datetime(2024, 1, 3), max_parallel_runs=3)
    )
    assert isinstance(result, BackfillResult)
    assert result.completed == 3
    assert sorted(seen) == DAYS[:3]
