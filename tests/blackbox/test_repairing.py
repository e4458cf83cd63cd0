"""Contract section 5: rerun-failed and reset, and dates that another process holds."""

from __future__ import annotations

import signal
from pathlib import Path

from blackbox.world import Project, until

WEEK = ("--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-05")

NAPS = """\
with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="nap", bash_command="touch ../started; while test ! -e ../go; do sleep 0.02; done")
"""


VARIED = """\
with DAG("varied", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def load(ds: str):
        if ds < "2024-01-04":
            open(f"inbox/{ds}.csv")
        raise RuntimeError("HTTP 503" if ds == "2024-01-04" else "HTTP 404")
    load()
"""


def test_failures_that_differ_in_values_alone_are_one_cause(project: Project) -> None:
    """A missing file a day is one line and not three; what names the cause, as a status code does, keeps them apart."""
    project.write("dags/varied.py", VARIED)
    words = ("--dag", "varied", "--start", "2024-01-01", "--end", "2024-01-05")
    ran = project.bfill("run", *words, "--junit", "junit.xml", "--json").exits(1)
    first = "FileNotFoundError: [Errno 2] No such file or directory: 'inbox/2024-01-01.csv'"
    found = {group["reason"]: (group["count"], group["variants"]) for group in ran.data["failures"]}
    assert found == {first: (3, 3), "RuntimeError: HTTP 503": (1, 1), "RuntimeError: HTTP 404": (1, 1)}
    for status in (project.bfill("status", *words), project.bfill("status", ran.data["backfill_id"])):
        assert "3 dates  load: FileNotFoundError" in status.out
        assert "(+2 alike)" in status.out
    assert "inbox/2024-01-03.csv" in (project.folder / "junit.xml").read_text()  # a test case says what was on its date


# rerun-failed


def test_rerun_failed_takes_an_id_a_selection_or_the_latest_with_failures(project: Project, sales: Path) -> None:
    with project.unchanged():
        nothing = project.bfill("rerun-failed", "--json").exits(0)
    assert list(nothing.problems) == ["nothing-failed"]
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


def test_rerun_failed_takes_a_backfill_that_was_killed_and_none_that_is_repaired(project: Project) -> None:
    project.write(
        "dags/sales.py",
        """
        with DAG("sales", schedule="@daily", start_date=datetime(2024, 1, 1)):
            @task
            def load(ds: str):
                broken("load", ds)
                time.sleep(60 if (Path(__file__).parent.parent / "slow" / ds).exists() else 0)
            load()
        """,
    )
    project.breaks("load", "2024-01-02", "2024-02-02", "2024-03-02")
    older = project.bfill("run", *WEEK, "--json").exits(1).data["backfill_id"]
    newer = ("--dag", "sales", "--start", "2024-02-01", "--end", "2024-02-03")
    repaired = project.bfill("run", *newer, "--json").exits(1).data["backfill_id"]
    project.mends("load", "2024-02-02")
    project.bfill("rerun-failed", repaired, "-q").exits(0)
    # The newest with failures is repaired: the one before it is not.
    assert project.bfill("rerun-failed", "--json").exits(1).data["parent_id"] == older
    project.write("slow/2024-03-03", "")
    killed = project.start("run", "--dag", "sales", "--start", "2024-03-01", "--end", "2024-03-04")
    until(lambda: project.rows("SELECT 1 FROM v_attempts WHERE logical_date LIKE '2024-03-02%'"))
    killed.signal(signal.SIGKILL)
    killed.wait()
    (project.folder / "slow/2024-03-03").unlink()
    (row,) = project.rows("SELECT backfill_id FROM backfills WHERE state = 'running'")
    project.mends("load", "2024-03-02")
    assert project.bfill("rerun-failed", "--json").exits(0).data["parent_id"] == row["backfill_id"]
    # Gone on with it is a success, and nobody is sent to repair it.
    project.bfill("run", row["backfill_id"], "-q").exits(0)
    shown = project.bfill("status").exits(0).out
    line = next(one for one in shown.splitlines() if row["backfill_id"] in one)
    assert "success" in line
    assert "╳" not in line, "what failed in it is repaired"
    assert row["backfill_id"] not in shown.splitlines()[-1]


def test_a_repair_tells_of_failures_on_dates_it_has_come_to(project: Project, sales: Path) -> None:
    """Those that it still has before it failed in another backfill, and are none of its failures."""
    project.breaks("load", "2024-01-01", "2024-01-02", "2024-01-03")
    project.bfill("run", *WEEK, "-q").exits(1)
    project.mends("load", "2024-01-01")
    repair = project.bfill("rerun-failed", "--pilot", "1", "--json").exits(0).data
    assert (repair["completed"], repair["remaining"], repair["failures"]) == (1, 2, [])
    assert project.bfill("status", repair["backfill_id"], "--json").data["failures"] == []
    again = project.bfill("run", repair["backfill_id"], "--json").exits(1).data
    assert [one["count"] for one in again["failures"]] == [2]


