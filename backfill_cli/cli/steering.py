"""`bfill pause`, `resume`: a running backfill steered from another terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.help import Command
from backfill_cli.cli.options import Shared
from backfill_cli.cli.output import Output

if TYPE_CHECKING:
    from backfill_cli.core.steering import SteeringResult

_ID = Annotated[str, typer.Argument(metavar="ID", help="The backfill, or its DAG: then the latest of it.")]


def _app() -> typer.Typer:
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _shown(command: str, shared: Shared, result: SteeringResult) -> int:
    return Output(command, shared).result(result)


pause, resume = _app(), _app()


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
    help="Let a paused backfill go on, in the process that runs it.",
)
@spread
def resume_backfill(backfill_id: _ID, *, shared: Shared) -> int:
    """Resume."""
    from backfill_cli.cli.service import service_for

    return _shown("resume", shared, service_for(shared).resume(backfill_id, reason=shared.reason))
