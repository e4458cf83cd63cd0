"""The flags that say which DAG and which dates (contract sections 2 and 4).

Owns the bundles, and what excludes what among them. Whether the dates fit the DAG is for the use cases to say.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backfill_cli.errors import UsageProblem

if TYPE_CHECKING:
    from backfill_cli.core.when import When

_WHICH = "Which DAG"
_DATES = "Which dates"


@dataclass(frozen=True, slots=True)
class Range:
    """A DAG and dates of it."""

    dag: Annotated[
        str | None,
        typer.Option(
            "--dag",
            metavar="DAG",
            help="A dag_id, path/file.py[:dag_id], package.module:name, or a scenario like 17.7.2.",
            rich_help_panel=_WHICH,
        ),
    ] = None
    command: Annotated[
        str | None,
        typer.Option(
            "--command", metavar="SHELL", help="A one-task DAG on the spot; templates work.", rich_help_panel=_WHICH
        ),
    ] = None
    schedule: Annotated[
        str | None,
        typer.Option("--schedule", metavar="CRON", help="The schedule of --command.", rich_help_panel=_WHICH),
    ] = None
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The dag_id of --command.", rich_help_panel=_WHICH)
    ] = None
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="The zone of --command.", rich_help_panel=_WHICH)
    ] = None
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            metavar="WHEN",
            help="First logical date, included: 2024-03-01, 2024-03-01T14:00, 2024-03-01T14:00+01:00.",
            rich_help_panel=_DATES,
        ),
    ] = None
    end: Annotated[
        str | None,
        typer.Option(
            "--end",
            metavar="WHEN",
            help="Last logical date, included; a date means its whole day.",
            rich_help_panel=_DATES,
        ),
    ] = None
    last: Annotated[
        str | None,
        typer.Option(
            "--last",
            metavar="SPAN",
            help="30d, 2w: whole days up to today; 6h, 90m: back from now.",
            rich_help_panel=_DATES,
        ),
    ] = None
    dates: Annotated[
        str | None,
        typer.Option(
            "--dates", metavar="D,D,…", help="These dates; a day takes all of its dates.", rich_help_panel=_DATES
        ),
    ] = None
    dates_from: Annotated[
        str | None,
        typer.Option("--dates-from", metavar="FILE|-", help="Dates from a file, one a line.", rich_help_panel=_DATES),
    ] = None
    include_incomplete: Annotated[
        bool,
        typer.Option("--include-incomplete", help="Also intervals that are not over.", rich_help_panel=_DATES),
    ] = False
    ignore_dag_bounds: Annotated[
        bool,
        typer.Option(
            "--ignore-dag-bounds", help="Also dates outside the DAG's start_date and end_date.", rich_help_panel=_DATES
        ),
    ] = False

    def options(self, backfill_id: str | None = None) -> dict[str, Any]:
        """Return the fields of BackfillOptions that these flags fill.

        Raises:
            UsageProblem: Flags that exclude each other, or the id; a date that is none.
        """
        from backfill_cli.cli.options import when

        _check_target(self, backfill_id)
        return {
            "backfill_id": backfill_id,
            "dag_id": self.dag,
            "command": self.command,
            "schedule": self.schedule,
            "name": self.name,
            "timezone": self.timezone,
            "start_date": when("--start", self.start),
            "end_date": when("--end", self.end),
            "last": self.last,
            "dates": _dates(self),
            "include_incomplete": self.include_incomplete,
            "ignore_dag_bounds": self.ignore_dag_bounds,
        }


@dataclass(frozen=True, slots=True)
class Selection(Range):
    """A DAG and dates of it, at most so many."""

    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", help="At most N dates, the first in order.", rich_help_panel=_DATES),
    ] = None

    def options(self, backfill_id: str | None = None) -> dict[str, Any]:
        from backfill_cli.cli.options import at_least_one

        # No super(): the class that slots=True makes is not the one its methods were written in.
        return {**Range.options(self, backfill_id), "limit": at_least_one("--limit", self.limit)}


def _check_target(selection: Range, backfill_id: str | None) -> None:
    """An id names DAG and dates itself; --command and --dag exclude each other; what shapes --command needs it."""
    if backfill_id is not None:
        for field in fields(selection):
            if getattr(selection, field.name) not in (None, False):
                flag = "--" + field.name.replace("_", "-")
                raise UsageProblem(
                    f"{flag} does not go with the id {backfill_id}, which names its DAG and dates itself",
                    hint=f"leave out {flag}, or leave out the id",
                    code="id-and-selection",
                )
    if selection.dag is not None and selection.command is not None:
        raise UsageProblem("--dag and --command exclude each other", hint="give one of them", code="dag-and-command")
    if selection.command is None:
        for flag in ("schedule", "name", "timezone"):
            if getattr(selection, flag) is not None:
                raise UsageProblem(
                    f"--{flag} belongs to --command",
                    hint=f"a DAG file says its {flag} itself; or add --command '…'",
                    code="needs-command",
                )


def _dates(selection: Range) -> tuple[When, ...]:
    if selection.dates is None and selection.dates_from is None:
        return ()
    from backfill_cli.cli.datelist import read_dates, split_dates

    if selection.dates is not None and selection.dates_from is not None:
        raise UsageProblem(
            "--dates and --dates-from exclude each other", hint="give one of them", code="two-date-lists"
        )
    if selection.dates is not None:
        return split_dates(selection.dates, flag="--dates")
    return read_dates(selection.dates_from) if selection.dates_from is not None else ()
