"""`bfill explain`: why one date is taken or left out, what its tasks wait for, where that began; on real stores."""

from __future__ import annotations

import signal
from hashlib import sha256
from typing import Any

import pytest

from blackbox.world import Project, until

CHAIN = """\
with DAG("chain", schedule="@daily", start_date=datetime(2024, 1, 1), end_date=datetime(2024, 1, 20)):
    @task
    def extract(ds: str):
        broken("extract", ds)
    @task(depends_on_past=True)
    def balance(ds: str):
        broken("balance", ds)
    @task
    def publish():
        pass
    extract() >> balance() >> publish()
"""


@pytest.fixture
def chain(project: Project) -> Project:
    """Seven days, the third of which failed: four are blocked behind it."""
    project.write("dags/chain.py", CHAIN)
    project.breaks("balance", "2024-01-03")
    project.bfill("run", "--dag", "chain", "--start", "2024-01-01", "--end", "2024-01-07", "--parallel", "4").exits(1)
    return project


def explained(project: Project, *words: str) -> dict[str, Any]:
    return project.bfill("explain", *words, "--json").exits(0).data


def task_of(data: dict[str, Any], task_id: str) -> dict[str, Any]:
    (found,) = [one for one in data["tasks"] if one["task_id"] == task_id]
    return found


def unmet(data: dict[str, Any], task_id: str) -> list[tuple[str, str | None, str | None, str | None]]:
    rules = task_of(data, task_id)["rules"]
    return [
        (one["rule"], one["logical_date"], one["task_id"], one["state"]) for one in rules if one["verdict"] != "met"
    ]


def test_a_blocked_date_names_its_rule_the_first_cause_and_the_command_that_mends_it(chain: Project) -> None:
    data = explained(chain, "--dag", "chain", "2024-01-06")
    assert (data["state"], data["action"], data["reason"], data["selected"]) == ("blocked", "resume", "blocked", True)
    assert [one["rule"] for one in data["rules"] if one["passed"]] == ["schedule", "dag-bounds", "complete"]
    assert unmet(data, "balance") == [("depends_on_past", "2024-01-05T00:00:00+00:00", "balance", "scheduled")]
    assert [rule for rule, *_ in unmet(data, "publish")] == ["all_success"]
    assert task_of(data, "extract")["last_attempt"]["outcome"] == "success"
    for task_id in ("balance", "publish"):
        cause = task_of(data, task_id)["cause"]
        assert (cause["logical_date"][:10], cause["task_id"], cause["dates"]) == ("2024-01-03", "balance", 3)
        assert "balance is broken" in cause["reason"]
    assert data["next_command"] == "bfill rerun-failed --dag chain --start 2024-01-03 --end 2024-01-06"
    chain.mends("balance", "2024-01-03")
    chain.bfill(*data["next_command"].split()[1:]).exits(0)
    assert explained(chain, "--dag", "chain", "2024-01-06")["state"] == "success"
    assert (
        explained(chain, "--dag", "chain", "2024-01-07")["next_command"] == "bfill run --dag chain --dates 2024-01-07"
    )


def test_a_failed_date_says_which_try_failed_and_what_it_took_with_it(chain: Project) -> None:
    data = explained(chain, "--dag", "chain", "2024-01-03")
    assert (data["state"], data["action"], data["reason"]) == ("failed", "skip", "failed")
    failed, behind = task_of(data, "balance"), task_of(data, "publish")
    assert (failed["state"], failed["last_attempt"]["try_number"], failed["rules"]) == ("failed", 1, [])
    assert (behind["state"], behind["last_attempt"]) == ("upstream_failed", None)
    assert (behind["cause"]["task_id"], behind["cause"]["dates"]) == ("balance", 0)
    assert data["next_command"] == "bfill rerun-failed --dag chain --dates 2024-01-03"
    out = chain.bfill("explain", "--dag", "chain", "2024-01-03", env={"COLUMNS": "80"}).exits(0).out
    assert "bfill logs --dag chain 2024-01-03 balance" in out
    assert chain.bfill("logs", "--dag", "chain", "2024-01-03", "balance").code == 0


