"""The machine by example: semantics sections 4 to 6, one rule a test."""

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
    make_report,
    make_run,
    make_spec,
    make_task,
)

from backfill_cli.core.context import PreviousSuccess
from backfill_cli.core.graph import Callbacks, TriggerRule, WeightRule
from backfill_cli.core.records import RunType
from backfill_cli.core.retries import RetryPolicy
from backfill_cli.core.rules import PastRun
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


# section 4


def chain(**flags: bool) -> Play:
    return Play(make_dag(make_task("load", **flags)), [day(1), day(2), day(3)])


def test_a_date_waits_while_the_previous_one_is_still_to_run() -> None:
    """Section 4: inside a backfill, dates of the same selection wait, they do not fail."""
    play = chain(depends_on_past=True)
    play.turn()
    assert list(play.flying) == [(day(1), "load")]
    assert play.machine.waiting() == {"the previous date": 2}
    play.end("load", date=day(1))
    assert list(play.flying) == [(day(2), "load")]
    play.run()
    assert [date for date, _, _ in play.started] == [day(1), day(2), day(3)]
    assert play.machine.blocked == 0


def test_behind_a_failed_day_two_day_three_is_never_started_and_says_why() -> None:
    """Section 4: queued in the store, reported as blocked, with the reason and the date it waits for."""
    play = chain(depends_on_past=True)
    play.turn()
    play.end("load", date=day(1))
    play.end("load", FAIL, date=day(2))
    assert play.is_over
    assert day(3) not in {date for date, _, _ in play.started}
    row = play.run_row(day(3))
    assert (row.state, row.owner, row.started_at) == (RunState.QUEUED, None, None)
    assert row.reason == "load waits for 2024-01-02: load is failed there"
    assert (play.machine.completed, play.machine.failed, play.machine.blocked) == (1, 1, 1)
    assert play.ledger.outcomes.keys() == {day(1), day(2)}
    assert play.state("load", day(3)) is TaskState.SCHEDULED


def test_after_the_repair_the_blocked_dates_go_on() -> None:
    """Section 4: after day 2 is repaired the same command goes on."""
    broken = chain(depends_on_past=True)
    broken.turn()
    broken.end("load", date=day(1))
    broken.end("load", FAIL, date=day(2))
    repair = broken.next_backfill(
        [day(2), day(3)], specs={day(2): broken.ledger.spec(day(2), clears=frozenset({"load"}))}
    )
    repair.run()
    assert repair.ledger.outcomes == {day(2): RunState.SUCCESS, day(3): RunState.SUCCESS}
    assert [(date, tries) for date, _, tries in repair.started] == [(day(2), 2), (day(3), 1)]


def test_a_block_goes_through_all_dates_behind_it_each_naming_the_one_before() -> None:
    play = Play(make_dag(make_task("load", depends_on_past=True)), [day(n) for n in range(1, 5)])
    play.turn()
    play.end("load", FAIL, date=day(1))
    assert play.machine.blocked == 3
    assert play.run_row(day(4)).reason == "load waits for 2024-01-03: load is scheduled there"


def test_only_the_task_that_depends_on_the_past_waits() -> None:
    dag = make_dag(make_task("free"), make_task("load", depends_on_past=True), make_task("after", after="load free"))
    play = Play(dag, [day(1), day(2)])
    play.turn()
    assert play.in_flight(day(2)) == ["free"]
    play.end("free", date=day(2))
    play.end("load", FAIL, date=day(1))
    play.run()
    assert play.run_row(day(2)).state is RunState.QUEUED
    assert play.ledger.states(day(2)) == {"free": TaskState.SUCCESS}


def test_a_skipped_task_counts_as_done_for_the_next_date() -> None:
    """Section 4, rule 5."""
    play = chain(depends_on_past=True)
    play.turn()
    play.end("load", SKIP, date=day(1))
    assert list(play.flying) == [(day(2), "load")]


def test_an_upstream_failed_task_holds_the_next_date() -> None:
    """Section 4, rule 5."""
    dag = make_dag(make_task("get"), make_task("load", after="get", depends_on_past=True))
    play = Play(dag, [day(1), day(2)])
    play.turn()
    play.end("get", FAIL, date=day(1))
    play.end("get", date=day(2))
    assert play.run_row(day(2)).reason == "load waits for 2024-01-01: load is upstream_failed there"


