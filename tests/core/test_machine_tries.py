"""The machine by example: semantics section 6, tries: retries, delays, losses, clears, late reports."""

from __future__ import annotations

from builders import (
    DEFER,
    DONE,
    FAIL,
    FIRST,
    LOST,
    RETRY,
    SECOND,
    SKIP,
    Play,
    make_dag,
    make_limits,
    make_report,
    make_task,
)

from backfill_cli.core.states import Outcome, RunState, TaskState


def outcomes_of(play: Play) -> list[tuple[int, Outcome]]:
    return [(one.try_number, one.outcome) for one in play.ledger.attempts.values()]


def test_n_retries_are_n_plus_one_tries() -> None:
    """Section 6, tries."""
    play = Play(make_dag(make_task(retries=2))).run({"a": [RETRY] * 5})
    assert outcomes_of(play) == [(1, RETRY), (2, RETRY), (3, FAIL)]
    assert play.state("a") is TaskState.FAILED


def test_a_failed_try_waits_its_delay_in_up_for_retry() -> None:
    """Section 6: up_for_retry until end + delay."""
    play = Play(make_dag(make_task(retries=1)))
    play.turn()
    play.end("a", RETRY)
    row = play.ledger.instances[FIRST, "a"]
    assert (row.state, row.retry_at) == (TaskState.UP_FOR_RETRY, play.now + 60 * SECOND)
    assert play.wake_at == play.machine.next_retry_at() == row.retry_at
    assert play.machine.waiting() == {"the next try": 1}
    play.now += 59 * SECOND
    assert not play.turn().submissions
    play.wait()
    assert play.in_flight() == ["a"]
    assert play.machine.next_retry_at() is None


def test_fail_task_fails_at_once() -> None:
    """Section 6: FailTask uses no retries that are left."""
    play = Play(make_dag(make_task(retries=5))).run({"a": [FAIL]})
    assert outcomes_of(play) == [(1, FAIL)]


def test_skip_task_skips() -> None:
    """Section 6."""
    play = Play(make_dag(make_task(retries=5))).run({"a": [SKIP]})
    assert play.state("a") is TaskState.SKIPPED
    assert play.run_row().state is RunState.SUCCESS


def test_retry_later_uses_a_retry_and_its_own_delay() -> None:
    """Section 6."""
    play = Play(make_dag(make_task(retries=1)))
    play.turn()
    play.end("a", RETRY, delay_s=7.5)
    assert play.wake_at == play.now + int(7.5 * SECOND)
    play.wait()
    play.end("a", RETRY, delay_s=7.5)
    assert play.state("a") is TaskState.FAILED


def test_rate_limited_uses_no_retry() -> None:
    """Section 6."""
    play = Play(make_dag(make_task()))
    play.turn()
    for _ in range(10):
        play.end("a", DEFER, delay_s=1.0)
        assert play.state("a") is TaskState.UP_FOR_RETRY
        play.wait()
    play.end("a")
    assert play.state("a") is TaskState.SUCCESS
    assert len(play.started) == 11


def test_a_lost_try_takes_a_number_but_no_retry() -> None:
    """Section 6."""
    play = Play(make_dag(make_task(retries=1))).run({"a": [LOST, RETRY, LOST, DONE]})
    assert outcomes_of(play) == [(1, LOST), (2, RETRY), (3, LOST), (4, DONE)]


def test_three_losses_in_a_row_fail_it() -> None:
    """Section 6: reason lost."""
    play = Play(make_dag(make_task(retries=9))).run({"a": [LOST] * 3})
    assert outcomes_of(play) == [(1, LOST), (2, LOST), (3, LOST)]
    assert play.state("a") is TaskState.FAILED
    assert play.run_row().reason == "a: it was lost"


def test_losses_count_in_a_row_only() -> None:
    play = Play(make_dag(make_task(retries=1))).run({"a": [LOST, LOST, RETRY, LOST, LOST, DONE]})
    assert play.state("a") is TaskState.SUCCESS


def test_a_clear_gives_a_fresh_budget_and_tries_go_on_counting() -> None:
    """Section 8: a rerun has all its retries again; try_number goes on."""
    dag = make_dag(make_task(retries=1))
    first = Play(dag).run({"a": [RETRY, RETRY]})
    again = first.next_backfill([FIRST], specs={FIRST: first.ledger.spec(FIRST, clears=frozenset({"a"}))})
    again.run({"a": [RETRY, DONE]})
    assert [tries for _, _, tries in again.started] == [3, 4]
    assert again.state("a") is TaskState.SUCCESS


def test_clearing_what_waits_for_its_turn_gives_it_a_fresh_budget_too() -> None:
    play = Play(make_dag(make_task(retries=1)))
    play.turn()
    play.end("a", RETRY)
    play.wait()
    play.ledger.recover(play.now)
    again = play.next_backfill([FIRST], specs={FIRST: play.ledger.spec(FIRST, clears=frozenset({"a"}))})
    assert again.run({"a": [LOST, LOST, RETRY, DONE]}).state("a") is TaskState.SUCCESS


def test_a_report_of_an_older_try_is_late_and_changes_nothing() -> None:
    play = Play(make_dag(make_task(retries=1)))
    play.turn()
    old = play.flying[FIRST, "a"]
    play.end("a", LOST)
    play.machine.on_report(make_report(old, DONE), play.now)
    batch = play.turn().batch
    assert [(one.try_number, one.outcome) for one in batch.attempts] == [(1, Outcome.LATE)]
    assert play.state("a") is TaskState.QUEUED
    assert play.in_flight() == ["a"]


def test_a_python_task_past_its_time_holds_its_slot_and_says_so() -> None:
    """Section 6, execution_timeout: `timed out, still running` until the thread has returned."""
    play = Play(make_dag(make_task(retries=1)), limits=make_limits(capacity=1))
    play.turn()
    play.machine.on_started(FIRST, "a", 1, play.now)
    play.machine.on_overdue(FIRST, "a", 1)
    play.turn()
    assert play.ledger.instances[FIRST, "a"].reason == "timed out, still running"
    assert len(play.machine.flights) == 1
    play.end("a", RETRY, reason="timed out after 1 s")
    assert play.ledger.instances[FIRST, "a"].reason == "timed out after 1 s"
