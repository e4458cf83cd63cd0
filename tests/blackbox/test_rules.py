"""Semantics 4 to 6 end to end: waiting on the past, trigger rules, retries over a restart, time limits."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from blackbox.world import Project, until

CHAIN = """\
with DAG("chain", schedule="@daily", start_date=datetime(2024, 1, 1), default_args={"depends_on_past": True}):
    PythonOperator(task_id="step", python_callable=lambda ds: broken("step", ds))
"""


def test_a_chain_whose_second_day_failed_blocks_the_third_until_it_is_repaired(project: Project) -> None:
    project.write("dags/chain.py", CHAIN)
    project.breaks("step", "2024-01-02")
    words = ("--dag", "chain", "--start", "2024-01-01", "--end", "2024-01-04")
    data = project.bfill("run", *words, "--parallel", "4", "--json").exits(1).data
    assert (data["completed"], data["failed"], data["blocked"], data["remaining"]) == (1, 1, 2, 0)
    third = data["results"][2]
    assert (third["state"], third["logical_date"][:10]) == ("blocked", "2024-01-03")
    assert "2024-01-02" in third["reason"]
    assert project.runs("chain")["2024-01-03"] == "queued"
    assert set(project.tries("chain", "step")) == {"2024-01-01", "2024-01-02"}
    assert {row["state"] for row in project.rows("SELECT state FROM dag_runs")} == {"success", "failed", "queued"}
    shown = project.bfill("status", data["backfill_id"], "--json").exits(0).data
    assert (shown["blocked"], shown["runs"][2]["state"]) == (2, "blocked")
    project.mends("step", "2024-01-02")
    again = project.bfill("rerun-failed", "--json").exits(0).data
    assert (again["completed"], again["blocked"]) == (3, 0)
    assert set(project.runs("chain").values()) == {"success"}


def test_after_the_repair_of_one_day_the_same_command_goes_on(project: Project) -> None:
    project.write("dags/chain.py", CHAIN)
    project.breaks("step", "2024-01-02")
    words = ("--dag", "chain", "--start", "2024-01-01", "--end", "2024-01-03")
    project.bfill("run", *words).exits(1)
    project.mends("step", "2024-01-02")
    project.bfill("run", "--dag", "chain", "--dates", "2024-01-02", "--reprocess", "failed").exits(0)
    data = project.bfill("run", *words, "--json").exits(0).data
    assert (data["completed"], data["skipped"]) == (1, 2)


def test_run_backwards_with_depends_on_past_is_refused(project: Project) -> None:
    project.write("dags/chain.py", CHAIN)
    with project.unchanged():
        project.bfill("run", "--dag", "chain", "--dates", "2024-01-02", "--run-backwards").says(2, "chain", "past")


def test_ignore_first_depends_on_past_lets_the_first_run_go(project: Project) -> None:
    project.write("dags/chain.py", CHAIN)
    project.breaks("step", "2024-01-01")
    project.bfill("run", "--dag", "chain", "--dates", "2024-01-01").exits(1)
    words = ("--dag", "chain", "--start", "2024-01-02", "--end", "2024-01-03")
    assert project.bfill("run", *words, "--json").exits(1).data["blocked"] == 2
    data = project.bfill("run", *words, "--ignore-first-depends-on-past", "--json").exits(0).data
    assert data["completed"] == 2


def test_wait_for_downstream_waits_for_the_immediate_downstream_tasks_only(project: Project) -> None:
    project.write(
        "dags/held.py",
        """\
        with DAG("held", schedule="@daily", start_date=datetime(2024, 1, 1)):
            def run(task_id, **more):
                return PythonOperator(task_id=task_id, python_callable=lambda ti, ds: broken(ti.task_id, ds), **more)
            run("a", wait_for_downstream=True) >> run("b") >> run("c")
        """,
    )
    project.breaks("b", "2024-01-02")
    project.breaks("c", "2024-01-01")
    words = ("--dag", "held", "--start", "2024-01-01", "--end", "2024-01-03", "--parallel", "3")
    data = project.bfill("run", *words, "--json").exits(1).data
    assert [one["state"] for one in data["results"]] == ["failed", "failed", "blocked"]
    assert set(project.tries("held", "a")) == {"2024-01-01", "2024-01-02"}


RULES = """\
with DAG("rules", schedule="@daily", start_date=datetime(2024, 1, 1)):
    def boom():
        raise FailTask("no")
    def skip():
        raise SkipTask("no")
    good = EmptyOperator(task_id="good")
    bad = PythonOperator(task_id="bad", python_callable=boom)
    skipped = PythonOperator(task_id="skipped", python_callable=skip)
    after_bad = EmptyOperator(task_id="after_bad")
    bad >> after_bad
    for rule, upstream in (
        ("all_success", [good, bad, skipped]), ("all_failed", [bad, after_bad]), ("all_done", [good, bad, skipped]),
        ("all_skipped", [skipped]), ("one_success", [good, bad]), ("one_failed", [good, bad]),
        ("one_done", [good, skipped]), ("none_failed", [good, skipped]),
        ("none_failed_min_one_success", [skipped]), ("none_skipped", [good, bad]), ("always", [bad]),
        ("all_done_min_one_success", [good, bad]),
    ):
        upstream >> EmptyOperator(task_id=rule, trigger_rule=rule)
    [good, skipped] >> EmptyOperator(task_id="cascade") >> EmptyOperator(task_id="further")
    @task.branch
    def choose():
        return "left"
    chosen = choose()
    left, right = EmptyOperator(task_id="left"), EmptyOperator(task_id="right")
    chosen >> [left, right] >> EmptyOperator(task_id="join", trigger_rule="none_failed_min_one_success")
    @task.short_circuit
    def stop():
        return False
    stop() >> EmptyOperator(task_id="cut") >> EmptyOperator(task_id="cut_too", trigger_rule="all_done")
