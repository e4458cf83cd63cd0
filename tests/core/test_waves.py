"""Waves: they partition the dates in the order of the run, and a decision stands between two of them."""

from __future__ import annotations

from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.records import Action, BackfillDateRow
from backfill_cli.core.shapes import (
    ALL,
    Shape,
    auto_size,
    check_chunk,
    check_failures,
    chunk_sizes,
    ramp_sizes,
    stored,
)
from backfill_cli.core.states import RunState
from backfill_cli.core.wave_tallies import Tally, views_of, why_not_on
from backfill_cli.core.waves import PILOT, Cutter, Wave, pilot_places, survey, waves_in
from backfill_cli.errors import UsageProblem

DAY = 86_400
FIRST = 1_704_067_200  # 2024-01-01

counted = st.lists(st.integers(1, 9), max_size=4).map(lambda sizes: Shape("30", (*sizes, 3)))
in_days = st.builds(lambda days: Shape(f"{days}d", ()), st.integers(1, 9))
ramps = st.builds(lambda pilot, parallel: Shape(pilot=pilot, ramp=True, sizes=ramp_sizes(pilot, parallel)),
                  st.integers(1, 5), st.integers(1, 12))  # fmt: skip
shapes = st.builds(
    lambda shape, pilot, spread: shape if shape.ramp else Shape(shape.chunk, shape.sizes, pilot=pilot, spread=spread),
    st.one_of(counted, in_days, ramps, st.just(Shape())),
    st.integers(0, 12),
    st.booleans(),
)
runs = st.builds(
    lambda hours, backwards: sorted({FIRST + 3600 * hour for hour in hours}, reverse=backwards),
    st.lists(st.integers(0, 24 * 90), min_size=1, max_size=80),
    st.booleans(),
)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia"])


def row(
    date: int, outcome: RunState | None = None, run: RunState | None = None, took_s: float = 1.0
) -> BackfillDateRow:
    started = date * 1_000_000 if outcome else None
    ended = None if started is None else started + int(took_s * 1_000_000)
    return BackfillDateRow(date, date + DAY, Action.CREATE, outcome, "", run or outcome, started, ended, None)


def numbers(shape: Shape, dates: list[int], zone: str = "UTC") -> list[int]:
    cutter = Cutter(shape, len(dates), zone)
    return [cutter.take(date) for date in dates]


@given(shapes, runs, zones)
def test_waves_partition_the_dates_and_keep_their_order(shape: Shape, dates: list[int], zone: str) -> None:
    found = numbers(shape, dates, zone)
    behind = [number for number in found if number != PILOT]
    assert found.count(PILOT) == min(shape.pilot, len(dates))
    assert behind == sorted(behind)
    assert sorted(set(behind)) == list(range(1, len(set(behind)) + 1)), "numbers without gaps"
    if shape.days is None:
        for number, wave in groupby(behind):
            size = shape.size_of(number)
            assert size == ALL or len(list(wave)) <= size


@given(shapes, runs, zones)
def test_a_survey_knows_the_pilot_and_how_many_waves_follow(shape: Shape, dates: list[int], zone: str) -> None:
    found = survey(shape, len(dates), zone, dates)
    labels = numbers(shape, dates, zone)
    assert found.pilot == tuple(date for date, number in zip(dates, labels, strict=True) if number == PILOT)
    assert found.waves == max(labels, default=0)


@given(shapes, runs, zones)
def test_what_opens_a_wave_is_what_falls_into_another_one(shape: Shape, dates: list[int], zone: str) -> None:
    cutter = Cutter(shape, len(dates), zone)
    before = PILOT
    for date in dates:
        opens = cutter.opens(date)
        number = cutter.take(date)
        assert opens == (number not in (PILOT, before))
        before = cutter.number


@given(st.integers(1, 400), runs, zones)
def test_chunks_of_days_span_no_more_days_than_they_have(days: int, dates: list[int], zone: str) -> None:
    from backfill_cli.core.zones import clock_of

    shape, clock = Shape(f"{days}d", ()), clock_of(zone)
    labelled = zip(numbers(shape, dates, zone), dates, strict=True)
    for _, wave in groupby(labelled, key=lambda one: one[0]):
        at = [clock.date_at(date).toordinal() for _, date in wave]
        assert max(at) - min(at) < days


