"""The operators: one class a kind of task, with Airflow's names, each turned into a value of `core/work.py`.

Owns what each kind takes and what it defines. It runs nothing: `engine/` runs what is defined. A class of a user's own
derives from `BaseOperator` (`loader/base.py`) and has `execute(self, context)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from backfill_cli.core.work import EmptyWork, PythonWork, ShellWork, SqlWork, Work
from backfill_cli.errors import DefinitionError
from backfill_cli.loader.base import BaseOperator
from backfill_cli.loader.options import Owner
from backfill_cli.loader.signatures import filled_by_engine
from backfill_cli.loader.wiring import XComArg, as_text, frozen

__all__ = [
    "BaseOperator",
    "BashOperator",
    "BranchPythonOperator",
    "EmptyOperator",
    "PythonOperator",
    "SQLOperator",
    "ShellFunctionOperator",
    "ShortCircuitOperator",
]


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
        wait_on_exit_code: The exit status that says "not now" for the system it asks (75, EX_TEMPFAIL, is meant for
            that): no try is used, and a last line `Retry-After: 30` says when.
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
        wait_on_exit_code: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.bash_command = bash_command
        self.env = env
        self.append_env = append_env
        self.cwd = cwd
        self.skip_on_exit_code = skip_on_exit_code
        self.wait_on_exit_code = wait_on_exit_code

    def define(self) -> Work:
        work = shell_work(self.owner, self.bash_command, self.env, self.append_env, self.cwd, self.skip_on_exit_code)
        return waiting_on(self.owner, work, self.wait_on_exit_code)


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
        wait_on_exit_code: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.env = env
        self.append_env = append_env
        self.cwd = cwd
        self.skip_on_exit_code = skip_on_exit_code
        self.wait_on_exit_code = wait_on_exit_code

    def define(self) -> Work:
        shell = shell_work(self.owner, "", self.env, self.append_env, self.cwd, self.skip_on_exit_code)
        return self.python_work(decides="shell", shell=waiting_on(self.owner, shell, self.wait_on_exit_code))


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


def waiting_on(owner: Owner, work: ShellWork, status: Any) -> ShellWork:
    """Return the command with the status that means "not now". Raises DefinitionError for what cannot be one."""
    if status is not None and (isinstance(status, bool) or not isinstance(status, int) or not 1 <= status <= 255):
        raise DefinitionError(
            f"{owner.label}: wait_on_exit_code={status!r} is not possible",
            hint="wait_on_exit_code takes a number from 1 to 255, or None",
            code="bad-option",
            where=owner.where,
        )
    return replace(work, wait_on_exit_code=status)
