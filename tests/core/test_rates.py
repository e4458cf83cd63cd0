"""Limits of rate: what can be written, that no window ever holds more, and that a set clock stalls nobody."""

from __future__ import annotations

import pytest
from builders import Play, make_dag, make_task
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.rates import Pace, Rate, Reservation, parse_rate, reserve
from backfill_cli.core.throttle import throttle_of

SECOND = 1_000_000
NOW = 1_700_000_000 * SECOND

RATES = st.builds(Rate, st.integers(1, 2_000), st.integers(1, 3_600).map(lambda s: s * SECOND), st.just("it"))


@pytest.mark.parametrize(
    ("text", "starts", "seconds"),
    [("100/min", 100, 60), ("5/s", 5, 1), ("1000/h", 1_000, 3_600), ("30/10s", 30, 10), (" 2 / 3 days ", 2, 259_200)],
)
def test_a_rate_is_a_number_of_starts_and_a_time(text: str, starts: int, seconds: int) -> None:
    assert parse_rate(text)[:2] == (starts, seconds * SECOND)


@pytest.mark.parametrize("text", ["", "100", "100/", "/min", "0/min", "5/0s", "-5/s", "5/week", "1.5/s", 9, None])
def test_anything_else_is_refused_and_told_what_it_takes(text: object) -> None:
    with pytest.raises(ValueError, match="100/min"):
        parse_rate(text)


FEW = st.builds(Rate, st.integers(1, 12), st.integers(1, 60).map(lambda s: s * SECOND), st.just("it"))
TURNS = st.tuples(st.one_of(st.none(), st.floats(0, 1.5)), st.integers(1, 40), st.sampled_from([0.0, 0.5, 1.0]))


@given(FEW, st.lists(TURNS, min_size=1, max_size=80))
def test_no_window_of_a_period_ever_holds_more_starts(rate: Rate, turns: list[tuple[float | None, int, float]]) -> None:
    """However late a granted start is used; a turn comes after so many periods, or just when the next start is due."""
    now, started = NOW, []
    next_at: int | None = None
    for pause, wanted, lateness in turns:
        now = max(now, next_at or now) if pause is None else now + int(pause * rate.period_us)
        reservation = reserve(rate, next_at, now, wanted)
        started += [max(now, at + int(lateness * rate.tolerance_us)) for at in reservation.starts]
        next_at = reservation.next_at if reservation.starts else next_at
    started.sort()
    for first, last in zip(started, started[rate.starts :], strict=False):
        assert last - first >= rate.period_us


@given(RATES)
def test_who_always_asks_in_time_gets_98_percent(rate: Rate) -> None:
    """But for the microsecond that a spacing is rounded up by: at 1,301/s that is another thousandth."""
    now, next_at, count = NOW, None, 0
    while now < NOW + 10 * rate.period_us:
        reservation = reserve(rate, next_at, now, 2_000)
        count += len(reservation.starts)
        now = next_at = reservation.next_at
    assert count >= 10 * rate.period_us / (rate.period_us / rate.starts / 0.98 + 1) - 1


@given(RATES, st.integers(-(10**15), 10**15))
def test_a_clock_that_was_set_stalls_nobody_for_longer_than_one_spacing(rate: Rate, set_by: int) -> None:
    reservation = reserve(rate, NOW + set_by, NOW, 1)
    due_at = reservation.starts[0] if reservation.starts else reservation.next_at
    assert due_at <= NOW + rate.ahead_us + rate.spacing_us + rate.tolerance_us


def test_the_stored_instant_is_all_that_a_next_process_needs() -> None:
    """A process is killed after its starts: another one gets the next start when the first would have."""
    rate = parse_rate("60/min")
    first = reserve(rate, None, NOW, 5)
    assert first.starts == (NOW,)  # no credit for what was not used before
    after_the_kill = reserve(rate, first.next_at, NOW + 1_000, 5)
    assert after_the_kill == Reservation((), first.next_at)


def test_a_start_that_is_later_than_the_tolerance_gives_its_place_up() -> None:
    pace = Pace("pool:api", parse_rate("100/min"))
    pace.granted(Reservation((NOW,), NOW + SECOND))
    assert pace.due_at(NOW + pace.rate.tolerance_us) == NOW
    assert pace.due_at(NOW + pace.rate.tolerance_us + 1) == NOW + SECOND * 6 // 5 + 2
    assert pace.lacks(3, NOW + 2 * SECOND) == 3


@pytest.mark.parametrize("how", ["stop", "pause"])
def test_a_run_that_starts_nothing_neither_reserves_nor_wakes_for_a_limit(how: str) -> None:
    dag = make_dag(make_task("call", rate_limit=parse_rate("5/s")))
    play = Play(dag, throttle=throttle_of(dag, {}))
    play.turn()
    assert sum(play.machine.lacking(play.now).values()) == 1
    getattr(play.machine, how)()
    play.turn()
    assert (play.machine.lacking(play.now), play.wake_at) == ({}, None)
