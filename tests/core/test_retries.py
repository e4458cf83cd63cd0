"""Semantics section 6, tries: delays, and the event that an ended try is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.retries import DEFAULT_MAX_DELAY_S, LOSSES_UNTIL_FAILED, RetryPolicy, classify
from backfill_cli.core.signals import LONGEST_DELAY_S, RateLimited, RetryLater
from backfill_cli.core.states import Event, Outcome

EXPONENTIAL = RetryPolicy(9, delay_s=10, exponential=True)


def test_a_constant_delay_is_the_same_after_every_try_and_never_shortened() -> None:
    """Section 6: max_retry_delay does not shorten it."""
    policy = RetryPolicy(3, delay_s=300, max_delay_s=60)
    assert {policy.delay_after(used, "x") for used in (1, 2, 3)} == {300}


@given(st.integers(1, 10), st.floats(0, 500), st.text())
def test_an_exponential_delay_lies_between_its_base_and_twice_that(used: int, delay_s: float, key: str) -> None:
    """Section 6: base = max(1 s, ceil(retry_delay · 2^(k-1))), jittered into [base, 2·base)."""
    base = max(1.0, math.ceil(delay_s * 2 ** (used - 1)))
    policy = RetryPolicy(20, delay_s=delay_s, exponential=True, max_delay_s=1e12)
    assert base <= policy.delay_after(used, key) < 2 * base


def test_an_exponential_delay_is_at_least_a_second() -> None:
    assert 1 <= RetryPolicy(1, delay_s=0, exponential=True).delay_after(1, "x") < 2


def test_the_cap_is_24_hours_unless_it_is_set() -> None:
    """Section 6: then at most max_retry_delay; default cap 24 h."""
    assert EXPONENTIAL.delay_after(50, "x") == DEFAULT_MAX_DELAY_S == 86_400
    assert RetryPolicy(9, delay_s=10, exponential=True, max_delay_s=25).delay_after(3, "x") == 25


def test_jitter_is_the_same_for_the_same_try_and_spread_over_different_ones() -> None:
    """Section 6: deterministically."""
    assert EXPONENTIAL.delay_after(1, "dag/1/a") == EXPONENTIAL.delay_after(1, "dag/1/a")
    delays = [EXPONENTIAL.delay_after(1, f"dag/{n}/a") for n in range(1_000)]
    assert len(set(delays)) > 990
    for low in (10, 12.5, 15, 17.5):
        assert 180 < sum(low <= delay < low + 2.5 for delay in delays) < 320


def test_an_absurd_number_of_tries_is_no_error() -> None:
    assert EXPONENTIAL.delay_after(10_000, "x") == DEFAULT_MAX_DELAY_S


def ended(outcome: Outcome, *, counted: int = 1, losses: int = 0, retries: int = 0) -> Event:
    report = AttemptReport(0, "a", 1, outcome, 0, 0)
    return classify(report, counted=counted, losses=losses, policy=RetryPolicy(retries))


@pytest.mark.parametrize(
    ("outcome", "event"),
    [
        (Outcome.SUCCESS, Event.SUCCEEDED),
        (Outcome.SKIPPED, Event.SKIPPED),
        (Outcome.FAILED, Event.FAILED),
        (Outcome.DEFERRED, Event.DEFERRED),
    ],
)
def test_what_is_certain_whatever_was_tried_before(outcome: Outcome, event: Event) -> None:
    """Section 6: FailTask fails at once, SkipTask skips, RateLimited uses no retry."""
    assert {ended(outcome, counted=counted, retries=5) for counted in (1, 5, 99)} == {event}


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_n_retries_are_n_plus_one_tries(retries: int) -> None:
    """Section 6: try k <= n goes to up_for_retry, try n+1 has failed."""
    events = [ended(Outcome.RETRY, counted=counted, retries=retries) for counted in range(1, retries + 2)]
    assert events == [Event.WILL_RETRY] * retries + [Event.FAILED]


def test_three_losses_in_a_row_fail() -> None:
    """Section 6."""
    assert LOSSES_UNTIL_FAILED == 3
    assert [ended(Outcome.LOST, losses=n) for n in (1, 2, 3)] == [Event.LOST, Event.LOST, Event.FAILED]


@pytest.mark.parametrize("asked", [float("inf"), 1e300])
def test_a_delay_nobody_lives_to_see_is_cut_to_a_year(asked: float) -> None:
    """Infinity in microseconds is an OverflowError, in the one loop that must not have one."""
    assert RetryLater(asked).delay_s == RateLimited(asked).delay_s == LONGEST_DELAY_S


@pytest.mark.parametrize("asked", [-5, float("nan")])
def test_a_delay_that_is_none_is_none(asked: float) -> None:
    assert RetryLater(asked).delay_s == 0
