"""The feed of merged dates over a real store: in whatever batches dates ran before, none is lost or half done."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest
from builders import START, day, make_dag, make_report, make_task
from hypothesis import given
from hypothesis import strategies as st
from store.store_builders import REQUEST, backfill_row, plan_row, register

from backfill_cli.app import feed as feeds
from backfill_cli.app.feed import StoreFeed
from backfill_cli.app.merged_feed import MergedFeed
from backfill_cli.core.machine import BackfillMachine, Limits
from backfill_cli.core.merging import Merge
from backfill_cli.core.pools import DEFAULT_POOL
from backfill_cli.core.records import Action, Batch, Claim, RunRow
from backfill_cli.core.recovery import recover_run
from backfill_cli.core.states import Outcome, RunState
from backfill_cli.store import memory_store
from backfill_cli.store.agreeing import disagreeing

LAST = 24
TASKS = ("extract", "clean", "load")
DAG = make_dag(
    make_task("extract"), make_task("clean", after="extract"), make_task("load", after="clean"), dag_id="daily_sales"
)
merges = st.one_of(
    st.none(),
    st.integers(1, 9).map(Merge),
    st.integers(1, 9).map(lambda one: Merge(days=one)),
    st.just(Merge(together=True)),
)


class Life:
    """Backfills of some dates one after another, each with its own way of merging; tasks fail, processes are killed.

    Attributes:
        tries: Of each task instance that is stored the dates its last success was made for.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.store = memory_store()
        self.tries: dict[tuple[int, str], tuple[int, ...]] = {}
        self.rounds = 0
        register(self.store, tasks=dict.fromkeys(TASKS, "d"))

    def runs(self) -> dict[int, RunRow]:
        rows = self.store.read(lambda r: list(r.runs("daily_sales", day(1), day(99))))
        return {run.logical_date: run for run in rows}

    def actions(self, dates: list[int], *, again: bool) -> dict[int, Action]:
        """What a plan would do: `again` runs successes too."""
        runs = {
            run.logical_date: run for run in self.store.read(lambda r: list(r.runs("daily_sales", day(1), day(99))))
        }
        found = {}
        for date in dates:
            run = runs.get(date)
            if run is None:
                found[date] = Action.CREATE
            elif not run.state.is_terminal:
                found[date] = Action.RESUME
            elif run.state is RunState.FAILED or again:
                found[date] = Action.RERUN
        return found

    def backfill(self, dates: list[int], merge: Merge | None, *, again: bool, backwards: bool, ends_well: bool) -> None:
        """Run dates with as many at once as may be, until they have ended or the process is killed."""
        actions = self.actions(dates, again=again)
        if not actions:
            return
        self.rounds += 1
        name, owner = f"bf-{self.rounds}", f"own-{self.rounds}"
        first, last = min(actions), max(actions)
        row = backfill_row(
            name, first=first, last=last, planned={}, request={**REQUEST, "run_backwards": backwards, "conf": None}
        )
        planned = [plan_row(date, action) for date, action in sorted(actions.items())]
        self.store.write(lambda w: w.add_backfill(row, planned))
        self.store.write(lambda w: w.set_backfill(name, owner=owner))
        feed = StoreFeed(self.store, DAG, row) if merge is None else MergedFeed(self.store, DAG, row, merge)
        claim = Claim(owner, name, "daily_sales", "v1")
        limits = Limits(self.chance.randint(1, 4), 8, {DEFAULT_POOL: 8})
        machine = BackfillMachine(DAG, limits, backfill_id=name, owner=owner, total=len(actions), backwards=backwards)
        fed: list[int] = []
        flying = []
        while True:
            while machine.room > 0 and (specs := feed.take(machine.room)):
                for spec in specs:
                    dates_of = (spec.logical_date, *(one.logical_date for one in spec.members))
                    assert all(other - one == 86_400 for one, other in pairwise(dates_of)), "never over a hole"
                    assert merge is None or len(dates_of) <= min(merge.dates, merge.days or LAST)
                    fed += dates_of
                    machine.open(spec, START)
            step = machine.take(START)
            self.save(claim, step.batch)
            flying += step.submissions
            if not flying:
                break
            if not ends_well and self.chance.random() < 0.08:
                self.kill(owner)
                return
            one = flying.pop(self.chance.randrange(len(flying)))
            failed = not ends_well and self.chance.random() < 0.2
            if not failed:
                self.tries[one.run.logical_date, one.task.task_id] = one.run.logical_dates or (one.run.logical_date,)
            machine.on_report(make_report(one, Outcome.FAILED if failed else Outcome.SUCCESS), START)
        assert sorted(fed) == sorted(actions), "each once, none left out"
        self.store.write(lambda w: w.set_backfill(name, owner=None))
        self.check()

    def save(self, claim: Claim, batch: Batch) -> None:
        if batch:
            self.store.write(lambda w: w.save(claim, batch))
        for outcome in batch.outcomes:
            if outcome.outcome is RunState.SUCCESS:
                self.is_done(outcome.logical_date)

    def is_done(self, date: int) -> None:
        """A date is a success only when every task was done for the very dates that it ran together with."""
        runs = self.runs()
        first = runs[runs[date].leader]
        together = [one.logical_date for one in runs.values() if one.leader == first.logical_date]
        dates = tuple(one for one in together if one <= (first.batch or first.logical_date))
        assert date in dates, "what has just ended is part of what it ended with"
        for task_id in TASKS:
            assert self.tries[first.logical_date, task_id] == dates, (task_id, "was done for other dates")

    def kill(self, owner: str) -> None:
        """The process vanishes; the next command gives back what it held."""

        def recover(writer) -> None:
            for dag_id, run in list(writer.runs_owned_by(owner)):
                rows = list(writer.instances(dag_id, run.logical_date, run.logical_date))
                back = recover_run(run, rows, START, why="killed", counts_as_loss=False)
                writer.add_attempts(dag_id, back.attempts)
                writer.set_instances(dag_id, back.instances)
                writer.set_runs(dag_id, [back.run])
            for row in writer.backfills(limit=99):
                if row.owner == owner:
                    writer.set_backfill(row.backfill_id, owner=None)

        self.store.write(recover)
        self.check()

    def check(self) -> None:
        found = self.store.read(lambda r: list(disagreeing(r._connection)))
        assert found == []


