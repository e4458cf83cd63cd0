"""The machine by example: turns and rows, trigger rules as it applies them, empty tasks, XComs, macros."""

from __future__ import annotations

from builders import (
    FAIL,
    FIRST,
    RETRY,
    SECOND,
    SKIP,
    START,
    Play,
    day,
    make_dag,
    make_limits,
    make_spec,
    make_task,
)

from backfill_cli.core.context import PreviousSuccess
from backfill_cli.core.graph import Callbacks, TriggerRule
from backfill_cli.core.retries import RetryPolicy
from backfill_cli.core.states import Outcome, RunState, TaskState
from backfill_cli.core.work import EmptyWork

A_B_C = (make_task("a"), make_task("b", after="a"), make_task("c", after="b"))


def test_tasks_start_when_what_is_before_them_has_succeeded() -> None:
    play = Play(make_dag(*A_B_C))
    play.turn()
    assert play.in_flight() == ["a"]
    play.end("a")
    assert play.in_flight() == ["b"]
    play.end("b")
    play.end("c")
    assert play.is_over
    assert play.run_row().state is RunState.SUCCESS
    assert play.run_row().owner is None
    assert play.ledger.outcomes == {FIRST: RunState.SUCCESS}
    assert play.ledger.counts == (1, 0)


def test_a_turn_in_which_nothing_happened_writes_nothing() -> None:
    play = Play(make_dag())
    play.turn()
    assert not play.turn().batch


def test_start_and_end_that_meet_in_one_turn_are_one_row() -> None:
    play = Play(make_dag(*A_B_C))
    play.turn()
    batch = play.end("a").batch
    assert [(row.task_id, row.state) for row in batch.instances] == [
        ("a", TaskState.SUCCESS),
        ("b", TaskState.QUEUED),
    ]
    assert [(row.task_id, row.outcome) for row in batch.attempts] == [("a", Outcome.SUCCESS)]


def test_a_start_that_nothing_follows_yet_is_written_as_running() -> None:
    play = Play(make_dag())
    play.turn()
    play.machine.on_started(FIRST, "a", 1, START + SECOND)
    (row,) = play.turn().batch.instances
    assert (row.state, row.started_at) == (TaskState.RUNNING, START + SECOND)


def test_at_most_parallel_dag_runs_are_open_together_and_the_next_opens_when_one_closes() -> None:
    dates = [day(n) for n in range(1, 8)]
    play = Play(make_dag(), dates, limits=make_limits(parallel=3))
    play.turn()
    assert sorted(date for date, _ in play.flying) == dates[:3]
    play.end("a", date=day(2))
    assert sorted(date for date, _ in play.flying) == [day(1), day(3), day(4)]
    assert play.run().ledger.counts == (7, 0)


def test_one_failing_date_does_not_stop_the_others() -> None:
    play = Play(make_dag(), [day(1), day(2), day(3)])
    play.turn()
    play.end("a", FAIL, date=day(1))
    play.run()
    assert play.ledger.outcomes == {day(1): RunState.FAILED, day(2): RunState.SUCCESS, day(3): RunState.SUCCESS}
    assert play.run_row(day(1)).reason == "a: it was failed"


# semantics section 5


def test_skips_cascade_through_all_success_and_stop_at_none_failed() -> None:
    join = make_task("join", after="b", trigger_rule=TriggerRule.NONE_FAILED)
    play = Play(make_dag(make_task("a"), make_task("b", after="a"), join))
    play.turn()
    play.end("a", SKIP)
    assert play.state("b") is TaskState.SKIPPED
    assert play.ledger.instances[FIRST, "b"].reason == "an upstream was skipped"
    assert play.in_flight() == ["join"]


def test_a_failure_goes_down_as_upstream_failed() -> None:
    play = Play(make_dag(*A_B_C)).run({"a": [FAIL]})
    assert play.ledger.states(FIRST) == {
        "a": TaskState.FAILED,
        "b": TaskState.UPSTREAM_FAILED,
        "c": TaskState.UPSTREAM_FAILED,
    }
    assert [task for _, task, _ in play.started] == ["a"]


def test_a_failure_beats_a_skip_whichever_ended_first() -> None:
    """Section 8: in Airflow it depends on the order."""
    for first, second in (("a", "b"), ("b", "a")):
        play = Play(make_dag(make_task("a"), make_task("b"), make_task("c", after="a b")))
        play.turn()
        outcomes = {"a": SKIP, "b": FAIL}
        play.end(first, outcomes[first])
        play.end(second, outcomes[second])
        assert play.state("c") is TaskState.UPSTREAM_FAILED


