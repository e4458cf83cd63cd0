"""Dates taken out of a backfill, in the store: which dag_runs may go with them, and what is left when they have."""

from __future__ import annotations

import pytest
from store_builders import NOW, attempt_row, claimed_backfill, day, instance_row, run_row

from backfill_cli.core.leaving import skipped_reason
from backfill_cli.core.ports import Store, Writer
from backfill_cli.core.records import BackfillDateRow, RunRow, RunType
from backfill_cli.core.states import RunState, TaskState

DAG = "daily_sales"


def fresh(number: int, **changes: object) -> RunRow:
    """A dag_run that was opened and nothing more."""
    return run_row(day(number), RunState.QUEUED, **{"started_at": None, "backfill_id": "bf-1", **changes})  # type: ignore[arg-type]


def unrun(store: Store, *numbers: int) -> set[int]:
    return set(store.read(lambda r: r.controls().unrun("bf-1", [day(one) for one in numbers])))


def rows(store: Store) -> list[BackfillDateRow]:
    return store.read(lambda r: list(r.backfill_dates("bf-1")))


def test_a_dag_run_that_was_opened_and_nothing_more_may_go(store: Store) -> None:
    claimed_backfill(store)
    store.write(lambda w: w.set_runs(DAG, [fresh(1), fresh(2, owner="own-1")]))
    assert unrun(store, 1, 2, 3) == {day(1), day(2)}


@pytest.mark.parametrize(
    "changes",
    [
        {"state": RunState.RUNNING},
        {"state": RunState.FAILED},
        {"started_at": NOW},
        {"run_type": RunType.SCHEDULED},
        {"run_type": RunType.MANUAL},
        {"backfill_id": None},
        {"backfill_id": "bf-2"},
    ],
)
def test_one_that_has_begun_or_is_anybody_elses_may_not(store: Store, changes: dict[str, object]) -> None:
    claimed_backfill(store)
    claimed_backfill(store, "bf-2", "own-2")
    store.write(lambda w: w.set_runs(DAG, [fresh(1)._replace(**changes)]))  # type: ignore[arg-type]
    assert unrun(store, 1) == set()


@pytest.mark.parametrize("what", ["instance", "attempt"])
def test_one_with_history_may_not(store: Store, what: str) -> None:
    """A dag_run that was reset has not started, and after a prune it has no tries: its task instances tell."""
    claimed_backfill(store)

    def work(w: Writer) -> None:
        w.set_runs(DAG, [fresh(1), fresh(2)])
        if what == "instance":
            w.set_instances(DAG, [instance_row(day(1), state=TaskState.SCHEDULED)])
        else:
            w.add_attempts(DAG, [attempt_row(day(1))])

    store.write(work)
    assert unrun(store, 1, 2) == {day(2)}
    assert store.write(lambda w: w.controls().drop_runs("bf-1", [day(1), day(2)])) == []
    assert store.read(lambda r: r.run(DAG, day(1))) is not None
    assert store.read(lambda r: r.run(DAG, day(2))) is None


def test_a_dag_run_that_goes_is_not_counted_and_its_digest_is_told(store: Store) -> None:
    claimed_backfill(store)
    store.write(lambda w: w.set_runs(DAG, [fresh(number) for number in (1, 2, 3)]))
    store.write(lambda w: w.history().set_digests(DAG, [(-5, day(1)), (7, day(2))]))
    dates = [day(number) for number in (1, 3)]
    assert store.write(lambda w: w.controls().drop_runs("bf-1", dates)) == [-5]
    assert store.read(lambda r: r.count_runs(DAG, day(1), day(3))) == {RunState.QUEUED: 1}


def test_what_is_left_out_is_told_with_its_reason_and_keeps_its_place(store: Store) -> None:
    claimed_backfill(store, dates=5)
    reason = skipped_reason("ana \udcff: [a*]")  # an argument that was no Unicode
    dates = [day(number) for number in (2, 4)]
    assert store.write(lambda w: w.controls().leave_out("bf-1", dates, reason)) == {"create": 2}
    store.write(lambda w: w.controls().leave_out("bf-1", [day(5)], "being run by bf-2"))
    left = store.read(lambda r: list(r.controls().left_out("bf-1")))
    assert left == [(date, "skipped by ana \\udcff: [a*]") for date in dates]
    assert [one.logical_date for one in rows(store)] == [day(number) for number in range(1, 6)]
    assert store.read(lambda r: list(r.worked_on("bf-1"))) == [day(number) for number in range(1, 5)]
    to_do = store.read(lambda r: r.pending("bf-1", after=None, limit=9))
    assert [one.logical_date for one in to_do] == [day(1), day(3)]


def test_dates_are_found_by_name_ascending_and_those_it_does_not_hold_are_not(store: Store) -> None:
    claimed_backfill(store, dates=200)
    asked = [day(number) for number in range(300, 0, -2)]
    found = store.read(lambda r: [one.logical_date for one in r.controls().dates("bf-1", asked)])
    assert found == [day(number) for number in range(2, 201, 2)]
