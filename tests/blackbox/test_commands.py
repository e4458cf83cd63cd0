"""Contract section 5: what each command does, settings, and that reading leaves everything as it was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from blackbox.world import Project

WEEK = ("--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-05")


def states(project: Project) -> list[tuple[str, str]]:
    return [(row["backfill_id"], row["state"]) for row in project.rows("SELECT backfill_id, state FROM backfills")]


# plan and run


def test_a_stored_plan_is_replaced_by_planning_the_same_again(project: Project, sales: Path) -> None:
    first = project.bfill("plan", *WEEK, "--json").data["backfill_id"]
    other = project.bfill("plan", "--dag", "sales", "--dates", "2024-01-09", "--json").data["backfill_id"]
    again = project.bfill("plan", *WEEK, "--json").data["backfill_id"]
    assert first != again
    assert sorted(states(project)) == sorted([(other, "planned"), (again, "planned")])
    project.bfill("run", first).says(3, first)


def test_run_with_neither_starts_the_only_planned_one_and_says_which(project: Project, sales: Path) -> None:
    with project.unchanged():
        project.bfill("run").says(2, "bfill run --dag")
    planned = project.bfill("plan", *WEEK, "--json").data["backfill_id"]
    ran = project.bfill("run").exits(0)
    assert planned in ran.out + ran.err
    assert states(project) == [(planned, "success")]
    assert len(project.runs("sales")) == 5
    project.bfill("run").says(2, "bfill run --dag")


def test_run_with_neither_refuses_to_choose_between_several(project: Project, sales: Path) -> None:
    one = project.bfill("plan", *WEEK, "--json").data["backfill_id"]
    two = project.bfill("plan", "--dag", "sales", "--dates", "2024-01-09", "--json").data["backfill_id"]
    with project.unchanged():
        project.bfill("run").says(2, one, two)
        project.bfill("run", one, "--dag", "sales").says(2, one)
        project.bfill("run", "bf-20240101-zzzz").says(3, "bf-20240101-zzzz")
    assert project.bfill("run", one, "--json").exits(0).data["backfill_id"] == one


def test_run_with_a_dry_run_previews_an_id_too(project: Project, sales: Path) -> None:
    planned = project.bfill("plan", *WEEK, "--json").data["backfill_id"]
    with project.unchanged():
        for words in ((planned,), ()):
            data = project.bfill("run", *words, "--dry-run", "--json").exits(0).data
            assert (data["backfill_id"], data["total"], data["counts"]["create"]) == (planned, 5, 5)


def test_a_flag_that_a_stored_backfill_cannot_take_is_refused(project: Project, sales: Path) -> None:
    planned = project.bfill("plan", *WEEK, "--json").data["backfill_id"]
    with project.unchanged():
        for flag in (("--conf", "a=1"), ("--reprocess", "all"), ("--reset-dag-run",), ("--run-backwards",)):
            project.bfill("run", planned, *flag).says(2, flag[0], planned)


def test_a_plan_that_has_moved_is_refused_with_7(project: Project, sales: Path) -> None:
    planned = project.bfill("plan", *WEEK, "--json").data["backfill_id"]
    text = sales.read_text()
    sales.write_text(text.replace("loaded", "now loaded"))
    with project.unchanged():
        project.bfill("run", planned).says(7, planned, "version")
    sales.write_text(text)
    project.bfill("run", "--dag", "sales", "--dates", "2024-01-02").exits(0)
    with project.unchanged():
        project.bfill("run", planned).says(7, planned, "4 create")
        project.bfill("run").says(7, planned)
    assert project.runs("sales") == {"2024-01-02": "success"}


def test_detailed_exitcode_says_whether_there_is_anything_to_do(project: Project, sales: Path) -> None:
    words = ("plan", "--dag", "sales", "--dates", "2024-01-01", "--dry-run", "--detailed-exitcode")
    assert project.bfill(*words).code == 10
    project.bfill("run", "--dag", "sales", "--dates", "2024-01-01").exits(0)
    assert project.bfill(*words).code == 0


def test_the_same_command_again_does_nothing_and_exits_0(project: Project, sales: Path) -> None:
    project.bfill("run", *WEEK).exits(0)
    data = project.bfill("run", *WEEK, "--json").exits(0).data
    assert (data["total_dates"], data["skipped"], data["completed"]) == (5, 5, 0)
    assert len(project.attempts("sales")) == 10


def test_different_conf_on_existing_dates_is_refused_unless_reprocess_names_them(project: Project, sales: Path) -> None:
    day = ("--dag", "sales", "--dates", "2024-01-01")
    project.bfill("run", *day, "--conf", "region=eu").exits(0)
    with project.unchanged():
        project.bfill("run", *day, "--conf", "region=us").says(7, "conf", "--reprocess")
    project.bfill("run", *day, "--conf", "region=eu").exits(0)
    project.bfill("run", *day).exits(0)
    assert project.rows("SELECT conf FROM v_dag_runs") == [{"conf": '{"region":"eu"}'}]
    project.bfill("run", *day, "--conf", "region=us", "--reprocess", "success").exits(0)
    assert project.rows("SELECT conf FROM v_dag_runs") == [{"conf": '{"region":"us"}'}]


# status


def test_status_shows_the_latest_one_backfill_or_a_range(project: Project, sales: Path) -> None:
    project.breaks("load", "2024-01-02", "2024-01-04")
    ran = project.bfill("run", "--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-04", "--json").exits(1).data
    (latest,) = project.bfill("status", "--json").exits(0).data["backfills"]
    assert (latest["backfill_id"], latest["state"], latest["failed"]) == (ran["backfill_id"], "failed", 2)
    one = project.bfill("status", ran["backfill_id"], "--json").exits(0).data
    assert {key: one[key] for key in ("total_dates", "completed", "failed", "blocked", "skipped", "remaining")} == {
        key: ran[key] for key in ("total_dates", "completed", "failed", "blocked", "skipped", "remaining")
    }
    assert [run["state"] for run in one["runs"]] == ["success", "failed", "success", "failed"]
    assert one["runs"][1]["tasks"]["load"]["state"] == "failed"
    assert one["runs"][1]["tasks"]["load"]["try_number"] == 1
    (group,) = one["failures"]
    assert (group["task_id"], group["count"], group["reason"]) == ("load", 2, "RuntimeError: load is broken")
    whole = ("status", "--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-07", "--json")
    ranged = project.bfill(*whole).exits(0).data
    assert ranged["counts"] == {"success": 2, "failed": 2, "missing": 3}
    assert ranged["gaps"] == [{"start": "2024-01-05T00:00:00+00:00", "end": "2024-01-07T00:00:00+00:00", "count": 3}]
    failed = project.bfill(*whole, "--where", "failed").data["runs"]
    assert [run["logical_date"][8:10] for run in failed] == ["02", "04"]
    page = project.bfill(*whole, "--limit", "2").data
    assert (len(page["runs"]), page["more"]) == (2, True)
    rest = project.bfill(*whole, "--after", page["after"]).data
    assert [run["logical_date"][8:10] for run in rest["runs"]] == ["03", "04", "05", "06", "07"]
    screen = project.bfill("status", ran["backfill_id"]).exits(0).out
    assert "load is broken" in screen
    assert f"bfill rerun-failed {ran['backfill_id']}" in screen
    project.bfill("status", "bf-20240101-zzzz").says(3, "bf-20240101-zzzz")


def test_reading_commands_neither_make_nor_change_a_store(project: Project, sales: Path) -> None:
    reading = (
        ("plan", *WEEK, "--dry-run"),
        ("run", *WEEK, "--dry-run"),
        ("status",),
        ("status", "--dag", "sales"),
        ("status", *WEEK),
        ("audit",),
        ("audit", "verify"),
        ("dags", "list"),
        ("dags", "show", "sales"),
        ("dags", "validate"),
        ("logs", "--dag", "sales", "2024-01-01"),
    )
    with project.unchanged():
        for words in reading:
            assert project.bfill(*words).code in (0, 3), words
    assert not project.store.parent.exists()
    project.bfill("run", *WEEK).exits(0)
    with project.unchanged():
        for words in reading:
            project.bfill(*words).exits(0)
        project.bfill("status", project.rows("SELECT backfill_id FROM backfills")[0]["backfill_id"]).exits(0)


# dags


def test_dags_lists_shows_and_validates(project: Project, sales: Path) -> None:
    listed = project.bfill("dags", "list", "--json").exits(0).data
    assert [one["dag_id"] for one in listed["dags"]] == ["sales"]
    shown = project.bfill("dags", "show", "sales", "--json").exits(0).data
    assert [one["task_id"] for one in shown["tasks"]] == ["extract", "load"]
    assert shown["schedule"] == "@daily"
    project.bfill("dags", "show", "slaes").says(3, "sales")
    project.write(
        "dags/two.py",
        'for name in ("one", "two"):\n    with DAG(name, schedule="@daily"):\n        EmptyOperator(task_id="a")\n',
    )
    offered = project.bfill("dags", "show", "two").exits(0).out.splitlines()[-1].removeprefix(" next: bfill ")
    project.bfill(*offered.split()).exits(0)


# conf, quiet, streams


def test_conf_comes_as_json_a_file_or_key_value_and_the_last_wins(project: Project) -> None:
    project.write("conf.json", json.dumps({"a": 1, "b": 1, "c": 1}), head="")
    project.write(
        "dags/conf.py",
        """\
        with DAG("conf", schedule="@daily", start_date=datetime(2024, 1, 1)):
            @task
            def show(dag_run):
                return dict(dag_run.conf)
            show()
        """,
    )
    words = (
        "--dag",
        "conf",
        "--dates",
        "2024-01-01",
        "--conf",
        "@conf.json",
        "--conf",
        '{"b": [2]}',
        "--conf",
        "c=007",
    )
    project.bfill("run", *words).exits(0)
    assert project.xcoms("conf")["show", "return_value"] == {"a": 1, "b": [2], "c": "007"}


def test_quiet_writes_nothing(project: Project, sales: Path) -> None:
    ran = project.bfill("run", *WEEK, "-q").exits(0)
    assert (ran.out, ran.err) == ("", "")


def test_piped_output_has_no_control_bytes(project: Project, sales: Path) -> None:
    project.breaks("load", "2024-01-02")
    for words in (("plan", *WEEK), ("run", *WEEK), ("status", "--dag", "sales"), ("audit",), ("dags", "list")):
        ran = project.bfill(*words)
        assert "\x1b" not in ran.out + ran.err
        assert "\r" not in ran.out + ran.err
        assert len(ran.out) > 20


def test_audit_filters_and_verifies(project: Project, sales: Path) -> None:
    project.bfill("run", "--dag", "sales", "--dates", "2024-01-01", "--reason", "first").exits(0)
    project.bfill("reset", "--dag", "sales", "--dates", "2024-01-01", "--yes").exits(0)
    events = project.bfill("audit", "--action", "reset", "--json").exits(0).data["events"]
    assert [one["action"] for one in events] == ["reset"]
    assert len(project.bfill("audit", "--limit", "1", "--json").data["events"]) == 1
    assert len(project.bfill("audit", "--target", "sales", "--json").data["events"]) >= 1
    assert "first" in project.bfill("audit").out
    head = project.bfill("audit", "--json").data["head"]
    project.bfill("audit", "verify", "--expect-head", head).exits(0)
    project.bfill("audit", "verify", "--expect-head", "1:00000000").exits(6)
    assert os.environ.get("BFILL_STORE") is None


@pytest.fixture(scope="module")
def helped(new_project: Callable[[], Project]) -> Project:
    return new_project()


@pytest.mark.parametrize("command", ["plan", "run", "rerun-failed", "reset", "status", "audit", "dags", "logs"])
def test_each_command_has_help_with_examples(helped: Project, command: str) -> None:
    ran = helped.bfill(command, "--help").exits(0)
    assert f"bfill {command}" in ran.out
    assert command in helped.bfill("--help").exits(0).out


def test_a_stored_plan_is_no_way_past_the_size_guard_and_what_was_begun_goes_on(project: Project, sales: Path) -> None:
    project.write("bfill.toml", "max_runs = 2\n")
    words = ("--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-04")
    shown = project.bfill("plan", *words).exits(0)
    assert "4 dates are more than the 2 that one command runs" in shown.out
    assert "next:" not in shown.out, "the command would be refused; the warning says with what it is not"
    for refused in (project.bfill("run"), project.bfill("run", *words)):
        refused.says(7, "more than the 2", "--max-runs 4")
    begun = project.bfill("run", "--max-runs", "4", "--pilot", "1", "--json").exits(0).data
    assert begun["remaining"] == 3
    assert project.bfill("run", begun["backfill_id"], "--json").exits(0).data["completed"] == 4
