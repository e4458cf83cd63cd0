"""Merged intervals: batches partition the dates to do, never cross a hole, and are no longer than was said."""

from __future__ import annotations

from itertools import pairwise

import pytest
from builders import DAY, FIRST, day
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.merging import MOST, Candidate, Merge, MergeTally, batches, merge_of, tally_batches
from backfill_cli.core.schedules import compile_schedule
from backfill_cli.core.shapes import Shape
from backfill_cli.core.waves import Cutter
from backfill_cli.core.zones import clock_of

CHUNKS = Shape("7d", ())


def days(*numbers: int, conf: str = "{}", batch: int | None = None) -> list[Candidate]:
    return [Candidate(day(one), day(one) + DAY, conf, batch) for one in numbers]


def numbers(found: list[Candidate]) -> list[int]:
    return [(one.logical_date - FIRST) // DAY + 1 for one in found]


def grouped(dates: list[Candidate], merge: Merge, zone: str = "UTC") -> list[list[int]]:
    return [numbers(one) for one in batches(dates, merge, zone)]


def test_consecutive_dates_are_one_batch_and_a_hole_ends_it() -> None:
    assert grouped(days(1, 2, 3, 5, 6, 9), Merge()) == [[1, 2, 3], [5, 6], [9]]


def test_backwards_the_batches_come_newest_first_and_each_is_ascending() -> None:
    assert grouped(days(9, 6, 5, 3, 2, 1), Merge()) == [[9], [5, 6], [1, 2, 3]]


def test_a_number_of_dates_and_days_bound_a_batch_from_its_first_date() -> None:
    assert grouped(days(*range(1, 9)), Merge(3)) == [[1, 2, 3], [4, 5, 6], [7, 8]]
    assert grouped(days(1, 2, 4, 5, 6, 7), Merge(days=3)) == [[1, 2], [4, 5, 6], [7]]


def test_dates_of_another_conf_are_not_merged() -> None:
    assert grouped(days(1, 2) + days(3, 4, conf='{"region": "eu"}'), Merge()) == [[1, 2], [3, 4]]


def test_without_a_length_only_dates_that_ran_together_do_so_again() -> None:
    dates = days(1, 2) + days(3, 4, batch=day(3)) + days(5, 6, batch=day(5)) + days(7)
    assert grouped(dates, Merge(together=True)) == [[1], [2], [3, 4], [5, 6], [7]]


@pytest.mark.parametrize(
    ("said", "shape", "merge"),
    [
        (None, CHUNKS, None),
        ("chunk", CHUNKS, Merge()),
        ("chunk", None, Merge(together=True)),
        ("chunk", Shape(pilot=3, ramp=True), Merge(together=True)),
        ("7", None, Merge(7)),
        ("1000000", None, Merge(MOST)),
        ("2w", CHUNKS, Merge(days=14)),
    ],
)
def test_the_dag_and_the_chunk_say_how_long_a_batch_may_be(said: str | None, shape: Shape | None, merge: Merge) -> None:
    assert merge_of(said, shape) == merge


def test_a_batch_ends_where_the_next_interval_begins_whatever_the_clocks_do() -> None:
    """Section 3: days of 23 and 25 hours, and hours that are skipped or come twice, follow each other all the same."""
    for text, zone in (
        ("0 2 * * *", "Europe/Berlin"),
        ("30 2 * * *", "Europe/Berlin"),
        ("*/30 * * * *", "Australia/Lord_Howe"),
    ):
        schedule = compile_schedule(text, zone=zone, anchor=None)
        for first in (day(80), day(290)):  # spring and autumn of 2024
            spans = list(schedule.spans(first, first + 20 * DAY))
            assert len({span.end - span.start for span in spans}) > 1 or "*/30" in text, "the clocks change meanwhile"
            (batch,) = batches([Candidate(span.start, span.end) for span in spans], Merge(), zone)
            assert len(batch) == len(spans)


chosen = st.sets(st.integers(1, 60), min_size=1)
merges = st.one_of(
    st.just(Merge()),
    st.integers(1, 9).map(Merge),
    st.builds(lambda one: Merge(days=one), st.integers(1, 9)),
    st.just(Merge(together=True)),
)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo"])


@given(chosen, merges, zones, st.booleans(), st.data())
def test_batches_partition_the_dates_never_cross_a_hole_and_never_exceed_what_was_said(
    some: set[int], merge: Merge, zone: str, backwards: bool, data: st.DataObject
) -> None:
    confs = st.sampled_from(["{}", "{}", '{"a": 1}'])
    before = st.sampled_from([None, day(1), day(20)])
    order = sorted(some, reverse=backwards)
    dates = [days(one, conf=data.draw(confs), batch=data.draw(before))[0] for one in order]
    found = list(batches(dates, merge, zone))
    assert [one for batch in found for one in (batch[::-1] if backwards else batch)] == dates, "each once, in order"
    offset = clock_of(zone).offset_at
    for batch in found:
        assert len(batch) <= merge.dates
        assert len({one.conf for one in batch}) == 1
        assert all(one.data_interval_end == other.logical_date for one, other in pairwise(batch))
        local = [(one.logical_date + offset(one.logical_date)) // DAY for one in batch]
        assert merge.days is None or local[-1] - local[0] < merge.days
        assert not merge.together or len(batch) == 1 or len({one.batch for one in batch} - {None}) == 1
    if merge == Merge():  # as long as can be: no two neighbours could have been one
        for one, other in pairwise(found):
            low, high = (other, one) if backwards else (one, other)
            assert low[-1].data_interval_end != high[0].logical_date or low[-1].conf != high[0].conf


@given(chosen, merges, st.sampled_from([Shape("5", (5,)), Shape("7d", ()), Shape("4", (4,), pilot=3)]))
def test_a_plan_counts_the_runs_wave_by_wave(some: set[int], merge: Merge, shape: Shape) -> None:
    dates, cutter = days(*sorted(some)), Cutter(shape, len(some), "UTC")
    waves = [(cutter.take(one.logical_date), one) for one in dates]
    of_wave: dict[int, list[Candidate]] = {}
    for wave, one in waves:
        of_wave.setdefault(wave, []).append(one)
    pilot = of_wave.pop(0, [])
    found = {wave: list(batches(inside, merge, "UTC")) for wave, inside in of_wave.items()}
    sizes = [len(batch) for made in found.values() for batch in made] + [1] * len(pilot)
    lanes = sum(-(-len(made) // 2) for made in found.values()) + -(-len(pilot) // 2)
    assert tally_batches(waves, merge, "UTC", parallel=2) == MergeTally(len(dates), len(sizes), max(sizes), lanes)
