"""Whatever several processes of one store go through together: limits hold, and no run hangs for ever.

Proves, by stories of one to three processes in virtual time (`simulated.py`) over the real loops, machines, agreements,
leases and a real store, whatever the system behind the pool answers for a while and whoever is killed, stopped, paused
or frozen meanwhile:

- *safety*: never more slots in use than the pool has; never more starts in any window than a limit of rate allows;
  nothing starts while the pool was told to wait or its circuit is open, but for the half second in which a process may
  not have heard of it; while it is half open the process that has the probe starts, and no other;
- *liveness*: from the moment the system is well, nobody is away any more and nothing is held, no stretch passes in
  which nobody starts anything that is longer than what the slowest step of that story takes, and all dates end.

Processes that may not start for hours for reasons of their own (hours, a rate of one an hour, a pause) are among them:
the others must not notice.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import SECOND, START
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import Deed, Job, Phase, Process, Sim, Story

from backfill_cli.core.circuits import CLAIM_S, BreakerRule
from backfill_cli.core.pool_rules import PoolRules
from backfill_cli.core.rates import parse_rate

LONGEST_S = 400.0
BREAKER = PoolRules(breaker=BreakerRule(1, 2.0))
BROKEN = (Phase(3.0, "broken"),)


def play(story: Story, longest_s: float = LONGEST_S) -> float:
    """Play a story; returns the seconds until all that can end has ended."""
    with Sim(story).playing() as sim:
        return (sim.play(longest_s) - START) / SECOND


@st.composite
def jobs(draw: st.DrawFn, slots: int) -> Job:
    kind = draw(st.sampled_from(("plain", "plain", "plain", "plain", "slow", "closed", "paused")))
    return Job(
        dates=draw(st.integers(1, 5)),
        workers=draw(st.integers(1, 3)),
        parallel=draw(st.integers(1, 4)),
        slots=draw(st.integers(1, min(2, slots))),
        takes_s=draw(st.sampled_from((0.1, 0.5, 2.0))),
        retry_s=draw(st.sampled_from((0.0, 0.0, 0.3, 4.0))),
        task_rate="1/h" if kind == "slow" else draw(st.sampled_from(("", "", "2/s"))),
        most=draw(st.sampled_from((None, None, 1))),
        hours="00:00-00:01" if kind == "closed" else "",
        paused=kind == "paused",
        scheduled=draw(st.booleans()),
        dag_id="" if kind != "plain" else draw(st.sampled_from(("", "", "", "same"))),
        starts_s=draw(st.sampled_from((0.0, 0.2, 3.0))),
        skew_s=draw(st.sampled_from((0.0,) * 9 + (-4.0, 3_600.0, -3_600.0))),
    )


ANSWERS = ("broken", "broken", "wait 1", "wait 5", "wait 20", "wait", "lost", "well")


@st.composite
def stories(draw: st.DrawFn) -> Story:
    slots = draw(st.integers(1, 3))
    many = draw(st.lists(jobs(slots), min_size=1, max_size=3))
    breaker = draw(st.sampled_from((None, *(BreakerRule(n, s) for n in (1, 2, 3) for s in (0.3, 2.0, 8.0)))))
    health = draw(st.sampled_from(("", "", "says no", "hangs")))
    rate = draw(st.sampled_from((None, None, "2/s", "5/s", "6/10s")))
    phases = st.builds(Phase, seconds=st.sampled_from((0.5, 2.0, 6.0)), answer=st.sampled_from(ANSWERS))
    deeds = st.builds(
        Deed,
        at_s=st.floats(0.1, 25).map(lambda s: round(s, 1)),
        job=st.integers(0, len(many) - 1),
        what=st.sampled_from(("kill", "kill", "stop", "pause", "freeze")),
        for_s=st.sampled_from((0.1, 1.0, 6.0, 50.0)),
    )
    return Story(
        many,
        PoolRules(breaker=breaker, health="check" if health else None, rate_limit=parse_rate(rate) if rate else None),
        slots,
        draw(st.lists(phases, max_size=4)),
        draw(st.lists(deeds, max_size=3)),
        health,
        seed=draw(st.integers(0, 1_000)),
    )


@settings(max_examples=100)
@given(stories())
def test_whatever_happens_limits_hold_and_everything_ends(story: Story) -> None:
    play(story)


def test_what_one_is_told_all_of_them_hear() -> None:
    """Safety alone: `Watch` refuses a start behind it."""
    job = Job(dates=12, workers=4, parallel=4)
    assert play(Story([job, job], PoolRules(), 8, (Phase(1.0, "well"), Phase(1.0, "wait 5")))) > 6


def test_a_store_that_takes_its_time_makes_no_start_too_many() -> None:
    """A start that is late by more than a rate bears gives its place up, however late the turn has become."""
    job = Job(dates=40, parallel=40, workers=40, takes_s=0.1)
    rules = PoolRules(rate_limit=parse_rate("10/s"))
    assert play(Story([job, job], rules, 80, busy_s=0.1)) > 8


def test_who_may_not_start_for_an_hour_does_not_keep_the_probe() -> None:
    """Its rate is used up: the probe is for who can send it now."""
    slow = Job(task_rate="1/h", dates=4)
    assert play(Story([slow, Job(dates=6, starts_s=1.0)], BREAKER, 4, BROKEN)) < 15


@pytest.mark.parametrize("why", [{"task_rate": "1/h"}, {"hours": "00:00-00:01", "skew_s": 120.0}])
def test_slots_are_left_to_others_by_who_may_not_start_for_hours(why: dict[str, object]) -> None:
    """Also by a scheduled run, which else goes before a backfill; it would hold the only slot and not use it."""
    waits = replace(Job(dates=4, scheduled=True), **why)
    assert play(Story([waits, Job(dates=6, starts_s=0.2)], PoolRules(), 1)) < 15


@pytest.mark.parametrize("seed", range(5))
def test_who_finds_that_it_may_not_send_the_probe_gives_it_back(seed: int) -> None:
    """A process that begins knows of no rate that it is used up before it has asked for a start."""
    slow, killed = Job(task_rate="1/h", dates=4), Deed(0.8, 0, "kill", 1.0)
    assert play(Story([slow, Job(dates=6, starts_s=1.0)], BREAKER, 4, BROKEN, [killed], seed=seed)) < 15


@pytest.mark.parametrize("what", ["kill", "stop", "pause"])
def test_the_probe_of_who_is_gone_is_taken_over_at_once(what: str) -> None:
    """By a kill it never ends, else in its own time; in neither case is the claim waited for to run out."""
    job, gone_at = Job(dates=6, workers=1, takes_s=4.0), []

    def leave(process: Process) -> None:
        gone_at.append(sim.now)
        sim.at(sim.now + 1, lambda: sim.do(Deed(0.0, process.number, what, 100.0)))

    with Sim(Story([job, job], BREAKER, 8, (Phase(7.0, "broken"),))).playing() as sim:
        sim.on_probe = leave
        sim.play(LONGEST_S)
    again = min(at for at, _ in sim.watch.starts if at > gone_at[0])
    assert again - gone_at[0] < (2 if what == "kill" else 8) * SECOND


@pytest.mark.parametrize("seed", range(5))
def test_a_prober_that_is_frozen_does_not_hold_the_others_for_ever(seed: int) -> None:
    """Ctrl-Z, a host that is gone: its lock says that it lives. The claim ends by itself."""
    job = Job(dates=6, workers=1, takes_s=2.0)
    frozen_at = []

    def freeze(process: Process) -> None:
        process.is_frozen = True
        frozen_at.append(sim.now)

    with Sim(Story([job, job], BREAKER, 8, BROKEN, seed=seed)).playing() as sim:
        sim.on_probe = freeze
        sim.play(LONGEST_S)
    again = min(at for at, _ in sim.watch.starts if at > frozen_at[0])
    assert (CLAIM_S - 1) * SECOND < again - frozen_at[0] < (CLAIM_S + 2) * SECOND


def test_a_probe_that_runs_for_long_keeps_its_claim() -> None:
    """Safety alone: `Sim` refuses a second one."""
    long = Job(dates=3, takes_s=100.0)
    story = Story([long, replace(long, starts_s=0.3)], BREAKER, 8, (Phase(140.0, "broken"),))
    assert play(story, 2_000) > 300


@pytest.mark.parametrize(("pool", "task"), [("10/min", "7/min"), ("6/10s", "2/s"), ("5/s", "2/s")])
def test_two_limits_on_one_task_lose_no_starts_to_each_other(pool: str, task: str) -> None:
    """A start of the one that waits for the other is lost, and with it a place: both are asked for at once."""
    rates = parse_rate(pool), parse_rate(task)
    job = Job(dates=12, parallel=12, workers=12, takes_s=0.1, task_rate=task)
    took = play(Story([job], PoolRules(rate_limit=rates[0]), 30))
    assert took < 1.25 * 11 * max(one.spacing_us for one in rates) / SECOND + 0.5
