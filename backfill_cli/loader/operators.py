"""The operators: one class a kind of task, with Airflow's names, each turned into a value of `core/work.py`.

Owns how an operator takes its arguments (its own, then its group's and DAG's `default_args`), how it is put into its
DAG, and what it defines. It runs nothing: `engine/` runs what is defined. A class of a user's own derives from
`BaseOperator` and has `execute(self, context)`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from backfill_cli.core.work import EmptyWork, PythonWork, ShellWork, SqlWork, Work
from backfill_cli.errors import DefinitionError
from backfill_cli.loader.authoring import DAG, TaskGroup, current_dag, current_group, home_of
from backfill_cli.loader.options import TASK_OPTIONS, WITHOUT_EFFECT, Owner, check_id, checked_options
from backfill_cli.loader.places import caller
from backfill_cli.loader.signatures import filled_by_engine
from backfill_cli.loader.wiring import Node, XComArg, as_text, frozen, results_in


class _OperatorType(type):
    """Fills an operator's own parameters from `default_args`, and draws the edges its arguments imply."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        group = kwargs.get("task_group") or current_group(kwargs.get("dag"))
        scope: DAG | TaskGroup | None = group or kwargs.get("dag") or current_dag()
        if scope is not None:
            own = parameters_of(cls)
            kwargs = {name: value for name, value in scope.default_args.items() if name in own} | kwargs
        operator = super().__call__(*args, **kwargs)
        for name in operator.template_fields:
            for result in results_in(getattr(operator, name, None)):
                operator.set_upstream(result)
        return operator


def parameters_of(kind: type) -> frozenset[str]:
    """Return the names of the parameters a class and its bases take, task options and bfill's own left out."""
    names: set[str] = set()
    for base in kind.__mro__:
        init = base.__dict__.get("__init__")
        code = getattr(init, "__code__", None)
        if code is not None and base is not BaseOperator:
            names.update(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])
    return frozenset(names - {"self", "task_id", "dag", "task_group"})


class BaseOperator(Node, metaclass=_OperatorType):
    """What every task has. Derive from it, set attributes in `__init__`, and do the work in `execute(self, context)`.

    Args:
        task_id: Unique in its DAG; letters, digits, `-`, `_` and `.`.
        dag, task_group: Where it belongs; by default the open `with` block.
        options: The task options of contract section 2, checked in `loader/options.py`.

    Raises:
        DefinitionError: No DAG, an unknown option (the hint names the nearest) or an impossible value.
    """

    template_fields: ClassVar[Sequence[str]] = ()
    """Attributes whose templates are rendered, and whose task results replaced, before `execute` sees them."""

    def __init__(
        self, task_id: str, *, dag: DAG | None = None, task_group: TaskGroup | None = None, **options: Any
    ) -> None:
        self.place = caller()
        where = str(self.place)
        check_id("task_id", task_id, where)
        self.dag, self.task_group = home_of(task_id, dag, task_group, where)
        self.task_id = self.task_group.name_of(task_id) if self.task_group else task_id
        defaults = self.task_group.default_args if self.task_group else self.dag.default_args
        inherited = {name: value for name, value in defaults.items() if name in TASK_OPTIONS}
        vars(self).update(checked_options(self.owner, {**inherited, **options}, parameters_of(type(self))))
        self.without_effect = [
            name for name in (*defaults, *options) if (defaults | options).get(name) and name in WITHOUT_EFFECT
        ]
        self.above: list[BaseOperator] = []
        self.dag.add_task(self)
        if self.task_group:
            self.task_group.members.append(self)

    def execute(self, context: Any) -> Any:
        """Do the work; what comes back is pushed as an XCom. Only operators of users' own have one."""
        raise NotImplementedError(f"{type(self).__name__} runs by its definition; it has no execute to call")

    @property
    def owner(self) -> Owner:
        """What messages call it."""
        return Owner(f"task '{self.task_id}'", str(self.place))

    @property
    def output(self) -> XComArg:
        """A handle on its result, to pass to other tasks."""
        return XComArg(self)

    @property
    def upstream_task_ids(self) -> set[str]:
        """Ids of the tasks directly before it."""
        return {one.task_id for one in self.above}

    @property
    def downstream_task_ids(self) -> set[str]:
        """Ids of the tasks directly behind it."""
        return {one.task_id for one in self.dag.tasks if self in one.above}

    def first_tasks(self) -> list[BaseOperator]:
        return [self]

    def last_tasks(self) -> list[BaseOperator]:
        return [self]

    def follow(self, other: BaseOperator) -> None:
        """Wait for `other`. Raises DefinitionError when it belongs to another DAG."""
        if other.dag is not self.dag:
            raise DefinitionError(
                f"task '{self.task_id}' of DAG '{self.dag.dag_id}' cannot follow task '{other.task_id}' "
                f"of DAG '{other.dag.dag_id}'",
                hint="edges stay inside one DAG",
                code="two-dags",
                where=str(caller()),
            )
        if other not in self.above:
            self.above.append(other)
            self.dag.changed()

    def to_work(self) -> Work:
        """Return what the task does. A class with its own `execute` does that, whatever it derives from."""
        if type(self).execute is BaseOperator.execute:
            return self.define()
        return PythonWork(
            OperatorCall(self),
            kwargs={"fields": {name: frozen(getattr(self, name, None)) for name in self.template_fields}},
            macros=("context",),
        )

    def define(self) -> Work:
        """The work of a kind that runs by definition."""
        raise DefinitionError(
            f"{self.owner.label}: {type(self).__name__} does nothing",
            hint="give the class a method execute(self, context)",
            code="no-execute",
            where=self.owner.where,
        )

    def __repr__(self) -> str:
        return f"<Task({type(self).__name__}): {self.task_id}>"


