"""The feed of waves over a real store: whatever is stopped, killed, failed and repaired on the way, nothing is lost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builders import make_dag, make_task
from hypothesis import given, settings
from hypothesis import strategies as st
from store.store_builders import REQUEST, backfill_row, finishing, opening, plan_row, register, run_row

from backfill_cli import clock
from backfill_cli.app.feed import StoreFeed
from backfill_cli.app.leaving import take_out
from backfill_cli.app.wave_walk import rows_to_do
from backfill_cli.app.waves import WaveFeed
from backfill_cli.core.leaving import skipped_reason
from backfill_cli.core.listening import ProgressCounts, WaveReport
from backfill_cli.core.ports import Store
from backfill_cli.core.records import Action, BackfillRow, Batch, Claim, Counts
from backfill_cli.core.shapes import ALL, Shape, ramp_sizes
from backfill_cli.core.states import RunState
from backfill_cli.core.waves import Cutter
from backfill_cli.store import memory_store

DAY = 86_400
FIRST = 1_704_067_200  # 2024-01-01
OWNER = "own-1"

shapes = st.one_of(
    st.builds(lambda size, pilot: Shape("30", (size,), pilot=pilot), st.integers(1, 6), st.integers(0, 4)),
    st.builds(lambda days, pilot: Shape(f"{days}d", (), pilot=pilot), st.integers(1, 6), st.integers(0, 4)),
    st.builds(lambda pilot: Shape(pilot=pilot), st.integers(1, 5)),
    st.builds(lambda pilot: Shape(pilot=pilot, ramp=True, sizes=ramp_sizes(pilot, 2)), st.integers(1, 3)),
)


class Steady:
    def now_us(self) -> int:
        return clock.now_us()

    def monotonic(self) -> float:
        return 0.0


class World:
    """A backfill in a store, and something that opens and finishes its dates as a coordinator would."""

    def __init__(self, folder: Path, shape: Shape, days: Sequence[int], chance: random.Random, backwards: bool) -> None:
        self.store: Store = memory_store(logs=folder / "logs")
        self.shape, self.chance = shape, chance
        self.dates = [FIRST + DAY * day for day in sorted(days)]
        self.skips = frozenset(date for date in self.dates if chance.random() < 0.2)
        self.dag = make_dag(make_task("extract"), dag_id="daily_sales")
        self.done: list[int] = []
        self.gone: set[int] = set()
        self.told: list[WaveReport] = []
        request = {**REQUEST, "run_backwards": backwards, "shape": shape.data()}
        planned = {"create": len(self.dates) - len(self.skips), "skip": len(self.skips)}
        row = backfill_row(first=self.dates[0], last=self.dates[-1], planned=planned, request=request)
        register(self.store)
        rows = [plan_row(date, Action.SKIP if date in self.skips else Action.CREATE) for date in self.dates]
        self.store.write(lambda w: w.add_backfill(row, rows))
        self.claim = Claim(OWNER, "bf-1", "daily_sales", "v1")
        self.store.write(lambda w: w.set_backfill("bf-1", owner=OWNER))
        to_do = [one.logical_date for one in self.store.read(lambda r: list(rows_to_do(r, row)))]
        cutter = Cutter(shape, len(to_do), "UTC")
        self.wave_of = {date: cutter.take(date) for date in to_do}

    @property
    def row(self) -> BackfillRow:
        row = self.store.read(lambda r: r.backfill("bf-1"))
        assert row is not None
        return row

    def take_out(self, feed: WaveFeed, done: Counts, is_open: list[int]) -> None:
        """Somebody takes a date out that is still to come, or that is open and has not begun."""
        dates = [one for one in self.wave_of if one not in self.done and one not in self.gone]
        if not dates:
            return
        date = self.chance.choice(dates)
        assert feed.to_come(dates) == {*dates} - {*is_open}, "what is not open, and not done, is to come"
        self.gone.add(date)
        self.store.write(lambda w: take_out(w, self.row, [date], skipped_reason("ana")))
        if date in is_open:
            is_open.remove(date)
            self.store.write(lambda w: w.set_runs("daily_sales", [run_row(date, RunState.QUEUED)]))
        left = len(self.wave_of) - len(self.gone)
        feed.leave_out([date], ProgressCounts(left, *done, 0, len(is_open), 0))

    def save(self, batch: Batch) -> None:
        self.store.write(lambda w: w.save(self.claim, batch))

    def play(self, *, killed_after: int, taken_out: float = 0.0) -> WaveFeed:
        """Run until the end, a stop, or the kill: so many dates finished, whatever is open.

        Args:
            taken_out: How likely it is, at every turn, that somebody takes a date out.
        """
        row = self.row
        source = StoreFeed(self.store, self.dag, row)
        feed = WaveFeed(self.store, source, row, self.shape, owner=OWNER, parallel=2, clock=Steady(), listeners=[self])
        completed, failed, is_open, finished = row.completed, row.failed, list[int](), 0
        while finished < killed_after:
            if self.chance.random() < taken_out:
                self.take_out(feed, Counts(completed, failed), is_open)
            specs = feed.take(3 - len(is_open)) if len(is_open) < 3 else None
            for spec in specs or ():
                self.opens(spec.logical_date, is_open)
                is_open.append(spec.logical_date)
                self.save(opening(self.claim, spec.logical_date))
            if specs == () and not is_open:
                break
            if specs or not is_open:
                assert specs or is_open, "nothing is open, and nothing comes"
                feed.on_batch(Batch(), ProgressCounts(9, completed, failed, 0, len(is_open), 0), 0)
                continue
            date = is_open.pop(self.chance.randrange(len(is_open)))
            state = RunState.FAILED if self.chance.random() < 0.15 else RunState.SUCCESS
            completed, failed = completed + (state is RunState.SUCCESS), failed + (state is RunState.FAILED)
            batch = finishing(self.claim, date, state)
            batch.counts = Counts(completed, failed)
            self.save(batch)
            self.done.append(date)
            finished += 1
            feed.on_batch(batch, ProgressCounts(9, completed, failed, 0, len(is_open), 0), 0)
        return feed

    def opens(self, date: int, is_open: Sequence[int]) -> None:
        number = self.wave_of[date]
        assert date not in {*self.done, *self.gone}, "never again"
        assert {self.wave_of[one] for one in is_open} <= {number}, "one wave at a time"
        before = {one for one, wave in self.wave_of.items() if wave < number}
        assert before <= {*self.done, *self.gone}, "nothing of a wave before is left"
        if self.shape.chunk is not None and number > 1:
            rows = self.store.read(lambda r: list(r.backfill_dates("bf-1")))
            barred = [one for one in rows if one.run_state is RunState.FAILED and self.wave_of[one.logical_date] > 0]
            assert not any(self.wave_of[one.logical_date] < number for one in barred), "a failed chunk bars the way"

    def repair(self) -> None:
        """What `rerun-failed` does to the ledger."""
        for one in list(self.store.read(lambda r: list(r.backfill_dates("bf-1")))):
            if one.run_state is RunState.FAILED:
                repaired = run_row(one.logical_date, RunState.SUCCESS)
                self.store.write(lambda w, run=repaired: w.set_runs("daily_sales", [run]))

    def on_wave(self, report: WaveReport) -> None:
        self.told.append(report)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *_: None
        raise AttributeError(name)


days = st.lists(st.integers(0, 40), min_size=1, max_size=25, unique=True)


@settings(max_examples=60)
@given(shapes, days, st.booleans(), st.sampled_from([0.0, 0.3]), st.randoms(use_true_random=False))
def test_over_kills_stops_and_repairs_every_date_is_done_once_and_wave_by_wave(
    tmp_path_factory: Any, shape: Shape, days: list[int], backwards: bool, taken_out: float, chance: random.Random
) -> None:
    """But those that somebody takes out on the way, none of which is ever begun; all others stay in their waves."""
    world = World(tmp_path_factory.getbasetemp(), shape, days, chance, backwards)
    for _ in range(200):
        world.play(killed_after=chance.choice([1, 3, 100]), taken_out=taken_out)
        if len(world.done) + len(world.gone) == len(world.wave_of):
            break
        if chance.random() < 0.5:
            world.repair()
    assert sorted([*world.done, *world.gone]) == sorted(world.wave_of), "nothing is lost"
    ended = [one for one in world.told if one.ended and not one.reason]
    assert all(one.tally.pending == 0 for one in ended)


def test_a_wave_without_an_end_is_counted_by_the_counters(tmp_path: Path) -> None:
    world = World(tmp_path, Shape(pilot=2, ramp=True, sizes=(ALL,)), range(9), random.Random(5), False)
    world.skips = frozenset()
    feed = world.play(killed_after=100)
    if feed.stopped:  # its pilot may have failed
        world.repair()
        world.play(killed_after=100)
    rest = world.told[-1]
    assert (rest.wave.kind, rest.ended, rest.tally.pending) == ("rest", True, 0)
    assert rest.tally.dates == len(world.wave_of) - 2
