"""What a shift imports, imported before it is forked: once for all of them, and not while an interval waits.

Owns the lists: our modules that bring the others with them, and the libraries that are imported where they are used.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from importlib import import_module

RUNNING = (
    "backfill_cli.app.worker",
    "backfill_cli.core.heads",
    "backfill_cli.core.refusals",
    "backfill_cli.core.signals",
    "backfill_cli.engine.backends",
    "backfill_cli.engine.coordinator",
    "backfill_cli.engine.health",
    "backfill_cli.engine.logs",
    "backfill_cli.engine.pacing",
    "backfill_cli.engine.runners",
    "backfill_cli.engine.stopping",
    "backfill_cli.engine.strays",
    "backfill_cli.store.controls",
    "backfill_cli.store.heads",
    "backfill_cli.store.opening",
    "backfill_cli.store.proving",
    "backfill_cli.store.schema",
)
"""What runs a DAG that has been loaded."""

LOADING = (
    "backfill_cli.core.cron",
    "backfill_cli.core.deltas",
    "backfill_cli.core.macros",
    "backfill_cli.core.templates",
    "backfill_cli.core.when",
    "backfill_cli.loader.folders",
    "backfill_cli.loader.rehearsed",
    "backfill_cli.loader.resolve",
    "croniter",
    "faulthandler",
    "jinja2.sandbox",
    "pendulum",
)
"""What loads one, and what most DAG files need."""


def warm(*names: Iterable[str]) -> None:
    """Import what shifts need, and let the forks share the memory that it takes."""
    for name in (one for some in names for one in some):
        import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page it walks through
