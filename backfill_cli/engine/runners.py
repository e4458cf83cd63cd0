"""Runners for Python and shell work: from a rendered definition to a result.

Owns the call of a user's function and the start of a user's command. Arguments are rendered once; a value that comes
out of a template or an XCom is data and is never rendered again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from backfill_cli import clock
from backfill_cli.core.instants import instant
from backfill_cli.core.refusals import said_in
from backfill_cli.core.signals import SkipTask
from backfill_cli.core.templates import Place, compile_field, render_value
from backfill_cli.core.work import PythonWork, ShellWork, XComRef
from backfill_cli.engine.attempt import Attempt, Result, ShellDeferred, ShellFailed
from backfill_cli.engine.cancelling import interruptible
from backfill_cli.engine.shell import ShellEnd, run_shell
from backfill_cli.errors import DefinitionError


def run_python_task(attempt: Attempt) -> Result:
    """Call the function with its arguments, macros filled in, and read what its result decides."""
    work = attempt.task.work
    assert isinstance(work, PythonWork)
    args = [resolve_argument(one, attempt) for one in work.args]
    kwargs = {name: resolve_argument(one, attempt) for name, one in work.kwargs.items()}
    for name in work.macros:
        if name == "**":
            kwargs = {**attempt.context, **kwargs}
        elif name == "context":
            kwargs["context"] = attempt.context
        else:
            kwargs[name] = attempt.context[name]
    begun = time.monotonic()
    with in_time(attempt):
        value = work.function(*args, **kwargs)
    match work.decides:
        case "branch":
            return Result(value, follow=_followed(value, attempt))
        case "short_circuit":
            behind = None if value else ("direct" if work.respects_trigger_rules else "all")
            return Result(value, skip_behind=behind)
        case "shell":
            if not isinstance(value, str):
                raise DefinitionError(
                    f"task '{attempt.task.task_id}' returned {type(value).__name__}, not a command",
                    hint="@task.bash functions return the command as str",
                )
            # What the function built is the command: rendering it again would parse data as a template.
            spent_s = time.monotonic() - begun
            return _run_command(value, work.shell or ShellWork(value), attempt, spent_s)
        case _:
            if work.multiple_outputs and isinstance(value, Mapping):
                for key, item in value.items():
                    attempt.ti.xcom_push(str(key), item)
            return Result(value)


def in_time(attempt: Attempt) -> AbstractContextManager[None]:
    """Let a block that runs in this thread be ended by its execution_timeout, or when the try is cancelled."""
    overdue, number = attempt.bench.on_overdue, attempt.invocation.try_number
    on_timeout = None if overdue is None else (lambda: overdue(attempt.key, number))
    return interruptible(attempt.bench.register, attempt.key, attempt.task.execution_timeout_s, on_timeout)


def run_shell_task(attempt: Attempt) -> Result:
    """Render the command and run it; its last stdout line is the result."""
    work = attempt.task.work
    assert isinstance(work, ShellWork)
    field = compile_field(work.command, Place.SHELL)
    command = field.render(attempt.context, strict=attempt.dag.strict_templates).text
    return _run_command(command, work, attempt)


def _run_command(command: str, work: ShellWork, attempt: Attempt, spent_s: float = 0.0) -> Result:
    """Run a finished command; `spent_s` of the try's execution_timeout are gone already."""
    timeout_s = attempt.task.execution_timeout_s
    strict = attempt.dag.strict_templates
    environ = attempt.bench.environ
    env = {
        **(environ if work.inherits_env else {"PATH": environ.get("PATH", os.defpath)}),
        **task_environment(attempt),
        **{name: str(render_value(value, attempt.context, strict=strict).value) for name, value in work.env.items()},
    }
    end = run_shell(
        command,
        env=env,
        cwd=_folder(work, attempt),
        log=attempt.log,
        timeout_s=None if timeout_s is None else max(0.0, timeout_s - spent_s),
        register=attempt.bench.register,
        key=attempt.key,
        heirlooms=attempt.bench.lineage.descriptors,
    )
    if end.status == 0:
        return Result(end.last_line)
    if end.status == work.skip_on_exit_code:
        raise SkipTask(f"exit status {end.status}")
    told = f": {end.last_error}" if end.last_error else ""
    if end.status == work.wait_on_exit_code:
        raise ShellDeferred(f"exit status {end.status}{told}", _asked_for(end))
    if end.status < 0:
        raise ShellFailed(f"killed by signal {-end.status}{told}")
    raise ShellFailed(f"exit status {end.status}{told}")


