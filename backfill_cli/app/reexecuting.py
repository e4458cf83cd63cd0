"""Which tries ran a second time because the first was interrupted: told from the ledger, never from memory.

Owns the rule. A command that recovers a dead process may be killed itself before it has said what it found; so every
result, status and audit entry asks the attempts anew. A try counts when it was lost (its process vanished, its worker
died, or a second signal stopped it) and its task instance has a later try.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from backfill_cli.core.instants import iso
from backfill_cli.core.results import Reexecuted
from backfill_cli.core.states import Outcome

if TYPE_CHECKING:
    from backfill_cli.core.ports import Reader
    from backfill_cli.core.records import AttemptRow


def reexecuted(
    reader: Reader, dag_id: str, first: int | None, last: int | None, *, backfill_id: str | None = None
) -> tuple[Reexecuted, ...]:
    """Return the lost tries that ran again, by date, task and try.

    Costs a walk over the attempts of these dates inside the database, and two look-ups for each task instance that
    ever lost a try.

    Args:
        first, last: Logical dates, epoch seconds, both included; None has none.
        backfill_id: Only tries that were lost under this backfill, or that it ran again.
    """
    if first is None or last is None:
        return ()
    # Read to the end first: the look-ups below are queries on the same connection.
    lost = list(reader.attempts(dag_id, first, last, outcome=Outcome.LOST))
    found: list[Reexecuted] = []
    for (date, task_id), _ in groupby(lost, key=lambda one: (one.logical_date, one.task_id)):
        tries = list(reader.attempts(dag_id, date, date, task_id=task_id))
        for number, one in enumerate(tries):
            if one.outcome is not Outcome.LOST:
                continue
            concerned = _concerned(reader, dag_id, tries[number:])
            if backfill_id in concerned or (concerned and backfill_id is None):
                found.append(Reexecuted(date, task_id, one.try_number))
    return tuple(found)


def listing(tries: Iterable[Reexecuted]) -> list[str]:
    """Return tries in the words of the audit trail: "2024-01-31T00:00:00+00:00 load try 2"."""
    return [f"{iso(one.logical_date)} {one.task_id} try {one.lost_try}" for one in tries]


def _concerned(reader: Reader, dag_id: str, tries: list[AttemptRow]) -> set[str | None]:
    """Return whose the first of these tries is: of its own backfill, up to the one whose try was not lost again.

    Empty when it did not run again, as the last of three losses does not.
    """
    whose: set[str | None] = set()
    for one in tries:
        whose.add(one.backfill_id)
        if one.outcome is not Outcome.LOST:
            return whose
    date, task_id, number = tries[-1].logical_date, tries[-1].task_id, tries[-1].try_number
    if any(one.task_id == task_id and one.try_number > number for one in reader.instances(dag_id, date, date)):
        run = reader.run(dag_id, date)  # the try that has not ended yet is its
        return whose | {run.backfill_id if run else None}
    return whose if len(tries) > 1 else set()