def test_a_date_that_is_left_out_says_by_which_rule_and_what_takes_it(chain: Project) -> None:
    before = explained(chain, "--dag", "chain", "2023-12-31")
    assert (before["selected"], before["action"], before["state"]) == (False, None, "missing")
    left = {one["rule"]: one["text"] for one in before["rules"] if not one["passed"]}
    assert left == {"dag-bounds": "the DAG starts 2024-01-01 and ends 2024-01-20; --ignore-dag-bounds takes it"}
    future = explained(chain, "--dag", "chain", "2999-01-01")
    assert {one["rule"] for one in future["rules"] if not one["passed"]} == {"dag-bounds", "complete"}
    assert future["next_command"] == ""
    for word, day in (
        ("--ignore-dag-bounds", "2023-12-31"),
        ("--ignore-dag-bounds --include-incomplete", "2999-01-01"),
    ):
        plan = chain.bfill("plan", "--dag", "chain", "--dates", day, *word.split(), "--dry-run", "--json").exits(0).data
        assert plan["total"] == 1
        assert chain.bfill("plan", "--dag", "chain", "--dates", day, "--dry-run", "--json").data["total"] == 0


def test_a_gap_in_history_is_named_and_what_is_before_it_counts(chain: Project) -> None:
    """Semantics section 4, rule 3: gaps are allowed; the previous run is the latest one there is."""
    data = explained(chain, "--dag", "chain", "2024-01-12")
    assert (data["state"], data["action"]) == ("missing", "create")
    assert data["previous"] == {
        "logical_date": "2024-01-07T00:00:00+00:00",
        "state": "blocked",
        "missing_between": 4,
        "first_missing": "2024-01-08T00:00:00+00:00",
        "last_missing": "2024-01-11T00:00:00+00:00",
    }
    assert data["next_command"] == "bfill rerun-failed --dag chain --start 2024-01-03 --end 2024-01-12"
    out = chain.bfill("explain", "--dag", "chain", "2024-01-12", env={"COLUMNS": "80"}).out
    assert "4 dates between without a dag_run (2024-01-08 … 2024-01-11)" in " ".join(out.split())


def test_a_first_date_that_was_told_to_ignore_the_past_says_so(chain: Project) -> None:
    """Section 4, rule 1: also for the one that is blocked behind it, which was not told so."""
    chain.breaks("extract", "2024-01-10")
    words = ("--dag", "chain", "--start", "2024-01-10", "--end", "2024-01-11", "--ignore-first-depends-on-past")
    going = chain.bfill("run", *words).exits(1)
    data = explained(chain, going.out.split("backfill ")[1].split()[0], "2024-01-10")
    assert task_of(data, "extract")["state"] == "failed"
    second = explained(chain, "--dag", "chain", "2024-01-11")
    assert unmet(second, "balance")[0][1:] == ("2024-01-10T00:00:00+00:00", "balance", "upstream_failed")
    assert task_of(second, "balance")["cause"]["task_id"] == "extract"
    chain.bfill("reset", "--dag", "chain", "--dates", "2024-01-10", "--yes").exits(0)
    again = explained(chain, going.out.split("backfill ")[1].split()[0], "2024-01-10")
    past = [one["text"] for one in task_of(again, "balance")["rules"] if one["rule"] == "depends_on_past"]
    assert past == ["--ignore-first-depends-on-past: the date before is not looked at"]


def test_what_a_living_process_works_on_is_said_to_be_and_what_will_come_too(project: Project) -> None:
    project.write(
        "dags/naps.py",
        """\
        with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1)):
            nap = "touch ../on; while test ! -e ../go; do sleep 0.02; done"
            BashOperator(task_id="nap", bash_command=nap, depends_on_past=True)
        """,
    )
    going = project.start("run", "--dag", "naps", "--start", "2024-01-01", "--end", "2024-01-03", "--parallel", "2")
    until((project.folder / "on").exists)
    first = explained(project, "--dag", "naps", "2024-01-01")
    assert (first["state"], task_of(first, "nap")["state"], first["dag_run"]["pid"]) == (
        "running",
        "running",
        going.pid,
    )
    assert first["action"] == "skip"
    second = explained(project, "--dag", "naps", "2024-01-02")
    assert [one["verdict"] for one in task_of(second, "nap")["rules"]] == ["met", "waits"]
    third = explained(project, "--dag", "naps", "2024-01-03")
    assert (third["dag_run"], third["backfill"]["state"], third["backfill"]["action"]) == (None, "running", "create")
    commands = {one["next_command"] for one in (first, second, third)}
    assert commands == {f"bfill status {third['backfill']['backfill_id']} --watch"}
    (project.folder / "go").touch()
    going.wait().exits(0)


def test_it_only_reads_and_makes_no_store(chain: Project) -> None:
    def digests() -> dict[str, str]:
        files = [one for one in chain.folder.rglob("*") if one.is_file() and "__pycache__" not in one.parts]
        return {str(one): sha256(one.read_bytes()).hexdigest() for one in files}

    before = digests()
    for words in (("--dag", "chain", "2024-01-06"), ("--dag", "chain", "2024-01-15"), ("chain", "2024-01-03")):
        chain.bfill("explain", *words).exits(0)
    assert digests() == before
    chain.bfill("explain", "--dag", "chain", "2024-01-06", "--store", "no/such.db").exits(0)
    assert digests() == before


