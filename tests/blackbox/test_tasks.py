"""Contract section 2: what a task receives, what it hands on, and how it may end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from blackbox.world import Project

DAY = "2024-01-31"

GIVEN = """\
def names(*values, **context):
    return sorted(context)

with DAG("given", schedule="@daily", start_date=datetime(2024, 1, 1), params={"size": 3}):
    @task
    def typed(ds: str, logical_date, data_interval_end=None, params=None, try_number=0, run_id=""):
        return [ds, type(logical_date).__module__.split(".")[0], data_interval_end.isoformat(), params["size"],
                try_number, run_id]
    @task
    def passed(ds: str, size=1):
        return [ds, size]
    @task
    def everything(**context):
        return [context["ds"], context["dag_run"].conf["region"], context["ti"].task_id, context["task"].task_id]
    @task
    def reading(context):
        try:
            context["ds"] = "x"
        except TypeError:
            return [context.ds, context["ds"], context.dag_run.run_id]
    def inner():
        return get_current_context()["ds"]
    @task
    def current():
        return inner()
    typed(), passed("given", size=7), everything(), reading(), current()
    PythonOperator(task_id="operator", python_callable=lambda ds, where, at: [ds, where, at],
                   op_args=["first {{ ds }}"], op_kwargs={"where": "{{ conf.region }}", "at": ["{{ ds_nodash }}"]})
"""

HANDED = """\
calls = []
with DAG("handed", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def tuples():
        return {"a": (1, (2, 3)), "b": None}
    @task
    def nothing(ti):
        ti.xcom_push("none", None)
    @task
    def change(row):
        row["a"].append("mine")
        return row
    @task
    def look(row, changed, ti):
        missing = ti.xcom_pull(task_ids="nothing", key="never", default="missing")
        return [row["a"], changed["a"], ti.xcom_pull(task_ids="nothing", key="none", default="missing"), missing,
                ti.xcom_pull(task_ids=["tuples", "change"])[1]["b"]]
    @task
    def ones(value):
        return value
    row = tuples()
    changed = change(row)
    nothing() >> look(row, changed)
    ones(row["a"])
    lines = BashOperator(task_id="lines", bash_command="echo one; echo two; echo three >&2; printf 'last line'")
    quiet = BashOperator(task_id="quiet", bash_command="true")
    hushed = BashOperator(task_id="hushed", bash_command="echo x", do_xcom_push=False)
    template = BashOperator(task_id="template", bash_command="echo {{ ti.xcom_pull(task_ids='lines') }}!")
    lines >> template
    @task.bash
    def command(word, ds):
        return f"echo {word} {ds} '{{{{ ds }}}}'"
    command("said")
    SQLOperator(task_id="rows", conn_id="wh", sql=["CREATE TABLE IF NOT EXISTS t (n)", "DELETE FROM t",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1500) INSERT INTO t SELECT n FROM c",
        "SELECT n, :day FROM t ORDER BY n", "SELECT 'second result set'"], parameters={"day": "{{ ds }}"})
"""

ENDS = """\
def tries(task_id):
    mark = Path(__file__).parent / f"{task_id}.tries"
    mark.write_text(mark.read_text() + "x" if mark.exists() else "x")
    return len(mark.read_text())

with DAG("ends", schedule="@daily", start_date=datetime(2024, 1, 1), default_args={"retries": 2, "retry_delay": 0}):
    @task
    def skips():
        raise SkipTask("no file today")
    @task
    def fails():
        raise FailTask("never again")
    @task
    def later():
        if tries("later") < 3:
            raise RetryLater(0.01)
        return "done"
    @task(retries=0)
    def limited():
        if tries("limited") < 3:
            raise RateLimited(0.01)
        return "done"
    @task(retries=1)
    def later_too_often():
        raise RetryLater(0.01)
    @task
    def raises():
        raise ValueError("wrong\\nin two lines")
    @task(retries=0)
    def leaves():
        sys.exit(3)
    skips(), fails(), later(), limited(), later_too_often(), raises(), leaves()
    BashOperator(task_id="shell", bash_command="echo out; echo about it >&2; exit 7", retries=1)
    BashOperator(task_id="shell_skips", bash_command="exit 99")
    EmptyOperator(task_id="empty")
