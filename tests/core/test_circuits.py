"""A circuit that several processes share: failures add up, one of them alone probes, and nobody waits for ever."""

from __future__ import annotations

import pytest
from builders import day
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.agreements import is_ahead
from backfill_cli.core.breakers import Breaker
from backfill_cli.core.circuits import (
    CLAIM_S,
    FORGOTTEN_S,
    BreakerRule,
    BreakerState,
    Circuit,
    TryEnded,
    Unwell,
    Who,
    after,
    claimed,
    released,
    renewed,
)
from backfill_cli.core.holds import Holds, of_pool
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.states import Outcome

SECOND = 1_000_000
RULE = BreakerRule(3, 30.0)
ONE, TWO = Who("one", "bf-1"), Who("two", "bf-2")
KEY = (day(1), "call")
CLEAR = Circuit("api")


def failed(circuit: Circuit, who: Who, at: int, reason: str = "HTTP 503") -> Circuit:
    return after(circuit, TryEnded(Outcome.FAILED, reason, at), RULE, who)


def opened(at: int = 0) -> Circuit:
    circuit = CLEAR
    for who in (ONE, TWO, ONE):
        circuit = failed(circuit, who, at)
    assert circuit.state is BreakerState.OPEN
    return circuit


def test_failures_of_several_processes_are_failures_in_a_row() -> None:
    assert opened(5)[3:] == ("", "3 × HTTP 503", 5, 5 + 30 * SECOND, "bf-1", "")


def test_a_success_of_anybody_begins_the_count_anew() -> None:
    circuit = failed(failed(CLEAR, ONE, 0), ONE, 1)
    circuit = after(circuit, TryEnded(Outcome.SUCCESS, "", 2), RULE, TWO)
    assert circuit.is_clear
    assert failed(circuit, ONE, 3).failures == 1


def test_a_failure_of_long_ago_says_nothing_about_the_next() -> None:
    before = failed(failed(CLEAR, ONE, 0), ONE, SECOND)
    assert failed(before, ONE, FORGOTTEN_S * SECOND).state is BreakerState.OPEN
    assert failed(before, ONE, (FORGOTTEN_S + 1) * SECOND).failures == 1


def test_the_probe_is_handed_out_once() -> None:
    circuit = claimed(opened(), 30 * SECOND, ONE)
    assert circuit.prober == "one"
    assert claimed(circuit, 31 * SECOND, TWO) is circuit
    assert released(circuit, TWO) is circuit
    assert claimed(released(circuit, ONE), 31 * SECOND, TWO).prober == "two"
    assert claimed(opened(), 30 * SECOND - 1, ONE).prober == ""


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.SUCCESS, BreakerState.CLOSED),
        (Outcome.FAILED, BreakerState.OPEN),
        (Outcome.RETRY, BreakerState.OPEN),
        (Outcome.LOST, BreakerState.HALF_OPEN),
        (Outcome.DEFERRED, BreakerState.HALF_OPEN),
    ],
)
def test_the_end_of_the_probe_alone_moves_it_on(outcome: Outcome, state: BreakerState) -> None:
    circuit = claimed(opened(), 30 * SECOND, ONE)
    probe = TryEnded(outcome, "HTTP 503", 31 * SECOND, is_probe=True)
    assert after(circuit, probe._replace(is_probe=False), RULE, ONE) is circuit, "it began before"
    if outcome is not Outcome.SUCCESS:
        assert after(circuit, probe, RULE, TWO) is circuit, "its claim has run out, and another one probes"
    moved = after(circuit, probe, RULE, ONE)
    assert (moved.state, moved.prober) == (state, "")


def test_a_probe_that_succeeds_closes_it_also_when_its_claim_has_run_out() -> None:
    """Where clocks differ each may take the other's claim for over; that must not go on for ever."""
    circuit = claimed(opened(), 30 * SECOND, ONE)
    assert after(circuit, TryEnded(Outcome.SUCCESS, "", 31 * SECOND, is_probe=True), RULE, TWO).is_clear