def test_refusals_name_the_neighbours_the_dates_of_the_day_and_near_names(project: Project) -> None:
    project.write(
        "dags/stock.py",
        """\
        with DAG("stock", schedule="0 */6 * * *", start_date=datetime(2024, 1, 1), timezone="Europe/Paris"):
            BashOperator(task_id="count", bash_command="true")
        """,
    )
    project.bfill("explain", "--dag", "stock", "2024-01-02").says(2, "has 4 logical dates", "2024-01-02T00:00")
    project.bfill("explain", "--dag", "stock", "2024-01-02T05:00").says(
        3, "no logical date", "2024-01-02", "06:00+01:00"
    )
    project.bfill("explain", "--dag", "stock", "2024-01-02T06:00", "--task", "cont").says(
        3, "'cont' is not in", "'count'"
    )
    project.bfill("explain", "2024-01-02").says(2, "a DAG or an id, and a date", "bfill explain --dag DAG DATE")
    project.bfill("explain", "--dag", "stock", "2024-01-02", "count").says(2, "'count' is one word too many")
    project.bfill("explain", "bf-20240101-none", "2024-01-02").says(3, "no backfill 'bf-20240101-none'")
    data = explained(project, "--dag", "stock", "2024-01-02T06:00")
    assert data["logical_date"] == "2024-01-02T05:00:00+00:00"
    assert data["next_command"] == "bfill run --dag stock --dates 2024-01-02T06:00:00"
    project.bfill(*data["next_command"].split()[1:]).exits(0)
    assert explained(project, "--dag", "stock", "2024-01-02T06:00")["state"] == "success"


def test_a_dag_run_that_the_schedule_no_longer_has_is_explained_too(project: Project) -> None:
    project.write(
        "dags/moved.py",
        'with DAG("moved", schedule="0 6 * * *", start_date=datetime(2024, 1, 1)):\n    EmptyOperator(task_id="a")\n',
    )
    project.bfill("run", "--dag", "moved", "--dates", "2024-01-02").exits(0)
    file = project.folder / "dags/moved.py"
    file.write_text(file.read_text().replace("0 6", "0 7").replace('"a"', '"b"'))
    data = explained(project, "--dag", "moved", "2024-01-02T06:00")
    assert (data["state"], data["stale"], data["selected"], data["action"]) == ("success", True, False, None)
    assert "no range takes it; its neighbours are 2024-01-01 07:00Z and 2024-01-02 07:00Z" in data["rules"][0]["text"]
    assert [(one["task_id"], one["state"]) for one in data["tasks"]] == [("b", "scheduled"), ("a", "success")]


def test_a_date_that_nobody_opened_is_explained_by_the_backfill_that_holds_it(project: Project) -> None:
    """Whether it comes to the date, waits to be resumed, was stopped before it, or was told to leave it out."""
    project.write(
        "dags/held.py",
        """
        with DAG("held", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="hold", bash_command="while test -e ../hold; do sleep 0.02; done")
        """,
    )
    project.write("hold", "")

    def said(day: str) -> tuple[str, str, str]:
        data = project.bfill("explain", "--dag", "held", day, "--json").exits(0).data
        return data["backfill"]["action"], data["backfill"]["reason"], data["next_command"]

    going = project.start("run", "--dag", "held", "--start", "2024-01-01", "--end", "2024-01-06")
    until(lambda: project.rows("SELECT 1 FROM v_dag_runs WHERE state = 'running'"))
    (row,) = project.rows("SELECT backfill_id FROM backfills")
    backfill = row["backfill_id"]
    assert said("2024-01-05") == ("create", "no run yet", f"bfill status {backfill} --watch")
    project.bfill("pause", "held").exits(0)
    project.bfill("skip", "held", "2024-01-05", "--reason", "no data").exits(0)
    assert said("2024-01-04") == ("create", "no run yet", f"bfill resume {backfill}")
    assert said("2024-01-01")[2] == f"bfill resume {backfill}", "it is open, and goes on no sooner"
    alone = "bfill run --dag held --dates 2024-01-05"
    assert said("2024-01-05") == ("skip", "skipped by root: no data", alone)
    (project.folder / "hold").unlink()
    going.signal(signal.SIGINT)
    going.wait().exits(130)
    assert said("2024-01-04") == ("create", "no run yet", f"bfill run {backfill}")
    assert said("2024-01-05") == ("skip", "skipped by root: no data", alone)
    project.bfill("cancel", "held").exits(0)
    assert said("2024-01-04")[2] == "bfill run --dag held --dates 2024-01-04"
