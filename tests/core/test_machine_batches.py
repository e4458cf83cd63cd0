"""Dates that run as one in the machine: one set of tasks, and a row, an outcome and a count for every date."""

from __future__ import annotations

from builders import (
    DAY,
    FAIL,
    SECOND,
    START,
    Play,
    day,
    make_dag,
    make_instance,
    make_limits,
    make_run,
    make_spec,
    make_task,
)

from backfill_cli.core.context import PreviousSuccess
from backfill_cli.core.progress import Member, RunSpec
from backfill_cli.core.records import Action, InstanceRow, RunType
from backfill_cli.core.rules import PastRun
from backfill_cli.core.states import RunState, TaskState

A_B = (make_task("a"), make_task("b", after="a"))


def batch(first: int, last: int, **changes: object) -> RunSpec:
    members = tuple(Member(day(one), day(one) + DAY) for one in range(first + 1, last + 1))
    return make_spec(day(first), members=members, **changes)


def test_a_batch_runs_its_tasks_once_and_writes_every_date() -> None:
    play = Play(make_dag(*A_B), [day(1)], specs={day(1): batch(1, 3)})
    play.turn()
    (submission,) = play.flying.values()
    assert (submission.run.logical_date, submission.run.data_interval_end) == (day(1), day(4)), "the whole interval"
    assert submission.run.logical_dates == (day(1), day(2), day(3))
    play.run()
    assert [(task, date) for date, task, _ in play.started] == [("a", day(1)), ("b", day(1))]
    assert {date for date, _ in play.ledger.instances} == {day(1)}
    rows = [play.ledger.runs[day(n)] for n in (1, 2, 3)]
    assert [(row.logical_date, row.data_interval_end, row.batch) for row in rows] == [
        (day(1), day(2), day(3)),
        (day(2), day(3), day(1)),
        (day(3), day(4), day(1)),
    ], "each its own interval; the first names the last, the others the first"
    assert {(row.state, row.started_at, row.ended_at, row.owner) for row in rows} == {
        (RunState.SUCCESS, rows[0].started_at, rows[0].ended_at, None)
    }
    assert play.ledger.outcomes == {day(n): RunState.SUCCESS for n in (1, 2, 3)}
    assert play.ledger.counts == (3, 0)


def test_a_date_alone_has_no_batch() -> None:
    play = Play(make_dag()).run()
    assert play.run_row().batch is None


def test_a_batch_that_fails_fails_every_date_and_says_which_they_are() -> None:
    play = Play(make_dag(*A_B), [day(1)], specs={day(1): batch(1, 7)}).run({"b": [FAIL]})
    assert play.ledger.outcomes == {day(n): RunState.FAILED for n in range(1, 8)}
    assert play.ledger.counts == (0, 7)
    assert {row.reason for row in play.ledger.runs.values()} == {
        "in a batch of 7 dates, 2024-01-01 … 01-07: b: it was failed"
    }


def test_a_batch_is_one_of_the_dag_runs_that_are_open_together() -> None:
    specs = {day(n): batch(n, n + 1) for n in (1, 3, 5)}
    play = Play(make_dag(), [day(1), day(3), day(5)], specs=specs, limits=make_limits(parallel=2))
    play.turn()
    assert sorted(date for date, _ in play.flying) == [day(1), day(3)]


def test_each_date_keeps_who_asked_for_it_first() -> None:
    members = (Member(day(2), day(3), RunType.SCHEDULED),)
    play = Play(make_dag(), [day(1)], specs={day(1): make_spec(day(1), members=members)}).run()
    assert [play.ledger.runs[day(n)].run_type for n in (1, 2)] == [RunType.BACKFILL, RunType.SCHEDULED]


def test_what_a_date_has_of_a_run_of_its_own_is_put_away_when_it_joins_a_batch() -> None:
    play = Play(make_dag(*A_B), [day(1)])
    own = make_instance(day(2), "a", state=TaskState.FAILED, try_number=2, reason="once")
    play.ledger.instances[day(2), "a"] = own
    play.ledger.runs[day(2)] = make_run(day(2), state=RunState.FAILED)
    member = Member(day(2), day(3), instances=(own,))
    play._specs[day(1)] = make_spec(day(1), members=(member,))
    play.run()
    gone = play.ledger.instances[day(2), "a"]
    assert (gone.state, gone.try_number, gone.reason) == (TaskState.REMOVED, 2, "runs in a batch now")


