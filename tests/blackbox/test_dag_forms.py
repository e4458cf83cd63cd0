"""Contract section 2: what --dag accepts, one-task DAGs from --command, and files that cannot be used."""

from __future__ import annotations

import re

import pytest

from blackbox.world import SALES, Project

DAY = ("--start", "2024-01-01", "--end", "2024-01-01")
TWO = """\
with DAG("one", schedule="@daily"):
    EmptyOperator(task_id="a")
with DAG("two", schedule="@daily"):
    EmptyOperator(task_id="b")
"""


def dag_of(project: Project, *words: str) -> str:
    found = project.bfill("plan", *words, *DAY, "--dry-run", "--json").exits(0).data["dag_id"]
    assert isinstance(found, str)
    return found


def test_dag_takes_an_id_a_path_a_path_with_an_id_and_a_module(project: Project) -> None:
    project.write("dags/sales.py", SALES)
    project.write("elsewhere/two.py", TWO)
    project.write("jobs/__init__.py", "", head="")
    project.write("jobs/nightly.py", SALES.replace('"sales"', '"nightly"'))
    project.write("jobs/bound.py", SALES.replace('"sales"', '"weekly"').replace("1)):", "1)) as my_dag:"))
    assert dag_of(project, "--dag", "sales") == "sales"
    assert dag_of(project, "--dag", "dags/sales.py") == "sales"
    assert dag_of(project, "--dag", str(project.folder / "dags" / "sales.py")) == "sales"
    assert dag_of(project, "--dag", "elsewhere/two.py:two") == "two"
    assert dag_of(project, "--dag", "jobs.nightly:nightly") == "nightly"
    assert dag_of(project, "--dag", "jobs.bound:my_dag") == "weekly"


def test_a_dag_id_in_two_files_is_refused_with_both_listed(project: Project) -> None:
    project.write("dags/sales.py", SALES)
    project.write("dags/copy.py", SALES)
    with project.unchanged():
        project.bfill("plan", "--dag", "sales", *DAY).says(3, "sales", "dags/sales.py", "dags/copy.py")
    assert dag_of(project, "--dag", "dags/copy.py") == "sales"


def test_a_file_with_several_dags_needs_a_name(project: Project) -> None:
    project.write("dags/two.py", TWO)
    project.bfill("plan", "--dag", "dags/two.py", *DAY).says(3, "one", "two")
    assert dag_of(project, "--dag", "two") == "two"


def test_an_unknown_dag_is_refused_with_the_nearest_name(project: Project) -> None:
    project.write("dags/sales.py", SALES)
    with project.unchanged():
        project.bfill("run", "--dag", "salse", *DAY).says(3, "salse", "sales")
        project.bfill("run", "--dag", "dags/salse.py", *DAY).says(3, "dags/salse.py", "sales.py")
        project.bfill("run", "--dag", "dags/sales.py:slaes", *DAY).says(3, "slaes", "sales")


def test_history_belongs_to_the_dag_id_and_another_path_warns_dag_moved(project: Project) -> None:
    path = project.write("dags/sales.py", SALES)
    project.bfill("run", "--dag", "sales", *DAY).exits(0)
    assert "dag-moved" not in project.bfill("plan", "--dag", "sales", *DAY, "--dry-run", "--json").problems
    (project.folder / "dags" / "team").mkdir()
    path.rename(project.folder / "dags" / "team" / "sales.py")
    project.env["BFILL_DAGS"] = "dags/team"
    nothing_to_do = project.bfill("plan", "--dag", "sales", *DAY, "--dry-run", "--json").exits(0)
    assert nothing_to_do.data["counts"]["skip"] == 1
    assert "dag-moved" in nothing_to_do.problems
    more = project.bfill("run", "--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-02", "--json").exits(0)
    assert "dag-moved" in more.problems
    assert more.data["skipped"] == 1
    adhoc = project.bfill("plan", "--command", "true", "--name", "sales", "--schedule", "@daily", *DAY, "--json")
    assert "a --command" in adhoc.exits(0).problems["dag-moved"]


# --command


def test_a_command_makes_a_dag_on_the_spot_and_its_id_is_a_digest(project: Project) -> None:
    words = ("--command", "echo got {{ ds }}", "--schedule", "@daily")
    data = project.bfill("run", *words, *DAY, "--json").exits(0).data
    assert re.fullmatch(r"cmd-[0-9a-f]{8}", data["dag_id"])
    assert list(project.xcoms(data["dag_id"]).values()) == ["got 2024-01-01"]
    again = project.bfill("plan", *words, *DAY, "--dry-run", "--json").data
    assert (again["dag_id"], again["counts"]["skip"]) == (data["dag_id"], 1)
    other = project.bfill("plan", *words, "--timezone", "Asia/Tokyo", *DAY, "--dry-run", "--json").data
    assert other["dag_id"] != data["dag_id"]
    assert other["timezone"] == "Asia/Tokyo"


def test_a_command_with_a_name_then_run_rerun_failed_and_status_need_no_flags(project: Project) -> None:
    words = ("--command", "test -e mended && echo {{ ds }}", "--schedule", "@daily", "--name", "etl")
    planned = project.bfill("plan", *words, "--start", "2024-01-01", "--end", "2024-01-03", "--json").exits(0).data
    assert planned["dag_id"] == "etl"
    ran = project.bfill("run", planned["backfill_id"], "--json").exits(1).data
    assert (ran["backfill_id"], ran["failed"]) == (planned["backfill_id"], 3)
    project.write("mended", "")
    again = project.bfill("rerun-failed", planned["backfill_id"], "--json").exits(0).data
    assert (again["completed"], again["parent_id"]) == (3, planned["backfill_id"])
    assert project.bfill("status", planned["backfill_id"], "--json").exits(0).data["dag_id"] == "etl"
    assert dag_of(project, "--dag", "etl") == "etl"


