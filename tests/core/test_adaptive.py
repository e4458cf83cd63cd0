"""The number of dates at once: what moves it, its bounds, and that it settles where a system begins to refuse."""

from __future__ import annotations

from heapq import heappop, heappush
from random import Random

import pytest
from builders import DEFER, Play, day, make_dag, make_limits, make_task
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill_cli.core.adaptive import Adaptive
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.states import Outcome
from backfill_cli.core.throttle import Throttle

SECOND = 1_000_000


def end(
    adaptive: Adaptive,
    outcome: Outcome,
    at_s: float,
    took_s: float = 0.1,
    busy: int = 1_000,
    epoch: int | None = None,
) -> None:
    at = int(at_s * SECOND)
    report = AttemptReport(0, "call", 1, outcome, at - int(took_s * SECOND), at, "HTTP 429")
    adaptive.on_end(report, adaptive.on_submit(1) if epoch is None else epoch, busy)


def well(adaptive: Adaptive, rounds: int, at_s: float, took_s: float = 0.1) -> None:
    for _ in range(rounds):
        for _ in range(adaptive.parallel):
            end(adaptive, Outcome.SUCCESS, at_s, took_s)


def test_it_doubles_until_the_first_sign_and_then_grows_by_one_a_round() -> None:
    adaptive = Adaptive(1, 64)
    well(adaptive, 4, 1)
    assert adaptive.parallel == 16
    end(adaptive, Outcome.DEFERRED, 2)
    assert adaptive.parallel == 8
    well(adaptive, 4, 3)
    end(adaptive, Outcome.DEFERRED, 4)
    assert [change.details["parallel"] for change in adaptive.news] == [2, 4, 8, 16, 8, 9, 10, 11, 12, 9]


@pytest.mark.parametrize("outcome", [Outcome.DEFERRED, Outcome.RETRY, Outcome.FAILED])
def test_tries_that_ran_side_by_side_are_one_sign(outcome: Outcome) -> None:
    adaptive = Adaptive(1, 64)
    well(adaptive, 5, 1)
    together = [adaptive.on_submit(at_work) for at_work in range(1, 21)]
    for epoch in together:
        end(adaptive, outcome, 2, epoch=epoch)
    assert adaptive.parallel == 16
    end(adaptive, outcome, 2.7)
    assert adaptive.parallel == 12, "this one was submitted after the last change"


def test_what_is_submitted_before_a_decrease_has_taken_effect_is_no_further_sign() -> None:
    adaptive = Adaptive(1, 64)
    well(adaptive, 4, 1)
    end(adaptive, Outcome.DEFERRED, 2)
    assert adaptive.parallel == 8
    again = adaptive.on_submit(16)
    end(adaptive, Outcome.DEFERRED, 3, epoch=again)
    assert adaptive.parallel == 8, "sixteen dates were still at work"
    end(adaptive, Outcome.DEFERRED, 4, epoch=adaptive.on_submit(8))
    assert adaptive.parallel == 6


def test_a_number_that_was_used_up_grows_also_when_its_tries_end_together() -> None:
    """Three that end in one turn leave two dates open when the last is told: for ever, if the rounds fall so."""
    adaptive = Adaptive(4, 64)
    for open_runs in (4, 4, 3, 2):
        end(adaptive, Outcome.SUCCESS, 1, busy=open_runs)
    assert adaptive.parallel == 8
    for open_runs in (4, 3, 2, 1) * 2:
        end(adaptive, Outcome.SUCCESS, 2, busy=open_runs)
    assert adaptive.parallel == 8, "no more than four of the eight were open"


@pytest.mark.parametrize("outcome", [Outcome.SKIPPED, Outcome.LOST])
def test_what_says_nothing_about_the_system_moves_nothing(outcome: Outcome) -> None:
    adaptive = Adaptive(2, 64)
    for at in range(20):
        end(adaptive, outcome, at + 1)
    assert adaptive.parallel == 2


def test_a_number_that_is_not_used_up_does_not_grow() -> None:
    adaptive = Adaptive(4, 64)
    for at in range(40):
        end(adaptive, Outcome.SUCCESS, at + 1, busy=3)
    assert adaptive.parallel == 4


def test_latency_above_its_target_is_too_much_and_just_below_it_is_enough() -> None:
    adaptive = Adaptive(1, 64, target_latency_s=2.0)
    well(adaptive, 3, 10, took_s=1.0)
    assert adaptive.parallel == 8
    well(adaptive, 1, 20, took_s=1.9)
    assert adaptive.parallel == 8
    well(adaptive, 1, 30, took_s=2.1)
    assert adaptive.parallel == 4


def test_a_probe_that_says_no_is_too_much() -> None:
    adaptive = Adaptive(1, 64)
    well(adaptive, 4, 1)
    adaptive.on_probe(is_well=True, told="exit status 0", now=SECOND)
    assert adaptive.parallel == 16
    adaptive.on_probe(is_well=False, told="exit status 1", now=2 * SECOND)
    assert (adaptive.parallel, adaptive.why) == (8, "the probe: exit status 1")


