"""Operators: what each defines, and how its arguments become edges (contract section 2)."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from dag_files import Load, Refused, Write, line

from backfill_cli.core.graph import Task
from backfill_cli.core.work import EmptyWork, PythonWork, ShellWork, SqlWork, XComRef
from backfill_cli.errors import DefinitionError
from backfill_cli.loader.authoring import DAG
from backfill_cli.loader.operators import (
    BaseOperator,
    BashOperator,
    BranchPythonOperator,
    EmptyOperator,
    PythonOperator,
    ShortCircuitOperator,
    SQLOperator,
)
from backfill_cli.loader.sqltext import split_statements


@pytest.fixture
def dag() -> DAG:
    return DAG("x")


def compiled(operator: BaseOperator) -> Task:
    return operator.dag.compile().tasks[operator.task_id]


def python(function: Any, dag: DAG, **options: Any) -> PythonWork:
    work = compiled(PythonOperator(task_id="p", python_callable=function, dag=dag, **options)).work
    assert isinstance(work, PythonWork)
    return work


def test_bash_defines_a_command(dag: DAG) -> None:
    plain = BashOperator(task_id="a", bash_command="echo {{ ds }}", dag=dag)
    full = BashOperator(task_id="b", bash_command="x", env={"N": 1}, cwd="/tmp", skip_on_exit_code=None, dag=dag)
    adding = BashOperator(task_id="c", bash_command="x", env={"A": "{{ ds }}"}, append_env=True, dag=dag)
    assert compiled(plain).work == ShellWork("echo {{ ds }}")
    assert compiled(full).work == ShellWork("x", {"N": "1"}, "/tmp", None, inherits_env=False)
    assert compiled(adding).work == ShellWork("x", {"A": "{{ ds }}"}, inherits_env=True)
    assert compiled(EmptyOperator(task_id="d", dag=dag)).work == EmptyWork()


def test_a_result_in_text_is_the_template_that_pulls_it_and_makes_the_edge(dag: DAG) -> None:
    first = BashOperator(task_id="a", bash_command="x", dag=dag)
    second = BashOperator(task_id="b", bash_command="y", env={"ROWS": first.output["rows"]}, append_env=True, dag=dag)
    work = compiled(second).work
    assert isinstance(work, ShellWork)
    assert work.env == {"ROWS": "{{ ti.xcom_pull(task_ids='a', key='return_value')['rows'] }}"}
    assert compiled(second).upstream == {"a"}


def test_results_in_nested_arguments_make_edges_and_become_references(dag: DAG) -> None:
    first = BashOperator(task_id="a", bash_command="x", dag=dag)
    second = BashOperator(task_id="b", bash_command="x", dag=dag)

    def use(one: Any, rest: Any) -> None: ...

    work = python(use, dag, op_args=[first.output], op_kwargs={"rest": {"deep": [second.output["k"][0], "{{ ds }}"]}})
    assert work.args == (XComRef("a"),)
    assert work.kwargs == {"rest": {"deep": [XComRef("b", path=("k", 0)), "{{ ds }}"]}}
    assert dag.compile().tasks["p"].upstream == {"a", "b"}


def test_a_result_cannot_be_looked_at_while_the_dag_is_defined(dag: DAG) -> None:
    output = BashOperator(task_id="a", bash_command="x", dag=dag).output
    with pytest.raises(DefinitionError, match="cannot be iterated over"):
        list(output)
    with pytest.raises(DefinitionError, match="tested for truth") as caught:
        assert output
    assert "@task.branch" in caught.value.hint


def test_parameters_named_like_macros_are_filled(dag: DAG) -> None:
    def use(ds: str, ti: Any, data_interval_end: Any = None, other: int = 3) -> None: ...

    assert python(use, dag).macros == ("ds", "ti", "data_interval_end")


def test_passed_arguments_win_over_macros(dag: DAG) -> None:
    def use(ds: str, logical_date: Any, x: int) -> None: ...

    assert python(use, dag, op_args=["2024-01-01"], op_kwargs={"x": 1}).macros == ("logical_date",)


def test_context_and_keywords_are_filled(dag: DAG) -> None:
    def use(context: Any, **everything: Any) -> None: ...

    assert python(use, dag).macros == ("context", "**")
    assert python(functools.partial(use, 1), DAG("y")).macros == ("**",)
    assert python(print, DAG("z"), op_args=["x"]).args == ("x",)


def test_a_parameter_nobody_knows_is_refused_at_load(refused: Refused) -> None:
    error = refused("""\
        with DAG("a"):
            def use(dss): ...
            PythonOperator(task_id="t", python_callable=use)
    """)
    assert str(error) == f"{line(3)}: task 't': parameter 'dss' of use is neither passed nor a macro"
    assert "'ds'" in error.hint
    assert error.exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"op_kwargs": {"y": 1}}, "unexpected keyword argument 'y'"),
        ({"op_args": [1, 2]}, "too many positional arguments"),
        ({"op_args": [1], "op_kwargs": {"x": 2}}, "multiple values for argument 'x'"),
    ],
)
def test_a_call_that_does_not_fit_is_refused_at_load(dag: DAG, arguments: dict[str, Any], told: str) -> None:
    def use(x: int) -> None: ...

    with pytest.raises(DefinitionError, match=told):
        python(use, dag, **arguments)


def test_asynchronous_functions_and_values_that_are_no_function_are_refused(dag: DAG) -> None:
    async def use() -> None: ...

    with pytest.raises(DefinitionError, match="use is asynchronous"):
        python(use, dag)
    with pytest.raises(DefinitionError, match="python_callable 3 is not a function"):
        PythonOperator(task_id="q", python_callable=3, dag=dag)  # type: ignore[arg-type]


def test_branch_and_short_circuit_say_what_their_result_decides(dag: DAG) -> None:
    branch = compiled(BranchPythonOperator(task_id="b", python_callable=lambda: "x", dag=dag)).work
    every = compiled(ShortCircuitOperator(task_id="s", python_callable=lambda: 0, dag=dag)).work
    near = compiled(
        ShortCircuitOperator(task_id="t", python_callable=lambda: 0, ignore_downstream_trigger_rules=False, dag=dag)
    ).work
    assert isinstance(branch, PythonWork) and isinstance(every, PythonWork) and isinstance(near, PythonWork)
    assert (branch.decides, every.decides, near.decides) == ("branch", "short_circuit", "short_circuit")
    assert (every.respects_trigger_rules, near.respects_trigger_rules) == (False, True)


def test_templates_dict_is_an_argument(dag: DAG) -> None:
    def use(templates_dict: Any) -> None: ...

    assert python(use, dag, templates_dict={"day": "{{ ds }}"}).kwargs == {"templates_dict": {"day": "{{ ds }}"}}


def test_sql_defines_statements_over_a_connection(dag: DAG) -> None:
    day = BashOperator(task_id="a", bash_command="date", dag=dag)
    operator = SQLOperator(
        task_id="s", sql="delete from t where d = :d; insert into t values (';')", conn_id="wh",
        parameters={"d": day.output}, dag=dag,
    )  # fmt: skip
    expected = ("delete from t where d = :d", "insert into t values (';')")
    assert compiled(operator).work == SqlWork(expected, "wh", {"d": XComRef("a")})
    assert compiled(operator).upstream == {"a"}
    assert operator.dag.compile().connections == {"wh"}


def test_sql_files_are_read_beside_the_dag(load: Load, write: Write, refused: Refused) -> None:
    write("select 1;\nselect 2", "sql/load.sql", head="")
    text = 'with DAG("a"):\n    SQLOperator(task_id="s", sql="sql/{}.sql", conn_id="wh")\n'
    work = load(text.format("load")).tasks["s"].work
    assert isinstance(work, SqlWork)
    assert work.sql == ("select 1", "select 2")
    assert str(refused(text.format("none"))).startswith(f"{line(2)}: task 's': cannot read sql/none.sql: No such file")


@pytest.mark.parametrize("wrong", [{"sql": ""}, {"sql": " -- nothing\n;"}, {"conn_id": ""}, {"parameters": [1]}])
def test_sql_without_statement_connection_or_names_is_refused(dag: DAG, wrong: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"sql": "select 1", "conn_id": "wh", **wrong}
    SQLOperator(task_id="s", dag=dag, **arguments)
    with pytest.raises(DefinitionError, match="task 's'"):
        dag.compile()


@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        ("select 1", ("select 1",)),
        ("a; b;", ("a", "b")),
        ("a -- no; end\n; b /* ; */", ("a -- no; end", "b /* ; */")),
        ("select ';', \"x;y\", `z;`; b", ("select ';', \"x;y\", `z;`", "b")),
        ("select 'it''s;'; b", ("select 'it''s;'", "b")),
        ("do $f$ begin; end $f$; b", ("do $f$ begin; end $f$", "b")),
        ("select '{{ ds }}' {% if a %};{% endif %} b", ("select '{{ ds }}' {% if a %}", "{% endif %} b")),
        ("select {{ ';' }}; b", ("select {{ ';' }}", "b")),
        ("create trigger t begin update x; select case when 1 then 2 end; end; b",
         ("create trigger t begin update x; select case when 1 then 2 end; end", "b")),
        ("create table trigger_log (a); b", ("create table trigger_log (a)", "b")),
        (" ; \n;", ()),
    ],
)  # fmt: skip
def test_statements_end_at_semicolons_outside_of_quotes(sql: str, statements: tuple[str, ...]) -> None:
    assert split_statements(sql) == statements


class Copy(BaseOperator):
    template_fields = ("source",)

    def __init__(self, *, source: str, conn: str = "none", **options: Any) -> None:
        super().__init__(**options)
        self.source = source
        self.conn = conn

    def execute(self, context: Any) -> Any:
        return self.source, self.conn, context


def test_an_operator_of_a_users_own_runs_execute_with_rendered_fields(dag: DAG) -> None:
    first = BashOperator(task_id="a", bash_command="x", dag=dag)
    operator = Copy(task_id="c", source="{{ ds }}", retries=2, dag=dag)
    work = compiled(operator).work
    assert isinstance(work, PythonWork)
    assert (dict(work.kwargs), work.macros) == ({"fields": {"source": "{{ ds }}"}}, ("context",))
    assert work.function(context="ctx", fields={"source": "2024-01-01"}) == ("2024-01-01", "none", "ctx")
    assert operator.source == "{{ ds }}", "tries run in parallel: each has a copy"
    assert compiled(operator).retry.retries == 2
    referring = Copy(task_id="d", source=first.output, dag=dag)  # type: ignore[arg-type]
    assert compiled(referring).upstream == {"a"}


def test_default_args_reach_the_parameters_of_a_users_operator() -> None:
    with DAG("x", default_args={"conn": "wh", "retries": 1}) as dag:
        operator = Copy(task_id="c", source="s")
        EmptyOperator(task_id="e")
        chosen = Copy(task_id="d", source="s", conn="other")
    assert (operator.conn, chosen.conn) == ("wh", "other")
    assert {task.retry.retries for task in dag.compile().tasks.values()} == {1}


def test_an_operator_that_overrides_execute_of_a_built_in_one_runs_its_own(dag: DAG) -> None:
    class Loud(BashOperator):
        def execute(self, context: Any) -> Any:
            return self.bash_command

    work = compiled(Loud(task_id="l", bash_command="x", dag=dag)).work
    assert isinstance(work, PythonWork)
    assert work.function(None, {}) == "x"


def test_an_operator_without_execute_is_refused(dag: DAG) -> None:
    BaseOperator(task_id="b", dag=dag)
    with pytest.raises(DefinitionError, match="BaseOperator does nothing"):
        dag.compile()


def test_names_of_connections_and_variables_are_found_in_templates(dag: DAG) -> None:
    BashOperator(
        task_id="a",
        bash_command="x {{ var.value.region }} {{ conn.api }} var.value.not_a_template {{ conn.get('quoted') }}",
        env={"A": "{{ var.json.limits.a }} {{ var.value.get('late', 'x') }}"},
        dag=dag,
    )
    python(print, dag, op_args=[["{% if var.value.deep %}{% endif %}"]])
    assert dag.compile().variables == {"region", "limits", "late", "deep"}
    assert dag.compile().connections == {"api", "quoted"}
