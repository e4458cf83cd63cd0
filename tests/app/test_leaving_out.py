"""Leaving dates out of a backfill that runs: the store says what was committed, the machine what has happened since."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from builders import Play, day, make_dag, make_limits, make_task
from store.store_builders import backfill_row, plan_row, register

from backfill_cli.app.leaving import LeftOut, leave_out
from backfill_cli.core.leaving import dates_text
from backfill_cli.core.ports import Store, Writer
from backfill_cli.core.records import Claim
from backfill_cli.core.work import EmptyWork
from backfill_cli.store import memory_store

DATES = [day(1), day(2)]
CLAIM = Claim("own-1", "bf-1", "daily_sales", "v1")


class Running:
    """A backfill of two days, both open: the second begins, with an empty task, when the first has ended."""

    def __init__(self) -> None:
        begin = make_task("extract", wait_for_downstream=True, work=EmptyWork())
        self.play = Play(make_dag(begin, make_task("load", after="extract")), DATES, limits=make_limits(2))
        self.store: Store = memory_store()
        register(self.store)
        row = backfill_row(first=DATES[0], last=DATES[1], dates=2)
        self.store.write(lambda w: w.add_backfill(row, [plan_row(date) for date in DATES]))
        self.store.write(lambda w: w.set_backfill("bf-1", owner=CLAIM.owner))
        batch = self.play.turn().batch
        self.store.write(lambda w: w.save(CLAIM, batch))

    def asks(self, args: dict[str, Any]) -> LeftOut:
        run: Any = SimpleNamespace(machine=self.play.machine, to_come=lambda dates: frozenset())

        def work(writer: Writer) -> LeftOut:
            row = writer.backfill("bf-1")
            assert row is not None
            return leave_out(writer, row, args, "ana", run)

        return self.store.write(work)


def test_what_has_begun_since_the_last_commit_is_not_left_out() -> None:
    """An empty task passes through as soon as its past allows it, before anything of that is stored."""
    running = Running()
    running.play.report(DATES[0], "load")
    asked = running.asks({"dates": dates_text([DATES[1]])})
    assert asked.answer.text == "2024-01-02 has begun: nothing was left out"
    assert running.store.read(lambda r: r.run("daily_sales", DATES[1])) is not None


def test_what_waits_is_left_out_and_its_dag_run_goes() -> None:
    running = Running()
    asked = running.asks({"dates": dates_text([DATES[1]])})
    assert (asked.answer.text, asked.dates) == ("2024-01-02 is left out; 1 date remains", (DATES[1],))
    assert running.store.read(lambda r: r.run("daily_sales", DATES[1])) is None


@pytest.mark.parametrize("args", [{}, {"dates": ["never"]}, {"dates": dates_text([DATES[1], day(9)])}])
def test_a_request_that_no_bfill_has_written_is_refused(args: dict[str, Any]) -> None:
    running = Running()
    assert not running.asks(args).answer.is_done
    assert running.store.read(lambda r: r.backfill("bf-1")).skipped == 0  # type: ignore[union-attr]
