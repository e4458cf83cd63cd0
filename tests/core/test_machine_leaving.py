"""Dates left out of a machine that runs: they close without a trace, and the rest goes on as if they had never been."""

from __future__ import annotations

from builders import Play, day, make_dag, make_limits, make_spec, make_task
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.rules import PastRun
from backfill_cli.core.states import Outcome, TaskState

DATES = [day(number) for number in range(1, 8)]


def leave_out(play: Play, *dates: int) -> None:
    """What a coordinator does: the machine, the feed (and the store, where their rows are gone by now)."""
    play.machine.leave_out(dates, play.now)
    for date in dates:
        play.ledger.runs.pop(date, None)
        if date in play._waiting:
            play._waiting.remove(date)


def chained(**more: object) -> Play:
    dag = make_dag(make_task("a", depends_on_past=True, **more), make_task("b", after="a"))
    return Play(dag, DATES[:4], limits=make_limits(4, narrow=1))


def test_who_waits_for_a_date_that_is_left_out_waits_for_the_one_before_it() -> None:
    """Semantics section 4, rule 3: the latest earlier run, gaps allowed."""
    play = chained()
    play.turn()
    leave_out(play, DATES[1], DATES[2])
    assert not play.turn().submissions, "the first is still running"
    play.end("a", date=DATES[0])
    assert ("a", DATES[3]) in [(task_id, date) for date, task_id in play.flying]
    play.run()
    assert (play.machine.total, play.machine.completed, set(play.ledger.runs)) == (2, 2, {DATES[0], DATES[3]})


def test_behind_a_date_that_is_left_out_a_failure_before_it_blocks() -> None:
    """Rule 5, of the run that is the previous one now; it had failed before the date between them went."""
    play = chained()
    play.turn()
    leave_out(play, DATES[2])
    play.end("a", Outcome.FAILED, date=DATES[0])
    play.run()
    assert (play.machine.failed, play.machine.blocked, play.machine.total) == (1, 2, 3)


def test_the_date_opened_next_follows_the_one_before_those_that_are_left_out() -> None:
    play = chained()
    play.machine.set_parallel(2)
    play.limits = make_limits(2, narrow=1)
    play.turn()
    leave_out(play, DATES[1])
    play.turn()
    assert play.machine.runs[DATES[2]].previous is play.machine.runs[DATES[0]]


def test_the_first_run_hands_on_that_it_ignores_the_past() -> None:
    """Rule 1: the backfill's first run; it was never begun, so that is the next one."""
    before = PastRun(day(0), {"a": TaskState.FAILED})
    dag = make_dag(make_task("a", depends_on_past=True, pool="narrow"))
    specs = {DATES[0]: make_spec(DATES[0], previous=before, ignore_past=True)}
    play = Play(dag, DATES[:2], limits=make_limits(2, narrow=0), specs=specs)
    play.turn()
    leave_out(play, DATES[0])
    play.machine.slots.pools.grant("narrow", 1, 1)
    play.limits = make_limits(2, narrow=1)
    play.run()
    assert (play.machine.completed, play.machine.blocked) == (1, 0)


def test_nothing_waits_for_a_slot_in_the_name_of_a_date_that_is_gone() -> None:
    """What waits is what other processes give slots up for."""
    play = Play(make_dag(make_task("a", pool="narrow")), DATES[:3], limits=make_limits(3, narrow=1))
    play.turn()
    assert play.machine.slots.pools.demand("narrow").waiting == 2
    leave_out(play, DATES[1], DATES[2])
    assert play.machine.slots.pools.demand("narrow").waiting == 0
    assert play.machine.waiting() == {}
    play.end("a", date=DATES[0])
    assert play.is_over


def test_whether_a_date_has_begun() -> None:
    play = chained()
    play.turn()
    runs = play.machine.runs
    assert [runs[date].has_begun for date in DATES[:4]] == [True, False, False, False]
    play.end("a", date=DATES[0])
    assert [runs[date].has_begun for date in DATES[:3]] == [True, True, False]


pasts = st.sampled_from(["", "depends_on_past", "wait_for_downstream"])
tasks = st.lists(st.tuples(pasts, st.sampled_from(["default_pool", "narrow"])), min_size=1, max_size=3)
moves = st.lists(st.tuples(st.sampled_from(["end", "leave"]), st.integers(0, 20)), max_size=60)
failures = st.sets(st.tuples(st.sampled_from(DATES), st.integers(0, 2)), max_size=3)


@given(shape=tasks, failing=failures, moves=moves, parallel=st.integers(1, 5))
def test_the_rest_ends_as_if_nobody_had_ever_asked_for_what_is_left_out(
    shape: list[tuple[str, str]], failing: set[tuple[int, int]], moves: list[tuple[str, int]], parallel: int
) -> None:
    """Whatever was left out when, as long as it had not begun; and of that nothing is ever started."""
    names = [f"t{place}" for place in range(len(shape))]
    dag = make_dag(
        *(
            make_task(name, after=names[place - 1] if place else "", pool=pool, **({past: True} if past else {}))
            for place, (name, (past, pool)) in enumerate(zip(names, shape, strict=True))
        )
    )
    limits = make_limits(parallel, narrow=1)

    def ended(play: Play, nth: int = 0) -> None:
        date, task_id = sorted(play.flying)[nth % len(play.flying)]
        play.end(task_id, Outcome.FAILED if (date, int(task_id[1:])) in failing else Outcome.SUCCESS, date=date)

    def finished(play: Play) -> Play:
        while not play.is_over:
            ended(play)
        return play

    play = Play(dag, DATES, limits=limits)
    play.turn()
    gone: set[int] = set()
    for move, nth in moves:
        runs = play.machine.runs
        free = [date for date in play._waiting if date not in runs]
        free += [date for date, run in runs.items() if not run.has_begun]
        if move == "leave" and free:
            date = sorted(free)[nth % len(free)]
            gone.add(date)
            leave_out(play, date)
            play.turn()
        elif move == "end" and play.flying:
            ended(play, nth)
    finished(play)
    assert not gone & {date for date, _, _ in play.started}
    other = Play(dag, [date for date in DATES if date not in gone], limits=limits)
    other.turn()
    finished(other)
    assert play.machine.counts() == other.machine.counts()
    assert {date: run.state for date, run in play.ledger.runs.items()} == {
        date: run.state for date, run in other.ledger.runs.items()
    }
    assert play.ledger.outcomes == other.ledger.outcomes