def test_a_command_without_a_schedule_takes_single_dates(project: Project) -> None:
    data = project.bfill("run", "--command", "echo {{ ds }}", "--dates", "2024-01-31", "--json").exits(0).data
    assert data["completed"] == 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--dag", "sales", "--command", "true"), 2, "--command"),
        (("--schedule", "@daily"), 2, "--command"),
        (("--dag", "sales", "--name", "x"), 2, "--name"),
        (("--command", "", "--schedule", "@daily"), 3, "empty"),
        (("--command", "true", "--schedule", "every day"), 3, "every day"),
        (("--command", "true", "--schedule", "@daily", "--timezone", "Mars/Base"), 3, "Mars/Base"),
        (("--command", "true", "--schedule", "@daily", "--name", "a/b"), 3, "a/b"),
        ((), 2, "--dag"),
    ],
)
def test_flags_that_name_no_dag_are_refused(project: Project, words: tuple[str, ...], code: int, told: str) -> None:
    project.write("dags/sales.py", SALES)
    with project.unchanged():
        project.bfill("run", *words, *DAY).says(code, told)


# files that are wrong


EMPTY = "    EmptyOperator(task_id='a')\n"
DAILY = "with DAG('d', schedule='@daily'):\n"


def bash(option: str) -> str:
    return f"{DAILY}    BashOperator(task_id='a', bash_command='true', {option})\n"


WRONG: dict[str, tuple[str, tuple[str, ...]]] = {
    "raises": ("raise ValueError('no luck')\n", ("bad.py:", "no luck")),
    "exits": ("sys.exit(7)\n", ("bad.py:", "exit")),
    "imports nothing": ("import nothing_of_that_name\n", ("bad.py:", "nothing_of_that_name")),
    "is no python": ("with DAG(\n", ("bad.py:",)),
    "holds no dag": ("", ("bad.py", "DAG")),
    "never fires": (f"with DAG('d', schedule='0 0 30 2 *'):\n{EMPTY}", ("bad.py:", "never fires")),
    "minute 61": (f"with DAG('d', schedule='61 * * * *'):\n{EMPTY}", ("bad.py:", "61")),
    "six fields": (f"with DAG('d', schedule='0 0 0 * * *'):\n{EMPTY}", ("bad.py:", "6")),
    "bad zone": (f"with DAG('d', schedule='@daily', timezone='Moon/X'):\n{EMPTY}", ("bad.py:", "Moon/X")),
    "no time at all": (f"with DAG('d', schedule=timedelta(0)):\n{EMPTY}", ("bad.py:",)),
    "cycle": (
        f"{DAILY}    a, b = EmptyOperator(task_id='first'), EmptyOperator(task_id='second')\n    a >> b >> a\n",
        ("bad.py", "first", "second"),
    ),
    "duplicate task": (DAILY + EMPTY + EMPTY, ("bad.py:", "'a'")),
    "required parameter": (f"{DAILY}    @task\n    def f(needed): ...\n    f()\n", ("bad.py:", "needed")),
    "unknown option": (bash("retires=2"), ("bad.py:", "retires", "retries")),
    "unknown trigger rule": (bash("trigger_rule='all_ok'"), ("bad.py:", "all_ok")),
    "unknown pool": (bash("pool='lake'"), ("bad.py:", "lake")),
    "more slots than the pool has": (bash("pool_slots=500"), ("bad.py:", "500", "128")),
}


@pytest.mark.parametrize(("text", "told"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_dag_file_is_one_clear_line_with_its_place(project: Project, text: str, told: tuple[str, ...]) -> None:
    project.write("dags/bad.py", text)
    with project.unchanged():
        project.bfill("run", "--dag", "dags/bad.py", *DAY).says(3, *told)


def test_a_dag_file_that_hangs_is_ended(project: Project) -> None:
    project.write("dags/bad.py", "while True: pass\n")
    with project.unchanged():
        project.bfill("run", "--dag", "dags/bad.py", *DAY, env={"BFILL_IMPORT_TIMEOUT_S": "0.3"}).says(
            3, "bad.py", "0.3"
        )


def test_a_broken_file_does_not_hide_the_dag_of_another(project: Project) -> None:
    project.write("dags/sales.py", SALES)
    project.write("dags/bad.py", "raise ValueError('no luck')\n")
    assert dag_of(project, "--dag", "sales") == "sales"
    project.write("dags/worse.py", "with DAG('wanted', schedule='0 0 30 2 *'):\n    EmptyOperator(task_id='a')\n")
    project.bfill("run", "--dag", "wanted", *DAY).says(3, "dags/worse.py:", "never fires")
    listed = project.bfill("dags", "list")
    assert "sales" in listed.out
    assert "bad.py" in listed.out + listed.err
    project.bfill("dags", "validate").exits(3)
    project.bfill("dags", "validate", "sales").exits(0)


def test_a_process_keeps_the_version_it_loaded(project: Project) -> None:
    project.write(
        "dags/selfish.py",
        """\
        with DAG("selfish", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="edit", bash_command="echo 'raise SystemExit' > selfish.py; echo {{ ds }}")
        """,
    )
    project.bfill("run", "--dag", "selfish", "--start", "2024-01-01", "--end", "2024-01-03").exits(0)
    assert len(project.runs("selfish")) == 3
    assert len(project.rows("SELECT DISTINCT dag_version FROM v_dag_runs")) == 1
