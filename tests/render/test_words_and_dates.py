"""Durations, ranges and dates as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.render.dates import DateFormat
from backfill_cli.render.words import duration, span
from render.samples import PARIS, day, days


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.004, "4 ms"),
        (0.25, "0.2 s"),
        (9.96, "10 s"),
        (41, "41 s"),
        (59.6, "1 min"),
        (552, "9 min 12 s"),
        (3600, "1 h"),
        (3 * 3600 + 300, "3 h 05 min"),
        (86_399, "1 d"),
        (2 * 86_400 + 4 * 3600, "2 d 4 h"),
        (None, "?"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (360, 540, "6 to 9 min"),
        (0, 0.3, "less than 1 s"),
        (0.2, 40, "up to 40 s"),
        (100, 110, "2 min"),
        (7200, 10_800, "2 to 3 h"),
    ],
)
def test_a_range_has_one_unit(low, high, text):
    assert span(low, high) == text


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_range_never_claims_zero(one, two):
    text = span(min(one, two), max(one, two))
    assert not text.startswith("0")


def test_whole_days_show_no_time_and_one_year_shows_no_year():
    dates = DateFormat(PARIS, days("2024-03-01", "2024-03-31"))
    assert dates.short(day("2024-03-05")) == "03-05"
    assert dates.full(day("2024-03-05")) == "2024-03-05"


def test_two_years_show_the_year():
    dates = DateFormat(PARIS, [day("2023-12-31"), day("2024-01-01")])
    assert dates.span(day("2023-12-31"), day("2024-01-01")) == "2023-12-31 … 2024-01-01"


def test_hourly_dates_show_their_time_also_at_midnight():
    dates = DateFormat(PARIS, [day("2024-03-05"), day("2024-03-05T01:00")])
    assert dates.short(day("2024-03-05")) == "03-05 00:00"
    assert dates.argument(day("2024-03-05")) == "2024-03-05T00:00"


def test_the_two_passes_of_a_repeated_hour_are_told_apart():
    """Paris repeats 02:00 to 03:00 on 2024-10-27; the argument must name one instant."""
    first, second = day("2024-10-27T01:00") + 3600, day("2024-10-27T01:00") + 7200
    dates = DateFormat(PARIS, [first, second])
    assert dates.argument(first) == "2024-10-27T02:00+02:00"
    assert dates.argument(second) == "2024-10-27T02:00+01:00"


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (days("2024-03-01", "2024-03-03"), "03-01 … 03-03"),
        ([day("2024-03-11"), day("2024-03-12")], "03-11, 03-12"),
        ([*days("2024-03-01", "2024-03-04"), day("2024-03-11")], "03-01 … 03-04, 03-11"),
        (days("2024-03-30", "2024-04-02"), "03-30 … 04-02"),
    ],
)
def test_consecutive_dates_fold_into_spans_also_across_a_clock_change(asked, text):
    dates = DateFormat(PARIS, days("2024-03-01", "2024-04-30"))
    assert dates.listing(asked, len(asked), asked[-1], room=60) == text


def test_dates_that_do_not_fit_show_their_bounds():
    dates = DateFormat(PARIS, days("2024-03-01", "2024-03-31"))
    odd = days("2024-03-01", "2024-03-31")[::2]
    assert dates.listing(odd, len(odd), odd[-1], room=20) == "03-01 … 03-31"
    assert dates.listing(odd[:5], 16, odd[-1], room=200) == "03-01 … 03-31"


def test_a_zone_this_machine_does_not_know_shows_utc():
    assert DateFormat("Mars/Olympus", [0]).full(0) == "1970-01-01"