@given(st.integers(0, 2**32), st.lists(merges, min_size=1, max_size=6), st.sampled_from([3, 7, 500]))
def test_over_kills_failures_and_other_batches_every_date_ends_as_a_whole_success(
    seed: int, ways: list[Merge | None], page: int
) -> None:
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(feeds, "PAGE", page)
        life = Life(chance)
        for merge in ways:
            low = chance.randint(1, LAST)
            dates = [day(n) for n in range(low, chance.randint(low, LAST) + 1) if chance.random() < 0.9]
            again, backwards = chance.random() < 0.3, chance.random() < 0.3
            life.backfill(dates, merge, again=again, backwards=backwards, ends_well=False)
        everything = [day(n) for n in range(1, LAST + 1)]
        life.backfill(everything, ways[-1], again=False, backwards=False, ends_well=True)
        states = life.store.read(
            lambda r: {run.logical_date: run.state for run in r.runs("daily_sales", day(1), day(99))}
        )
        assert states == dict.fromkeys(everything, RunState.SUCCESS)
        counted = life.store.read(lambda r: r.count_runs("daily_sales", day(1), day(99)))
        assert counted == {RunState.SUCCESS: LAST}


@pytest.mark.parametrize(
    ("backwards", "sizes"),
    [(False, {day(1): 10, day(11): 10, day(21): 3}), (True, {day(1): 3, day(4): 10, day(14): 10})],
)
def test_a_batch_is_longer_than_a_page_of_the_feed(backwards: bool, sizes: dict[int, int]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(feeds, "PAGE", 4)
        life = Life(random.Random(1))
        life.backfill([day(n) for n in range(1, 24)], Merge(10), again=False, backwards=backwards, ends_well=True)
    assert Counter(run.leader for run in life.runs().values()) == sizes
