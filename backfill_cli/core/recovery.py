"""What a vanished process leaves behind, and what it becomes: `lost` tries, and dates for the next command to resume.

Owns the rule of style section 5: after a crash, `queued` and `running` rows of a dead owner receive `lost`. Tasks
therefore run at least once; every try that is given up here is named in the result, in status and in the audit trail.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from backfill_cli.core.planning import INTERRUPTED
from backfill_cli.core.records import AttemptRow, InstanceRow, RunRow
from backfill_cli.core.retries import LOSSES_UNTIL_FAILED
from backfill_cli.core.states import IN_FLIGHT, Event, Outcome, RunState, TaskState, advance


class Recovered(NamedTuple):
    """A dag_run given back, its task instances that were in flight, and the tries they lost."""

    run: RunRow
    instances: list[InstanceRow]
    attempts: list[AttemptRow]


def recover_run(
    run: RunRow, instances: Iterable[InstanceRow], now: int, *, why: str, counts_as_loss: bool = True
) -> Recovered:
    """Return the rows that give a dag_run of a vanished owner back.

    Args:
        run: The dag_run, not terminal.
        instances: Its task instances.
        now: Epoch microseconds: when the loss was found out.
        why: Put into the lost tries, such as "the process (pid 4711) vanished".
        counts_as_loss: False when a person stopped the run: three stops do not fail a task.
    """
    lost, attempts = [], []
    for one in instances:
        if one.state not in IN_FLIGHT:
            continue
        losses = one.losses + 1 if counts_as_loss else one.losses
        state, ended_at = advance(one.state, Event.LOST), None
        if losses >= LOSSES_UNTIL_FAILED:
            begun = advance(one.state, Event.STARTED) if one.state is TaskState.QUEUED else one.state
            state, ended_at = advance(begun, Event.FAILED), max(now, one.started_at or now)
        lost.append(one._replace(state=state, losses=losses, ended_at=ended_at, reason=f"lost: {why}"))
        started_at = one.started_at if one.started_at is not None else now
        attempts.append(
            AttemptRow(
                one.logical_date,
                one.task_id,
                one.try_number,
                started_at,
                max(now, started_at),
                Outcome.LOST,
                why,
                run.version,
                run.backfill_id,
            )
        )
    given_back = run._replace(state=RunState.QUEUED, owner=None, reason=INTERRUPTED)
    return Recovered(given_back, lost, attempts)