"""

REFUSED = """\
import datetime as when
VALUES = {{
    "a_set": {{1, 2}}, "a_date": when.date(2024, 1, 1), "bytes": b"x", "not_a_number": float("nan"),
    "an_int_key": {{1: 2}}, "an_object": object(), "too_large": "x" * 1_048_577,
}}
with DAG("refused", schedule="@daily", start_date=datetime(2024, 1, 1), default_args={{"retries": 3}}):
    for name in VALUES:
        @task(task_id=name)
        def push(ti):
            return VALUES[ti.task_id]
        push()
    @task
    def largest():
        return "x" * (1_048_576 - 2)
    largest()
"""


@pytest.fixture(scope="module")
def tasks(new_project: Callable[[], Project]) -> Project:
    """All the DAGs of this file, run on one date by one process each."""
    project = new_project()
    project.env["BFILL_CONN_WH"] = f"sqlite:///{project.folder}/wh.db"
    for name, text, code in (
        ("given", GIVEN, 0),
        ("handed", HANDED, 0),
        ("ends", ENDS, 1),
        ("refused", REFUSED.format(), 1),
    ):
        project.write(f"dags/{name}.py", text)
        project.bfill("run", "--dag", name, "--dates", DAY, "--conf", "region=eu", "-q").exits(code)
    return project


@pytest.fixture(scope="module")
def value(tasks: Project) -> Callable[[str, str], Any]:
    def value(dag_id: str, task_id: str) -> Any:
        return tasks.xcoms(dag_id)[task_id, "return_value"]

    return value


# what a task receives


def test_parameters_named_like_a_macro_receive_its_typed_value(value: Any) -> None:
    run_id = f"backfill__{DAY}T00:00:00+00:00"
    assert value("given", "typed") == [DAY, "pendulum", "2024-02-01T00:00:00+00:00", 3, 1, run_id]


def test_arguments_passed_at_the_call_win(value: Any) -> None:
    assert value("given", "passed") == ["given", 7]


def test_star_star_context_gets_everything(value: Any) -> None:
    assert value("given", "everything") == [DAY, "eu", "everything", "everything"]


def test_context_is_a_read_only_mapping_with_attributes(value: Any) -> None:
    assert value("given", "reading") == [DAY, DAY, f"backfill__{DAY}T00:00:00+00:00"]


def test_get_current_context_works_in_the_tasks_thread(value: Any) -> None:
    assert value("given", "current") == DAY


def test_templates_in_operator_arguments_render_in_lists_too(value: Any) -> None:
    assert value("given", "operator") == [f"first {DAY}", "eu", ["20240131"]]


# what it hands on


def test_tuples_become_lists_and_none_is_null_not_missing(tasks: Project, value: Any) -> None:
    assert value("handed", "tuples") == {"a": [1, [2, 3]], "b": None}
    assert tasks.xcoms("handed")["nothing", "none"] is None
    assert ("nothing", "return_value") not in tasks.xcoms("handed")


def test_taskflow_hands_over_a_fresh_copy(value: Any) -> None:
    changed = [1, [2, 3], "mine"]
    assert value("handed", "look") == [[1, [2, 3]], changed, None, "missing", None]
    assert value("handed", "ones") == [1, [2, 3]]


def test_passing_a_result_makes_the_edge(tasks: Project) -> None:
    shown = {one["task_id"]: one for one in tasks.bfill("dags", "show", "handed", "--json").data["tasks"]}
    assert set(shown["look"]["upstream"]) == {"tuples", "change", "nothing"}
    assert shown["change"]["upstream"] == ["tuples"]


def test_bash_pushes_its_last_stdout_line(tasks: Project, value: Any) -> None:
    assert value("handed", "lines") == "last line"
    assert value("handed", "template") == "last line!"
    assert ("hushed", "return_value") not in tasks.xcoms("handed")


def test_what_a_bash_function_returns_is_not_rendered_again(value: Any) -> None:
    assert value("handed", "command") == f"said {DAY} {{{{ ds }}}}"


def test_sql_pushes_its_first_result_set_of_at_most_1000_rows(value: Any) -> None:
    rows = value("handed", "rows")
    assert (len(rows), rows[0], rows[-1]) == (1000, [1, DAY], [1000, DAY])


@pytest.mark.parametrize(
    ("task_id", "told", "hint"),
    [
        ("a_set", "set", "sorted"),
        ("a_date", "date", "isoformat"),
        ("bytes", "bytes", "decode"),
        ("not_a_number", "nan", "None"),
        ("an_int_key", "int", "str(1)"),
        ("an_object", "object", "JSON"),
        ("too_large", "1,048,57", "file"),
    ],
)
def test_what_json_cannot_hold_fails_the_task_with_a_hint(tasks: Project, task_id: str, told: str, hint: str) -> None:
    (attempt,) = tasks.attempts("refused", task_id)
    assert attempt["outcome"] == "failed"
    assert told in attempt["reason"]
    assert hint in tasks.log("refused", DAY, task_id) or hint in attempt["reason"]
    assert (task_id, "return_value") not in tasks.xcoms("refused")


def test_one_mebibyte_is_allowed(tasks: Project) -> None:
    assert tasks.instances("refused")["largest"] == "success"


def test_xcoms_of_a_try_are_cleared_when_the_next_begins(project: Project) -> None:
    project.write(
        "dags/again.py",
        """\
        with DAG("again", schedule="@daily", start_date=datetime(2024, 1, 1)):
            @task(retries=1, retry_delay=0)
            def twice(ti):
                first = ti.try_number == 1
                seen = ti.xcom_pull(task_ids="twice", key="first", default="gone")
                ti.xcom_push("first" if first else "second", seen)
                if first:
                    raise RuntimeError("once more")
            twice()
        """,
    )
    project.bfill("run", "--dag", "again", "--dates", DAY).exits(0)
    assert project.xcoms("again") == {("twice", "second"): "gone"}


# how it may end


@pytest.mark.parametrize(
    ("task_id", "state", "tries"),
    [
        ("skips", "skipped", ["skipped"]),
        ("fails", "failed", ["failed"]),
        ("later", "success", ["retry", "retry", "success"]),
        ("limited", "success", ["deferred", "deferred", "success"]),
        ("later_too_often", "failed", ["retry", "failed"]),
        ("raises", "failed", ["retry", "retry", "failed"]),
        ("leaves", "failed", ["failed"]),
        ("shell", "failed", ["retry", "failed"]),
        ("shell_skips", "skipped", ["skipped"]),
    ],
)
def test_a_task_ends_as_it_says(tasks: Project, task_id: str, state: str, tries: list[str]) -> None:
    assert tasks.instances("ends")[task_id] == state
    assert tasks.tries("ends", task_id) == {DAY: tries}


def test_a_reason_is_one_line_and_the_log_has_the_rest(tasks: Project) -> None:
    reasons = {one["task_id"]: one["reason"] for one in tasks.attempts("ends")}
    assert reasons["raises"] == "ValueError: wrong in two lines"
    assert "never again" in reasons["fails"]
    assert "no file today" in reasons["skips"]
    assert "exit status 7" in reasons["shell"]
    assert "about it" in reasons["shell"]
    log = tasks.log("ends", DAY, "raises", 3)
    assert "Traceback" in log
    assert "backfill_cli/engine" not in log
    assert tasks.log("ends", DAY, "shell", 2).splitlines()[:2] == ["out", "about it"]


def test_a_log_is_made_at_the_first_byte_and_an_empty_task_has_none(tasks: Project) -> None:
    folder = tasks.store.parent / "logs" / "ends" / f"backfill__{DAY}T00:00:00+00:00"
    assert (folder / "shell.1.log").exists()
    assert not list(folder.glob("empty.*"))
    assert not list((tasks.store.parent / "logs" / "handed").rglob("quiet.*"))


def test_logs_shows_what_a_task_wrote(tasks: Project) -> None:
    ran = tasks.bfill("logs", "--dag", "ends", DAY, "shell", "--try", "2").exits(0)
    assert "about it" in ran.out
    tasks.bfill("logs", "--dag", "ends", DAY, "shel").says(3, "shel", "shell")
    tasks.bfill("logs", "--dag", "ends", "2024-02-09").says(3, "2024-02-09")


def test_python_output_and_logging_are_captured_per_attempt(project: Project) -> None:
    project.write(
        "dags/talks.py",
        """\
        import logging, subprocess
        print("loading the file")
        with DAG("talks", schedule="@daily", start_date=datetime(2024, 1, 1)):
            @task
            def talk(ds):
                print("to stdout", ds)
                print("to stderr", ds, file=sys.stderr)
                logging.getLogger("mine").warning("logged %s", ds)
                os.write(1, b"past python\\n")
            talk()
        """,
    )
    ran = project.bfill("run", "--dag", "talks", "--start", DAY, "--end", "2024-02-01", "--parallel", "2", "--json")
    assert ran.exits(0).data["completed"] == 2
    for day in (DAY, "2024-02-01"):
        log = project.log("talks", day, "talk")
        assert f"to stdout {day}" in log
        assert f"to stderr {day}" in log
        assert f"logged {day}" in log
        assert log.count("to stdout") == 1
