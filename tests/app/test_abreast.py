"""Shifts of one DAG beside each other, over their leases: never too many dates open, and all come to an end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from builders import make_dag
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.app.abreast import Abreast
from backfill_cli.core.leases import Lease
from backfill_cli.core.machine import BackfillMachine, Limits


class Leases:
    """A store that holds leases and nothing else."""

    def __init__(self) -> None:
        self.kept: dict[str, Lease] = {}
        self.now = 0

    def read(self, work: Callable[[Any], Any]) -> Any:
        return work(self)

    write = read

    def leases(self, _pools: object) -> list[Lease]:
        return list(self.kept.values())

    def owner(self, owner: str) -> str:
        return owner

    def set_leases(self, leases: list[Lease]) -> None:
        self.kept |= {one.owner: one for one in leases}

    def now_us(self) -> int:
        return self.now


class Shift:
    """A machine with dates to open, of which only their number is real."""

    def __init__(self, leases: Leases, owner: str, dates: int, most: int) -> None:
        dag = replace(make_dag(), max_active_runs=most)
        self.machine = BackfillMachine(dag, Limits(most, 32, {}), backfill_id=owner, owner=owner, total=dates)
        self.left, self.is_over = dates, False
        ctx = cast("Any", SimpleNamespace(clock=leases))
        self._poller = Abreast(ctx, cast("Any", leases), owner, self.machine)

    def turn(self) -> None:
        """Look at the leases, then open what there is room for, as the coordinator does."""
        self.look()
        self.open()

    def look(self) -> None:
        self._poller.poll(cast("Any", SimpleNamespace(machine=self.machine)))

    def open(self) -> None:
        while not self.is_over and self.machine.room > 0:
            if self.left:
                self.machine.runs[self.left] = cast("Any", object())
                self.left -= 1
            elif self.machine.runs:
                return  # the feed is empty, and dates are open
            else:
                self.is_over = True

    def end_one(self) -> None:
        if self.machine.runs:
            self.machine.runs.popitem()
            self.machine.completed += 1


@given(
    most=st.integers(1, 4),
    dates=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    steps=st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=60),
)
def test_together_they_have_no_more_open_than_allowed_and_all_end(
    most: int, dates: list[int], steps: list[tuple[int, bool, bool]]
) -> None:
    """Section 6, whatever the order in which they look and their dates end."""
    leases = Leases()
    shifts = [Shift(leases, f"shift-{number}", count, most) for number, count in enumerate(dates)]

    def step(shift: Shift, ends: bool, looks: bool) -> None:
        leases.now += 500_000
        if ends:
            shift.end_one()
        if looks or shift.machine.share is None:
            shift.look()
        shift.open()
        if shift.is_over:
            leases.kept.pop(shift.machine.owner, None)
        assert sum(len(one.machine.runs) for one in shifts) <= most

    for number, ends, looks in steps:
        step(shifts[number % len(shifts)], ends, looks)
    for _ in range(40 * sum(dates)):
        for shift in shifts:
            step(shift, ends=True, looks=True)
    assert all(one.is_over for one in shifts), [(one.left, len(one.machine.runs)) for one in shifts]


def test_one_whose_dates_have_all_ended_just_before_it_looks_still_comes_to_its_end() -> None:
    """The feed says that it is empty when it is asked, and it is asked when there is room."""
    shift = Shift(Leases(), "shift", 2, 4)
    shift.turn()
    shift.end_one()
    shift.end_one()
    shift.turn()
    assert shift.is_over


def test_a_shift_that_catches_up_makes_room_for_the_newest_date() -> None:
    leases = Leases()
    long, newest = Shift(leases, "long", 50, 2), Shift(leases, "newest", 1, 2)
    long.turn()
    newest.turn()
    assert (len(long.machine.runs), len(newest.machine.runs)) == (2, 0)
    leases.now += 500_000
    long.look()
    long.end_one()
    long.open()  # it may open again before it looks
    long.look()
    newest.turn()
    assert (len(long.machine.runs), len(newest.machine.runs)) == (1, 1)
