"""The flags that say how gently a run goes: shared by the commands that run dates.

Owns the bundle and its translation into options; what a flag does is the core's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

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

    def options(self) -> dict[str, Any]:
        """Return what these flags are among the options. Raises UsageProblem for one that cannot be."""
        from backfill_cli.core.hours import parse_windows

        parse_windows(self.between or ())
        return {"between": tuple(self.between or ())}
