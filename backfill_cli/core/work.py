"""What a task does, as values: the definition of the work, never the doing of it.

Owns one small class a kind of work. `loader/` builds them from users' operators, `core/templates.py` renders their
fields, and `engine/` holds the table from class to runner. A new kind is a class here and a row there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class XComRef:
    """The result of another task, named before it exists; passing one as an argument makes the edge.

    Args:
        path: Keys and indexes into the value, outermost first: `extract()["rows"][0]` is `("rows", 0)`.
    """

    task_id: str
    key: str = "return_value"
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        part = "".join(f"[{step!r}]" for step in self.path)
        return f"{{{{ ti.xcom_pull(task_ids={self.task_id!r}, key={self.key!r}){part} }}}}"


@dataclass(frozen=True, slots=True)
class EmptyWork:
    """Nothing: a task that only joins or forks. It never reaches a worker's code."""


@dataclass(frozen=True, slots=True)
class ShellWork:
    """A command for the shell, in its own process group.

    Args:
        command: The command, a template.
        env: Variables for the command; the values are templates.
        inherits_env: Whether the command sees the environment of bfill besides `env`. `BFILL_*` it always sees.
        cwd: Working directory, a template; None is the DAG's folder.
        skip_on_exit_code: The status that means "skipped" (Airflow's 99 by default); None is no status.
        wait_on_exit_code: The status that means "not now": the try is deferred and uses none; None is no status.
    """

    command: str
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    skip_on_exit_code: int | None = 99
    inherits_env: bool = True
    wait_on_exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class PythonWork:
    """A call of `function`.

    Args:
        function: Any callable. Its parameters named like a macro receive that macro's typed value.
        args: Positional arguments; strings are templates, `XComRef`s are replaced by the value they name.
        kwargs: The same by name. Arguments passed at the call win over macros.
        decides: What the return value means besides being an XCom: `branch` (task ids to follow), `short_circuit`
            (false skips everything behind), `shell` (the command to run next), or None.
        respects_trigger_rules: For `short_circuit`: skip only direct downstreams, their rules decide the rest.
        macros: Names of the parameters the engine fills from the context; `context` is the Context itself, `**` means
            all of it by name.
        multiple_outputs: The result is a dict; each of its items is pushed as an XCom of its own, too.
        shell: For `shell`: how to run the command that `function` returns; its own `command` is empty.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    decides: Literal["branch", "short_circuit", "shell"] | None = None
    respects_trigger_rules: bool = True
    macros: tuple[str, ...] = ()
    multiple_outputs: bool = False
    shell: ShellWork | None = None


@dataclass(frozen=True, slots=True)
class SqlWork:
    """SQL statements over the named connection, in one transaction; data values become bind parameters.

    Args:
        sql: The statements in order, each a template.
        connection: The connection's name.
        parameters: Bind parameters by name; strings are templates, `XComRef`s are replaced by the value they name.
    """

    sql: tuple[str, ...]
    connection: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


Work = EmptyWork | PythonWork | ShellWork | SqlWork
