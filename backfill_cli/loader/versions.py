"""Digests: when is a task, or a DAG, another version of itself.

Owns what counts. In a task's digest: its command, SQL, or code with what it reaches (`loader/sources.py`), its
arguments and params, its upstream tasks, trigger rule, depends_on_past and do_xcom_push. In a DAG's: schedule, zone,
params and its tasks' digests. With settings: the connections (without passwords) and variables its definition names.

Left out, because an interval computed under another value of them is no less right: retries, delays, timeouts, pools,
priorities, callbacks, max_active_*, start and end dates (but where a delta's grid starts counts), tags, description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from backfill_cli.core.graph import Dag, Task
from backfill_cli.core.masking import LOOKS_SECRET
from backfill_cli.core.work import PythonWork, ShellWork, SqlWork, Work
from backfill_cli.loader import names, sources

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")
_IN_QUERY = re.compile(rf"([?&][^=&]*(?:{LOOKS_SECRET.pattern})[^=&]*=)[^&#]*", re.IGNORECASE)


def digest(parts: Any) -> str:
    """Return 16 hex digits (64 bits) over JSON-able parts; screens show the first seven."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def task_digest(task: Task, folder: Path) -> str:
    """Return the digest of what a task does. `folder` is the DAG file's: code below it is read."""
    return digest(
        {
            "work": _work_parts(task.work, folder),
            "upstream": sorted(task.upstream),
            "trigger_rule": task.trigger_rule,
            "depends_on_past": task.depends_on_past,
            "wait_for_downstream": task.wait_for_downstream,
            "do_xcom_push": task.do_xcom_push,
            "params": sources.text_of(task.params, folder),
        }
    )


def dag_digest(dag: Dag, schedule: object) -> str:
    """Return the version of a DAG. `schedule` is the author's value: a schedule object of their own is read as code."""
    folder = Path(dag.path or ".").parent
    is_custom = dag.schedule.kind == "custom"
    return digest(
        {
            "schedule": sources.text_of(schedule, folder) if is_custom else dag.schedule.digest_text(),
            "timezone": dag.timezone,
            "params": sources.text_of(dag.params, folder),
            "tasks": {task_id: task.digest for task_id, task in dag.tasks.items()},
        }
    )


def with_settings(dag: Dag, connections: Mapping[str, str], variables: Mapping[str, str]) -> Dag:
    """Return the DAG with the values of the connections and variables it names in its digests.

    A password is left out of a URL, so that rotating it makes nothing stale; of a `secret:` reference its text counts.
    """
    if not dag.connections and not dag.variables:
        return dag
    tasks = {task_id: _with_values(task, connections, variables) for task_id, task in dag.tasks.items()}
    version = digest([dag.version, {task_id: task.digest for task_id, task in tasks.items()}])
    return replace(dag, tasks=tasks, version=version)


def without_password(url: str) -> str:
    """Return a URL with its password left out, and what its query calls one."""
    return _IN_QUERY.sub(r"\1", _PASSWORD.sub(r"\1@", url))


def _with_values(task: Task, connections: Mapping[str, str], variables: Mapping[str, str]) -> Task:
    used = {
        f"conn.{name}": without_password(connections[name])
        for name in names.connections_in([task.work])
        if name in connections
    } | {f"var.{name}": variables[name] for name in names.variables_in([task.work]) if name in variables}
    return replace(task, digest=digest([task.digest, used])) if used else task


def _work_parts(work: Work, folder: Path) -> Any:
    kind = type(work).__name__
    match work:
        case ShellWork():
            parts = [kind, work.command, dict(work.env), work.cwd, work.inherits_env, work.skip_on_exit_code]
            return parts if work.wait_on_exit_code is None else [*parts, work.wait_on_exit_code]
        case SqlWork():
            return [kind, work.sql, work.connection, sources.text_of(work.parameters, folder)]
        case PythonWork():
            shell = _work_parts(work.shell, folder) if work.shell else None
            rest = {
                field.name: getattr(work, field.name)
                for field in fields(work)
                if field.name in ("decides", "respects_trigger_rules", "multiple_outputs", "macros")
            }
            code = sources.text_of([work.function, work.args, work.kwargs], folder)
            return [kind, code, rest, shell]
    return [kind]
