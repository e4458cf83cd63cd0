"""`bfill scheduler`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.help import Command
from backfill_cli.cli.options import at_least_one, when
from backfill_cli.cli.output import Output
from backfill_cli.cli.reports import EventFile, Events, OnEvent
from backfill_cli.cli.running import ExecutorChoice, OrphansChoice
from backfill_cli.cli.shared import Shared
from backfill_cli.errors import BfillError, UsageProblem

_EXAMPLES = """
bfill scheduler                                         # it stays: run each interval when it is complete
bfill scheduler --once                                  # one pass: for cron and CI
bfill scheduler --once --dag daily_sales --dag stock
bfill scheduler --once --dag daily_sales --now 2024-01-10T12:00Z
bfill scheduler --once --dag daily_sales --now 2024-01-01 --until 2024-01-10
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(
    cls=Command,
    epilog=_EXAMPLES,
    help="Stay, and create and run what is due as it comes due; or once. With catchup that is every interval since the"
    " last run, without it the latest complete one. Dates that have a dag_run, or that a backfill is running, are left"
    " alone.",
)
@spread
def scheduler(
    dag: Annotated[
        list[str] | None,
        typer.Option(
            "--dag",
            metavar="DAG",
            help="Only this DAG; may be repeated. All of the dags folders without one.",
            rich_help_panel="Which DAG",
        ),
    ] = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="One pass: run what is due to its end, and leave.", rich_help_panel="How to run"),
    ] = False,
    now: Annotated[
        str | None,
        typer.Option(
            "--now", metavar="INSTANT", help="Decide what is due as of this moment.", rich_help_panel="How to run"
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="INSTANT",
            help="Leave behind this moment; with --now, play the time to here without waiting.",
            rich_help_panel="How to run",
        ),
    ] = None,
    parallel: Annotated[
        int | None,
        typer.Option("--parallel", metavar="N", help="DAGs run side by side (16).", rich_help_panel="How to run"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", help="Tasks at once, a DAG (32).", rich_help_panel="How to run"),
    ] = None,
    executor: ExecutorChoice = None,
    orphans: OrphansChoice = "end",
    events: Events = None,
    on_event: OnEvent = None,
    *,
    shared: Shared,
) -> int:
    """One pass or many, told line by line."""
    from backfill_cli.cli.keeping_told import KeepingTold
    from backfill_cli.cli.service import service_for
    from backfill_cli.cli.watching import Watching
    from backfill_cli.core.scheduling import SIDE_BY_SIDE, ScheduleOptions

    if once and until is not None and now is None:
        raise UsageProblem("--until needs --now: it ends a stretch of time", hint="add --now INSTANT", code="needs-now")
    options = ScheduleOptions(
        tuple(dag or ()),
        when("--now", now),
        when("--until", until),
        at_least_one("--parallel", parallel) or SIDE_BY_SIDE,
        at_least_one("--workers", workers),
        executor,
        orphans,
        shared.reason,
    )
    stays = not once and now is None
    service = service_for(shared, workers=workers)
    with EventFile(events, shared) as file, KeepingTold(on_event, service.settings, quiet=shared.quiet) as told:
        watching = Watching(shared, stays=stays, events=file.write, told=told)
        try:
            if stays:
                result = service.stay(options, watching, is_watched=watching.is_live, take=told.go_by)
            else:
                result = service.schedule(options, watcher=watching, signals=True)
        except BfillError as error:
            watching.aborted(error)
            if lost := told.close():
                Output("scheduler", shared).warn(lost)
            raise
        finally:
            watching.close()
        watching.finished(result)
        result = replace(result, problems=(*result.problems, *told.close()))
    return Output("scheduler", shared, screen=file.screen).result(result, exit_code=result.exit_code or file.exit_code)
