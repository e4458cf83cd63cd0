"""States, events, and the one table that joins them.

Owns the life of a task instance as data: `TRANSITIONS[state, event]` is the next state, and a pair that is absent is
a bug, not a case. Guards choose the event (`core/retries.py`, `core/rules.py`), the table chooses the state, and no
other module writes a state by hand. Why something happened (timeout, branch, lost) is the record's `reason`, not a
state of its own. A dag_run's state is a fold over its task instances: nothing sets it either.

The README's state table is written from TRANSITIONS.
"""

from __future__ import annotations

from enum import StrEnum


class TaskState(StrEnum):
    """State of one task of one date. Values are the words users, JSON and the store see."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    UP_FOR_RETRY = "up_for_retry"
    REMOVED = "removed"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


class RunState(StrEnum):
    """State of a dag_run. `blocked` is derived from `queued` and never stored."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"

    @property
    def is_terminal(self) -> bool:
        return self is RunState.SUCCESS or self is RunState.FAILED


class BackfillState(StrEnum):
    """State of one request to fill a window."""

    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_terminal(self) -> bool:
        return self in (BackfillState.SUCCESS, BackfillState.FAILED, BackfillState.CANCELLED)


GOING = (BackfillState.RUNNING, BackfillState.PAUSED)
"""States of a backfill that a process works on; without a living one it is interrupted."""


class Outcome(StrEnum):
    """How an attempt ended: one row an attempt, never overwritten."""

    SUCCESS = "success"
    FAILED = "failed"
    RETRY = "retry"
    DEFERRED = "deferred"
    SKIPPED = "skipped"
    LOST = "lost"
    LATE = "late"


class Event(StrEnum):
    """What can happen to a task instance."""

    DISPATCHED = "dispatched"
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    WILL_RETRY = "will_retry"
    DEFERRED = "deferred"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    LOST = "lost"
    RETRY_DUE = "retry_due"
    CLEARED = "cleared"
    REMOVED = "removed"


TERMINAL = frozenset(
    {TaskState.SUCCESS, TaskState.FAILED, TaskState.SKIPPED, TaskState.UPSTREAM_FAILED, TaskState.REMOVED}
)
FAILURES = frozenset({TaskState.FAILED, TaskState.UPSTREAM_FAILED})
IN_FLIGHT = frozenset({TaskState.QUEUED, TaskState.RUNNING})

TRANSITIONS: dict[tuple[TaskState, Event], TaskState] = {
    (TaskState.SCHEDULED, Event.DISPATCHED): TaskState.QUEUED,
    (TaskState.SCHEDULED, Event.SKIPPED): TaskState.SKIPPED,
    (TaskState.SCHEDULED, Event.UPSTREAM_FAILED): TaskState.UPSTREAM_FAILED,
    (TaskState.QUEUED, Event.STARTED): TaskState.RUNNING,
    (TaskState.QUEUED, Event.LOST): TaskState.SCHEDULED,
    (TaskState.QUEUED, Event.SKIPPED): TaskState.SKIPPED,
    (TaskState.RUNNING, Event.SUCCEEDED): TaskState.SUCCESS,
    (TaskState.RUNNING, Event.FAILED): TaskState.FAILED,
    (TaskState.RUNNING, Event.WILL_RETRY): TaskState.UP_FOR_RETRY,
    (TaskState.RUNNING, Event.DEFERRED): TaskState.UP_FOR_RETRY,
    (TaskState.RUNNING, Event.SKIPPED): TaskState.SKIPPED,
    (TaskState.RUNNING, Event.LOST): TaskState.SCHEDULED,
    (TaskState.UP_FOR_RETRY, Event.RETRY_DUE): TaskState.SCHEDULED,
    (TaskState.UP_FOR_RETRY, Event.CLEARED): TaskState.SCHEDULED,
    (TaskState.UP_FOR_RETRY, Event.SKIPPED): TaskState.SKIPPED,
    **{
        (state, Event.CLEARED): TaskState.SCHEDULED
        for state in (TaskState.SUCCESS, TaskState.FAILED, TaskState.UPSTREAM_FAILED, TaskState.SKIPPED)
    },
    # A task that left the DAG and came back begins anew; its try_number goes on counting.
    (TaskState.REMOVED, Event.CLEARED): TaskState.SCHEDULED,
    **{(state, Event.REMOVED): TaskState.REMOVED for state in TaskState if state not in TERMINAL},
}


class IllegalTransition(Exception):
    """A pair that the table does not hold: a bug in the caller, never a user's fault."""


def advance(state: TaskState, event: Event) -> TaskState:
    """Return the state that follows. Raises IllegalTransition for a pair the table does not hold."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"{state} has no transition for {event}") from None
