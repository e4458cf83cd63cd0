"""DAG, edges and task groups: what authors write and what it becomes (contract section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from dag_files import Load, Refused, line

from backfill_cli.core.graph import Dag, TriggerRule, WeightRule
from backfill_cli.errors import DefinitionError, NotFoundError
from backfill_cli.loader.authoring import DAG, TaskGroup, chain, cross_downstream
from backfill_cli.loader.operators import EmptyOperator


def upstream(dag: Dag) -> Mapping[str, set[str]]:
    return {task_id: set(task.upstream) for task_id, task in dag.tasks.items() if task.upstream}


def at(*parts: int, zone: str = "UTC", fold: int = 0) -> int:
    return int(datetime(*parts, tzinfo=ZoneInfo(zone), fold=fold).timestamp())  # type: ignore[misc,arg-type]


def abcd(dag: DAG) -> list[EmptyOperator]:
    return [EmptyOperator(task_id=name, dag=dag) for name in "abcd"]


def test_the_contracts_example_becomes_a_dag(load: Load) -> None:
    dag = load("""\
        with DAG(
            "daily_sales", schedule="@daily", start_date=datetime(2024, 1, 1), timezone="Europe/Paris",
            catchup=False, max_active_runs=16, default_args={"retries": 2, "retry_delay": timedelta(seconds=5)},
        ) as dag:
            @task
            def extract(ds: str, data_interval_end=None) -> dict: ...
            load = BashOperator(task_id="load", bash_command="load.sh {{ ds }} {{ dag_run.conf.region }}")
            extract() >> load
    """)
    assert (dag.dag_id, dag.timezone, dag.max_active_runs, dag.catchup) == ("daily_sales", "Europe/Paris", 16, False)
    assert dag.start_date == at(2024, 1, 1, zone="Europe/Paris")
    assert dag.schedule.describe() == "@daily"
    assert list(dag.tasks) == ["extract", "load"]
    assert upstream(dag) == {"load": {"extract"}}
    assert {(task.retry.retries, task.retry.delay_s) for task in dag.tasks.values()} == {(2, 5.0)}
    assert dag.where == line(1)
    assert dag.tasks["load"].where == line(7)


@pytest.mark.parametrize(
    ("start", "end", "zone", "expected"),
    [
        (datetime(2024, 1, 1), datetime(2024, 1, 2), "Europe/Paris", (at(2023, 12, 31, 23), at(2024, 1, 1, 23))),
        (datetime(2024, 3, 31, 2, 30), None, "Europe/Berlin", (at(2024, 3, 31, 1, 30), None)),
        (
            datetime(2024, 10, 27, 2, 30),
            datetime(2024, 10, 27, 2, 30),
            "Europe/Berlin",
            (at(2024, 10, 27, 0, 30), at(2024, 10, 27, 1, 30)),
        ),
        (date(2024, 1, 1), date(2024, 1, 1), "Europe/Paris", (at(2023, 12, 31, 23), at(2024, 1, 1, 22, 59, 59))),
        ("2024-01-01", "2024-01-01T06:00:00", "UTC", (at(2024, 1, 1), at(2024, 1, 1, 6))),
        (datetime(2024, 1, 1, tzinfo=UTC), None, "Europe/Paris", (at(2024, 1, 1), None)),
    ],
)
def test_bounds_without_a_zone_are_wall_time_in_the_dags(
    start: object, end: object, zone: str, expected: tuple[int, int | None]
) -> None:
    """Contract section 1: nonexistent moves forward; ambiguous is the first as start, the second as end."""
    dag = DAG("a", start_date=start, end_date=end, timezone=zone).compile()  # type: ignore[arg-type]
    assert (dag.start_date, dag.end_date) == expected


def test_pendulum_dates_bring_their_zone_as_in_airflow() -> None:
    import pendulum

    start = pendulum.datetime(2024, 1, 1, tz="Europe/Paris")
    assert DAG("a", start_date=start).compile().timezone == "Europe/Paris"
    assert DAG("a", start_date=start, timezone="UTC").compile().timezone == "UTC"
    assert DAG("a", timezone=pendulum.timezone("Asia/Tokyo")).compile().timezone == "Asia/Tokyo"
    assert DAG("a", timezone=UTC).compile().timezone == "UTC"
    assert DAG("a", start_date=datetime(2024, 1, 1, tzinfo=UTC)).compile(timezone="Asia/Tokyo").timezone == "UTC"
    assert DAG("a").compile(timezone="Asia/Tokyo").timezone == "Asia/Tokyo"


def test_default_args_may_hold_the_bounds_and_what_only_airflow_knows() -> None:
    dag = DAG("a", default_args={"owner": "data", "start_date": datetime(2024, 1, 1), "email": ["x@y"], "sla": None})
    EmptyOperator(task_id="t", dag=dag)
    assert dag.compile().start_date == at(2024, 1, 1)
    assert [note.message for note in dag.compile().notes] == ["email has no effect here"]


def test_a_dag_that_its_author_wants_paused_says_that_it_is_not() -> None:
    """A scheduler would begin it at once; Airflow waits for somebody."""
    for value, told in ((True, ["is_paused_upon_creation has no effect here"]), (False, [])):
        with DAG("d", schedule="@daily", start_date=datetime(2024, 1, 1), is_paused_upon_creation=value) as dag:
            EmptyOperator(task_id="a")
        assert [note.message for note in dag.compile().notes] == told


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ({"max_active_run": 3}, "has no argument 'max_active_run'", "'max_active_runs'"),
        ({"concurrency": 3}, "has no argument 'concurrency'", "max_active_tasks"),
        ({"user_defined_macros": {}}, "has no argument", "@task"),
        ({"max_active_runs": 0}, "max_active_runs=0 is not possible", "from 1"),
        ({"max_active_runs": 2**31}, "max_active_runs=2147483648 is not possible", "to 2147483647"),
        ({"catchup": "yes"}, "catchup='yes' is not possible", "True or False"),
        ({"params": [1]}, "params=[1] is not possible", "dict"),
        ({"dagrun_timeout": -1}, "dagrun_timeout=-1 is not possible", "seconds"),
        ({"start_date": 5}, "start_date=5 is not a date", "datetime(2024"),
        ({"start_date": "soon"}, "start_date='soon' is not a date", "2024-01-31"),
        ({"on_failure_callback": "mail"}, "on_failure_callback='mail' is not possible", "function"),
        ({"schedule": 5}, "schedule 5", "cron"),
    ],
)
def test_a_wrong_argument_says_which_and_what_would_do(arguments: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(Exception) as caught:
        DAG("a", **arguments).compile()  # type: ignore[arg-type]
    error = caught.value
    assert message in str(error) and hint in error.hint and error.exit_code == 3  # type: ignore[attr-defined]
    assert "test_authoring.py:" in str(error)


def test_schedule_interval_is_airflows_older_name() -> None:
    assert DAG("a", schedule_interval="@hourly").compile().schedule.describe() == "@hourly"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", "x" * 251, None])
def test_ids_must_fit_file_names(name: object) -> None:
    with pytest.raises(DefinitionError):
        DAG(name)  # type: ignore[arg-type]


def test_a_misspelt_default_arg_is_nobodys_and_refused(refused: Refused) -> None:
    error = refused('with DAG("a", default_args={"retires": 3}):\n    EmptyOperator(task_id="t")\n')
    assert str(error) == f"{line(1)}: default_args of DAG 'a' has no option 'retires'"
    assert error.hint == "did you mean 'retries'?"


def test_edges_are_drawn_with_arrows_lists_and_methods() -> None:
    dag = DAG("x")
    a, b, c, d = abcd(dag)
    a >> [b, c] >> d
    assert upstream(dag.compile()) == {"b": {"a"}, "c": {"a"}, "d": {"b", "c"}}
    dag = DAG("x")
    a, b, c, d = abcd(dag)
    d << [b, c]
    [b, c] << a  # type: ignore[operator]
    assert upstream(dag.compile()) == {"b": {"a"}, "c": {"a"}, "d": {"b", "c"}}
    dag = DAG("x")
    a, b, c, d = abcd(dag)
    a.set_downstream([b])
    d.set_upstream([b, c])
    assert upstream(dag.compile()) == {"b": {"a"}, "d": {"b", "c"}}
    assert (d.upstream_task_ids, b.downstream_task_ids) == ({"b", "c"}, {"d"})


def test_chain_joins_lists_pair_by_pair() -> None:
    dag = DAG("x")
    a, b, c, d = abcd(dag)
    e = EmptyOperator(task_id="e", dag=dag)
    chain(a, [b, c], [d, e])
    assert upstream(dag.compile()) == {"b": {"a"}, "c": {"a"}, "d": {"b"}, "e": {"c"}}
    with pytest.raises(DefinitionError, match="2 and 1 tasks"):
        chain([a, b], [c])


def test_cross_downstream_joins_every_pair() -> None:
    dag = DAG("x")
    a, b, c, d = abcd(dag)
    cross_downstream([a, b], [c, d])
    assert upstream(dag.compile()) == {"c": {"a", "b"}, "d": {"a", "b"}}


def test_a_function_in_an_edge_says_call_it() -> None:
    dag = DAG("x")
    a, *_ = abcd(dag)

    def later() -> None: ...

    with pytest.raises(DefinitionError, match="later is not a task") as caught:
        a >> later  # type: ignore[operator]
    assert caught.value.hint == "call it: later()"


def test_edges_stay_inside_one_dag() -> None:
    with pytest.raises(DefinitionError, match="cannot follow"):
        EmptyOperator(task_id="a", dag=DAG("x")) >> EmptyOperator(task_id="b", dag=DAG("y"))


def test_a_task_without_a_dag_is_refused() -> None:
    with pytest.raises(DefinitionError, match="task 'a' belongs to no DAG"):
        EmptyOperator(task_id="a")


def test_a_group_is_ordered_by_its_first_and_last_tasks() -> None:
    with DAG("x") as dag:
        start, end = EmptyOperator(task_id="start"), EmptyOperator(task_id="end")
        with TaskGroup("g") as group:
            a, b = EmptyOperator(task_id="a"), EmptyOperator(task_id="b")
            with TaskGroup("h", prefix_group_id=False):
                c = EmptyOperator(task_id="c")
            a >> c
        start >> group >> end
    found = dag.compile()
    assert [a.task_id, b.task_id, c.task_id] == ["g.a", "g.b", "c"]
    assert upstream(found) == {"g.a": {"start"}, "g.b": {"start"}, "c": {"g.a"}, "end": {"g.b", "c"}}
    assert found.groups == {"g": ("g.a", "g.b"), "g.h": ("c",)}


def test_a_groups_default_args_go_before_the_dags() -> None:
    with DAG("x", default_args={"retries": 1, "pool": "p"}) as dag, TaskGroup("g", default_args={"retries": 2}):
        EmptyOperator(task_id="a")
        EmptyOperator(task_id="b", retries=3)
    tasks = dag.compile().tasks
    assert [(task.retry.retries, task.pool) for task in tasks.values()] == [(2, "p"), (3, "p")]


def test_an_empty_group_cannot_be_ordered() -> None:
    with DAG("x"):
        with TaskGroup("g") as group:
            pass
        with pytest.raises(DefinitionError, match="before it has tasks"):
            group >> EmptyOperator(task_id="a")
        with pytest.raises(DefinitionError, match="'g' is used twice"):
            TaskGroup("g")


def test_after_the_with_block_no_dag_is_open() -> None:
    with pytest.raises(ZeroDivisionError), DAG("x"):
        raise ZeroDivisionError
    with pytest.raises(DefinitionError, match="belongs to no DAG"):
        EmptyOperator(task_id="a")


def test_compiling_again_gives_the_same_object_until_something_changes() -> None:
    dag = DAG("x")
    a, b, *_ = abcd(dag)
    first = dag.compile()
    assert dag.compile() is first
    a >> b
    assert dag.compile() is not first


def test_get_task_hints_near_ids() -> None:
    dag = DAG("x")
    first = EmptyOperator(task_id="load", dag=dag)
    assert dag.get_task("load") is first
    with pytest.raises(NotFoundError) as caught:
        dag.get_task("laod")
    assert "'load'" in caught.value.hint


def test_every_task_option_reaches_the_task() -> None:
    calls: list[object] = []
    dag = DAG("x")
    EmptyOperator(
        task_id="a", dag=dag, wait_for_downstream=True, retries=4, retry_delay=7, retry_exponential_backoff=True,
        max_retry_delay=60, execution_timeout=30.5, trigger_rule="none_failed", pool="p", pool_slots=2,
        priority_weight=5, weight_rule="absolute", executor="process", do_xcom_push=False, params={"k": 1},
        on_failure_callback=calls.append, on_success_callback=[calls.append, print],
    )  # fmt: skip
    task = dag.compile().tasks["a"]
    assert (task.depends_on_past, task.wait_for_downstream) == (True, True), "section 4.6: it sets depends_on_past"
    retry = task.retry
    assert (retry.retries, retry.delay_s, retry.exponential, retry.max_delay_s) == (4, 7.0, True, 60.0)
    assert (task.execution_timeout_s, task.trigger_rule) == (30.5, TriggerRule.NONE_FAILED)
    assert (task.pool, task.pool_slots, task.priority_weight, task.weight_rule) == ("p", 2, 5, WeightRule.ABSOLUTE)
    assert (task.executor, task.do_xcom_push, dict(task.params)) == ("process", False, {"k": 1})
    assert task.callbacks.on_failure == (calls.append,)
    assert task.callbacks.on_success == (calls.append, print)


def test_defaults_are_airflows() -> None:
    dag = DAG("x")
    EmptyOperator(task_id="a", dag=dag)
    task = dag.compile().tasks["a"]
    assert (task.retry.retries, task.retry.delay_s, task.pool, task.priority_weight) == (0, 300.0, "default_pool", 1)


def test_options_may_be_changed_before_the_dag_is_compiled() -> None:
    dag = DAG("x")
    task = EmptyOperator(task_id="a", dag=dag)
    task.retries = 3  # type: ignore[attr-defined]
    assert dag.compile().tasks["a"].retry.retries == 3
    other = DAG("y")
    EmptyOperator(task_id="a", dag=other).pool_slots = 0  # type: ignore[attr-defined]
    with pytest.raises(DefinitionError, match="pool_slots=0"):
        other.compile()


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"retires": 2}, "task 'a' has no option 'retires'", "did you mean 'retries'?"),
        ({"retries": "2"}, "task 'a': retries='2' is not possible", "whole number"),
        ({"retries": -1}, "retries=-1 is not possible", "from 0"),
        ({"pool_slots": 10**30}, f"pool_slots={10**30} is not possible", "to 2147483647"),
        ({"priority_weight": -(10**30)}, f"priority_weight={-(10**30)} is not possible", "from -2147483647"),
        ({"trigger_rule": "all_sucess"}, "trigger_rule='all_sucess' is not possible", "did you mean 'all_success'"),
        ({"start_date": datetime(2024, 1, 1)}, "task 'a' does not take start_date", "DAG"),
        ({"execution_timeout": 0}, "execution_timeout=0 is not possible", "more than 0"),
        ({"retry_delay": "5m"}, "retry_delay='5m' is not possible", "timedelta"),
    ],
)
def test_a_wrong_task_option_says_which_and_what_would_do(options: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        EmptyOperator(task_id="a", dag=DAG("x"), **options)
    assert message in str(caught.value) and hint in caught.value.hint
    assert "test_authoring.py:" in str(caught.value)