def test_the_first_run_may_ignore_the_past_and_the_second_may_not() -> None:
    """Section 4, rule 1."""
    dag = make_dag(make_task("load", depends_on_past=True))
    stored = PastRun(day(1), {"load": TaskState.FAILED})
    dates = [day(2), day(3)]
    ignoring = Play(dag, dates, specs={day(2): make_spec(day(2), previous=stored, ignore_past=True)}).run()
    assert ignoring.ledger.counts == (2, 0)
    obeying = Play(dag, dates, specs={day(2): make_spec(day(2), previous=stored)})
    obeying.turn()
    assert (obeying.machine.blocked, obeying.started) == (2, [])


def test_the_previous_run_is_the_latest_earlier_one_whatever_lies_between() -> None:
    """Section 4, rule 3: gaps are allowed."""
    dag = make_dag(make_task("load", depends_on_past=True))
    play = Play(dag, [day(1), day(20)])
    play.turn()
    assert list(play.flying) == [(day(1), "load")]
    play.end("load", date=day(1))
    assert list(play.flying) == [(day(20), "load")]


def test_a_run_outside_the_selection_between_two_dates_is_the_previous_one() -> None:
    """Section 4, rule 3: the store knows a later one than the one opened last."""
    dag = make_dag(make_task("load", depends_on_past=True))
    between = PastRun(day(2), {"load": TaskState.FAILED})
    play = Play(dag, [day(1), day(3)], specs={day(3): make_spec(day(3), previous=between)})
    play.turn()
    play.end("load", date=day(1))
    assert play.run_row(day(3)).reason == "load waits for 2024-01-02: load is failed there"


@pytest.mark.parametrize(("catchup", "waits"), [(True, False), (False, True)])
def test_with_catchup_a_manual_run_is_nobodys_previous_one(catchup: bool, waits: bool) -> None:
    """Section 4, rule 3: catchup=True does not count manual runs, even one this backfill works on itself."""
    dag = make_dag(make_task("load", depends_on_past=True), catchup=catchup)
    manual = make_run(day(1), run_type=RunType.MANUAL, state=RunState.QUEUED)
    specs = {day(1): make_spec(day(1), stored=manual), day(2): make_spec(day(2))}
    play = Play(dag, [day(1), day(2)], specs=specs)
    play.turn()
    assert ((day(2), "load") in play.flying) is not waits


def test_wait_for_downstream_waits_for_the_immediate_downstreams_and_no_further() -> None:
    """Section 4, rule 6: in a >> b >> c day 2 of a waits for b of day 1, and a failed c does not hold it."""
    dag = make_dag(make_task("a", wait_for_downstream=True), *A_B_C[1:])
    play = Play(dag, [day(1), day(2)])
    play.turn()
    play.end("a", date=day(1))
    assert play.in_flight(day(2)) == []
    play.end("b", date=day(1))
    assert play.in_flight(day(2)) == ["a"]
    play.end("c", FAIL, date=day(1))
    play.run()
    assert play.ledger.outcomes == {day(1): RunState.FAILED, day(2): RunState.SUCCESS}


def test_backwards_no_date_waits_for_another_one_of_the_backfill() -> None:
    play = Play(make_dag(), [day(3), day(2), day(1)], limits=make_limits(2), backwards=True)
    play.turn()
    assert sorted(date for date, _ in play.flying) == [day(2), day(3)]
    assert play.run().ledger.counts == (3, 0)


def test_a_task_skipped_by_a_branch_while_it_waits_for_the_past_lets_its_run_close() -> None:
    """Its rule let it run early (one_done), the past held it, then the branch cut it off: nothing waits any more."""
    late = make_task("late", after="pick other", trigger_rule=TriggerRule.ONE_DONE, depends_on_past=True)
    play = Play(make_dag(make_task("pick"), make_task("other"), late), [day(1), day(2)])
    play.turn()
    play.end("other", date=day(2))
    assert play.machine.waiting() == {"the previous date": 1}
    play.end("pick", date=day(2), follow=())
    assert play.ledger.outcomes == {day(2): RunState.SUCCESS}
    assert play.state("late", day(2)) is TaskState.SKIPPED
    assert play.machine.waiting() == {}


