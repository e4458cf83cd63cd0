"""The flags that say in which groups dates run: chunks, a pilot, a ramp. What they mean is `core/shapes.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

_SHAPE = "In which groups"


@dataclass(frozen=True, slots=True)
class Shaping:
    """Which dates run together before the next ones begin."""

    chunk: Annotated[
        str | None,
        typer.Option(
            "--chunk",
            metavar="7d|30|auto",
            help="One chunk after another: of whole days, of so many dates, or of about ten minutes. A DAG with"
            " batch_intervals runs the consecutive dates of a chunk as one.",
            rich_help_panel=_SHAPE,
        ),
    ] = None
    chunk_failures: Annotated[
        str | None,
        typer.Option(
            "--chunk-failures",
            metavar="stop|skip|N%",
            help="When dates of a chunk failed: stop (default), go on, or go on up to N% of them.",
            rich_help_panel=_SHAPE,
        ),
    ] = None
    pilot: Annotated[
        int | None,
        typer.Option(
            "--pilot",
            metavar="N",
            help="First N dates (the first, the last, the middle, …), then stop and show what they took.",
            rich_help_panel=_SHAPE,
        ),
    ] = None
    ramp: Annotated[
        bool,
        typer.Option(
            "--ramp",
            help="Do not stop behind the pilot: go on in growing waves while they are healthy.",
            rich_help_panel=_SHAPE,
        ),
    ] = False

    def options(self) -> dict[str, Any]:
        """Return the fields of BackfillOptions that these flags fill."""
        from backfill_cli.cli.options import at_least_one

        return {
            "chunk": self.chunk,
            "chunk_failures": self.chunk_failures,
            "pilot": at_least_one("--pilot", self.pilot),
            "ramp": self.ramp,
        }
