"""Contract section 6: signals, kills, and the same command again; section 1: what a dead process leaves behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from blackbox.world import SALES, Project, until

WAITS = """\
with DAG("waits", schedule="@daily", start_date=datetime(2024, 1, 1)):
    wait = "touch ../at.{{ ds }}; while test ! -e ../go; do sleep 0.02; done"
    first = BashOperator(task_id="first", bash_command=wait)
    first >> BashOperator(task_id="second", bash_command="echo {{ ds }}")
"""
WORDS = ("run", "--dag", "waits", "--start", "2024-01-01", "--end", "2024-01-03")


@pytest.fixture
def waits(project: Project) -> Project:
    project.write("dags/waits.py", WAITS)
    return project


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_drains_records_and_the_same_command_goes_on(
    waits: Project, number: signal.Signals, code: int
) -> None:
    going = waits.start(*WORDS, "--json")
    until((waits.folder / "at.2024-01-01").exists)
    going.signal(number)
    waits.write("go", "")
    ran = going.wait()
    data = ran.exits(code).data
    assert (data["state"], data["remaining"], data["failed"]) == ("interrupted", 3, 0)
    assert waits.tries("waits", "first") == {"2024-01-01": ["success"]}
    assert waits.tries("waits", "second") == {}
    (row,) = waits.rows("SELECT state, owner FROM backfills")
    assert row == {"state": "interrupted", "owner": None}
    assert waits.rows("SELECT * FROM owners") == []
    again = waits.bfill("run", "--json").exits(0).data
    assert (again["backfill_id"], again["completed"], again["reexecuted"]) == (data["backfill_id"], 3, [])
    assert waits.tries("waits", "first")["2024-01-01"] == ["success"]
    assert waits.bfill("audit", "verify").code == 0


def test_a_second_signal_stops_at_once(waits: Project) -> None:
    going = waits.start(*WORDS, "--json")
    until((waits.folder / "at.2024-01-01").exists)
    going.signal(signal.SIGINT)
    until(lambda: going.says("again"))
    going.signal(signal.SIGINT)
    data = going.wait(15).exits(130).data
    assert (data["remaining"], data["failed"]) == (3, 0)
    assert waits.tries("waits", "first") == {"2024-01-01": ["lost"]}
    waits.write("go", "")
    again = waits.bfill("run", data["backfill_id"], "--json").exits(0).data
    assert again["completed"] == 3
    assert waits.tries("waits", "first")["2024-01-01"] == ["lost", "success"]


def test_sigterm_drains_for_the_grace_time_only(waits: Project) -> None:
    going = waits.start(*WORDS, "--json", env={"BFILL_GRACE_S": "0.2"})
    until((waits.folder / "at.2024-01-01").exists)
    going.signal(signal.SIGTERM)
    assert going.wait(15).exits(143).data["remaining"] == 3


def test_after_a_kill_the_next_command_sees_the_dead_owner_and_resumes(waits: Project) -> None:
    going = waits.start(*WORDS, "--parallel", "2")
    until((waits.folder / "at.2024-01-02").exists)
    until(
        lambda: len([one for one in waits.rows("SELECT state FROM task_instances") if one["state"] == "running"]) == 2
    )
    going.signal(signal.SIGKILL)
    assert going.wait().code == -signal.SIGKILL
    waits.write("go", "")
    (dead,) = waits.bfill("status", "--json").exits(0).data["backfills"]
    assert (dead["state"], dead["pid"]) == ("interrupted", None)
    data = waits.bfill(*WORDS, "--json").exits(0).data
    assert (data["backfill_id"], data["completed"]) == (dead["backfill_id"], 3)
    assert sorted(one["logical_date"][8:10] for one in data["reexecuted"]) == ["01", "02"]
    assert waits.tries("waits", "first") == {
        "2024-01-01": ["lost", "success"],
        "2024-01-02": ["lost", "success"],
        "2024-01-03": ["success"],
    }
    assert waits.bfill("audit", "verify").code == 0
    assert "recover" in [one["action"] for one in waits.bfill("audit", "--json").data["events"]]


def test_dates_done_elsewhere_meanwhile_do_not_run_again(waits: Project) -> None:
    going = waits.start(*WORDS, "--json")
    until((waits.folder / "at.2024-01-01").exists)
    going.signal(signal.SIGINT)
    waits.write("go", "")
    stopped = going.wait().exits(130).data["backfill_id"]
    waits.bfill("run", "--dag", "waits", "--start", "2024-01-02", "--end", "2024-01-03").exits(0)
    data = waits.bfill("run", stopped, "--json").exits(0).data
    assert (data["total_dates"], data["remaining"], data["failed"]) == (3, 0, 0)
    assert waits.tries("waits", "second") == {f"2024-01-0{day}": ["success"] for day in (1, 2, 3)}


# the program itself, started as users start it


@pytest.mark.parametrize("start", [[sys.executable, "-m", "backfill_cli"], ["bfill"]])
def test_a_fresh_process_answers_as_the_warm_one_does(project: Project, start: list[str]) -> None:
    program = start if len(start) > 1 else [str(Path(sys.executable).with_name(start[0]))]
    if not Path(program[0]).exists():
        pytest.skip("the console script is not installed")

    def fresh(*words: str) -> subprocess.CompletedProcess[str]:
        line = [*program, *words]
        return subprocess.run(line, cwd=project.folder, capture_output=True, text=True, timeout=60, check=False)

    project.write("dags/sales.py", SALES)
    project.breaks("load", "2024-01-02")
    words = ("--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-03", "--json")
    plan = fresh("plan", *words, "--dry-run")
    assert (plan.returncode, plan.stderr) == (0, "")
    assert json.loads(plan.stdout) == project.bfill("plan", *words, "--dry-run").json
    run = fresh("run", *words)
    assert (run.returncode, json.loads(run.stdout)["data"]["failed"]) == (1, 1)
    wrong = fresh("run", "--dag", "slaes")
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (3, "", 2)


DEAF = """\
with DAG("deaf", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def sleeps():
        import time
        from pathlib import Path
        Path("began").touch()
        time.sleep(60)
    sleeps()
"""


def test_a_stop_at_once_does_not_wait_for_python_that_sits_in_a_c_call(project: Project) -> None:
    """The try is recorded as lost, and the process leaves: a thread in `time.sleep` would hold it for a minute."""
    project.write("dags/deaf.py", DEAF)
    words = ["run", "--dag", "deaf", "--start", "2024-01-01", "--end", "2024-01-01"]
    process = subprocess.Popen(
        [sys.executable, "-m", "backfill_cli", *words], cwd=project.folder, stdout=subprocess.PIPE, text=True
    )
    until((project.folder / "began").exists)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, "1 remaining" in out) == (130, True)
    assert project.rows("select outcome from v_attempts") == [{"outcome": "lost"}]
