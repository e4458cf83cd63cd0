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
    """The result of another task, named before it exists; passing one as an argument makes the edge."""

    task_id: str
    key: str = "return_value"

    def __str__(self) -> str:
        return f"{{{{ ti.xcom_pull(task_ids='{self.task_id}', key='{self.key}') }}}}"


@dataclass(frozen=True, slots=True)
class EmptyWork:
    """Nothing: a task that only joins or forks. It never reaches a worker's code."""


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
        macros: Names of the parameters the engine fills from the context; `**` means all of it.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    decides: Literal["branch", "short_circuit", "shell"] | None = None
    respects_trigger_rules: bool = True
    macros: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShellWork:
    """A command for the shell, in its own process group.

    `env` values are templates; `cwd` defaults to the DAG's folder.
    `skip_on_exit_code` is the status that means "skipped" (Airflow's 99 by default).
    """

    command: str
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    skip_on_exit_code: int | None = 99


@dataclass(frozen=True, slots=True)
class SqlWork:
    """SQL statements over the named connection, in one transaction; data values become bind parameters."""

    sql: tuple[str, ...]
    connection: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


Work = EmptyWork | PythonWork | ShellWork | SqlWork
