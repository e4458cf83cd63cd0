"""The machine by example: semantics section 6, priority, pools, limits, and how a dag_run ends."""

from __future__ import annotations

import pytest
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
    make_task,
)

from backfill_cli.core.graph import TriggerRule, WeightRule
from backfill_cli.core.states import Outcome, RunState, TaskState
from backfill_cli.core.waits import read_waits

A_B_C = (make_task("a"), make_task("b", after="a"), make_task("c", after="b"))


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
    assert play.machine.waiting() == {"pool small: needs 1, 0 of 2 free": 2}
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


# how a dag_run ends


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
    assert play.machine.slots.pools.taken["default_pool"] == 0


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


# limits of one task, and what waits


def test_a_task_with_a_limit_of_its_own_runs_so_often_at_once_over_all_dag_runs_and_holds_nobody_else() -> None:
    """`max_active_tis_per_dag`; the others of its pool go on."""
    dag = make_dag(make_task("one", max_active=2, priority_weight=9), make_task("other"))
    play = Play(dag, [day(n) for n in range(1, 6)], limits=make_limits(5))
    play.turn()
    flying = [task for n in range(1, 6) for task in play.in_flight(day(n))]
    assert sorted(flying) == ["one"] * 2 + ["other"] * 5
    assert play.machine.waiting() == {"max_active_tis_per_dag of one: needs 1, 0 of 2 free": 3}
    play.end("one", date=day(2))
    assert play.in_flight(day(3)) == ["one", "other"], "the next date has its place"
    play.run()
    assert not any(play.machine.slots.pools.taken.values())
    assert play.ledger.counts == (5, 0)


def test_a_parked_task_that_waits_for_something_else_lets_the_others_of_its_dag_run_go() -> None:
    """A place under max_active_tasks is free: not for the one that could not use it."""
    limited, wide = make_task("limited", max_active=1, priority_weight=9), [make_task(f"t{n}") for n in range(3)]
    play = Play(make_dag(limited, *wide, max_active_tasks=1), [day(1), day(2)], limits=make_limits(2))
    play.turn()
    assert play.in_flight(day(1)) == ["limited"]
    assert play.in_flight(day(2)) == ["t0"], "its own limited one waits for the other date's"
    play.end("t0", date=day(2))
    assert play.in_flight(day(2)) == ["t1"]
    play.run()
    assert play.ledger.counts == (2, 0)


def test_what_each_task_waits_for_is_said_with_what_it_needs_and_what_is_free() -> None:
    dag = make_dag(
        make_task("first", pool="small", priority_weight=9),
        make_task("big", pool="small", pool_slots=2),
        make_task("free"),
        make_task("late"),
    )
    play = Play(dag, limits=make_limits(capacity=2, small=2))
    play.turn()
    waits = play.machine.waits(play.now)
    assert waits is not None
    assert waits.reasons == {"pool small: needs 2, 1 of 2 free": 1, "a worker: 2 of 2 busy": 1}
    assert [(one.task_id, one.why) for one in waits.tasks] == [
        ("big", "pool small: needs 2, 1 of 2 free"),
        ("late", "a worker: 2 of 2 busy"),
    ]
    assert read_waits(waits.text()) == waits
    play.machine.slots.pools.elsewhere["small"] = ["bf-1 holds 1", "bf-2 holds 1", "bf-3 holds 1"]
    play.machine.slots.pools.grant("small", 4, 1)
    assert "pool small: needs 2, 0 of 4 free; bf-1 holds 1, bf-2 holds 1 and 1 more" in play.machine.waiting()


def test_a_pool_with_room_is_no_reason_where_its_share_is_all_that_could_be_used() -> None:
    """Two dates of two tasks at once never use more than four slots: what keeps the others is max_active_tasks."""
    dag = make_dag(*(make_task(f"t{n}") for n in range(4)), max_active_tasks=2)
    play = Play(dag, [day(1), day(2)], limits=make_limits(2))
    pools = play.machine.slots.pools
    pools.grant("default_pool", 128, 4, spare=124)
    play.turn()
    assert play.machine.waiting() == {"max_active_tasks: 2 a dag_run": 4}
    waits = play.machine.waits(play.now)
    assert waits is not None
    assert {one.why for one in waits.tasks} == {"max_active_tasks: 2 a dag_run"}
    assert len(waits.tasks) == 4
    assert pools.demand("default_pool").waiting == 0
    pools.grant("default_pool", 4, 4)
    assert "pool default_pool: needs 1, 0 of 4 free" in play.machine.waiting()
    pools.grant("default_pool", 128, 4)
    assert "pool default_pool: needs 1, 0 of 128 free" in play.machine.waiting()


def test_a_limit_that_falls_below_what_runs_stops_nothing_and_starts_nothing() -> None:
    """Shared pools: what others hold, and a pool that is made smaller while it is full."""
    play = Play(make_dag(make_task(pool="p")), [day(n) for n in range(1, 7)], limits=make_limits(6, p=3))
    play.turn()
    assert len(play.flying) == 3
    play.machine.slots.pools.grant("p", 1, 1)
    for _ in range(2):
        play.end("a", date=min(date for date, *_ in play.flying))
    assert len(play.flying) == 1
    play.machine.slots.pools.grant("p", 3, 3)
    play.turn()
    assert len(play.flying) == 3
