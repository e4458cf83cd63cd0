"""Half-open intervals: merge, subtract, split, missing; checked against sets of seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.intervals import DataInterval, Span, epoch_seconds, merge, missing, overlaps, split, subtract
from backfill_cli.errors import ScheduleError

spans = st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda pair: Span(pair[0], pair[0] + pair[1]))


def seconds(intervals: list[Span]) -> set[int]:
    return {second for start, end in intervals for second in range(start, end)}


def day(number: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC)


@given(st.lists(spans))
def test_merge_covers_the_same_time_in_the_fewest_pieces(intervals: list[Span]) -> None:
    merged = merge(intervals)
    assert seconds(merged) == seconds(intervals)
    assert all(a.end < b.start for a, b in pairwise(merged))


@given(spans, st.lists(spans))
def test_subtract_leaves_what_was_not_taken(whole: Span, taken: list[Span]) -> None:
    rest = subtract(whole, taken)
    assert seconds(rest) == seconds([whole]) - seconds(taken)
    assert all(piece.start < piece.end for piece in rest)
    assert rest == sorted(rest)


@given(spans, st.lists(st.integers(-5, 60)))
def test_split_pieces_touch_and_add_up(whole: Span, cuts: list[int]) -> None:
    pieces = split(whole, cuts)
    assert pieces[0].start == whole.start
    assert pieces[-1].end == whole.end
    assert all(a.end == b.start for a, b in pairwise(pieces))
    assert {piece.start for piece in pieces[1:]} == {cut for cut in cuts if whole.start < cut < whole.end}


@given(st.lists(spans), st.lists(spans))
def test_missing_is_what_is_expected_and_not_there(expected: list[Span], existing: list[Span]) -> None:
    assert seconds(missing(expected, existing)) == seconds(expected) - seconds(existing)


def test_missing_merges_touching_intervals() -> None:
    assert missing([Span(0, 5), Span(5, 10), Span(12, 15)], [Span(20, 30)]) == [Span(0, 10), Span(12, 15)]


def test_touching_intervals_do_not_overlap() -> None:
    assert list(overlaps([Span(5, 9), Span(0, 5)])) == []
    assert list(overlaps([Span(4, 9), Span(0, 5)])) == [(Span(0, 5), Span(4, 9))]


def test_data_intervals_answer_as_spans_do() -> None:
    first, second, fourth = (DataInterval(day(n), day(n + 1)) for n in (1, 2, 4))
    assert merge([fourth, second, first]) == [DataInterval(day(1), day(3)), fourth]
    assert missing([first, second], [second]) == [first]
    assert split(DataInterval(day(1), day(3)), [day(2)]) == [first, second]


def test_data_interval_is_kept_in_utc_so_the_repeated_hour_has_a_length() -> None:
    """Two datetimes of one zone compare by their wall clocks: in the repeated hour the end would not be later."""
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2024, 10, 27, 2, 30, tzinfo=berlin, fold=0)
    second = datetime(2024, 10, 27, 2, 30, tzinfo=berlin, fold=1)
    interval = DataInterval(first, second)
    assert interval.end - interval.start == timedelta(hours=1)
    assert interval.to_span() == Span(1729989000, 1729992600)
    assert DataInterval.from_span(interval.to_span()) == interval


@pytest.mark.parametrize("bad", [datetime(2024, 1, 1), "2024-01-01", None])
def test_data_interval_refuses_what_is_not_an_aware_datetime(bad: object) -> None:
    with pytest.raises(ScheduleError, match="not an aware datetime") as caught:
        DataInterval(bad, day(2))  # type: ignore[arg-type]
    assert "tzinfo" in caught.value.hint


def test_data_interval_refuses_an_end_before_its_start() -> None:
    with pytest.raises(ScheduleError, match="ends before it starts"):
        DataInterval(day(2), day(1))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 500000, tzinfo=UTC),
    ],
)
def test_epoch_seconds_round_down_and_are_exact_in_any_year(moment: datetime) -> None:
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=epoch_seconds(moment)) == moment.replace(microsecond=0)