def _asked_for(end: ShellEnd) -> float | None:
    """Return the seconds that a command's last line asks for, on stderr or stdout: `Retry-After: 30`."""
    now = clock.now_us() / 1_000_000
    asked = (said_in(line, now) for line in (end.last_error, end.last_line or ""))
    return next((seconds for seconds in asked if seconds is not None), None)


def task_environment(attempt: Attempt) -> dict[str, str]:
    """Return the `BFILL_*` variables every command sees (contract section 3)."""
    invocation = attempt.invocation
    # Not asked of the context: its macros are instants of pendulum's, and ten times as dear as their texts.
    ts, end = (instant(at).isoformat() for at in (invocation.logical_date, invocation.data_interval_end))
    env = {
        "BFILL_DAG_ID": invocation.dag.dag_id,
        "BFILL_TASK_ID": invocation.task_id,
        "BFILL_RUN_ID": invocation.run_id,
        "BFILL_BACKFILL_ID": invocation.backfill_id,
        "BFILL_TRY_NUMBER": str(invocation.try_number),
        "BFILL_DS": ts[:10],
        "BFILL_TS": ts,
        "BFILL_LOGICAL_DATE": ts,
        "BFILL_DATA_INTERVAL_START": ts,
        "BFILL_DATA_INTERVAL_END": end,
        **attempt.bench.lineage.variables,
    }
    if attempt.dag.batch_intervals is not None:
        dates = invocation.logical_dates or (invocation.logical_date,)
        env["BFILL_LOGICAL_DATES"] = " ".join(instant(one).isoformat() for one in dates)
        env["BFILL_LOGICAL_DATES_COUNT"] = str(len(dates))
    if invocation.conf:
        from json import dumps

        revealed = attempt.bench.reveal(invocation.conf)
        for key, value in revealed.items():
            name = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in str(key)).upper()
            env[f"BFILL_CONF_{name}"] = value if isinstance(value, str) else dumps(value)
    return {name: value.replace("\0", "") for name, value in env.items()}


def resolve_argument(value: Any, attempt: Attempt) -> Any:
    """Return an argument with XCom references replaced by their values and templates rendered, in containers too."""
    match value:
        case XComRef():
            found = attempt.ti.xcom_pull(value.task_id, value.key)
            for step in value.path:
                found = found[step]
            return found
        case str():
            return render_value(value, attempt.context, strict=attempt.dag.strict_templates).value
        case list():
            return [resolve_argument(one, attempt) for one in value]
        case tuple():
            return tuple(resolve_argument(one, attempt) for one in value)
        case dict():
            return {key: resolve_argument(one, attempt) for key, one in value.items()}
        case _:
            return value


def _followed(value: Any, attempt: Attempt) -> tuple[str, ...]:
    """Return the branch that was chosen: ids of tasks or of task groups, one or several, or None for no branch."""
    if value is not None and not isinstance(value, str | list | tuple | set | frozenset):
        raise DefinitionError(
            f"branch '{attempt.task.task_id}' returned {type(value).__name__}, not the id of a task",
            hint="return a task_id, a list of them, or None to skip all of them",
        )
    behind = attempt.dag.downstream[attempt.task.task_id]
    followed: list[str] = []
    for name in () if value is None else (value,) if isinstance(value, str) else value:
        chosen = [task_id for task_id in attempt.dag.groups.get(name, (name,)) if task_id in behind]
        if not chosen:
            raise DefinitionError(
                f"branch '{attempt.task.task_id}' chose '{name}', which is not directly behind it",
                hint=f"return one of: {', '.join(behind)}",
            )
        followed += chosen
    return tuple(followed)


def _folder(work: ShellWork, attempt: Attempt) -> str | None:
    if work.cwd is not None:
        return str(render_value(work.cwd, attempt.context, strict=attempt.dag.strict_templates).value)
    return str(Path(attempt.dag.path).parent) if attempt.dag.path else None
