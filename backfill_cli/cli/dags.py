"""`bfill dags list|show|validate`."""

from __future__ import annotations

from typing import Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.groups import group
from backfill_cli.cli.help import Command
from backfill_cli.cli.output import Output
from backfill_cli.cli.shared import Looking, Shared

_EXAMPLES = """
bfill dags list
bfill dags show daily_sales
bfill dags validate dags/sales.py
"""

_Target = Annotated[
    str, typer.Argument(metavar="DAG", help="A dag_id, path/file.py[:dag_id], package.module:name, or a scenario.")
]

app = group("The DAG files: which there are, what one says, are they sound.", _EXAMPLES)


@app.command(
    "list",
    cls=Command,
    short_help="The DAGs of the dags folders.",
    help="The DAGs of the dags folders, and the files that could not be loaded.",
    epilog="bfill dags list\nbfill dags list --json",
)
@spread
def list_dags(*, shared: Looking) -> int:
    """List what the loader finds."""
    from backfill_cli.cli.service import service_for

    return Output("dags list", shared).result(service_for(shared).dags())


@app.command(
    "show",
    cls=Command,
    short_help="One DAG: schedule, limits, tasks, what has run.",
    help="One DAG: its schedule and the dates around now, its limits, its tasks in order, and what has run of it.",
    epilog="bfill dags show daily_sales\nbfill dags show dags/sales.py:daily_sales --json",
)
@spread
def show(target: _Target, *, shared: Looking) -> int:
    """Show one."""
    from backfill_cli.cli.service import service_for

    return Output("dags show", shared).result(service_for(shared).show_dag(target))


@app.command(
    "validate",
    cls=Command,
    short_help="Load DAG files and say what is wrong with them.",
    help="Load DAG files and say what is wrong with them; nothing is stored. Exit 3 when one is broken.",
    epilog="bfill dags validate\nbfill dags validate dags/sales.py dags/stock.py --json",
)
@spread
def validate(
    targets: Annotated[
        list[str] | None, typer.Argument(metavar="DAG", help="What to check; all dags folders without one.")
    ] = None,
    *,
    shared: Looking,
) -> int:
    """Check each."""
    from backfill_cli.cli.service import service_for

    return Output("dags validate", shared).result(service_for(shared).validate(tuple(targets or ())))


@app.command(
    "pause",
    cls=Command,
    short_help="Let the scheduler create nothing for a DAG.",
    help="Let the scheduler create nothing for a DAG, until unpause. What was created goes on; backfills may run.",
    epilog="bfill dags pause daily_sales --reason 'the source is being moved'",
)
@spread
def pause(target: _Target, *, shared: Shared) -> int:
    """Pause one."""
    return _pause("dags pause", target, shared, paused=True)


@app.command(
    "unpause",
    cls=Command,
    short_help="Let the scheduler go on with a DAG.",
    help="Let the scheduler go on with a DAG: with catchup it owes all that was missed, without it only the latest.",
    epilog="bfill dags unpause daily_sales",
)
@spread
def unpause(target: _Target, *, shared: Shared) -> int:
    """Let it go on."""
    return _pause("dags unpause", target, shared, paused=False)


def _pause(command: str, target: str, shared: Shared, *, paused: bool) -> int:
    from backfill_cli.cli.service import service_for

    result = service_for(shared).pause_dag(target, paused=paused, reason=shared.reason)
    return Output(command, shared).result(result)