# section 5, as the machine applies it


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


# section 6: tries


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
    assert play.machine.waiting() == {"their next try": 1}
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


# section 6: priority, pools, limits


def test_higher_weight_first_then_earlier_date_then_dag_order() -> None:
    """Section 6, priority."""
    dag = make_dag(make_task("low"), make_task("high", priority_weight=5), make_task("also"))
    play = Play(dag, [day(1), day(2)], limits=make_limits(2, capacity=1))
    play.run()
    assert [(task, date) for date, task, _ in play.started] == [
        ("high", day(1)),
        ("high", day(2)),
        ("low", day(1)),
        ("also", day(1)),
        ("low", day(2)),
        ("also", day(2)),
    ]


@pytest.mark.parametrize(
    ("rule", "weights"), [("downstream", [3, 2, 1]), ("upstream", [1, 2, 3]), ("absolute", [1, 1, 1])]
)
def test_weight_rules(rule: str, weights: list[int]) -> None:
    """Section 6: a >> b >> c of weight 1."""
    tasks = [make_task(one.task_id, after=one.upstream, weight_rule=WeightRule(rule)) for one in A_B_C]
    assert list(make_dag(*tasks).weights.values()) == weights


def test_a_full_pool_holds_only_its_own_tasks() -> None:
    """Section 6, pools: one that needs more than is free is passed over, and others go on."""
    dag = make_dag(
        make_task("big", pool="small", pool_slots=2, priority_weight=9),
        make_task("one", pool="small", priority_weight=8),
        make_task("two", pool="small", priority_weight=7),
        make_task("free"),
    )
    play = Play(dag, limits=make_limits(small=2))
    play.turn()
    assert play.in_flight() == ["big", "free"]
    assert play.machine.waiting() == {"pool small: 2 of 2 slots taken": 2}
    play.end("big")
    assert play.in_flight() == ["free", "one", "two"]


def test_a_task_too_large_for_what_is_free_lets_smaller_ones_of_its_pool_pass() -> None:
    """Section 6, pools."""
    dag = make_dag(
        make_task("first", pool="small", priority_weight=9),
        make_task("big", pool="small", pool_slots=2, priority_weight=8),
        make_task("little", pool="small"),
    )
    play = Play(dag, limits=make_limits(small=2))
    play.turn()
    assert play.in_flight() == ["first", "little"]
    play.end("little")
    assert play.in_flight() == ["first"]
    play.end("first")
    assert play.in_flight() == ["big"]


def test_an_unlimited_pool_has_no_limit() -> None:
    """Section 6, pools: -1."""
    dag = make_dag(*(make_task(f"t{n}", pool="wide", pool_slots=50) for n in range(10)))
    play = Play(dag, limits=make_limits(wide=-1))
    play.turn()
    assert len(play.flying) == 10


def test_max_active_tasks_is_per_dag_run() -> None:
    """Section 6."""
    dag = make_dag(*(make_task(f"t{n}") for n in range(5)), max_active_tasks=2)
    play = Play(dag, [day(1), day(2)])
    play.turn()
    assert (len(play.in_flight(day(1))), len(play.in_flight(day(2)))) == (2, 2)
    assert play.machine.waiting() == {"max_active_tasks: 2 a dag_run": 6}
    play.run()
    assert play.ledger.counts == (2, 0)


def test_no_more_tasks_than_the_executor_takes() -> None:
    play = Play(make_dag(), [day(n) for n in range(1, 9)], limits=make_limits(8, capacity=3))
    play.turn()
    assert len(play.flying) == 3
    play.end("a", date=day(1))
    assert len(play.flying) == 3


# section 6: the dag_run


def test_a_failed_task_with_a_successful_all_done_leaf_leaves_the_run_successful() -> None:
    """Section 6, dag_run result: the leaves decide."""
    leaf = make_task("leaf", after="a", trigger_rule=TriggerRule.ALL_DONE)
    play = Play(make_dag(make_task("a"), leaf)).run({"a": [FAIL]})
    assert play.state("a") is TaskState.FAILED
    assert play.ledger.outcomes == {FIRST: RunState.SUCCESS}


