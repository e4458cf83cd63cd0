"""The machine being stopped: nothing new starts, what runs is heard to its end, everything open can be resumed."""

from __future__ import annotations

import pytest
from builders import (
    DEFER,
    DONE,
    FAIL,
    FIRST,
    LOST,
    RETRY,
    SECOND,
    SKIP,
    START,
    Play,
    day,
    make_dag,
    make_limits,
    make_task,
)

from backfill_cli.core.states import Outcome, RunState, TaskState
from backfill_cli.core.work import EmptyWork


def test_a_stop_opens_no_date_and_starts_no_task() -> None:
    play = Play(make_dag(make_task("a"), make_task("b", after="a")), [day(1), day(2)], limits=make_limits(1))
    play.turn()
    play.machine.stop()
    assert play.machine.room == 0
    assert not play.machine.is_drained
    play.end("a")
    assert (play.flying, play.machine.is_drained) == ({}, True)
    assert [task for _, task, _ in play.started] == ["a"]
    assert day(2) not in play.ledger.runs


def test_a_stop_before_the_first_turn_opens_nothing_at_all() -> None:
    play = Play(make_dag(), [day(1), day(2)])
    play.machine.stop()
    play.turn()
    assert (play.ledger.runs, play.is_over) == ({}, True)


def test_a_stop_starts_no_empty_task_either() -> None:
    play = Play(make_dag(make_task("a"), make_task("b", after="a", work=EmptyWork())))
    play.turn()
    play.machine.stop()
    play.end("a")
    assert play.state("b") is TaskState.SCHEDULED


def test_a_stop_starts_no_retry_that_falls_due() -> None:
    play = Play(make_dag(make_task("a", retries=1), make_task("b")))
    play.turn()
    play.end("a", RETRY)
    play.machine.stop()
    play.now += 3600 * SECOND
    assert not play.turn().submissions
    play.end("b")
    assert play.is_over


def test_what_ends_while_draining_counts_as_it_always_does() -> None:
    play = Play(make_dag(make_task("a"), make_task("b", after="a")), [day(1), day(2)])
    play.turn()
    play.machine.stop()
    play.end("a", FAIL, date=day(1))
    assert play.ledger.outcomes == {day(1): RunState.FAILED}
    play.end("a", date=day(2))
    assert play.state("a", day(2)) is TaskState.SUCCESS
    assert day(2) not in play.ledger.outcomes


def test_a_drained_dag_run_goes_back_to_the_next_command_as_interrupted() -> None:
    play = Play(make_dag(make_task("a"), make_task("b", after="a")), [day(1), day(2)])
    play.turn()
    play.machine.stop()
    play.end("a", FAIL, date=day(1))
    play.end("a", date=day(2))
    assert list(play.machine.runs) == [day(2)]
    play.ledger.recover(play.now, counts_as_loss=False)
    row = play.run_row(day(2))
    assert (row.state, row.owner, row.reason) == (RunState.QUEUED, None, "interrupted")
    assert play.state("a", day(2)) is TaskState.SUCCESS


@pytest.mark.parametrize("outcome", [RETRY, FAIL, DEFER, LOST])
def test_after_an_abort_a_try_that_ends_badly_is_lost_and_has_used_nothing(outcome: Outcome) -> None:
    """A person who stops a run says nothing against its tasks: three stops do not fail one."""
    play = Play(make_dag(make_task("a")))
    play.turn()
    play.machine.stop(abort=True)
    play.end("a", outcome, reason="cancelled", xcoms={"half": "1"})
    row = play.ledger.instances[FIRST, "a"]
    assert (row.state, row.spent, row.losses, row.reason) == (TaskState.SCHEDULED, 0, 0, "stopped (cancelled)")
    assert [one.outcome for one in play.ledger.attempts.values()] == [LOST]
    assert play.ledger.xcoms == {}
    assert play.is_over


@pytest.mark.parametrize(("outcome", "state"), [(DONE, TaskState.SUCCESS), (SKIP, TaskState.SKIPPED)])
def test_after_an_abort_a_try_that_ends_well_counts(outcome: Outcome, state: TaskState) -> None:
    play = Play(make_dag(make_task("a")))
    play.turn()
    play.machine.stop(abort=True)
    play.end("a", outcome)
    assert play.state("a") is state


def test_a_dagrun_timeout_is_minded_while_draining() -> None:
    """Otherwise a hung task would hold the drain until somebody presses Ctrl-C again."""
    play = Play(make_dag(make_task("hung"), dagrun_timeout_s=10))
    play.turn()
    play.machine.stop()
    play.turn()
    assert play.wake_at == START + 10 * SECOND
    play.wait()
    assert play.cancelled == [(FIRST, "hung")]
    assert play.ledger.outcomes == {FIRST: RunState.FAILED}


def test_a_try_that_never_came_back_is_lost_at_the_next_start_and_runs_again() -> None:
    """Aborted with a thread that did not return: its row still says running, recovery says lost."""
    play = Play(make_dag(make_task("a")))
    play.turn()
    play.machine.stop(abort=True)
    play.ledger.recover(play.now, counts_as_loss=False)
    row = play.ledger.instances[FIRST, "a"]
    assert (row.state, row.losses) == (TaskState.SCHEDULED, 0)
    again = Play(play.dag, ledger=play.ledger, now=play.now).run()
    assert again.started == [(FIRST, "a", 2)]
    assert again.ledger.outcomes == {FIRST: RunState.SUCCESS}
