"""Semantics section 6, who goes first and how much at once, from outside: the order and overlap of real attempts."""

from __future__ import annotations

import pytest

from blackbox.world import Project, most_at_once

RULES = """\
with DAG("order", schedule="@daily", start_date=datetime(2024, 1, 1)):
    def run():
        time.sleep(0.02)
    def step(name, **options):
        return PythonOperator(task_id=name, python_callable=run, weight_rule="{rule}", **options)
    a, b, c = step("a"), step("b"), step("c")
    x, y = step("x", priority_weight=2), step("y", priority_weight=3)
    a >> b >> c
    x >> y
"""


def order(project: Project, dag_id: str) -> list[tuple[str, str]]:
    return [(one["task_id"], one["logical_date"][8:10]) for one in project.attempts(dag_id)]


@pytest.mark.parametrize(
    ("rule", "tasks"),
    [
        # a >> b >> c of weight 1, x (2) >> y (3)
        ("downstream", ["x", "a", "y", "b", "c"]),  # x 5, a 3, y 3 (behind x, earlier in DAG order: a), b 2, c 1
        ("upstream", ["x", "y", "a", "b", "c"]),  # x 2, y 5, a 1, b 2, c 3
        ("absolute", ["x", "y", "a", "b", "c"]),  # x 2, y 3, all others 1
    ],
)
def test_one_worker_takes_the_weightiest_first_by_each_rule(project: Project, rule: str, tasks: list[str]) -> None:
    project.write("dags/order.py", RULES.format(rule=rule))
    project.bfill("run", "--dag", "order", "--dates", "2024-01-01", "--workers", "1").exits(0)
    assert [task for task, _ in order(project, "order")] == tasks


def test_among_equals_the_earlier_date_goes_first_and_then_the_order_of_the_dag(project: Project) -> None:
    project.write(
        "dags/order.py",
        """\
        with DAG("order", schedule="@daily", start_date=datetime(2024, 1, 1)):
            def run():
                time.sleep(0.02)
            for name, weight in (("last", 1), ("first", 7), ("second", 1)):
                PythonOperator(task_id=name, python_callable=run, priority_weight=weight)
        """,
    )
    words = ("--start", "2024-01-01", "--end", "2024-01-03", "--parallel", "3", "--workers", "1")
    project.bfill("run", "--dag", "order", *words).exits(0)
    dates = ("01", "02", "03")
    assert order(project, "order") == [
        *(("first", date) for date in dates),
        *((task, date) for date in dates for task in ("last", "second")),
    ]


def test_newest_first_turns_the_order_of_dates_and_not_that_of_tasks(project: Project) -> None:
    project.write("dags/order.py", RULES.format(rule="downstream"))
    words = ("--start", "2024-01-01", "--end", "2024-01-03", "--run-backwards", "--workers", "1")
    project.bfill("run", "--dag", "order", *words).exits(0)
    assert [date for task, date in order(project, "order") if task == "a"] == ["03", "02", "01"]


@pytest.mark.parametrize(("runs", "parallel", "most"), [(2, 6, 2), (6, 3, 3)])
def test_no_more_dag_runs_are_open_together_than_the_dag_and_the_command_allow(
    project: Project, runs: int, parallel: int, most: int
) -> None:
    project.write(
        "dags/wide.py",
        f"""\
        with DAG("wide", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs={runs}):
            @task
            def one():
                time.sleep(0.1)
            @task
            def two():
                time.sleep(0.1)
            one() >> two()
        """,
    )
    words = ("--start", "2024-01-01", "--end", "2024-01-08", "--parallel", f"{parallel}")
    project.bfill("run", "--dag", "wide", *words).exits(0)
    found = project.rows("SELECT started_at, ended_at FROM v_dag_runs")
    assert most_at_once([(one["started_at"], one["ended_at"]) for one in found]) == most


def test_max_active_tasks_bounds_each_dag_run_by_itself(project: Project) -> None:
    project.write(
        "dags/wide.py",
        """\
        with DAG("wide", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_tasks=2):
            def run():
                time.sleep(0.15)
            for n in range(5):
                PythonOperator(task_id=f"t{n}", python_callable=run)
        """,
    )
    project.bfill("run", "--dag", "wide", "--start", "2024-01-01", "--end", "2024-01-02", "--parallel", "2").exits(0)
    attempts = project.attempts("wide")
    spans = {
        day: [(one["started_at"], one["ended_at"]) for one in attempts if one["logical_date"][8:10] == day]
        for day in ("01", "02")
    }
    assert {day: most_at_once(found) for day, found in spans.items()} == {"01": 2, "02": 2}
    assert most_at_once([span for found in spans.values() for span in found]) == 4


def test_two_full_pools_hold_only_their_own_tasks_and_slots_count_by_task(project: Project) -> None:
    """A task of three slots beside one of one fill a pool of four; a second pool and the rest go on."""
    project.bfill("pools", "set", "four", "4").exits(0)
    project.bfill("pools", "set", "one", "1").exits(0)
    project.write(
        "dags/mixed.py",
        """\
        with DAG("mixed", schedule="@daily", start_date=datetime(2024, 1, 1)):
            def run():
                time.sleep(0.25)
            PythonOperator(task_id="big", python_callable=run, pool="four", pool_slots=3, priority_weight=9)
            PythonOperator(task_id="small", python_callable=run, pool="four", priority_weight=8)
            PythonOperator(task_id="narrow", python_callable=run, pool="one", priority_weight=7)
            PythonOperator(task_id="free", python_callable=lambda: None)
        """,
    )
    project.bfill("run", "--dag", "mixed", "--start", "2024-01-01", "--end", "2024-01-03", "--parallel", "3").exits(0)
    spans: dict[str, list[tuple[str, str]]] = {}
    for one in project.attempts("mixed"):
        spans.setdefault(one["task_id"], []).append((one["started_at"], one["ended_at"]))
    assert (most_at_once(spans["big"]), most_at_once(spans["narrow"])) == (1, 1)
    assert most_at_once(spans["big"] * 3 + spans["small"]) <= 4
    assert most_at_once(spans["big"] + spans["narrow"]) == 2, "one pool does not hold the other"
    assert max(start for start, _ in spans["free"]) < min(end for _, end in spans["big"])


def test_a_pool_without_limit_has_none(project: Project) -> None:
    project.bfill("pools", "set", "wide", "-1").exits(0)
    project.write(
        "dags/wide.py",
        """\
        with DAG("wide", schedule="@daily", start_date=datetime(2024, 1, 1)):
            def run():
                time.sleep(0.4)
            for n in range(12):
                PythonOperator(task_id=f"t{n}", python_callable=run, pool="wide", pool_slots=100)
        """,
    )
    project.bfill("run", "--dag", "wide", "--dates", "2024-01-01").exits(0)
    assert most_at_once([(one["started_at"], one["ended_at"]) for one in project.attempts("wide")]) == 12
