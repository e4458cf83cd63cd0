"""Contract section 7: one JSON document on stdout, with exactly the keys that were promised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from blackbox.world import SALES, Project

WEEK = ("--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-05")

PLAN = "dag_id dag_version schedule timezone start end backfill_id total counts runs estimate warnings"
PLAN_RUN = "logical_date data_interval_start data_interval_end run_id action state reason"
RUN = (
    "backfill_id parent_id dag_id state total_dates completed failed blocked skipped remaining interrupted"
    " started_at ended_at duration_s results audit_head"
)
RESULT = "logical_date run_id state duration_s reason"
COUNTS = "total_dates completed failed blocked skipped remaining interrupted"
EVENT = "seq at actor host action target reason outcome details hash"
NOISY = """\
print("at import")
os.write(1, b"past python at import\\n")
os.system("echo from a child at import")
with DAG("noisy", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def talk(ds):
        print("in the task")
        os.write(1, b"past python\\n")
        os.system("echo from a child")
    talk()
    BashOperator(task_id="shell", bash_command="echo from the shell")
"""


class Answers:
    """What each command answers over one store."""

    def __init__(self, project: Project) -> None:
        project.write("dags/sales.py", SALES)
        project.breaks("load", "2024-01-02")
        self.project = project
        self.plan = project.bfill("plan", *WEEK, "--dry-run", "--json")
        self.run = project.bfill("run", *WEEK, "--json")
        self.rerun = project.bfill("rerun-failed", "--json")
        self.left = project.bfill("run", *WEEK, "--json")
        self.status = project.bfill("status", self.run.data["backfill_id"], "--json")
        self.audit = project.bfill("audit", "--json")


@pytest.fixture(scope="module")
def answers(new_project: Callable[[], Project]) -> Answers:
    return Answers(new_project())


def keys(data: dict[str, Any], promised: str) -> None:
    assert set(promised.split()) <= set(data), set(promised.split()) - set(data)


def test_the_envelope_of_a_result(answers: Answers) -> None:
    for command, ran, code in (
        ("plan", answers.plan, 0),
        ("run", answers.run, 1),
        ("rerun-failed", answers.rerun, 1),
        ("status", answers.status, 0),
        ("audit", answers.audit, 0),
    ):
        found = ran.exits(code).json
        assert list(found) == ["schema", "command", "ok", "exit_code", "data", "problems"]
        assert (found["schema"], found["command"]) == ("bfill/1", command)
        assert (found["ok"], found["exit_code"]) == (code == 0, code)
        for problem in found["problems"]:
            assert list(problem) == ["code", "message", "hint"]


def test_the_envelope_of_an_error(answers: Answers) -> None:
    for code, words in (
        (3, ("run", "--dag", "slaes", "--start", "2024-01-01", "--json")),
        (2, ("run", "--dag", "sales", "--start", "nope", "--json")),
        (2, ("run", "--nonsense", "--json")),
        (7, ("reset", *WEEK, "--json")),
        (2, ("nonsense", "--json")),
    ):
        ran = answers.project.bfill(*words).exits(code)
        found = ran.json
        assert list(found) == ["schema", "command", "ok", "exit_code", "error"]
        assert list(found["error"]) == ["kind", "code", "message", "hint", "where"]
        assert found["error"]["message"]
        assert found["error"]["hint"]
        assert ran.err == ""


def test_json_before_the_command_is_an_error_in_json(answers: Answers) -> None:
    """Whoever writes --json reads JSON, also of the mistake that it stands in the wrong place."""
    for words in (("--json", "status"), ("--json",), ("--json", "--store", "x.db", "run", "bf-1")):
        found = answers.project.bfill(*words).exits(2).json
        assert (found["command"], found["error"]["code"]) == ("bfill", "option-before-command")
        assert (found["error"]["kind"], found["error"]["message"]) == ("usage", "--json does not go before the command")


def test_plan_has_the_promised_keys(answers: Answers) -> None:
    data = answers.plan.data
    keys(data, PLAN)
    assert list(data["counts"]) == ["create", "resume", "rerun", "reset", "skip"]
    assert sum(data["counts"].values()) == data["total"] == len(data["runs"]) == 5
    for run in data["runs"]:
        assert list(run) == PLAN_RUN.split()
    assert (data["start"], data["end"]) == ("2024-01-01T00:00:00+00:00", "2024-01-05T00:00:00+00:00")
    keys(data["estimate"], "duration_s task_instances")
    assert data["estimate"]["task_instances"] == 10


def test_run_and_rerun_failed_have_the_promised_keys_and_sums(answers: Answers) -> None:
    for ran in (answers.run, answers.rerun, answers.left):
        data = ran.data
        keys(data, RUN)
        parts = ("completed", "failed", "blocked", "skipped", "remaining")
        assert data["total_dates"] == sum(data[part] for part in parts) == len(data["results"])
        assert data["interrupted"] <= data["remaining"]
        for result in data["results"]:
            assert list(result) == RESULT.split()
        seq, _, digest = data["audit_head"].partition(":")
        assert int(seq) > 0
        assert digest
    assert (answers.run.data["failed"], answers.run.data["state"]) == (1, "failed")
    assert answers.left.data["skipped"] == 5


def test_status_has_the_promised_keys(answers: Answers) -> None:
    data = answers.status.data
    keys(data, "backfill runs " + COUNTS)
    keys(data["backfill"], "backfill_id dag_id state " + COUNTS)
    for run in data["runs"]:
        keys(run, "logical_date run_id state tasks")
        assert list(run["tasks"]) == ["extract", "load"]
        for instance in run["tasks"].values():
            keys(instance, "state try_number")


def test_audit_has_the_promised_keys(answers: Answers) -> None:
    data = answers.audit.data
    assert list(data) == ["events", "head"]
    for event in data["events"]:
        assert list(event) == EVENT.split()
        assert isinstance(event["details"], dict)
    last = data["events"][-1]
    assert data["head"] == f"{last['seq']}:{last['hash']}"


def test_instants_are_iso_8601_in_utc(answers: Answers) -> None:
    for text in (answers.run.data["started_at"], answers.run.data["ended_at"], answers.audit.data["events"][0]["at"]):
        assert text.endswith("+00:00")
        assert text[10] == "T"


def test_one_document_stands_on_stdout_whatever_a_dag_file_or_a_task_prints(project: Project) -> None:
    project.write("dags/noisy.py", NOISY)
    days = ("--dag", "noisy", "--start", "2024-01-01", "--end", "2024-01-02")
    for words in (("plan", *days, "--dry-run"), ("run", *days), ("dags", "list"), ("status", "--dag", "noisy")):
        ran = project.bfill(*words, "--json").exits(0)
        assert ran.out.count("\n") == 1
        assert ran.json["ok"] is True
    assert "in the task" in project.log("noisy", "2024-01-01", "talk")


def test_with_json_stdout_holds_no_progress_and_stderr_no_json(answers: Answers) -> None:
    assert answers.run.out.count("\n") == 1
    assert not answers.run.err.startswith("{")