def test_a_failed_leaf_fails_the_run_and_so_does_an_upstream_failed_one() -> None:
    """Section 6, dag_run result."""
    for script in ({"c": [FAIL]}, {"a": [FAIL]}):
        assert Play(make_dag(*A_B_C)).run(script).ledger.outcomes == {FIRST: RunState.FAILED}


def test_a_run_whose_tasks_were_all_skipped_is_a_success() -> None:
    """Section 6, dag_run result."""
    assert Play(make_dag(*A_B_C)).run({"a": [SKIP]}).ledger.outcomes == {FIRST: RunState.SUCCESS}


def test_a_dag_without_tasks_succeeds() -> None:
    dag = make_dag()
    dag.tasks.clear()  # type: ignore[attr-defined]
    assert Play(dag).run().ledger.outcomes == {FIRST: RunState.SUCCESS}


def test_dagrun_timeout_fails_the_run_skips_what_is_unfinished_and_cancels_what_runs() -> None:
    """Section 6, dagrun_timeout: from the run's start."""
    dag = make_dag(make_task("slow"), make_task("quick"), make_task("next", after="slow"), dagrun_timeout_s=10)
    play = Play(dag)
    play.turn()
    play.end("quick")
    assert play.wake_at == START + 10 * SECOND
    play.wait()
    assert play.ledger.states(FIRST) == {
        "slow": TaskState.SKIPPED,
        "quick": TaskState.SUCCESS,
        "next": TaskState.SKIPPED,
    }
    assert play.run_row()[3:4] + play.run_row()[8:9] == (RunState.FAILED, "dagrun_timeout: not done after 10 s")
    assert play.cancelled == [(FIRST, "slow")]
    assert not play.is_over, "its slot is held until it has returned"
    play.end("slow")
    assert [one.outcome for one in play.ledger.attempts.values() if one.task_id == "slow"] == [Outcome.LATE]
    assert play.state("slow") is TaskState.SKIPPED
    assert play.is_over
    assert play.machine._slots.pools.taken["default_pool"] == 0


def test_dagrun_timeout_of_a_finished_run_wakes_nobody() -> None:
    play = Play(make_dag(dagrun_timeout_s=3600), [day(1), day(2)], limits=make_limits(1))
    play.turn()
    play.end("a", date=day(1))
    play.now += 10 * SECOND
    play.end("a", date=day(2))
    assert play.wake_at is None


def test_dagrun_timeout_while_a_retry_waits() -> None:
    play = Play(make_dag(make_task(retries=1), dagrun_timeout_s=10))
    play.turn()
    play.end("a", RETRY)
    play.wait()
    assert (play.state("a"), play.ledger.outcomes) == (TaskState.SKIPPED, {FIRST: RunState.FAILED})
    assert play.is_over


def test_a_task_that_left_the_dag_is_removed_and_not_counted() -> None:
    """Section 6: removed."""
    whole = Play(make_dag(make_task("a"), make_task("gone")))
    whole.turn()
    whole.end("a")
    whole.ledger.recover(whole.now)
    rest = Play(make_dag(make_task("a")), ledger=whole.ledger, now=whole.now).run()
    assert rest.state("gone") is TaskState.REMOVED
    assert rest.ledger.outcomes == {FIRST: RunState.SUCCESS}
    assert rest.started == []


def test_a_removed_task_that_came_back_runs_again() -> None:
    whole = make_dag(make_task("a"), make_task("b", after="gone"), make_task("gone"))
    first = Play(whole)
    first.turn()
    first.ledger.recover(first.now)
    without = Play(make_dag(make_task("a")), ledger=first.ledger, now=first.now)
    without.turn()
    without.ledger.recover(without.now)
    assert first.state("gone") is TaskState.REMOVED
    back = Play(whole, ledger=without.ledger, now=without.now).run()
    assert back.ledger.states(FIRST) == dict.fromkeys(("a", "b", "gone"), TaskState.SUCCESS)


def test_a_new_task_of_the_dag_runs_in_a_date_that_was_begun_before() -> None:
    first = Play(make_dag(make_task("a")))
    first.turn()
    first.ledger.recover(first.now)
    second = Play(make_dag(make_task("a"), make_task("new", after="a")), ledger=first.ledger, now=first.now).run()
    assert second.state("new") is TaskState.SUCCESS


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
