"""The flags that say how gently a run goes: shared by the commands that run dates.

Owns the bundle and its translation into options; what a flag does is the core's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backfill_cli.errors import UsageProblem

if TYPE_CHECKING:
    from datetime import timedelta

_PACE = "How gently"


@dataclass(frozen=True, slots=True)
class Pacing:
    """When tasks may start, besides slots."""

    between: Annotated[
        list[str] | None,
        typer.Option(
            "--between",
            metavar="HOURS",
            help="Start tasks in these hours of the DAG's zone only: 22:00-06:00, 'mon-fri 18:00-08:00'.",
            rich_help_panel=_PACE,
        ),
    ] = None

    parallel_min: Annotated[
        int | None,
        typer.Option(
            "--parallel-min",
            metavar="N",
            help="Find the right number of dates at once, from N up to --parallel: fewer after failures and HTTP 429.",
            rich_help_panel=_PACE,
        ),
    ] = None
    target_latency: Annotated[
        str | None,
        typer.Option(
            "--target-latency",
            metavar="TIME",
            help="With --parallel-min: fewer when half of the tries take longer than 2s, 300ms, 5m.",
            rich_help_panel=_PACE,
        ),
    ] = None
    probe: Annotated[
        str | None,
        typer.Option(
            "--probe",
            metavar="COMMAND|URL",
            help="With --parallel-min: asked every few seconds; fewer when it exits with another status than 0.",
            rich_help_panel=_PACE,
        ),
    ] = None

    def options(self) -> dict[str, Any]:
        """Return what these flags are among the options. Raises UsageProblem for one that cannot be."""
        from backfill_cli.cli.options import at_least_one
        from backfill_cli.core.hours import parse_windows

        parse_windows(self.between or ())
        return {
            "between": tuple(self.between or ()),
            "min_parallel_runs": at_least_one("--parallel-min", self.parallel_min),
            "target_latency": None if self.target_latency is None else _latency(self.target_latency),
            "probe": self.probe or None,
        }


def _latency(text: str) -> timedelta:
    from backfill_cli.core.durations import parse_span

    is_number = text.strip().replace(".", "", 1).isdecimal()  # of seconds
    length = parse_span(f"{text.strip()}s" if is_number else text)
    if length is None:
        raise UsageProblem(
            f"--target-latency '{text}' is no length of time",
            hint="write --target-latency 2s, 300ms or 5m",
            code="bad-value",
        )
    return length
