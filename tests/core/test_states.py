"""The state table (style section 4): what it holds, what it refuses, and that every state has a way out."""

from __future__ import annotations

import pytest

from backfill_cli.core.states import (
    FAILURES,
    IN_FLIGHT,
    TERMINAL,
    TRANSITIONS,
    BackfillState,
    Event,
    IllegalTransition,
    RunState,
    TaskState,
    advance,
)

TABLE = """
scheduled | dispatched skipped upstream_failed | queued skipped upstream_failed
queued | started lost skipped | running scheduled skipped
running | succeeded failed will_retry deferred skipped lost | success failed up_for_retry up_for_retry skipped scheduled
up_for_retry | retry_due cleared skipped | scheduled scheduled skipped
success failed upstream_failed skipped removed | cleared | scheduled
scheduled queued running up_for_retry | removed | removed
"""


def test_the_table_is_the_documented_one() -> None:
    """Style section 4; and a task that left the DAG and came back is cleared."""
    documented = {}
    for line in TABLE.strip().splitlines():
        origins, events, targets = (part.split() for part in line.split("|"))
        for origin in origins:
            goals = targets if len(targets) == len(events) else targets * len(events)
            for event, target in zip(events, goals, strict=True):
                documented[TaskState(origin), Event(event)] = TaskState(target)
    assert documented == TRANSITIONS


@pytest.mark.parametrize("state", TaskState)
@pytest.mark.parametrize("event", Event)
def test_advance_follows_the_table_and_refuses_every_pair_it_lacks(state: TaskState, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        assert advance(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition, match=f"{state} has no transition for {event}"):
            advance(state, event)


@pytest.mark.parametrize("state", [state for state in TaskState if state not in TERMINAL])
def test_every_state_that_is_not_terminal_leads_to_success_and_to_failure(state: TaskState) -> None:
    found, waiting = {state}, [state]
    while waiting:
        origin = waiting.pop()
        for (before, _), after in TRANSITIONS.items():
            if before is origin and after not in found:
                found.add(after)
                waiting.append(after)
    assert {TaskState.SUCCESS, TaskState.FAILED} <= found


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_terminal_state_is_left_by_a_clear_alone(state: TaskState) -> None:
    assert {event for origin, event in TRANSITIONS if origin is state} == {Event.CLEARED}


def test_words_are_what_users_see() -> None:
    """Contract section 1: one spelling from end to end."""
    words = "scheduled queued running success failed skipped upstream_failed up_for_retry removed"
    assert set(TaskState) == set(words.split())
    assert set(RunState) == {"queued", "running", "success", "failed"}
    assert set(BackfillState) == {"planned", "running", "paused", "success", "failed", "cancelled", "interrupted"}


def test_which_states_are_terminal() -> None:
    assert {state for state in TaskState if state.is_terminal} == TERMINAL
    assert {state for state in RunState if state.is_terminal} == {RunState.SUCCESS, RunState.FAILED}
    assert {state for state in BackfillState if state.is_terminal} == {"success", "failed", "cancelled"}
    assert FAILURES < TERMINAL
    assert not IN_FLIGHT & TERMINAL
