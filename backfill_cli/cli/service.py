"""The service a command calls, made from its shared options."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backfill_cli.app.service import BackfillService
    from backfill_cli.cli.options import Shared


def service_for(shared: Shared, *, workers: int | None = None) -> BackfillService:
    """Return the service over the store these options mean (flag, then environment, then file)."""
    from backfill_cli.app.service import BackfillService

    return BackfillService(store=shared.store, workers=workers, command=("bfill", *sys.argv[1:]))