def test_a_batch_of_other_dates_begins_anew_also_in_the_tasks_that_were_not_chosen() -> None:
    """What is done for a week is not done for a month: neither are tasks that a part of the DAG leaves out."""
    whole = make_dag(*A_B)
    done = make_instance(day(1), "a", state=TaskState.SUCCESS, try_number=1)
    spec = batch(
        1, 2, action=Action.RERUN, stored=make_run(day(1), batch=day(4)), instances=(done,), clears=frozenset({"a"})
    )
    play = Play(whole.part(frozenset({"b"})), [day(1)], specs={day(1): spec})
    play.ledger.instances[day(1), "a"] = done
    play.ledger.xcoms[day(1), "a"] = {"return_value": "1"}
    play.run()
    assert play.state("a") is TaskState.SCHEDULED
    assert play.ledger.xcoms == {}
    assert {row.state for row in play.ledger.runs.values()} == {RunState.QUEUED}, "a has to run yet"


def test_a_batch_goes_on_with_what_it_had_done() -> None:
    rows: tuple[InstanceRow, ...] = (
        make_instance(day(1), "a", state=TaskState.SUCCESS, try_number=1),
        make_instance(day(1), "b", state=TaskState.SCHEDULED, try_number=1, losses=1),
    )
    spec = batch(
        1, 3, action=Action.RESUME, stored=make_run(day(1), state=RunState.QUEUED, batch=day(3)), instances=rows
    )
    play = Play(make_dag(*A_B), [day(1)], specs={day(1): spec})
    play.ledger.instances.update({(row.logical_date, row.task_id): row for row in rows})
    play.run()
    assert [(task, number) for _, task, number in play.started] == [("b", 2)]
    assert play.ledger.counts == (3, 0)


# semantics section 4


def test_a_batch_waits_for_the_batch_before_it_and_not_for_its_own_dates() -> None:
    dag = make_dag(make_task("a", depends_on_past=True))
    # The page was read before the first batch was opened: the store knows its dates as nobody's, not done.
    stale = PastRun(day(3), {}, is_open=True, is_finished=False)
    specs = {day(1): batch(1, 3), day(4): batch(4, 6, previous=stale)}
    play = Play(dag, [day(1), day(4)], specs=specs)
    play.turn()
    assert sorted(date for date, _ in play.flying) == [day(1)]
    play.end("a", date=day(1))
    assert sorted(date for date, _ in play.flying) == [day(4)]


def test_a_batch_behind_one_that_failed_is_blocked_with_all_its_dates() -> None:
    dag = make_dag(make_task("a", depends_on_past=True))
    play = Play(dag, [day(1), day(4)], specs={day(1): batch(1, 3), day(4): batch(4, 6)}).run({"a": [FAIL]})
    assert play.machine.counts()[:4] == (2, 0, 3, 3)
    assert {play.ledger.runs[day(n)].reason for n in (4, 5, 6)} == {
        "in a batch of 3 dates, 2024-01-04 … 01-06: a waits for 2024-01-01: a is failed there"
    }


def test_the_previous_success_of_the_next_date_is_the_whole_interval_of_the_batch() -> None:
    play = Play(make_dag(), [day(1), day(4)], specs={day(1): batch(1, 3)}, limits=make_limits(parallel=1))
    play.turn()
    began = play.now
    play.end("a", date=day(1))
    (submission,) = play.flying.values()
    assert submission.previous_success == PreviousSuccess(day(1), day(4), began)


def test_the_time_of_a_batch_is_up_for_all_its_dates() -> None:
    play = Play(make_dag(dagrun_timeout_s=10), [day(1)], specs={day(1): batch(1, 2)})
    play.turn()
    play.now = START + 11 * SECOND
    play.turn()
    assert {row.reason for row in play.ledger.runs.values()} == {
        "in a batch of 2 dates, 2024-01-01 … 01-02: dagrun_timeout: not done after 10 s"
    }
    assert play.ledger.counts == (0, 2)
