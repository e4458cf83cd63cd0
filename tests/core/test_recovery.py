"""Recovery (style section 5): what `queued` and `running` rows of a dead owner become."""

from __future__ import annotations

import pytest
from builders import FIRST, SECOND, START, make_instance, make_run

from backfill_cli.core.records import AttemptRow
from backfill_cli.core.recovery import recover_run
from backfill_cli.core.states import IN_FLIGHT, Outcome, RunState, TaskState

RUN = make_run(state=RunState.RUNNING, owner="dead", ended_at=None)
NOW = START + 9 * SECOND


@pytest.mark.parametrize("state", sorted(IN_FLIGHT))
def test_a_try_in_flight_is_lost_and_its_task_may_run_again(state: TaskState) -> None:
    one = make_instance(state=state, try_number=2, spent=1, started_at=START)
    back = recover_run(RUN, [one], NOW, why="the process (pid 7) vanished")
    (row,) = back.instances
    assert (row.state, row.try_number, row.spent, row.losses) == (TaskState.SCHEDULED, 2, 1, 1)
    assert row.reason == "lost: the process (pid 7) vanished"
    assert back.attempts == [
        AttemptRow(FIRST, "a", 2, START, NOW, Outcome.LOST, "the process (pid 7) vanished", "v1", "bf-1")
    ]


@pytest.mark.parametrize("state", sorted(set(TaskState) - IN_FLIGHT))
def test_what_was_not_in_flight_is_left_alone(state: TaskState) -> None:
    back = recover_run(RUN, [make_instance(state=state)], NOW, why="x")
    assert (back.instances, back.attempts) == ([], [])


def test_the_dag_run_is_nobodys_and_waits_for_the_next_command() -> None:
    back = recover_run(RUN, [], NOW, why="x")
    assert back.run == RUN._replace(state=RunState.QUEUED, owner=None, reason="interrupted")


@pytest.mark.parametrize("state", sorted(IN_FLIGHT))
def test_the_third_loss_in_a_row_fails_it(state: TaskState) -> None:
    """Section 6: three losses in a row fail it (reason lost)."""
    back = recover_run(RUN, [make_instance(state=state, try_number=3, losses=2)], NOW, why="x")
    (row,) = back.instances
    assert (row.state, row.losses, row.ended_at, row.reason) == (TaskState.FAILED, 3, NOW, "lost: x")
    assert [one.outcome for one in back.attempts] == [Outcome.LOST]


def test_a_stop_by_a_person_is_no_loss() -> None:
    back = recover_run(RUN, [make_instance(state=TaskState.RUNNING, losses=2)], NOW, why="x", counts_as_loss=False)
    assert [(row.state, row.losses) for row in back.instances] == [(TaskState.SCHEDULED, 2)]


def test_a_lost_try_never_ends_before_it_began() -> None:
    """The clock may have been set back between the two processes."""
    back = recover_run(RUN, [make_instance(state=TaskState.RUNNING, started_at=NOW + 5)], NOW, why="x")
    assert [(one.started_at, one.ended_at) for one in back.attempts] == [(NOW + 5, NOW + 5)]
