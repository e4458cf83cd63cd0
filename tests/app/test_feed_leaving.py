"""Feeds that have read ahead when dates are taken out: each other date is given once, in order, none is lost."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from builders import make_dag, make_task
from hypothesis import given, settings
from hypothesis import strategies as st
from store.store_builders import REQUEST, backfill_row, plan_row, register, run_row

from backfill_cli.app import feed as feeds
from backfill_cli.app.feed import StoreFeed
from backfill_cli.app.leaving import take_out
from backfill_cli.app.merged_feed import MergedFeed
from backfill_cli.core.leaving import skipped_reason
from backfill_cli.core.listening import ProgressCounts
from backfill_cli.core.merging import Merge
from backfill_cli.core.ports import Store, Writer
from backfill_cli.core.records import BackfillRow
from backfill_cli.core.states import RunState
from backfill_cli.store import memory_store

DAY = 86_400
FIRST = 1_704_067_200  # 2024-01-01
COUNTS = ProgressCounts(0, 0, 0, 0, 0, 0)


def backfill(dates: list[int], *, backwards: bool) -> tuple[Store, BackfillRow]:
    store: Store = memory_store()
    register(store)
    request = {**REQUEST, "run_backwards": backwards}
    row = backfill_row(first=dates[0], last=dates[-1], planned={"create": len(dates)}, request=request)
    store.write(lambda w: w.add_backfill(row, [plan_row(date) for date in dates]))
    return store, row


def stored(store: Store) -> BackfillRow:
    row = store.read(lambda r: r.backfill("bf-1"))
    assert row is not None
    return row


@settings(max_examples=80, deadline=None)
@given(
    days=st.lists(st.integers(0, 40), min_size=1, max_size=30, unique=True),
    backwards=st.booleans(),
    merged=st.sampled_from([0, 1, 3, 7]),
    chance=st.randoms(use_true_random=False),
)
def test_whatever_was_read_ahead_each_date_that_is_left_is_given_once(
    days: list[int], backwards: bool, merged: int, chance: random.Random
) -> None:
    dates = [FIRST + DAY * one for one in sorted(days)]
    store, row = backfill(dates, backwards=backwards)
    dag = make_dag(make_task("extract"), dag_id="daily_sales")
    given_, gone = list[int](), set[int]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeds, "PAGE", chance.choice([1, 3, 500]))
        feed = MergedFeed(store, dag, row, Merge(merged)) if merged else StoreFeed(store, dag, row)
        while True:
            left = [one for one in dates if one not in given_ and one not in gone]
            assert feed.to_come(left) == {*left}
            assert not feed.to_come(given_)
            if left and chance.random() < 0.4:
                out = chance.sample(left, chance.randint(1, min(3, len(left))))
                store.write(lambda w, out=out: take_out(w, stored(store), out, skipped_reason("ana")))  # type: ignore[misc]
                feed.leave_out(out, COUNTS)
                gone.update(out)
                continue
            specs = feed.take(chance.randint(1, 4))
            if not specs:
                break
            for spec in specs:
                batch = [spec.logical_date, *(one.logical_date for one in spec.members)]
                assert len(batch) <= max(1, merged)
                assert all(after - before == DAY for before, after in pairwise(batch))
                given_ += reversed(batch) if backwards else batch
    assert given_ == sorted({*dates} - gone, reverse=backwards)


def test_what_is_read_anew_has_the_run_before_it_that_is_there_by_now() -> None:
    """Semantics section 4, rule 3: read ahead, it was the date that is left out, as one that will be opened."""
    dates = [FIRST + DAY * one for one in range(3)]
    store, row = backfill(dates, backwards=False)
    dag = make_dag(make_task("extract", depends_on_past=True), dag_id="daily_sales")

    def opened(w: Writer) -> None:
        queued = [run_row(date, RunState.QUEUED, started_at=None, backfill_id="bf-1") for date in dates[:2]]
        w.set_runs("daily_sales", queued)

    store.write(opened)
    feed = StoreFeed(store, dag, row)
    (first,) = feed.take(1)
    assert first.logical_date == dates[0]

    def out(w: Writer) -> None:
        take_out(w, row, [dates[1]], skipped_reason("ana"))
        w.controls().drop_runs("bf-1", [dates[1]])

    store.write(out)
    feed.leave_out([dates[1]], COUNTS)
    (last,) = feed.take(1)
    assert last.previous is not None
    assert (last.logical_date, last.previous.logical_date) == (dates[2], dates[0])
