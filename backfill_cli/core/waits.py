"""What the tasks of a running backfill wait for, as whoever asks from another terminal is told.

Owns the shape and its text. The process that runs them writes it down when it changes, twice a second at most, and
never a row a task: ready tasks that have not started stand in its memory alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

NEXT_TRY = "the next try"
"""What tasks in `up_for_retry` wait for."""

MOST = 500
"""Tasks named one by one; the reasons count all of them."""


class Wait(NamedTuple):
    """One task instance that is ready and cannot start, and why, in words."""

    logical_date: int
    task_id: str
    why: str


class Waits(NamedTuple):
    """Every reason with the number of tasks it holds, and the first of those tasks by logical date."""

    reasons: Mapping[str, int]
    tasks: Sequence[Wait]

    def text(self) -> str:
        """Return it as JSON. A reason stands once, however many tasks it holds."""
        reasons = list(self.reasons)
        place = {why: number for number, why in enumerate(reasons)}
        tasks = [[one.logical_date, one.task_id, place[one.why]] for one in self.tasks]
        return json.dumps({"reasons": [[why, self.reasons[why]] for why in reasons], "tasks": tasks})


def read_waits(text: str) -> Waits:
    """Return what `text` wrote. Raises ValueError for anything else."""
    try:
        document = json.loads(text)
        reasons = dict(document["reasons"])
        names = list(reasons)
        tasks = [Wait(date, task_id, names[place]) for date, task_id, place in document["tasks"]]
    except (TypeError, KeyError, IndexError, RecursionError) as error:
        raise ValueError(f"no list of what waits: {error}") from error
    if not all(type(why) is str and type(number) is int and number >= 0 for why, number in reasons.items()):
        raise ValueError("a reason that is no text, or holds no number of tasks")
    if not all(type(one.logical_date) is int and type(one.task_id) is str for one in tasks):
        raise ValueError("a task without a date or a name")
    return Waits(reasons, tasks)
