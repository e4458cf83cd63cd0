"""Contract section 5: what each command does, settings, and that reading leaves everything as it was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from blackbox.world import Project, until

WEEK = ("--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-05")

NAPS = """\
with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="nap", bash_command="touch ../started; while test ! -e ../go; do sleep 0.02; done")
"""


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


# rerun-failed


def test_rerun_failed_takes_an_id_a_selection_or_the_latest_with_failures(project: Project, sales: Path) -> None:
    with project.unchanged():
        project.bfill("rerun-failed").says(3, "fail")
    project.breaks("load", "2024-01-02", "2024-01-04")
    first = project.bfill("run", *WEEK, "--json").exits(1).data["backfill_id"]
    project.bfill("run", "--dag", "sales", "--dates", "2024-01-08").exits(0)
    project.mends("load", "2024-01-04")
    one = project.bfill("rerun-failed", "--dag", "sales", "--dates", "2024-01-04", "--json").exits(0).data
    assert (one["completed"], one["parent_id"]) == (1, first)
    two = project.bfill("rerun-failed", first, "--json").exits(1).data
    assert [row["logical_date"][:10] for row in two["results"]] == ["2024-01-02"]
    project.mends("load", "2024-01-02")
    three = project.bfill("rerun-failed", "--json").exits(0).data
    assert (three["parent_id"], three["completed"]) == (two["backfill_id"], 1)
    assert project.tries("sales", "extract")["2024-01-02"] == ["success"]
    assert set(project.runs("sales").values()) == {"success"}
    assert project.bfill("status", first, "--json").data["backfill"]["failed"] == 2


def test_whole_run_runs_all_tasks_again(project: Project, sales: Path) -> None:
    project.breaks("load", "2024-01-02")
    project.bfill("run", *WEEK).exits(1)
    project.mends("load", "2024-01-02")
    project.bfill("rerun-failed", "--whole-run").exits(0)
    assert project.tries("sales", "extract")["2024-01-02"] == ["success", "success"]
    assert project.tries("sales", "extract")["2024-01-01"] == ["success"]


def test_rerun_failed_never_runs_missing_dates(project: Project, sales: Path) -> None:
    project.breaks("load", "2024-01-02")
    project.bfill("run", "--dag", "sales", "--dates", "2024-01-02").exits(1)
    data = project.bfill("rerun-failed", *WEEK, "--json").exits(1).data
    assert data["total_dates"] == 1
    assert set(project.runs("sales")) == {"2024-01-02"}


# reset


def test_reset_clears_keeps_history_and_starts_nothing(project: Project, sales: Path) -> None:
    project.bfill("run", *WEEK).exits(0)
    with project.unchanged():
        project.bfill("reset", *WEEK).says(7, "--yes", "10", "5")
    data = project.bfill("reset", "--dag", "sales", "--dates", "2024-01-02", "--yes", "--json").exits(0).data
    assert (data["total_dates"], data["task_instances"], data["xcoms"]) == (1, 2, 1)
    assert project.instances("sales", "2024-01-02") == {"extract": "scheduled", "load": "scheduled"}
    assert project.xcoms("sales", "2024-01-02") == {}
    assert len(project.attempts("sales")) == 10
    assert project.runs("sales")["2024-01-02"] == "queued"
    data = project.bfill("run", *WEEK, "--json").exits(0).data
    assert (data["completed"], data["skipped"]) == (1, 4)
    assert [one["try_number"] for one in project.attempts("sales", "load") if "01-02" in one["logical_date"]] == [1, 2]
    assert project.rows("SELECT action, target FROM v_audit WHERE action = 'reset'") == [
        {"action": "reset", "target": "sales"}
    ]


def test_reset_takes_tasks_what_is_behind_them_states_and_an_id(project: Project, sales: Path) -> None:
    project.breaks("load", "2024-01-02")
    ran = project.bfill("run", *WEEK, "--json").exits(1).data["backfill_id"]
    words = ("reset", "--dag", "sales", "--dates", "2024-01-01", "--yes")
    project.bfill(*words, "--task", "load").exits(0)
    assert project.instances("sales", "2024-01-01") == {"extract": "success", "load": "scheduled"}
    project.bfill(*words, "--task", "extract", "--downstream").exits(0)
    assert project.instances("sales", "2024-01-01") == {"extract": "scheduled", "load": "scheduled"}
    data = project.bfill("reset", ran, "--where", "failed", "--yes", "--json").exits(0).data
    assert (data["dates"], data["task_instances"]) == (["2024-01-02T00:00:00+00:00"], 1)
    with project.unchanged():
        project.bfill(*words, "--task", "laod").says(3, "laod", "load")
        project.bfill(*words, "--where", "broken").says(2, "broken")
        project.bfill(*words[:-1], "--downstream", "-y").says(2, "--task")
        project.bfill("reset", ran, "--dag", "sales", "-y").says(2, ran)
        nothing = project.bfill("reset", "--dag", "sales", "--dates", "2024-02-01", "--yes", "--json").exits(0)
    assert nothing.data["total_dates"] == 0


def test_dates_that_are_being_run_belong_to_one_process(project: Project) -> None:
    project.write("dags/naps.py", NAPS)
    words = ("--dag", "naps", "--start", "2024-01-01", "--end", "2024-01-02")
    going = project.start("run", *words, "--json")
    until((project.folder / "started").exists)
    project.bfill("run", *words).says(5, "naps", str(going.pid))
    project.bfill("run", "--dag", "naps", "--dates", "2024-01-01").says(5, "2024-01-01", str(going.pid))
    project.bfill("run", "--dag", "naps", "--dates", "2024-01-01", "--reset-dag-run").says(5, str(going.pid))
    project.bfill("rerun-failed", "--dag", "naps", "--dates", "2024-01-01").says(5, str(going.pid))
    project.bfill("reset", *words, "--yes").says(5, "naps", str(going.pid))
    (running,) = project.bfill("status", "--json").exits(0).data["backfills"]
    assert (running["state"], running["pid"]) == ("running", going.pid)
    shown = project.bfill("status", running["backfill_id"], "--json").exits(0).data
    assert shown["runs"][0]["tasks"]["nap"]["state"] == "running"
    project.bfill("run", running["backfill_id"]).says(5, str(going.pid))
    other = project.bfill("plan", "--dag", "naps", "--dates", "2024-01-01,2024-01-05", "--dry-run", "--json").exits(0)
    assert {one["logical_date"][8:10]: one["action"] for one in other.data["runs"]} == {"01": "skip", "05": "create"}
    project.write("go", "")
    assert going.wait().exits(0).data["completed"] == 2


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


# settings


def test_a_flag_beats_the_environment_and_that_the_file(project: Project, sales: Path) -> None:
    day = ("run", "--dag", "sales", "--dates", "2024-01-01", "-q")
    project.write("bfill.toml", 'store = "from_file/a.db"\n')
    project.bfill(*day).exits(0)
    assert (project.folder / "from_file" / "a.db").exists()
    project.bfill(*day, env={"BFILL_STORE": "from_env/b.db"}).exits(0)
    assert (project.folder / "from_env" / "b.db").exists()
    project.bfill(*day, "--store", "from_flag/c.db", env={"BFILL_STORE": "other/d.db"}).exits(0)
    assert (project.folder / "from_flag" / "c.db").exists()
    assert not (project.folder / "other").exists()
    project.bfill(*day, "--store", f"sqlite:///{project.folder}/url/e.db").exits(0)
    assert (project.folder / "url" / "e.db").exists()
    assert not project.store.exists()


def test_settings_are_found_by_walking_up_and_the_store_stands_beside_them(project: Project, sales: Path) -> None:
    project.write(
        "pyproject.toml",
        """\
        [tool.bfill]
        timezone = "Europe/Paris"
        [tool.bfill.variables]
        greeting = "bonjour"
        [tool.bfill.pools]
        lake = 1
        """,
    )
    project.write(
        "dags/pooled.py",
        """\
        with DAG("pooled", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="only", bash_command="echo {{ var.value.greeting }} {{ local_ds }}", pool="lake")
        """,
    )
    below = project.folder / "some" / "where"
    below.mkdir(parents=True)
    project.bfill("run", "--dag", "pooled", "--dates", "2024-01-02", cwd=below).exits(0)
    assert project.store.exists()
    assert project.xcoms("pooled")["only", "return_value"] == "bonjour 2024-01-02"
    assert project.rows("SELECT logical_date FROM v_dag_runs") == [{"logical_date": "2024-01-01T23:00:00+00:00"}]
    project.bfill("run", "--dag", "pooled", "--dates", "2024-01-03", env={"BFILL_VAR_GREETING": "hallo"}).exits(0)
    assert "hallo 2024-01-03" in project.xcoms("pooled").values()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stroe = 'x'\n", ("bfill.toml:1", "stroe", "store")),
        ("workers = 0\n", ("bfill.toml:1", "workers")),
        ("timezone = 'Mars/Base'\n", ("Mars/Base",)),
        ("this is no toml\n", ("bfill.toml:1",)),
        ("[pools]\nlake = 'many'\n", ("lake",)),
        ("[connections]\nwh = 'hunter2'\n", ("wh",)),
    ],
)
def test_wrong_settings_are_refused_with_file_and_line(
    project: Project, sales: Path, text: str, told: tuple[str, ...]
) -> None:
    project.write("bfill.toml", text)
    with project.unchanged():
        ran = project.bfill("run", *WEEK).says(3, *told)
    assert "hunter2" not in ran.err


def test_a_pool_holds_only_its_own_tasks_and_is_never_overdrawn(project: Project) -> None:
    from blackbox.world import most_at_once

    project.write("bfill.toml", "[pools]\nlake = 1\n")
    project.write(
        "dags/pooled.py",
        """\
        with DAG("pooled", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="narrow", bash_command="sleep 0.1", pool="lake")
            BashOperator(task_id="free", bash_command="sleep 0.1")
        """,
    )
    project.bfill("run", "--dag", "pooled", "--start", "2024-01-01", "--end", "2024-01-04", "--parallel", "4").exits(0)
    spans = {
        task_id: [(one["started_at"], one["ended_at"]) for one in project.attempts("pooled", task_id)]
        for task_id in ("narrow", "free")
    }
    assert most_at_once(spans["narrow"]) == 1
    assert most_at_once(spans["free"]) > 1


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
    project.bfill("audit", "verify", "--expect-head", "1:0000").exits(6)
    assert os.environ.get("BFILL_STORE") is None


@pytest.fixture(scope="module")
def helped(new_project: Callable[[], Project]) -> Project:
    return new_project()


@pytest.mark.parametrize("command", ["plan", "run", "rerun-failed", "reset", "status", "audit", "dags", "logs"])
def test_each_command_has_help_with_examples(helped: Project, command: str) -> None:
    ran = helped.bfill(command, "--help").exits(0)
    assert f"bfill {command}" in ran.out
    assert command in helped.bfill("--help").exits(0).out