def test_a_chunk_of_seven_days_begins_at_whole_local_days_from_the_first_date() -> None:
    """Hourly in Berlin through the change of clocks: 23 hours on the 31st, and still seven local days a chunk."""
    first = 1_711_407_600  # 2024-03-26 00:00 in Berlin
    dates = [first + 3600 * hour for hour in range(7 * 24 - 1 + 24)]
    found = numbers(Shape("7d", ()), dates, "Europe/Berlin")
    assert (found.count(1), found.count(2)) == (7 * 24 - 1, 24)


def test_windows_without_a_date_are_no_chunks() -> None:
    weekly = [FIRST + 7 * DAY * week for week in range(4)]
    assert numbers(Shape("1d", ()), weekly) == [1, 2, 3, 4]


@given(st.integers(0, 40), st.integers(1, 500))
def test_each_larger_pilot_holds_the_smaller(pilot: int, total: int) -> None:
    places = pilot_places(pilot, total, spread=True)
    assert len(places) == min(pilot, total)
    assert places <= pilot_places(pilot + 1, total, spread=True) <= frozenset(range(total))


def test_a_pilot_takes_the_first_the_last_the_middle_and_the_quarter_points() -> None:
    assert [sorted(pilot_places(pilot, 101, spread=True)) for pilot in (1, 2, 3, 5)] == [
        [0],
        [0, 100],
        [0, 50, 100],
        [0, 25, 50, 75, 100],
    ]
    assert sorted(pilot_places(3, 101, spread=False)) == [0, 1, 2]


def test_a_ramp_doubles_until_a_wave_was_eight_pilots_and_all_that_run_at_once() -> None:
    assert ramp_sizes(1, 1) == (2, 4, 8, ALL)
    assert ramp_sizes(3, 4) == (6, 12, 24, ALL)
    assert ramp_sizes(1, 20) == (2, 4, 8, 16, 32, ALL)


@given(counted, st.integers(0, 200))
def test_the_number_of_chunks_follows_from_the_number_of_dates(shape: Shape, dates: int) -> None:
    assert waves_in(shape, dates) == max(numbers(shape, [FIRST + DAY * day for day in range(dates)]), default=0)


def test_auto_makes_chunks_of_ten_minutes_in_whole_lanes() -> None:
    assert auto_size(4, 20.0, 4) == 120, "four dates in 20 s: 30 times that in ten minutes"
    assert auto_size(4, 33.0, 4) == 72, "72.7, and whole lanes of four"
    assert auto_size(4, 3_600.0, 4) == 4, "never less than run at once"
    assert chunk_sizes("auto", measured=None, parallel=2) == (4, ALL), "a first chunk to measure"
    assert chunk_sizes("auto", measured=80, parallel=2) == (80,)


@pytest.mark.parametrize("text", ["7", "7d", "2w", "auto", " 30 ", "AUTO"])
def test_chunks_that_are_understood(text: str) -> None:
    assert check_chunk(text) == text.strip().lower()


@pytest.mark.parametrize("text", ["", "0", "0d", "-1", "7h", "1.5", "d", "weekly", "٣"])
def test_chunks_that_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(UsageProblem) as found:
        check_chunk(text)
    assert "--chunk" in found.value.message
    assert "7d" in (found.value.hint or "")


def test_chunk_failures_are_stop_skip_or_a_percentage() -> None:
    assert [check_failures(one) for one in ("stop", "SKIP", "10%", "100%", "0%")] == [
        "stop",
        "skip",
        "10%",
        "100%",
        "0%",
    ]
    for text in ("", "5", "101%", "-1%", "%", "some"):
        with pytest.raises(UsageProblem):
            check_failures(text)


@given(shapes)
def test_a_stored_shape_comes_back_as_it_was(shape: Shape) -> None:
    assert stored(shape.data()) == shape