def test_a_branch_skips_what_it_did_not_choose_and_the_join_runs() -> None:
    join = make_task("join", after="left right", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    dag = make_dag(make_task("pick"), make_task("left", after="pick"), make_task("right", after="pick"), join)
    play = Play(dag)
    play.turn()
    play.end("pick", follow=("left",))
    assert play.in_flight() == ["left"]
    assert play.ledger.instances[FIRST, "right"].reason == "skipped by pick"
    play.end("left")
    assert play.in_flight() == ["join"]


def test_a_short_circuit_skips_everything_behind_it() -> None:
    always = make_task("report", after="b", trigger_rule=TriggerRule.ALL_DONE)
    play = Play(make_dag(make_task("a"), make_task("b", after="a"), always))
    play.turn()
    play.end("a", skip_behind="all")
    assert (play.state("b"), play.state("report")) == (TaskState.SKIPPED, TaskState.SKIPPED)
    assert play.run_row().state is RunState.SUCCESS


def test_a_short_circuit_that_respects_trigger_rules_skips_the_next_tasks_alone() -> None:
    always = make_task("report", after="b", trigger_rule=TriggerRule.ALL_DONE)
    play = Play(make_dag(make_task("a"), make_task("b", after="a"), always))
    play.turn()
    play.end("a", skip_behind="direct")
    assert play.in_flight() == ["report"]


# empty tasks, XComs, macros


def test_an_empty_task_takes_no_slot_and_no_worker_but_leaves_its_trace() -> None:
    join = make_task("join", after="a", work=EmptyWork())
    play = Play(make_dag(make_task("a"), join, make_task("c", after="join")))
    play.turn()
    play.end("a")
    assert play.in_flight() == ["c"]
    assert play.state("join") is TaskState.SUCCESS
    assert play.ledger.attempts[FIRST, "join", 1].outcome is Outcome.SUCCESS


def test_an_empty_task_with_callbacks_goes_to_a_worker_who_calls_them() -> None:
    noisy = make_task("a", work=EmptyWork(), callbacks=Callbacks(on_success=(print,)))
    play = Play(make_dag(noisy))
    play.turn()
    assert play.in_flight() == ["a"]


def test_a_thousand_empty_tasks_in_a_row_are_no_deeper_than_one() -> None:
    tasks = [make_task(f"t{n}", after=f"t{n - 1}" if n else (), work=EmptyWork()) for n in range(1_000)]
    assert Play(make_dag(*tasks)).run().ledger.outcomes == {FIRST: RunState.SUCCESS}


def test_a_failure_reaches_the_end_of_a_long_chain() -> None:
    tasks = [make_task(f"t{n}", after=f"t{n - 1}" if n else ()) for n in range(1_000)]
    play = Play(make_dag(*tasks)).run({"t0": [FAIL]})
    assert play.state("t999") is TaskState.UPSTREAM_FAILED


def test_a_thousand_dates_blocked_behind_each_other_are_no_deeper_than_one() -> None:
    play = Play(make_dag(make_task(depends_on_past=True)), [day(n) for n in range(1, 1_001)])
    play.turn()
    play.end("a", FAIL, date=day(1))
    assert play.machine.blocked == 999


def test_xcoms_of_a_try_are_cleared_when_the_next_begins() -> None:
    play = Play(make_dag(make_task(retries=1)))
    play.turn()
    play.end("a", RETRY, xcoms={"part": "1"})
    assert play.ledger.xcoms == {(FIRST, "a"): {"part": "1"}}
    play.wait()
    assert play.ledger.xcoms == {}
    play.end("a", xcoms={"return_value": "2"})
    assert play.ledger.xcoms == {(FIRST, "a"): {"return_value": "2"}}


def test_xcoms_of_a_try_go_even_when_the_next_begins_in_the_same_turn() -> None:
    """With a delay of 0 the end of one try and the start of the next are one batch."""
    play = Play(make_dag(make_task(retry=RetryPolicy(1, delay_s=0))))
    play.turn()
    play.end("a", RETRY, xcoms={"stale": "1"})
    assert play.in_flight() == ["a"]
    assert play.ledger.xcoms == {}
    play.end("a")
    assert play.ledger.xcoms == {}


def test_what_runs_next_knows_the_latest_earlier_success() -> None:
    dag = make_dag(make_task("a", depends_on_past=True))
    play = Play(dag, [day(1), day(2), day(3)], specs={day(1): make_spec(previous_success=PreviousSuccess(0, 9, 1))})
    play.turn()
    assert play.flying[day(1), "a"].previous_success == PreviousSuccess(0, 9, 1)
    play.end("a", date=day(1))
    known = play.flying[day(2), "a"].previous_success
    assert known == PreviousSuccess(day(1), day(2), START)


def test_counts_tell_what_is_open_and_running() -> None:
    play = Play(make_dag(), [day(n) for n in range(1, 6)], limits=make_limits(2))
    play.turn()
    play.end("a", FAIL, date=day(1))
    play.end("a", date=day(2))
    assert tuple(play.machine.counts()) == (5, 1, 1, 0, 2, 2)
