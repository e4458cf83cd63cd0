"""One spelling of instants, at two speeds: both are held to `datetime.isoformat`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.instants import EPOCH, IsoText, instant, iso, iso_us

FIRST = int((datetime(1, 1, 1, tzinfo=UTC) - EPOCH).total_seconds())
LAST = int((datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - EPOCH).total_seconds())

seconds = st.integers(FIRST, LAST)


def expected(at: int) -> str:
    return (EPOCH + timedelta(seconds=at)).isoformat()


@given(st.lists(seconds))
def test_the_text_of_a_stream_is_that_of_isoformat_in_whatever_order_it_comes(given_seconds: list[int]):
    text = IsoText()
    assert [text(one) for one in given_seconds] == [expected(one) for one in given_seconds]


@given(seconds, st.sampled_from([60, 300, 3600, 5400, 86_399, 86_400, 90_000]), st.booleans())
def test_walking_over_days_forwards_or_backwards_changes_the_day_at_midnight(first: int, step: int, back: bool):
    """The text of the last day is kept: it must never outlive its day."""
    walk = [first + (-step if back else step) * number for number in range(40)]
    text = IsoText()
    inside = [one for one in walk if FIRST <= one <= LAST]
    assert [text(one) for one in inside] == [expected(one) for one in inside]


@given(seconds)
def test_the_quick_text_and_the_plain_one_agree(at: int):
    assert IsoText()(at) == iso(at) == instant(at).isoformat()


@given(st.integers(0, 4_102_444_800_000_000))
def test_microseconds_are_kept_exactly(micros: int):
    assert iso_us(micros) == (EPOCH + timedelta(microseconds=micros)).isoformat()


def test_nothing_stays_nothing():
    assert iso(None) is None
    assert iso_us(None) is None


@pytest.mark.parametrize("at", [FIRST - 1, LAST + 1])
def test_outside_the_calendar_there_is_no_text(at: int):
    with pytest.raises(ValueError):
        IsoText()(at)