class OperatorCall:
    """Calls `execute` of an operator, on a copy: rendered fields belong to one try, and tries run in parallel."""

    def __init__(self, operator: BaseOperator) -> None:
        self.operator = operator
        self.__name__ = f"{type(operator).__name__}.execute"

    def __call__(self, context: Any, fields: Mapping[str, Any]) -> Any:
        operator = copy.copy(self.operator)
        vars(operator).update(fields)
        return operator.execute(context)

    def digest_parts(self) -> list[Any]:
        """What makes it another version: the class, and what its author set on it."""
        own = {name: value for name, value in vars(self.operator).items() if name not in _OF_BFILL}
        return [type(self.operator), own]


_OF_BFILL = frozenset({*TASK_OPTIONS, "above", "dag", "place", "task_group", "task_id", "without_effect"})


class EmptyOperator(BaseOperator):
    """A task that only joins or forks."""

    def define(self) -> Work:
        return EmptyWork()


class BashOperator(BaseOperator):
    """A shell command. Its last line on stdout is pushed.

    Args:
        bash_command: The command, a template.
        env: Variables for it, templates. Given, they replace the environment of bfill, as in Airflow.
        append_env: Add `env` to the environment instead.
        cwd: Working directory; by default the DAG file's folder.
        skip_on_exit_code: The exit status that skips the task.
    """

    template_fields: ClassVar[Sequence[str]] = ("bash_command", "env", "cwd")

    def __init__(
        self,
        *,
        bash_command: str | XComArg,
        env: Mapping[str, Any] | None = None,
        append_env: bool = False,
        cwd: str | Path | None = None,
        skip_on_exit_code: int | None = 99,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.bash_command = bash_command
        self.env = env
        self.append_env = append_env
        self.cwd = cwd
        self.skip_on_exit_code = skip_on_exit_code

    def define(self) -> Work:
        return shell_work(self.owner, self.bash_command, self.env, self.append_env, self.cwd, self.skip_on_exit_code)


class PythonOperator(BaseOperator):
    """A call of a Python function.

    Args:
        python_callable: The function; see contract section 2 for what its parameters receive.
        op_args, op_kwargs: Arguments; strings in them are templates.
        templates_dict: One more argument, `templates_dict`, whose texts are templates.
        multiple_outputs: The function returns a dict whose items are XComs of their own, too.
    """

    template_fields: ClassVar[Sequence[str]] = ("op_args", "op_kwargs", "templates_dict")

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Sequence[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        templates_dict: Mapping[str, Any] | None = None,
        multiple_outputs: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not callable(python_callable):
            raise DefinitionError(
                f"{self.owner.label}: python_callable {python_callable!r} is not a function",
                hint="give the function itself, without calling it",
                code="bad-callable",
                where=self.owner.where,
            )
        self.python_callable = python_callable
        self.op_args = tuple(op_args or ())
        self.op_kwargs = dict(op_kwargs or {})
        self.templates_dict = templates_dict
        self.multiple_outputs = multiple_outputs

    def define(self) -> Work:
        return self.python_work()

    def python_work(self, **further: Any) -> PythonWork:
        """The call as a value; `further` are fields of PythonWork."""
        kwargs = dict(self.op_kwargs)
        if self.templates_dict is not None:
            kwargs["templates_dict"] = dict(self.templates_dict)
        return PythonWork(
            self.python_callable,
            frozen(self.op_args),
            frozen(kwargs),
            macros=filled_by_engine(self.owner, self.python_callable, self.op_args, kwargs),
            multiple_outputs=self.multiple_outputs,
            **further,
        )


class BranchPythonOperator(PythonOperator):
    """A function that returns the id, or ids, of the direct downstream tasks to follow; the others are skipped."""

    def define(self) -> Work:
        return self.python_work(decides="branch")


class ShortCircuitOperator(PythonOperator):
    """A function whose false result skips what is behind it.

    Args:
        ignore_downstream_trigger_rules: Skip everything behind (Airflow's default); False skips the direct downstream
            tasks, and the trigger rules of those further on decide.
    """

    def __init__(self, *, ignore_downstream_trigger_rules: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.ignore_downstream_trigger_rules = ignore_downstream_trigger_rules

    def define(self) -> Work:
        return self.python_work(
            decides="short_circuit", respects_trigger_rules=not self.ignore_downstream_trigger_rules
        )


class ShellFunctionOperator(PythonOperator):
    """A function that returns a shell command, which then runs: `@task.bash`. Arguments as `BashOperator`'s."""

    template_fields: ClassVar[Sequence[str]] = (*PythonOperator.template_fields, "env", "cwd")

    def __init__(
        self,
        *,
        env: Mapping[str, Any] | None = None,
        append_env: bool = False,
        cwd: str | Path | None = None,
        skip_on_exit_code: int | None = 99,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.env = env
        self.append_env = append_env
        self.cwd = cwd
        self.skip_on_exit_code = skip_on_exit_code

    def define(self) -> Work:
        shell = shell_work(self.owner, "", self.env, self.append_env, self.cwd, self.skip_on_exit_code)
        return self.python_work(decides="shell", shell=shell)


class SQLOperator(BaseOperator):
    """SQL statements over a named connection, in one transaction. The first result set is pushed.

    Args:
        sql: A text of one or more statements, a list of single statements, or the name of a `.sql` file beside the DAG.
        conn_id: A connection of `bfill.toml` or `BFILL_CONN_NAME`.
        parameters: Bind parameters by name (`:name` in the SQL).
    """

    template_fields: ClassVar[Sequence[str]] = ("sql", "parameters")

    def __init__(
        self,
        *,
        sql: str | Sequence[str],
        conn_id: str,
        parameters: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sql = sql
        self.conn_id = conn_id
        self.parameters = parameters

    def define(self) -> Work:
        from backfill_cli.loader.sqltext import statements_of

        if not isinstance(self.conn_id, str) or not self.conn_id:
            raise self._impossible(f"conn_id={self.conn_id!r}", "name a connection of [connections] in bfill.toml")
        if self.parameters is not None and not isinstance(self.parameters, Mapping):
            raise self._impossible("parameters is not a dict", "name them: parameters={'day': '{{ ds }}'} and :day")
        statements = statements_of(self.sql, Path(self.dag.home).parent, self.owner)
        return SqlWork(statements, self.conn_id, frozen(dict(self.parameters or {})))

    def _impossible(self, what: str, hint: str) -> DefinitionError:
        return DefinitionError(f"{self.owner.label}: {what}", hint=hint, code="bad-option", where=self.owner.where)


def shell_work(
    owner: Owner, command: Any, env: Mapping[str, Any] | None, append_env: bool, cwd: Any, skip_on_exit_code: Any
) -> ShellWork:
    """Return a shell command as a value. Raises DefinitionError for what cannot be one."""

    def impossible(name: str, value: Any, hint: str) -> DefinitionError:
        return DefinitionError(
            f"{owner.label}: {name}={value!r} is not possible", hint=hint, code="bad-option", where=owner.where
        )

    if not isinstance(as_text(command), str):
        raise impossible("bash_command", command, "bash_command takes a text")
    if env is not None and not isinstance(env, Mapping):
        raise impossible("env", env, "env takes a dict of texts")
    if skip_on_exit_code is not None and (
        isinstance(skip_on_exit_code, bool) or not isinstance(skip_on_exit_code, int)
    ):
        raise impossible("skip_on_exit_code", skip_on_exit_code, "skip_on_exit_code takes a number or None")
    return ShellWork(
        as_text(command),
        {name: str(value) for name, value in (env or {}).items()},
        None if cwd is None else str(cwd),
        skip_on_exit_code,
        inherits_env=env is None or bool(append_env),
    )