def test_a_dry_run_of_a_repair_is_its_plan_and_its_next_command_is_that_repair(project: Project, sales: Path) -> None:
    with project.unchanged():
        nothing = project.bfill("rerun-failed", "--dry-run", "--json").exits(0)
    assert list(nothing.problems) == ["nothing-failed"]
    project.breaks("load", "2024-01-02", "2024-01-04")
    first = project.bfill("run", *WEEK, "--json").exits(1).data["backfill_id"]
    with project.unchanged():
        plan = project.bfill("rerun-failed", "--dry-run", "--json").exits(0)
        assert plan.json["command"] == "plan"
        assert [(row["logical_date"][:10], row["action"]) for row in plan.data["runs"] if row["action"] != "skip"] == [
            ("2024-01-02", "rerun"),
            ("2024-01-04", "rerun"),
        ]
        shown = project.bfill("rerun-failed", "--dag", "sales", "--parallel", "2", "--dry-run").exits(0).out
        project.bfill("rerun-failed", "--dry-run", "--max-failures", "0").says(2, "--max-failures '0'")
        project.bfill("rerun-failed", "--dry-run", "--junit", "x.xml").says(2, "--junit does not go with --dry-run")
    assert f"the failures of {first}: 2 dates" in shown
    command = shown.splitlines()[-1].removeprefix(" next: bfill ").split()
    assert command == ["rerun-failed", first, "--parallel", "2"]
    project.mends("load", "2024-01-02", "2024-01-04")
    assert project.bfill(*command, "--json").exits(0).data["completed"] == 2


def test_a_stored_backfill_is_not_gone_on_with_by_some_of_its_tasks(project: Project, sales: Path) -> None:
    """It would end as a success with dates whose other tasks nobody comes to any more."""
    planned = project.bfill("plan", *WEEK, "--json").exits(0).data["backfill_id"]
    part = project.bfill("plan", *WEEK, "--task", "extract", "--json").exits(0).data["backfill_id"]
    with project.unchanged():
        project.bfill("run", planned, "--task", "extract").says(2, "--task does not go with", planned)
    project.bfill("run", part, "--task", "extract", "-q").exits(0)
    assert set(project.instances("sales")) == {"extract"}


def test_the_parent_of_named_dates_is_the_backfill_they_failed_in(project: Project, sales: Path) -> None:
    project.breaks("load", "2024-01-02", "2024-01-08")
    first = project.bfill("run", *WEEK, "--json").exits(1).data["backfill_id"]
    later = project.bfill("run", "--dag", "sales", "--dates", "2024-01-08", "--json").exits(1).data["backfill_id"]
    project.mends("load", "2024-01-02", "2024-01-08")
    words = ("rerun-failed", "--dag", "sales", "--dates")
    assert project.bfill(*words, "2024-01-02", "--json").exits(0).data["parent_id"] == first
    assert project.bfill("status", first, "--json").data["backfill"]["repaired_by"]
    assert project.bfill(*words, "2024-01-02,2024-01-08", "--json").exits(0).data["parent_id"] == later
    assert project.bfill(*words, "2024-01-02", "--json").exits(0).data["parent_id"] is None, "nothing is left of it"


def test_a_backfill_that_left_a_failure_alone_is_failed_in_the_store_too(project: Project, sales: Path) -> None:
    """Contract section 6: exit 1 also if a command left that date alone; what is stored must not say success."""
    project.breaks("load", "2024-01-02")
    project.bfill("run", "--dag", "sales", "--dates", "2024-01-02").exits(1)
    project.mends("load", "2024-01-02")
    ran = project.bfill("run", *WEEK, "--json").exits(1)
    left = ran.data["backfill_id"]
    assert (ran.data["state"], ran.data["failed"], ran.data["skipped"], ran.data["completed"]) == ("failed", 0, 1, 4)
    assert project.rows("SELECT state FROM backfills WHERE backfill_id = ?", left) == [{"state": "failed"}]
    assert project.bfill("audit", "--json").data["events"][-1]["outcome"] == "failed"
    status = project.bfill("status", left, "--json").exits(0).data
    assert (status["backfill"]["state"], status["backfill"]["repaired_by"]) == ("failed", [])
    assert f"bfill rerun-failed {left}" in project.bfill("status", left).out
    repair = project.bfill("rerun-failed", left, "--json").exits(0).data
    assert [row["logical_date"][:10] for row in repair["results"]] == ["2024-01-02"]
    status = project.bfill("status", left, "--json").exits(0).data
    assert (status["backfill"]["state"], status["backfill"]["repaired_by"]) == ("failed", [repair["backfill_id"]])
    assert "rerun-failed" not in project.bfill("status", left).out
    again = project.bfill("run", *WEEK, "--reprocess", "success", "--json").exits(0).data
    assert again["state"] == "success"


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
