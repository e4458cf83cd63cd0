"""bfill: run the past again, in parallel, with memory and proof.

Owns the version and the public names. They are resolved on first use (PEP 562), so that `import backfill_cli` costs
nothing and the command line stays quick to start.
"""

from __future__ import annotations

# In place of typing's: importing typing costs more than all that `bfill --version` does.
TYPE_CHECKING = False

__version__ = "0.1.0"

_HOMES = {
    "backfill_cli.errors": ("BfillError",),
    "backfill_cli.app.service": ("BackfillService",),
    "backfill_cli.core.context": ("Context", "get_current_context"),
    "backfill_cli.core.intervals": ("DataInterval",),
    "backfill_cli.core.macros": ("resolve_date_macros",),
    "backfill_cli.core.options": ("BackfillOptions",),
    "backfill_cli.core.results": ("BackfillPreview", "BackfillResult", "DateResult"),
    "backfill_cli.core.signals": ("FailTask", "RateLimited", "RetryLater", "SkipTask"),
    "backfill_cli.loader.authoring": ("DAG", "TaskGroup", "chain", "cross_downstream"),
    "backfill_cli.loader.operators": (
        "BaseOperator",
        "BashOperator",
        "BranchPythonOperator",
        "EmptyOperator",
        "PythonOperator",
        "SQLOperator",
        "ShortCircuitOperator",
    ),
    "backfill_cli.loader.taskflow": ("dag", "task"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]  # noqa: PLE0604  (names resolved by __getattr__)

if TYPE_CHECKING:
    from typing import Any

    from backfill_cli.app.service import BackfillService as BackfillService
    from backfill_cli.core.context import Context as Context
    from backfill_cli.core.context import get_current_context as get_current_context
    from backfill_cli.core.intervals import DataInterval as DataInterval
    from backfill_cli.core.macros import resolve_date_macros as resolve_date_macros
    from backfill_cli.core.options import BackfillOptions as BackfillOptions
    from backfill_cli.core.results import BackfillPreview as BackfillPreview
    from backfill_cli.core.results import BackfillResult as BackfillResult
    from backfill_cli.core.results import DateResult as DateResult
    from backfill_cli.core.signals import FailTask as FailTask
    from backfill_cli.core.signals import RateLimited as RateLimited
    from backfill_cli.core.signals import RetryLater as RetryLater
    from backfill_cli.core.signals import SkipTask as SkipTask
    from backfill_cli.errors import BfillError as BfillError
    from backfill_cli.loader.authoring import DAG as DAG
    from backfill_cli.loader.authoring import TaskGroup as TaskGroup
    from backfill_cli.loader.authoring import chain as chain
    from backfill_cli.loader.authoring import cross_downstream as cross_downstream
    from backfill_cli.loader.operators import BaseOperator as BaseOperator
    from backfill_cli.loader.operators import BashOperator as BashOperator
    from backfill_cli.loader.operators import BranchPythonOperator as BranchPythonOperator
    from backfill_cli.loader.operators import EmptyOperator as EmptyOperator
    from backfill_cli.loader.operators import PythonOperator as PythonOperator
    from backfill_cli.loader.operators import ShortCircuitOperator as ShortCircuitOperator
    from backfill_cli.loader.operators import SQLOperator as SQLOperator
    from backfill_cli.loader.taskflow import dag as dag
    from backfill_cli.loader.taskflow import task as task


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'backfill_cli' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
