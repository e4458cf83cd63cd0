"""Taskflow: decorated functions as tasks, DAGs and groups (contract section 2)."""

from __future__ import annotations

from typing import Any

import pytest
from dag_files import Load, Refused, line

from backfill_cli.core.work import PythonWork, ShellWork, XComRef
from backfill_cli.errors import DefinitionError
from backfill_cli.loader.authoring import DAG
from backfill_cli.loader.taskflow import dag, task, task_group


@task
def extract(ds: str) -> list[int]:
    """Read."""
    return [len(ds)]


@task(retries=3, task_id="store")
def save(rows: Any, limit: int = 1) -> None: ...


def work_of(built: DAG, task_id: str) -> PythonWork:
    work = built.compile().tasks[task_id].work
    assert isinstance(work, PythonWork)
    return work


def test_passing_a_result_makes_the_edge_and_hands_it_over() -> None:
    with DAG("x") as built:
        save(extract(), limit=5)
    compiled = built.compile()
    assert compiled.tasks["store"].upstream == {"extract"}
    assert compiled.tasks["store"].retry.retries == 3
    work = work_of(built, "store")
    assert (work.args, dict(work.kwargs)) == ((XComRef("extract"),), {"limit": 5})
    assert work_of(built, "extract").macros == ("ds",)


def test_a_second_call_is_a_second_task() -> None:
    with DAG("x") as built:
        extract()
        extract()
        save(extract())
    assert list(built.task_ids) == ["extract", "extract__1", "extract__2", "store"]


def test_override_changes_options_of_one_call() -> None:
    with DAG("x") as built:
        save.override(task_id="other", retries=9)([])
        save([])
    tasks = built.compile().tasks
    assert {task_id: one.retry.retries for task_id, one in tasks.items()} == {"other": 9, "store": 3}


def test_the_function_itself_stays_callable() -> None:
    assert extract.function("2024-01-01") == [10]
    assert (extract.__name__, extract.__doc__) == ("extract", "Read.")


def test_kinds_say_what_the_result_decides() -> None:
    with DAG("x") as built:

        @task.branch
        def choose() -> str:
            return "a"

        @task.short_circuit(ignore_downstream_trigger_rules=False)
        def check() -> bool:
            return True

        @task.bash(env={"A": "{{ ds }}"}, append_env=True, cwd="/srv")
        def command() -> str:
            return "echo"

        @task.python
        def plain() -> None: ...

        choose() >> [check(), command(), plain()]
    assert [work_of(built, name).decides for name in ("choose", "check", "command", "plain")] == [
        "branch",
        "short_circuit",
        "shell",
        None,
    ]
    assert work_of(built, "check").respects_trigger_rules
    assert work_of(built, "command").shell == ShellWork("", {"A": "{{ ds }}"}, "/srv")


def test_a_dict_annotation_means_multiple_outputs_as_in_airflow() -> None:
    with DAG("x") as built:

        @task
        def one() -> dict[str, int]: ...  # type: ignore[empty-body]

        @task(multiple_outputs=False)
        def two() -> dict[str, int]: ...  # type: ignore[empty-body]

        @task
        def three() -> list[dict[str, int]]: ...  # type: ignore[empty-body]

        @task
        def use(a: Any) -> None: ...

        use(one()["rows"])
        two(), three()
    assert [work_of(built, name).multiple_outputs for name in ("one", "two", "three")] == [True, False, False]
    assert work_of(built, "use").args == (XComRef("one", path=("rows",)),)


def test_a_function_passed_without_calling_it_is_refused() -> None:
    with DAG("x"), pytest.raises(DefinitionError, match="gets the function extract, not its result") as caught:
        save(extract)
    assert caught.value.hint == "call it: extract()"


@pytest.mark.parametrize("mapping", [lambda: save.expand(rows=[1]), lambda: save.partial(limit=1)])
def test_dynamic_mapping_is_refused_with_what_to_do(mapping: Any) -> None:
    with DAG("x"), pytest.raises(DefinitionError, match="not supported") as caught:
        mapping()
    assert "loop" in caught.value.hint


def test_an_unknown_decorator_or_option_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"there is no @task\.bahs") as caught:
        task.bahs  # noqa: B018
    assert caught.value.hint.startswith("did you mean 'bash'")
    assert not hasattr(task, "anything")
    with DAG("x"), pytest.raises(DefinitionError, match="has no option 'retry'"):
        task(lambda: 1, retry=3, task_id="a")()
    with pytest.raises(DefinitionError, match="@task stands before 3"):
        task(3)  # type: ignore[arg-type]


def test_a_call_outside_a_dag_is_refused() -> None:
    with pytest.raises(DefinitionError, match="task 'extract' belongs to no DAG"):
        extract()


def test_an_error_names_the_line_of_the_call(refused: Refused) -> None:
    error = refused("""\
        @task
        def load(day): ...
        with DAG("a"):
            load()
    """)
    assert str(error) == f"{line(4)}: task 'load': parameter 'day' of load is neither passed nor a macro"


def test_a_decorated_function_defines_a_dag(load: Load) -> None:
    found = load("""\
        @dag(schedule="@hourly", start_date=datetime(2024, 1, 1), tags=["a"])
        def sales(region="eu"):
            \"\"\"Sales of a region.\"\"\"
            @task
            def extract(ds): ...
            extract()
        sales()
    """)
    assert (found.dag_id, found.description, dict(found.params)) == ("sales", "Sales of a region.", {"region": "eu"})
    assert (found.tags, list(found.tasks)) == (("a",), ["extract"])


def test_the_decorator_works_without_arguments_and_with_a_name() -> None:
    @dag
    def first() -> None:
        extract()

    @dag("named", description="mine")
    def second() -> None:
        extract()

    assert first().dag_id == "first"
    assert (second().dag_id, second().description) == ("named", "mine")


def test_a_decorated_group_orders_its_tasks() -> None:
    with DAG("x") as built:

        @task_group
        def both(rows: Any) -> None:
            save(rows)

        @task_group(group_id="g")
        def one() -> Any:
            return extract()

        group = both(one())
        group >> extract()
    tasks = built.compile().tasks
    assert {task_id: set(one.upstream) for task_id, one in tasks.items()} == {
        "g.extract": set(),
        "both.store": {"g.extract"},
        "extract": {"both.store"},
    }
