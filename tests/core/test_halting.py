"""When a run ends itself: the limits, and how they are written."""

from __future__ import annotations

import pytest

from backfill_cli.core.halting import NO_HALT, Halt, failures_allowed
from backfill_cli.errors import UsageProblem


def test_without_a_limit_nothing_halts() -> None:
    assert NO_HALT.why(1_000, 1e9, 2**60) is None
    assert NO_HALT.left_s(1e9, 2**60) is None


@pytest.mark.parametrize(
    ("failed", "reason"),
    [(1, None), (2, "--max-failures 2: 2 dates failed"), (5, "--max-failures 2: 5 dates failed")],
)
def test_failures_are_counted_up_to_the_limit(failed: int, reason: str | None) -> None:
    """Tries in flight may fail together: the count in the reason is what it was."""
    assert Halt(2, failures_said="--max-failures 2").why(failed, 0, 0) == reason


@pytest.mark.parametrize(
    ("running_s", "reason"), [(5_399.9, None), (5_400.0, "--max-duration 1h30m: that time is over")]
)
def test_a_duration_ends_with_its_last_second(running_s: float, reason: str | None) -> None:
    assert Halt(max_duration_s=5_400).why(0, running_s, 0) == reason


def test_a_deadline_is_a_moment_and_the_next_limit_of_time_is_known() -> None:
    halt = Halt(max_duration_s=60, deadline_us=100_000_000, deadline_said="06:00")
    assert halt.why(0, 0, 99_999_999) is None
    assert halt.why(0, 0, 100_000_000) == "--deadline 06:00: that moment has come"
    assert halt.left_s(10, 0) == 50
    assert halt.left_s(10, 70_000_000) == 30


@pytest.mark.parametrize(
    ("text", "dates", "allowed"),
    [("5", 3, 5), (7, 100, 7), ("10%", 100, 10), ("10%", 31, 4), ("1%", 5, 1), ("100%", 8, 8), ("10%", 0, 1)],
)
def test_a_percentage_is_of_the_dates_to_do_rounded_up(text: str | int, dates: int, allowed: int) -> None:
    assert failures_allowed(text, dates) == allowed


@pytest.mark.parametrize("text", ["0", "-1", "0%", "101%", "1.5", "many", "", "%", "5 %", "٣"])
def test_what_is_no_number_of_failures_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="neither a number from 1 on nor a percentage"):
        failures_allowed(text, 10)