with DAG("healed", schedule="@daily", start_date=datetime(2024, 1, 1)):
    PythonOperator(task_id="bad", python_callable=boom) >> EmptyOperator(task_id="leaf", trigger_rule="all_done")
with DAG("all_skipped", schedule="@daily", start_date=datetime(2024, 1, 1)):
    PythonOperator(task_id="only", python_callable=skip) >> EmptyOperator(task_id="leaf")
"""


@pytest.fixture(scope="module")
def ruled(new_project: Callable[[], Project]) -> Project:
    project = new_project()
    project.write("dags/rules.py", RULES)
    project.bfill("run", "--dag", "rules", "--dates", "2024-01-01", "-q").exits(1)
    return project


def test_trigger_rules_decide(ruled: Project) -> None:
    found = ruled.instances("rules")
    assert {rule: found[rule] for rule in found if "_" in rule or rule in ("always", "cascade", "further")} == {
        "after_bad": "upstream_failed",
        "all_success": "upstream_failed",
        "all_failed": "success",
        "all_done": "success",
        "all_skipped": "success",
        "one_success": "success",
        "one_failed": "success",
        "one_done": "success",
        "none_failed": "success",
        "none_failed_min_one_success": "skipped",
        "none_skipped": "success",
        "always": "success",
        "all_done_min_one_success": "success",
        "cascade": "skipped",
        "further": "skipped",
        "cut_too": "skipped",
    }


def test_a_branch_follows_one_path_and_the_join_runs(ruled: Project) -> None:
    found = ruled.instances("rules")
    assert (found["left"], found["right"], found["join"]) == ("success", "skipped", "success")


def test_a_failed_task_whose_all_done_leaf_succeeded_leaves_the_run_successful_and_is_listed(ruled: Project) -> None:
    data = ruled.bfill("run", "--dag", "healed", "--dates", "2024-01-01", "--json").exits(0).data
    assert (data["completed"], data["failed"]) == (1, 0)
    assert [group["task_id"] for group in data["failures"]] == ["bad"]


def test_a_run_of_skipped_tasks_is_a_success(ruled: Project) -> None:
    ruled.bfill("run", "--dag", "all_skipped", "--dates", "2024-01-01").exits(0)
    assert ruled.instances("all_skipped") == {"only": "skipped", "leaf": "skipped"}


def test_a_task_that_left_the_dag_is_removed_and_not_counted(project: Project) -> None:
    text = """\
        with DAG("shrinks", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="good", bash_command="true") >> BashOperator(task_id="bad", bash_command="false")
            BashOperator(task_id="kept", bash_command="true")
        """
    project.write("dags/shrinks.py", text)
    project.bfill("run", "--dag", "shrinks", "--dates", "2024-01-01").exits(1)
    project.write("dags/shrinks.py", text.replace(' >> BashOperator(task_id="bad", bash_command="false")', ""))
    data = project.bfill("rerun-failed", "--json").exits(0).data
    assert (data["completed"], data["failures"]) == (1, [])
    assert project.instances("shrinks") == {"good": "success", "bad": "removed", "kept": "success"}
    assert project.tries("shrinks", "bad") == {"2024-01-01": ["failed"]}


# retries and time


def test_retries_are_durable_across_a_restart(project: Project) -> None:
    project.write(
        "dags/later.py",
        """\
        with DAG("later", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="only", bash_command="test -e ../mended", retries=3, retry_delay=timedelta(seconds=2))
        """,
    )
    going = project.start("run", "--dag", "later", "--dates", "2024-01-01", "--json")
    until(lambda: project.instances("later") == {"only": "up_for_retry"})
    going.signal(signal.SIGTERM)
    stopped = going.wait().exits(143).data
    assert (stopped["state"], stopped["remaining"], stopped["interrupted"]) == ("interrupted", 1, 1)
    (before,) = project.attempts("later")
    assert project.instances("later") == {"only": "up_for_retry"}
    project.write("mended", "")
    resumed = project.bfill("run", "--dag", "later", "--dates", "2024-01-01", "--json").exits(0).data
    assert resumed["backfill_id"] == stopped["backfill_id"]
    first, second = project.attempts("later")
    assert first == before
    assert [(one["try_number"], one["outcome"]) for one in (first, second)] == [(1, "retry"), (2, "success")]
    waited = datetime.fromisoformat(second["started_at"]) - datetime.fromisoformat(first["ended_at"])
    assert timedelta(seconds=2) <= waited < timedelta(seconds=8)


def test_a_rerun_has_a_fresh_budget_of_retries_and_try_numbers_go_on(project: Project) -> None:
    project.write(
        "dags/budget.py",
        """\
        with DAG("budget", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="only", bash_command="false", retries=1, retry_delay=0)
        """,
    )
    project.bfill("run", "--dag", "budget", "--dates", "2024-01-01").exits(1)
    project.bfill("rerun-failed").exits(1)
    found = [(one["try_number"], one["outcome"]) for one in project.attempts("budget")]
    assert found == [(1, "retry"), (2, "failed"), (3, "retry"), (4, "failed")]


def test_execution_timeout_ends_the_whole_process_group_of_a_shell_task(project: Project) -> None:
    project.write(
        "dags/slow.py",
        """\
        with DAG("slow", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="shell", bash_command="sleep 60 & echo $! > ../child; wait",
                         execution_timeout=timedelta(seconds=0.3), retries=1, retry_delay=0)
        """,
    )
    project.bfill("run", "--dag", "slow", "--dates", "2024-01-01").exits(1)
    outcomes = [(one["outcome"], one["reason"]) for one in project.attempts("slow")]
    assert outcomes == [("retry", "timed out after 0.3 s"), ("failed", "timed out after 0.3 s")]
    child = int((project.folder / "child").read_text())
    until(lambda: not alive(child))


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_execution_timeout_of_a_python_task_raises_in_it_and_the_plan_warns(project: Project) -> None:
    project.write(
        "dags/slow.py",
        """\
        with DAG("slow", schedule="@daily", start_date=datetime(2024, 1, 1)):
            @task(execution_timeout=timedelta(seconds=0.2))
            def python():
                while True:
                    time.sleep(0.01)
            python()
        """,
    )
    ran = project.bfill("run", "--dag", "slow", "--dates", "2024-01-01", "--json").exits(1)
    assert "soft-timeout" in ran.problems
    assert [one["reason"] for one in project.attempts("slow")] == ["timed out after 0.2 s"]


def test_dagrun_timeout_fails_the_run_and_skips_what_is_unfinished(project: Project) -> None:
    project.write(
        "dags/slow.py",
        """\
        with DAG("slow", schedule="@daily", start_date=datetime(2024, 1, 1), dagrun_timeout=timedelta(seconds=0.4)):
            first = BashOperator(task_id="first", bash_command="true")
            long = BashOperator(task_id="long", bash_command="sleep 60")
            last = EmptyOperator(task_id="last")
            first >> long >> last
        """,
    )
    data = project.bfill("run", "--dag", "slow", "--start", "2024-01-01", "--end", "2024-01-02", "--json").exits(1).data
    assert (data["failed"], data["completed"]) == (2, 0)
    assert "dagrun_timeout" in data["results"][0]["reason"]
    assert project.instances("slow", "2024-01-01") == {"first": "success", "long": "skipped", "last": "skipped"}


def test_priority_is_weight_then_the_earlier_date(project: Project) -> None:
    project.write(
        "dags/prio.py",
        """\
        with DAG("prio", schedule="@daily", start_date=datetime(2024, 1, 1)):
            for name, weight in (("low", 1), ("high", 10), ("middle", 5)):
                BashOperator(task_id=name, bash_command="true", priority_weight=weight)
        """,
    )
    words = ("--dag", "prio", "--start", "2024-01-01", "--end", "2024-01-02", "--parallel", "2", "--workers", "1")
    project.bfill("run", *words).exits(0)
    order = [(one["task_id"], one["logical_date"][8:10]) for one in project.attempts("prio")]
    assert order == [(name, day) for name in ("high", "middle", "low") for day in ("01", "02")]