@pytest.mark.parametrize(
    ("key", "value"),
    [("chunk", 7), ("sizes", [-1]), ("sizes", []), ("sizes", 3), ("failures", "some"), ("pilot", True), ("ramp", 1)],
)
def test_a_stored_shape_that_is_none_is_refused(key: str, value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        stored({**Shape("30", (30,)).data(), key: value})


def tally(*rows: BackfillDateRow) -> Tally:
    made = Tally()
    for one in rows:
        made.add(one)
    return made


GOOD = row(FIRST, RunState.SUCCESS)
BAD = row(FIRST + DAY, RunState.FAILED)
REPAIRED = row(FIRST + DAY, RunState.FAILED, RunState.SUCCESS)
CHUNK = Wave("chunk", 3, 9)


@pytest.mark.parametrize(
    ("failures", "rows", "stops"),
    [
        ("stop", [GOOD], False),
        ("stop", [GOOD, BAD], True),
        ("stop", [GOOD, REPAIRED], False),
        ("skip", [BAD, BAD], False),
        ("50%", [GOOD, BAD], False),
        ("49%", [GOOD, BAD], True),
        ("0%", [GOOD, BAD], True),
    ],
)
def test_what_a_failed_chunk_means_for_the_next(failures: str, rows: list[BackfillDateRow], stops: bool) -> None:
    why = why_not_on(Shape("7d", (), failures), CHUNK, tally(*rows), None, 100)
    assert (why is not None) == stops
    if why:
        assert why == f"chunk 3 of 9 ended with {tally(*rows).in_words()} (--chunk-failures {failures})"


def test_dates_that_wait_behind_a_failed_one_are_told_apart() -> None:
    waiting = row(FIRST + 2 * DAY)._replace(run_state=RunState.QUEUED, run_reason="waits for 2024-01-02")
    assert tally(GOOD, BAD, waiting, waiting).in_words() == "1 failed and 2 blocked dates"
    assert tally(GOOD, BAD, waiting).state == "failed"
    assert tally(GOOD, row(FIRST + DAY)).state == "interrupted"
    assert tally(row(FIRST)).state == "remaining"


def test_a_pilot_stops_and_a_ramp_goes_on_while_dates_take_no_more_than_twice_as_long() -> None:
    pilot = tally(row(FIRST, RunState.SUCCESS, took_s=2.0))
    stops, ramp = Shape(pilot=1), Shape(pilot=1, ramp=True, sizes=(2, 4, 8, ALL))
    assert why_not_on(stops, Wave("pilot", 0, 1), pilot, None, 365) == "pilot done: 1 of 365 dates"
    assert why_not_on(ramp, Wave("pilot", 0, 4), pilot, None, 365) is None
    wave = Wave("ramp", 2, 4)
    assert why_not_on(ramp, wave, tally(row(FIRST, RunState.SUCCESS, took_s=4.0)), pilot, 365) is None
    slow = why_not_on(ramp, wave, tally(row(FIRST, RunState.SUCCESS, took_s=4.1)), pilot, 365)
    assert slow == "wave 2 of 4 was slow: 4.1 s a date, 2.0 s in the pilot (--ramp)"
    assert why_not_on(ramp, wave, tally(BAD), pilot, 365) == "wave 2 of 4 ended with 1 failed date (--ramp)"


@given(shapes, runs, zones, st.data())
def test_what_is_told_of_waves_adds_up_to_the_dates(
    shape: Shape, dates: list[int], zone: str, data: st.DataObject
) -> None:
    outcomes = st.sampled_from([RunState.SUCCESS, RunState.FAILED, None])
    rows = [row(date, data.draw(outcomes)) for date in dates]
    views = views_of(shape, len(dates), zone, rows)
    assert sum(view.tally.dates for view in views) == len(dates)
    for key, outcome in (("completed", RunState.SUCCESS), ("failed", RunState.FAILED)):
        assert sum(getattr(view.tally, key) for view in views) == sum(one.outcome is outcome for one in rows)
    assert all(one.wave.number < other.wave.number for one, other in pairwise(views))
