"""Taskflow: `@task` makes a function a task, `@dag` makes a function a DAG, `@task_group` a group.

Owns the decorators. A decorated function that is called inside a DAG becomes an operator of `loader/operators.py` and
returns a handle on its result; passing that on makes the edge.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from backfill_cli.errors import DefinitionError
from backfill_cli.loader.authoring import DAG, TaskGroup
from backfill_cli.loader.operators import (
    BranchPythonOperator,
    PythonOperator,
    ShellFunctionOperator,
    ShortCircuitOperator,
)
from backfill_cli.loader.places import caller
from backfill_cli.loader.scopes import home_of
from backfill_cli.loader.wiring import XComArg

_KINDS: dict[str, type[PythonOperator]] = {
    "python": PythonOperator,
    "bash": ShellFunctionOperator,
    "branch": BranchPythonOperator,
    "short_circuit": ShortCircuitOperator,
}


class TaskFunction:
    """A function that defines a task each time it is called inside a DAG. `.function` is the function itself."""

    def __init__(self, function: Callable[..., Any], kind: type[PythonOperator], options: Mapping[str, Any]) -> None:
        if not callable(function):
            raise DefinitionError(
                f"@task stands before {function!r}",
                hint="it decorates a function; options go by name: @task(retries=3)",
                code="bad-callable",
                where=str(caller()),
            )
        functools.update_wrapper(self, function)
        self.function = function
        self._kind = kind
        self._options = dict(options)

    def __call__(self, *args: Any, **kwargs: Any) -> XComArg:
        """Define one task; a second call of the same function is `<task_id>__1`."""
        options = {"multiple_outputs": _returns_dict(self.function), **self._options}
        dag, group = home_of(f"task '{self.name}'", options.get("dag"), options.get("task_group"), str(caller()))
        task_id = _free_name(options.pop("task_id", self.name), dag, group)
        for value in (*args, *kwargs.values()):
            if isinstance(value, TaskFunction):
                raise DefinitionError(
                    f"task '{task_id}' gets the function {value.name}, not its result",
                    hint=f"call it: {value.name}()",
                    code="not-a-task",
                    where=str(caller()),
                )
        operator = self._kind(task_id=task_id, python_callable=self.function, op_args=args, op_kwargs=kwargs, **options)
        return XComArg(operator)

    @property
    def name(self) -> str:
        """Its task_id, unless one is given."""
        return str(self._options.get("task_id") or getattr(self.function, "__name__", "task"))

    def override(self, **options: Any) -> TaskFunction:
        """Return the same function with other task options."""
        return TaskFunction(self.function, self._kind, {**self._options, **options})

    def partial(self, *_args: Any, **_kwargs: Any) -> Any:
        raise _no_mapping()

    def expand(self, *_args: Any, **_kwargs: Any) -> Any:
        raise _no_mapping()

    expand_kwargs = expand


class UnknownDecorator(DefinitionError, AttributeError):
    """`@task.virtualenv` and its like. An AttributeError too, so that `hasattr` and `getattr` keep their promises."""


class TaskDecorator:
    """`@task`, `@task(retries=3)`, and by kind `@task.bash`, `@task.branch`, `@task.short_circuit`."""

    def __init__(self, kind: type[PythonOperator] = PythonOperator) -> None:
        self._kind = kind

    def __call__(self, function: Callable[..., Any] | None = None, **options: Any) -> Any:
        if function is not None:
            return TaskFunction(function, self._kind, options)
        return lambda decorated: TaskFunction(decorated, self._kind, options)

    def __getattr__(self, name: str) -> TaskDecorator:
        if name in _KINDS and self._kind is PythonOperator:
            return TaskDecorator(_KINDS[name])
        if name.startswith("__"):
            raise AttributeError(name)
        from backfill_cli.core.graph import near_hint

        raise UnknownDecorator(
            f"there is no @task.{name}", hint=near_hint(name, _KINDS), code="unknown-option", where=str(caller())
        )


task = TaskDecorator()


def dag(dag_id: str | Callable[..., Any] | None = None, **options: Any) -> Any:
    """Make a function that defines tasks into a function that defines a DAG; call it to have the DAG.

    The function's name is the dag_id and its docstring the description, unless given. Its parameters become params.
    """
    if callable(dag_id):
        return dag()(dag_id)

    def decorate(function: Callable[..., Any]) -> Callable[..., DAG]:
        @functools.wraps(function)
        def define(*args: Any, **kwargs: Any) -> DAG:
            import inspect

            bound = inspect.signature(function).bind(*args, **kwargs)
            bound.apply_defaults()
            given = {"description": inspect.getdoc(function), **options}
            given["params"] = {**bound.arguments, **(options.get("params") or {})}
            with DAG(dag_id or function.__name__, **given) as defined:
                function(*bound.args, **bound.kwargs)
            return defined

        define.defines_dag = True  # type: ignore[attr-defined]  # a file that forgets to call it is told so
        return define

    return decorate


def task_group(group_id: str | Callable[..., Any] | None = None, **options: Any) -> Any:
    """Make a function that defines tasks into one that defines a task group; it returns what the function returns."""
    if callable(group_id):
        return task_group()(group_id)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def define(*args: Any, **kwargs: Any) -> Any:
            with TaskGroup(group_id or function.__name__, **options) as group:
                result = function(*args, **kwargs)
            return group if result is None else result

        return define

    return decorate


def _free_name(name: str, dag: DAG, group: TaskGroup | None) -> str:
    taken = set(dag.task_ids)
    found, number = name, 0
    while (group.name_of(found) if group else found) in taken:
        number += 1
        found = f"{name}__{number}"
    return found


def _returns_dict(function: Callable[..., Any]) -> bool:
    # As in Airflow: `-> dict` pushes each item as an XCom of its own. The annotation may be text (PEP 563).
    annotation = getattr(function, "__annotations__", {}).get("return")
    annotation = getattr(annotation, "__origin__", annotation)
    shown = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return shown.split("[")[0].rpartition(".")[2] in ("dict", "Dict", "Mapping")


def _no_mapping() -> DefinitionError:
    return DefinitionError(
        "dynamic task mapping (partial, expand) is not supported",
        hint="loop inside one task, or define the tasks in a for loop: their number is then known before the run",
        code="not-supported",
        where=str(caller()),
    )