def test_a_claim_lasts_as_long_as_it_is_renewed_and_then_the_probe_is_to_be_had() -> None:
    """A process that is frozen, or on a host that is gone, is alive as far as anybody can tell."""
    claim = claimed(opened(), 30 * SECOND, ONE)
    last = (30 + CLAIM_S) * SECOND
    assert claimed(claim.at_time(last - 1), last - 1, TWO).prober == "one"
    assert claimed(claim.at_time(last), last, TWO).prober == "two"
    later = renewed(claim, 40 * SECOND, ONE)
    assert renewed(claim, 40 * SECOND, TWO) is claim
    assert claimed(later.at_time(last), last, TWO).prober == "one"


def test_a_health_check_that_says_no_keeps_it_open_but_does_not_end_a_probe() -> None:
    unwell = Unwell("HTTP 500", 31 * SECOND)
    assert after(opened(), unwell, RULE, TWO).until == 61 * SECOND
    assert after(opened(2 * SECOND), unwell, RULE, TWO) == opened(2 * SECOND), "the other one has asked just before"
    probing = claimed(opened(), 30 * SECOND, ONE)
    assert after(probing, unwell, RULE, TWO) is probing


@given(st.integers(-(10**15), 10**15), st.integers(0, 10**10))
def test_nobody_waits_for_more_than_twice_as_long_as_was_meant(at: int, length: int) -> None:
    """Whatever the clock said that wrote it."""
    until, now = at + length, 0
    assert not is_ahead(at, until, now) or 0 < until - now <= 2 * length


class Shared:
    """The store's part, for breakers of several processes: each looks, and then does what it does."""

    def __init__(self, processes: int) -> None:
        self.circuit = CLEAR
        self.now = 0
        self.breakers: list[Breaker] = []
        self.holds = [Holds() for _ in range(processes)]
        for number, holds in enumerate(self.holds):
            breaker = Breaker("api", RULE, holds)
            breaker.share(Who(f"own-{number}", f"bf-{number}"))
            self.breakers.append(breaker)

    def look(self, number: int) -> None:
        if not self.breakers[number].signs:
            self.breakers[number].agree(self.circuit, self.now)

    def turn(self, number: int, *, wants: bool) -> bool:
        """One turn; whether the process may start a task of the pool behind it."""
        breaker = self.breakers[number]
        self.holds[number].expire(self.now)
        breaker.on_time(self.now)
        if breaker.signs or breaker.may_claim or breaker.has_claim:
            self.circuit = breaker.replayed(self.circuit, self.now, wants=wants)
            breaker.agree(self.circuit, self.now)
        return wants and self.holds[number].on(of_pool("api")) is None


EVENTS = st.tuples(
    st.integers(0, 2), st.sampled_from(["look", "time", "idle", "start", "success", "failed", "lost", "deferred"])
)


@given(st.lists(EVENTS, max_size=120))
def test_whatever_several_processes_do_one_task_probes_and_nobody_is_stuck(events: list[tuple[int, str]]) -> None:
    shared = Shared(3)
    flying: dict[int, bool] = {}
    for number, event in events:
        if event == "look":
            shared.look(number)
        elif event == "time":
            shared.now += 30 * SECOND
        elif event == "idle":
            shared.turn(number, wants=False)
        elif event == "start":
            if number not in flying and shared.turn(number, wants=True):
                shared.breakers[number].on_start(KEY)
                flying[number] = shared.breakers[number].circuit.state is BreakerState.HALF_OPEN
        elif number in flying:
            del flying[number]
            report = AttemptReport(*KEY, 1, Outcome(event), 0, 0, "HTTP 503")
            shared.breakers[number].on_end(report, shared.now)
            shared.turn(number, wants=False)
        assert sum(flying.values()) <= 1, "two probes"
        assert shared.circuit.prober == "" or shared.circuit.state is BreakerState.HALF_OPEN
    for number in list(flying):
        shared.breakers[number].on_end(AttemptReport(*KEY, 1, Outcome.SUCCESS, 0, 0, ""), shared.now)
        shared.turn(number, wants=False)
    for number in range(3):
        shared.turn(number, wants=False)  # who has a claim and nothing to do gives it back
    shared.now += 60 * SECOND
    shared.look(0)
    assert shared.turn(0, wants=True), "nobody holds it any more"
