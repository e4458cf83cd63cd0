"""`--command 'etl.sh {{ ds }}' --schedule @daily`: a DAG of one task without a file.

Owns the definition that is kept in the store in the file's place, and its way back to a DAG.
"""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import blake2b

from backfill_cli.core.graph import Dag
from backfill_cli.errors import BfillError, DefinitionError
from backfill_cli.loader.authoring import DAG
from backfill_cli.loader.operators import BashOperator

TASK_ID = "command"


def adhoc_dag(command: str, schedule: str | None, name: str | None, timezone: str) -> tuple[Dag, str]:
    """Return the DAG and its definition as JSON text, from which `from_definition` makes the same DAG.

    Args:
        command: For the shell, a template.
        schedule: Cron, a preset or None.
        name: Its dag_id; None makes `cmd-` and 8 hex digits of a digest of command, schedule and zone.
        timezone: IANA name.

    Raises:
        DefinitionError, ScheduleError: The command is empty, the name or the schedule impossible.
    """
    if not command.strip():
        raise DefinitionError("--command is empty", hint="give the command to run: --command 'etl.sh {{ ds }}'")
    definition = {"command": command, "name": name, "schedule": schedule, "timezone": timezone}
    try:
        with DAG(name or adhoc_id(command, schedule, timezone), schedule=schedule, timezone=timezone) as dag:
            BashOperator(task_id=TASK_ID, bash_command=command)
        compiled = dag.compile()
    except BfillError as error:
        error.where = None  # a line of bfill's own: nobody could edit it
        raise
    tasks = {task_id: replace(task, where=None) for task_id, task in compiled.tasks.items()}
    return replace(compiled, tasks=tasks, path=None, where=None), json.dumps(definition, sort_keys=True)


def adhoc_id(command: str, schedule: str | None, timezone: str) -> str:
    """Return the dag_id of a command without a name: the same command on the same schedule is the same DAG."""
    text = json.dumps([command, schedule, timezone])
    return f"cmd-{blake2b(text.encode(), digest_size=4).hexdigest()}"


def from_definition(definition: str) -> Dag:
    """Return the DAG of a definition kept in the store.

    Raises:
        DefinitionError: The text is not such a definition.
    """
    try:
        parts = json.loads(definition)
        command, schedule, name, timezone = (parts[key] for key in ("command", "schedule", "name", "timezone"))
    except (ValueError, KeyError, TypeError) as error:
        raise DefinitionError(
            "the stored definition of a --command DAG cannot be read",
            hint="give --command and --schedule again",
            code="bad-definition",
        ) from error
    return adhoc_dag(command, schedule, name, timezone)[0]
