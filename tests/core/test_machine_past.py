"""The machine by example: semantics section 4, depends_on_past and wait_for_downstream, one rule a test."""

from __future__ import annotations

import pytest
from builders import (
    FAIL,
    SKIP,
    Play,
    day,
    make_dag,
    make_limits,
    make_run,
    make_spec,
    make_task,
)

from backfill_cli.core.graph import TriggerRule
from backfill_cli.core.records import RunType
from backfill_cli.core.rules import PastRun
from backfill_cli.core.states import RunState, TaskState

A_B_C = (make_task("a"), make_task("b", after="a"), make_task("c", after="b"))


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
