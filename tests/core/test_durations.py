"""Lengths of time as they are typed, and back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.durations import parse_duration, parse_span, typed


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90m", timedelta(minutes=90)),
        ("2h", timedelta(hours=2)),
        ("1h30m", timedelta(minutes=90)),
        ("1d", timedelta(days=1)),
        ("2W", timedelta(weeks=2)),
        (" 45s ", timedelta(seconds=45)),
    ],
)
def test_durations_are_written_with_their_units(text: str, meant: timedelta) -> None:
    assert parse_duration(text) == meant


@pytest.mark.parametrize("text", ["", "0s", "2", "30m1h", "h", "-2h", "1.5h", "1234567d", "٣d"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("300ms", 0.3), ("1.5s", 1.5), ("0.2S", 0.2), ("1h30m", 5_400), (" 2s ", 2), ("0.5ms", 5e-4)]
)
def test_a_span_may_be_shorter_than_a_second(text: str, seconds: float) -> None:
    assert parse_span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "0ms", "0.0s", "300", "1.5h", "soon", "-1s", "1e3s", "9999999999s", "٣s", "1.s"])
def test_what_is_no_span_is_none(text: str) -> None:
    assert parse_span(text) is None


@given(st.integers(1, 999_999))
def test_what_is_shown_can_be_typed(seconds: int) -> None:
    assert parse_duration(typed(seconds)) == timedelta(seconds=seconds)
