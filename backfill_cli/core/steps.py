"""What goes into the machine once, and what comes out of it at every turn.

Owns the shapes alone; `core/machine.py` fills them, `engine/coordinator.py` acts on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from backfill_cli.core.changes import Key
from backfill_cli.core.context import PreviousSuccess
from backfill_cli.core.graph import Task
from backfill_cli.core.progress import OpenRun
from backfill_cli.core.records import Batch


class Limits(NamedTuple):
    """How much at once: dag_runs open together, tasks in the executor, and the pools (name → slots, -1 unlimited)."""

    parallel: int
    capacity: int
    pools: Mapping[str, int]


class Submission(NamedTuple):
    """One try to start: what the coordinator makes an Invocation of."""

    run: OpenRun
    task: Task
    try_number: int
    spent: int
    previous_success: PreviousSuccess | None


class Step(NamedTuple):
    """What one turn leads to: rows to commit, then tries to submit and to cancel; when to look again, epoch µs."""

    batch: Batch
    submissions: list[Submission]
    cancellations: list[Key]
    wake_at: int | None


class Flight(NamedTuple):
    """A try that was submitted and holds slots until its report is in.

    Args:
        epoch: Which number of dates at once it was submitted under (`core/adaptive.py`).
    """

    try_number: int
    pool: str
    slots: int
    epoch: int = 0
