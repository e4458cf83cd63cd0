"""`bfill pause`, `resume`, `cancel`, `set`, `skip`: a running backfill steered from another terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.help import Command
from backfill_cli.cli.output import Output
from backfill_cli.cli.shared import Shared

if TYPE_CHECKING:
    from backfill_cli.core.steering import SteeringResult

MOST_PARALLEL = 1_000_000
"""More dates at once than any machine takes: a slip of the finger."""

_ID = Annotated[str, typer.Argument(metavar="ID", help="The backfill, or its DAG: the one that runs, else the latest.")]


def _app() -> typer.Typer:
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _shown(command: str, shared: Shared, result: SteeringResult) -> int:
    return Output(command, shared).result(result)


pause, resume, cancel, set_values, skip = _app(), _app(), _app(), _app(), _app()


@pause.command(
    "pause",
    cls=Command,
    epilog="""
bfill pause bf-20240401-7k2m --reason "warehouse maintenance until 14:00"
bfill status bf-20240401-7k2m        # says by whom, and since when
bfill resume bf-20240401-7k2m
""",
    help="Let nothing new start in a running backfill until it is resumed. Tasks that run end by themselves; retries"
    " that come due wait. Its process stays: what it holds stays held.",
)
@spread
def pause_backfill(backfill_id: _ID, *, shared: Shared) -> int:
    """Pause."""
    from backfill_cli.cli.service import service_for

    return _shown("pause", shared, service_for(shared).pause(backfill_id, reason=shared.reason))


@resume.command(
    "resume",
    cls=Command,
    epilog="""
bfill resume bf-20240401-7k2m
""",
    help="Let a paused backfill go on, in the process that runs it. One that was interrupted is run on here, as by"
    " run ID.",
)
@spread
def resume_backfill(backfill_id: _ID, *, shared: Shared) -> int:
    """Resume."""
    from backfill_cli.cli.service import service_for
    from backfill_cli.errors import RefusedError

    try:
        return _shown("resume", shared, service_for(shared).resume(backfill_id, reason=shared.reason))
    except RefusedError as refusal:
        if refusal.code != "interrupted":
            raise
    return _run(backfill_id, shared)


def _run(backfill_id: str, shared: Shared) -> int:
    """Do what `run ID` does."""
    from backfill_cli.cli.listening import Watching
    from backfill_cli.cli.options import backfill_options
    from backfill_cli.cli.selecting import Range
    from backfill_cli.cli.service import service_for

    with Watching(shared) as watching:
        options = backfill_options(shared, Range(), backfill_id=backfill_id)
        result = service_for(shared).run(options, listener=watching.listener, signals=True)
    watching.finished(result)
    return Output("run", shared).result(result)


@cancel.command(
    "cancel",
    cls=Command,
    epilog="""
bfill cancel bf-20240401-7k2m --reason "wrong range"
bfill cancel bf-20240401-7k2m --drain    # running tasks end by themselves
""",
    help="End a backfill for good. What runs is ended at once (process groups get SIGTERM, and SIGKILL after 5 s), or"
    " with --drain ends by itself. Its process leaves with exit code 1; the dates that are left stay as they are.",
)
@spread
def cancel_backfill(
    backfill_id: _ID,
    drain: Annotated[bool, typer.Option("--drain", help="Let running tasks end by themselves.")] = False,
    *,
    shared: Shared,
) -> int:
    """Cancel."""
    from backfill_cli.cli.service import service_for

    return _shown("cancel", shared, service_for(shared).cancel(backfill_id, drain=drain, reason=shared.reason))


@set_values.command(
    "set",
    cls=Command,
    epilog="""
bfill set bf-20240401-7k2m parallel=8
bfill set bf-20240401-7k2m parallel=1 --reason "the warehouse is slow"
""",
    help="Change how many dates a backfill has open together: while it runs, and when it is gone on with. Those open"
    " beyond a smaller number end by themselves; the DAG's max_active_runs caps it.",
)
@spread
def set_backfill(
    words: Annotated[list[str], typer.Argument(metavar="ID parallel=N", help="The backfill, and the number to set.")],
    *,
    shared: Shared,
) -> int:
    """Set."""
    from backfill_cli.cli.service import service_for

    parallel = _parallel(words)
    return _shown("set", shared, service_for(shared).set(words[0], parallel=parallel, reason=shared.reason))


def _parallel(words: list[str]) -> int:
    """Return the number of `ID parallel=N`. Raises UsageProblem for anything else."""
    from backfill_cli.errors import UsageProblem

    usage = f"bfill set {words[0]} parallel=4"
    if len(words) != 2:
        raise UsageProblem("set takes a backfill and one NAME=NUMBER", hint=usage, code="bad-value")
    name, equals, number = words[1].partition("=")
    if name != "parallel" or not equals:
        raise UsageProblem(f"'{words[1]}' is nothing that can be set: parallel=N is", hint=usage, code="bad-value")
    if not (number.isascii() and number.isdecimal() and 1 <= int(number[:12]) <= MOST_PARALLEL):
        raise UsageProblem(f"parallel={number} is no number from 1 to {MOST_PARALLEL:,}", hint=usage, code="bad-value")
    return int(number)


@skip.command(
    "skip",
    cls=Command,
    epilog="""
bfill skip bf-20240401-7k2m 2024-03-04 --reason "the source has no data"
bfill skip daily_sales 2024-03-04 2024-03-11
bfill skip bf-20240401-7k2m 2024-03-04T05:00    # one hour; a day is all of its dates
""",
    help="Leave dates out of a backfill: running, planned or interrupted. They are never started, and count as skipped."
    " What has begun or is done cannot be left out: then none of the dates is, exit 7.",
)
@spread
def skip_dates(
    words: Annotated[
        list[str],
        typer.Argument(metavar="ID DATE [DATE…]", help="The backfill, and the days or instants."),
    ],
    *,
    shared: Shared,
) -> int:
    """Skip."""
    from backfill_cli.cli.datelist import split_dates
    from backfill_cli.cli.service import service_for
    from backfill_cli.errors import UsageProblem

    if len(words) < 2:
        raise UsageProblem(
            "skip takes a backfill and the dates to leave out",
            hint=f"bfill skip {words[0]} 2024-03-04 2024-03-11",
            code="no-dates",
        )
    dates = [when for word in words[1:] for when in split_dates(word, flag="skip")]
    return _shown("skip", shared, service_for(shared).skip(words[0], dates, reason=shared.reason))
