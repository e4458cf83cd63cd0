"""What the scheduler creates, over random schedules and downtimes: the same dates that plain arithmetic gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from builders import make_dag
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.app.dues import Stretch, rows_to_create
from backfill_cli.core.ports import Reader
from backfill_cli.core.schedules import compile_schedule

HOUR = 3_600
BEGIN = 1_704_067_200  # 2024-01-01T00:00Z


class Ledger:
    """A reader of dag_runs in memory; `others` are dates somebody else has, `held` those a living backfill will do."""

    def __init__(self, others: set[int], held: set[int]) -> None:
        self.scheduled: dict[int, int] = {}
        self.others, self.held = others, held

    def runs(self, _dag_id: str, first: int, last: int) -> list[Any]:
        known = sorted({*self.scheduled, *self.others})
        return [SimpleNamespace(logical_date=one) for one in known if first <= one <= last]

    def overlapping(self, _dag_id: str, _first: int, _last: int) -> list[Any]:
        return [SimpleNamespace(backfill_id="bf-1")]

    def claimed(self, _backfill_id: str, first: int, last: int) -> Iterator[int]:
        return (one for one in sorted(self.held) if first <= one <= last)

    def last_scheduled(self, _dag_id: str) -> int | None:
        return max(self.scheduled.values(), default=None)


@given(
    catchup=st.booleans(),
    step=st.sampled_from([1, 6, 24]),
    start=st.integers(0, 100),
    moments=st.lists(st.integers(0, 400), min_size=1, max_size=6).map(sorted),
    others=st.sets(st.integers(0, 400)),
    held=st.sets(st.integers(0, 400)),
    most=st.sampled_from([1, 3, 10_000]),
)
def test_what_is_created_is_what_arithmetic_says(
    catchup: bool, step: int, start: int, moments: list[int], others: set[int], held: set[int], most: int
) -> None:
    """C1, C2, C3: every moment a scheduler looks, downtime between two of them, dates that are somebody else's."""
    length = step * HOUR
    schedule = compile_schedule(timedelta(hours=step), zone="UTC", anchor=BEGIN + start * HOUR)
    dag = replace(make_dag(), schedule=schedule, catchup=catchup, start_date=BEGIN + start * HOUR, end_date=None)
    grid = [BEGIN + start * HOUR + length * number for number in range(500 // step)]
    taken = {grid[one] for one in others if one < len(grid)}, {grid[one] for one in held if one < len(grid)}
    ledger = Ledger(*taken)
    expected: set[int] = set()
    for moment in moments:
        now = BEGIN + moment * HOUR
        complete = [one for one in grid if one + length <= now]
        expected |= set(complete if catchup else complete[-1:])
        while rows := list(rows_to_create(cast("Reader", ledger), dag, Stretch(now, now), most)):
            assert not {row.logical_date for row in rows} & ledger.scheduled.keys()
            ledger.scheduled |= {row.logical_date: row.data_interval_end for row in rows}
    assert set(ledger.scheduled) == expected - taken[0] - taken[1]


@given(start=st.integers(0, 50), moments=st.tuples(st.integers(0, 200), st.integers(0, 200)).map(sorted))
def test_a_stretch_creates_what_a_look_at_every_hour_of_it_does(start: int, moments: list[int]) -> None:
    """C2 at every moment between --now and --until."""
    schedule = compile_schedule(timedelta(hours=3), zone="UTC", anchor=BEGIN + start * HOUR)
    dag = replace(make_dag(), schedule=schedule, catchup=False, start_date=BEGIN + start * HOUR, end_date=None)
    first, last = (BEGIN + one * HOUR for one in moments)
    looked, played = Ledger(set(), set()), Ledger(set(), set())
    for now in range(first, last + 1, HOUR):
        rows = rows_to_create(cast("Reader", looked), dag, Stretch(now, now))
        looked.scheduled |= {row.logical_date: row.data_interval_end for row in rows}
    rows = rows_to_create(cast("Reader", played), dag, Stretch(first, last))
    played.scheduled |= {row.logical_date: row.data_interval_end for row in rows}
    assert played.scheduled == looked.scheduled
