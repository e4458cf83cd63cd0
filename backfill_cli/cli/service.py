"""The service a command calls, made from its shared options."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from backfill_cli.app.service import BackfillService
    from backfill_cli.cli.shared import Shared


def service_for(shared: Shared, *, workers: int | None = None) -> BackfillService:
    """Return the service over the store these options mean (flag, then environment, then file)."""
    from backfill_cli import loader
    from backfill_cli.app.service import BackfillService
    from backfill_cli.cli import main as command_line

    loader.may_fork = command_line.own_process
    return BackfillService(store=shared.store, workers=workers, command=("bfill", *sys.argv[1:]), tell=_teller(shared))


def _teller(shared: Shared) -> Callable[[str], None] | None:
    """Return what writes a line to stderr for whoever waits; nobody does with -q."""
    if shared.quiet:
        return None

    def tell(line: str) -> None:
        from backfill_cli.cli import streams
        from backfill_cli.render.safe import safe_text

        streams.write_quietly(sys.stderr, f"{safe_text(line)}\n")

    return tell