def test_somebody_may_set_another_most_while_it_runs() -> None:
    adaptive = Adaptive(2, 64)
    well(adaptive, 4, 1)
    adaptive.bound(5)
    assert (adaptive.parallel, adaptive.most) == (5, 5)
    adaptive.bound(1)
    assert (adaptive.least, adaptive.parallel) == (1, 1)
    adaptive.bound(8)
    well(adaptive, 5, 2)
    assert adaptive.parallel == 8


class Simulated:
    """A system that serves so many requests at once and refuses the rest, and a run that keeps as many open."""

    def __init__(self, capacity: int, adaptive: Adaptive, random: Random) -> None:
        self.seen: list[int] = []
        flying: list[tuple[float, int, bool, int]] = []
        now, number, served = 1.0, 0, 0
        while len(self.seen) < 4_000:
            while len(flying) < adaptive.parallel:
                fits = served < capacity
                served += fits
                took = random.uniform(0.5, 1.5) if fits else 0.01
                heappush(flying, (now + took, number, fits, adaptive.on_submit(len(flying) + 1)))
                number += 1
            now, _, fits, epoch = heappop(flying)
            served -= fits
            outcome = Outcome.SUCCESS if fits else Outcome.DEFERRED
            end(adaptive, outcome, now, busy=len(flying) + 1, epoch=epoch)
            assert adaptive.least <= adaptive.parallel <= adaptive.most
            self.seen.append(adaptive.parallel)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 4), st.integers(0, 2**32))
def test_it_settles_where_refusals_begin(capacity: int, least: int, seed: int) -> None:
    """Between three quarters of the capacity, less one, and one above it, on the average after a while."""
    adaptive = Adaptive(least, 64)
    late = Simulated(capacity, adaptive, Random(seed)).seen[2_000:]
    average = sum(late) / len(late)
    assert max(least, 0.75 * capacity - 1) <= average <= max(least, capacity + 1)


def test_a_machine_opens_no_more_dates_and_starts_no_more_tasks_than_that() -> None:
    dag = make_dag(make_task("call"), make_task("after", after="call"))
    throttle = Throttle()
    throttle.adaptive = Adaptive(1, 4)
    play = Play(dag, [day(number) for number in range(1, 9)], limits=make_limits(4), throttle=throttle)
    play.turn()
    assert len(play.flying) == 1
    play.end("call", date=day(1))
    assert len(play.machine.runs) == len(play.flying) == 2
    for date, task in list(play.flying):
        play.end(task, date=date)
    assert len(play.flying) == 4
    dates = sorted(date for date, _ in play.flying)
    for date in dates:
        (task,) = [task for one, task in play.flying if one == date]
        play.report(date, task, DEFER, delay_s=0.0)
    play.turn()
    assert len(play.flying) == 2
    assert play.machine.waiting(play.now) == {"fewer dates at once: 2 of 1 to 4 (it was deferred)": 2}


def playing(most: int) -> Play:
    """Eight dates of two tasks side by side, both in flight on each of `most` dates at once."""
    throttle = Throttle()
    throttle.adaptive = Adaptive(1, most)
    throttle.adaptive.parallel = most
    dag = make_dag(make_task("call"), make_task("other"))
    play = Play(dag, [day(number) for number in range(1, 9)], limits=make_limits(most), throttle=throttle)
    play.turn()
    assert len(play.flying) == 2 * most
    return play


def parallel(play: Play) -> int:
    assert play.machine.slots.throttle.adaptive is not None
    return play.machine.slots.throttle.adaptive.parallel


def test_a_burst_is_one_sign_when_a_busy_machine_begins_its_tries_one_after_the_other() -> None:
    """Submitted together, but each began after the one before it had been refused: worker threads wait for a core."""
    play = playing(8)
    for number in range(1, 9):
        play.now += SECOND
        play.report(day(number), "call", DEFER, delay_s=60.0)
    assert parallel(play) == 4


def test_a_refused_try_that_is_tried_again_at_once_is_no_further_sign_while_too_many_dates_are_open() -> None:
    play = playing(8)
    for number in range(1, 9):
        play.end("other", date=day(number))
    play.end("call", DEFER, date=day(1), delay_s=0.0)
    assert parallel(play) == 4
    play.now += SECOND
    play.turn()
    for again in range(3):
        assert (day(1), "call") in play.flying, "its retry began while eight dates were open"
        play.now += SECOND
        play.end("call", DEFER, date=day(1), delay_s=0.0)
        assert parallel(play) == 4, again
        play.now += SECOND
        play.turn()
    for number in range(2, 6):
        play.end("call", date=day(number))
    assert len(play.machine.runs) == 4
    play.end("call", DEFER, date=day(1), delay_s=0.0)  # this one began before they had ended
    assert parallel(play) == 4
    play.now += SECOND
    play.turn()
    play.end("call", DEFER, date=day(1), delay_s=0.0)
    assert parallel(play) == 3
