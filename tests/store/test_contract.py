"""The contract of Reader, Writer and Store (core/ports.py), over every kind of store."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from store_builders import (
    DAY,
    DEFINITION,
    NOW,
    REQUEST,
    TASKS,
    attempt_row,
    audit_row,
    backfill_row,
    claimed_backfill,
    day,
    finishing,
    instance_row,
    opening,
    plan_row,
    register,
    run_row,
)

from backfill_cli.core.ports import Store
from backfill_cli.core.records import Action, Batch, Counts, DagRow, OutcomeRow, PoolRow, RunType, XComRow
from backfill_cli.core.states import BackfillState, Outcome, RunState, TaskState
from backfill_cli.errors import ConflictError, NotFoundError, StoreError

DAG = "daily_sales"


# DAGs and versions


def test_a_registered_dag_comes_back_with_its_latest_version(store: Store) -> None:
    register(store)
    register(store, version="v2", tasks={"extract": "e2"})
    assert store.read(lambda r: r.dag(DAG)) == DagRow(DAG, "sales.py", "v2", None)
    assert [(v.version, v.tasks) for v in store.read(lambda r: r.versions(DAG))] == [
        ("v1", TASKS),
        ("v2", {"extract": "e2"}),
    ]


def test_versions_keep_the_order_of_their_tasks(store: Store) -> None:
    register(store, tasks={"z": "1", "a": "2", "m": "3"})
    (version,) = store.read(lambda r: r.versions(DAG))
    assert list(version.tasks) == ["z", "a", "m"]


def test_registering_the_same_version_again_keeps_when_it_was_first_seen(store: Store) -> None:
    register(store)
    store.write(
        lambda w: w.register_dag(DAG, version="v1", tasks=TASKS, path="moved.py", definition=DEFINITION, at=NOW + 9)
    )
    assert [v.first_seen_at for v in store.read(lambda r: r.versions(DAG))] == [NOW]
    assert store.read(lambda r: r.dag(DAG)) == DagRow(DAG, "moved.py", "v1", DEFINITION)


def test_an_unknown_dag_reads_as_nothing(store: Store) -> None:
    assert store.read(lambda r: r.dag("nope")) is None
    assert store.read(lambda r: r.versions("nope")) == []
    assert store.read(lambda r: list(r.runs("nope", 0, day(9)))) == []
    assert store.read(lambda r: list(r.instances("nope", 0, day(9)))) == []
    assert store.read(lambda r: list(r.attempts("nope", 0, day(9), task_id="x"))) == []
    assert store.read(lambda r: r.run("nope", day(1))) is None
    assert store.read(lambda r: r.run_before("nope", day(9), state=RunState.SUCCESS)) is None
    assert store.read(lambda r: r.count_runs("nope", 0, day(9))) == {}
    assert store.read(lambda r: r.durations("nope")) == []
    assert store.read(lambda r: r.xcoms("nope", day(1))) == {}
    assert not store.read(lambda r: r.ever_ran("nope", "x", day(9)))
    assert store.read(lambda r: r.backfills(dag_id="nope")) == []


def test_dags_are_listed_by_name(store: Store) -> None:
    register(store, "b")
    register(store, "a")
    assert [row.dag_id for row in store.read(lambda r: r.dags())] == ["a", "b"]


def test_rows_of_a_dag_nobody_registered_are_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="does not know the DAG 'nope'"):
        store.write(lambda w: w.set_runs("nope", [run_row(day(1))]))
    register(store)
    with pytest.raises(StoreError, match="does not know the task 'nope'"):
        store.write(lambda w: w.set_instances(DAG, [instance_row(day(1), "nope")]))
    with pytest.raises(StoreError, match="does not know the version 'v9'"):
        store.write(lambda w: w.set_runs(DAG, [run_row(day(1), version="v9")]))


# dag_runs


def test_runs_come_back_as_they_were_stored_in_order_of_logical_date(store: Store) -> None:
    register(store)
    rows = [
        run_row(day(3), RunState.FAILED, ended_at=NOW + 7, reason="load failed", conf='{"region":"eu"}'),
        run_row(day(1), RunState.QUEUED, started_at=None, run_type=RunType.MANUAL),
        run_row(day(2), RunState.SUCCESS, run_type=RunType.SCHEDULED),
    ]
    store.write(lambda w: w.set_runs(DAG, rows))
    by_date = sorted(rows)
    assert store.read(lambda r: list(r.runs(DAG, day(1), day(3)))) == by_date
    assert store.read(lambda r: list(r.runs(DAG, day(1), day(3), backwards=True))) == by_date[::-1]
    assert store.read(lambda r: list(r.runs(DAG, day(2), day(2)))) == [by_date[1]]
    assert store.read(lambda r: r.run(DAG, day(3))) == rows[0]
    assert store.read(lambda r: r.run(DAG, day(4))) is None


@pytest.mark.parametrize(
    ("states", "days"),
    [
        ([RunState.QUEUED, RunState.RUNNING], [1, 4]),
        ([RunState.FAILED], [3]),
        ([RunState.RUNNING, RunState.SUCCESS], [2, 4]),
        ([], []),
    ],
)
def test_runs_are_narrowed_to_states(store: Store, states: list[RunState], days: list[int]) -> None:
    register(store)
    by_day = {1: RunState.QUEUED, 2: RunState.SUCCESS, 3: RunState.FAILED, 4: RunState.RUNNING}
    # Owned, though finished: the partial index holds it, the answer must not.
    store.write(lambda w: w.set_runs(DAG, [run_row(day(n), state, owner="o") for n, state in by_day.items()]))
    found = store.read(lambda r: [row.logical_date for row in r.runs(DAG, day(1), day(9), states=states)])
    assert found == [day(n) for n in days]


def test_two_dags_do_not_see_each_others_dates(store: Store) -> None:
    register(store, "a")
    register(store, "b")
    store.write(lambda w: (w.set_runs("a", [run_row(day(1))]), w.set_instances("b", [instance_row(day(1))])))
    assert store.read(lambda r: list(r.runs("b", day(1), day(9)))) == []
    assert store.read(lambda r: list(r.instances("a", day(1), day(9)))) == []


def test_run_before_finds_the_latest_earlier_run_over_gaps(store: Store) -> None:
    """Section 4, rule 3: gaps allowed, none → nothing, manual ones not counted where the caller says so."""
    register(store)
    store.write(
        lambda w: w.set_runs(
            DAG,
            [
                run_row(day(1), RunState.SUCCESS),
                run_row(day(5), RunState.FAILED),
                run_row(day(6), RunState.SUCCESS, run_type=RunType.MANUAL),
            ],
        )
    )

    def before(number: int, **how: object) -> int | None:
        row = store.read(lambda r: r.run_before(DAG, day(number), **how))  # type: ignore[arg-type]
        return None if row is None else row.logical_date

    assert before(9) == day(6)
    assert before(9, skip_manual=True) == day(5)
    assert before(6) == day(5)
    assert before(6, state=RunState.SUCCESS) == day(1)
    assert before(9, state=RunState.SUCCESS) == day(6)
    assert before(9, state=RunState.SUCCESS, skip_manual=True) == day(1)
    assert before(1) is None
    assert before(1, state=RunState.SUCCESS) is None
    assert before(9, state=RunState.QUEUED) is None


def test_run_before_looks_through_years_of_failures(store: Store) -> None:
    register(store)
    rows = [run_row(day(1), RunState.SUCCESS), *(run_row(day(n), RunState.FAILED) for n in range(2, 900))]
    store.write(lambda w: w.set_runs(DAG, rows))
    row = store.read(lambda r: r.run_before(DAG, day(900), state=RunState.SUCCESS))
    assert row is not None
    assert row.logical_date == day(1)


def test_counts_follow_every_change_of_state_and_equal_a_count_over_the_rows(store: Store) -> None:
    """Performance, point 6: counters kept by the writer; here against the count they replace."""
    register(store)
    states = list(RunState)
    store.write(lambda w: w.set_runs(DAG, [run_row(day(n), states[n % 4]) for n in range(-200, 200)]))
    store.write(lambda w: w.set_runs(DAG, [run_row(day(n), states[n % 3]) for n in range(-50, 90)]))
    for first, last in [(-200, 199), (-10, 10), (3, 3), (-199, 150), (-500, 500), (20, 10), (300, 400)]:
        bounds = (day(first), day(last))
        rows = store.read(lambda r, b=bounds: [row.state for row in r.runs(DAG, *b)])
        expected = {state: rows.count(state) for state in states if state in rows}
        assert store.read(lambda r, b=bounds: r.count_runs(DAG, *b)) == expected


def test_ended_runs_are_the_terminal_ones_with_state_and_version(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backfill_cli.store.reading._BLOCK", 7)
    for version in ("v1", "v2"):
        register(store, version=version)
    states = list(RunState)
    rows = [run_row(day(n), states[n % 4], version=f"v{n % 3 % 2 + 1}") for n in range(60)]
    store.write(lambda w: w.set_runs(DAG, rows))
    for first, last in [(0, 59), (10, 40), (5, 5), (50, 300), (9, 3)]:
        bounds = (day(first), day(last))
        blocks = store.read(lambda r, b=bounds: list(r.ended_runs(DAG, *b)))
        expected = [
            (row.logical_date, (row.state, row.version)) for row in rows[first : last + 1] if row.state.is_terminal
        ]
        assert [pair for block in blocks for pair in zip(*block, strict=True)] == expected
        assert all(len(block.dates) <= 7 for block in blocks)
    assert store.read(lambda r: list(r.ended_runs("nope", 0, day(9)))) == []


# task instances, attempts, XComs


def test_instances_come_back_by_date_and_in_dag_order(store: Store) -> None:
    register(store)
    rows = [
        instance_row(day(2), "load", TaskState.UP_FOR_RETRY, retry_at=NOW + 60, reason="HTTP 503"),
        instance_row(day(1), "load", TaskState.UPSTREAM_FAILED, try_number=0, spent=0, started_at=None, ended_at=None),
        instance_row(day(1), "extract", TaskState.FAILED, losses=2),
    ]
    store.write(lambda w: w.set_instances(DAG, rows))
    assert store.read(lambda r: list(r.instances(DAG, day(1), day(2)))) == [rows[2], rows[1], rows[0]]
    retrying = store.read(lambda r: list(r.instances(DAG, day(1), day(2), states=[TaskState.UP_FOR_RETRY])))
    assert retrying == [rows[0]]


def test_the_later_row_for_an_instance_replaces_the_earlier(store: Store) -> None:
    register(store)
    store.write(lambda w: w.set_instances(DAG, [instance_row(day(1), state=TaskState.QUEUED)]))
    last = instance_row(day(1), state=TaskState.SUCCESS, try_number=2)
    store.write(lambda w: w.set_instances(DAG, [instance_row(day(1), state=TaskState.RUNNING), last]))
    assert store.read(lambda r: list(r.instances(DAG, day(1), day(1)))) == [last]


def test_ever_ran_asks_strictly_before_the_date(store: Store) -> None:
    """Section 4, rule 4: X never ran before P either."""
    register(store)
    store.write(lambda w: w.set_instances(DAG, [instance_row(day(5)), instance_row(day(3))]))
    store.write(lambda w: w.set_instances(DAG, [instance_row(day(4))]))
    assert not store.read(lambda r: r.ever_ran(DAG, "extract", day(3)))
    assert store.read(lambda r: r.ever_ran(DAG, "extract", day(4)))
    assert not store.read(lambda r: r.ever_ran(DAG, "load", day(9)))


def test_attempts_are_never_overwritten(store: Store) -> None:
    """Style section 4: history is append-only."""
    register(store)
    first = attempt_row(day(1))
    store.write(lambda w: w.add_attempts(DAG, [first]))
    store.write(
        lambda w: w.add_attempts(DAG, [first._replace(outcome=Outcome.LATE), attempt_row(day(1), "extract", 2)])
    )
    assert store.read(lambda r: list(r.attempts(DAG, day(1), day(1)))) == [first, attempt_row(day(1), "extract", 2)]


def test_attempts_are_narrowed_to_a_task_and_a_backfill(store: Store) -> None:
    claim = claimed_backfill(store)
    ours = attempt_row(day(1), "load", backfill_id=claim.backfill_id)
    store.write(lambda w: w.add_attempts(DAG, [ours, attempt_row(day(1), "extract"), attempt_row(day(2), "load")]))
    assert store.read(lambda r: list(r.attempts(DAG, day(1), day(9), backfill_id="bf-1"))) == [ours]
    assert store.read(lambda r: list(r.attempts(DAG, day(1), day(9), backfill_id="bf-9"))) == []
    found = store.read(lambda r: list(r.attempts(DAG, day(1), day(9), task_id="load")))
    assert found == [ours, attempt_row(day(2), "load")]


def test_durations_look_at_successes_among_the_latest_attempts(store: Store) -> None:
    register(store)
    taken = {1: 100, 2: 1, 3: 2, 4: 3}
    rows = [attempt_row(day(n), ended_at=NOW + seconds * 1_000_000) for n, seconds in taken.items()]
    failed = attempt_row(day(5), ended_at=NOW + 50_000_000, outcome=Outcome.FAILED)
    store.write(lambda w: w.add_attempts(DAG, [*rows, failed]))
    (duration,) = store.read(lambda r: r.durations(DAG, attempts=4))
    assert (duration.task_id, duration.tries, duration.mean_s) == ("extract", 3, 2.0)
    assert 1.0 <= duration.low_s < 2.0 < duration.high_s <= 3.0


def test_a_clock_set_back_during_a_try_makes_no_negative_duration(store: Store) -> None:
    register(store)
    store.write(lambda w: w.add_attempts(DAG, [attempt_row(day(1), ended_at=NOW - 5)]))
    (duration,) = store.read(lambda r: r.durations(DAG))
    assert duration.mean_s == duration.low_s == duration.high_s == 0


def test_xcoms_are_replaced_cleared_and_counted(store: Store) -> None:
    claim = claimed_backfill(store)
    pushed = [XComRow(day(1), "extract", "return_value", "1"), XComRow(day(1), "extract", "b", '"x"')]
    store.write(lambda w: w.save(claim, Batch(xcoms=[*pushed, XComRow(day(1), "load", "return_value", "null")])))
    store.write(lambda w: w.save(claim, Batch(cleared=[(day(1), "extract")], xcoms=[pushed[0]._replace(value="2")])))
    assert store.read(lambda r: r.xcoms(DAG, day(1))) == {
        "extract": {"return_value": "2"},
        "load": {"return_value": "null"},
    }
    assert store.write(lambda w: w.drop_xcoms(DAG, [(day(1), "load"), (day(1), "extract"), (day(2), "load")])) == 2
    assert store.read(lambda r: r.xcoms(DAG, day(1))) == {}


# backfills


def test_a_backfill_comes_back_as_it_was_stored(store: Store) -> None:
    register(store)
    row = backfill_row(parent_id="bf-0", reason="asked", started_at=NOW, ended_at=NOW + 1, blocked=1)
    store.write(lambda w: w.add_backfill(row, [plan_row(day(1))]))
    assert store.read(lambda r: r.backfill("bf-1")) == row
    assert store.read(lambda r: r.backfill("bf-2")) is None


def test_a_plan_streams_in_and_comes_back_with_its_reasons(store: Store) -> None:
    register(store)
    rows = [
        plan_row(day(1), Action.SKIP, RunState.SUCCESS, "succeeded, same version"),
        plan_row(day(2), Action.RERUN, RunState.FAILED, "failed"),
        *(plan_row(day(n)) for n in range(3, 12_000)),
    ]
    store.write(lambda w: w.add_backfill(backfill_row(), iter(rows)))
    assert store.read(lambda r: r.pending("bf-1", after=None, limit=20_000)) == rows[1:]
    dates = store.read(lambda r: list(r.backfill_dates("bf-1")))
    assert [(d.logical_date, d.action, d.reason) for d in dates[:2]] == [
        (day(1), Action.SKIP, "succeeded, same version"),
        (day(2), Action.RERUN, "failed"),
    ]
    assert len(dates) == len(rows)


def test_every_date_may_have_a_reason_of_its_own(store: Store) -> None:
    register(store)
    rows = [plan_row(day(n), reason=f"waits for day {n - 1}") for n in range(1, 6_000)]
    store.write(lambda w: w.add_backfill(backfill_row(), rows))
    assert store.read(lambda r: r.pending("bf-1", after=None, limit=9_999)) == rows


def test_a_backfill_id_is_used_once(store: Store) -> None:
    register(store)
    store.write(lambda w: w.add_backfill(backfill_row(), []))
    with pytest.raises(StoreError, match="bf-1 exists"):
        store.write(lambda w: w.add_backfill(backfill_row(), []))


def test_pending_pages_by_keyset_in_both_directions(store: Store) -> None:
    register(store)
    store.write(lambda w: w.add_backfill(backfill_row(), [plan_row(day(n)) for n in range(1, 8)]))

    def page(after: int | None, *, backwards: bool = False) -> list[int]:
        rows = store.read(lambda r: r.pending("bf-1", after=after, limit=3, backwards=backwards))
        return [(row.logical_date - day(1)) // DAY + 1 for row in rows]

    assert page(None) == [1, 2, 3]
    assert page(day(3)) == [4, 5, 6]
    assert page(day(7)) == []
    assert page(None, backwards=True) == [7, 6, 5]
    assert page(day(5), backwards=True) == [4, 3, 2]


def test_backfills_are_listed_latest_first_and_narrowed(store: Store) -> None:
    register(store)
    register(store, "other")
    store.write(
        lambda w: [
            w.add_backfill(backfill_row("bf-1", created_at=NOW + 9), []),
            w.add_backfill(backfill_row("bf-2", state=BackfillState.RUNNING, identity="same"), []),
            w.add_backfill(backfill_row("bf-3", dag_id="other"), []),
        ]
    )

    def ids(**how: object) -> list[str]:
        return [row.backfill_id for row in store.read(lambda r: r.backfills(**how))]  # type: ignore[arg-type]

    assert ids() == ["bf-3", "bf-2", "bf-1"]
    assert ids(limit=1) == ["bf-3"]
    assert ids(dag_id=DAG) == ["bf-2", "bf-1"]
    assert ids(states=[BackfillState.RUNNING, BackfillState.PAUSED]) == ["bf-2"]
    assert ids(identity="same") == ["bf-2"]


def test_named_columns_of_a_backfill_change_and_the_rest_stays(store: Store) -> None:
    register(store)
    register(store, version="v2")
    store.write(lambda w: w.add_backfill(backfill_row(), []))
    asked = {**REQUEST, "parallel": 8}
    changes: dict[str, Any] = {"state": BackfillState.FAILED, "failed": 2, "first": day(2), "version": "v2"}
    store.write(lambda w: w.set_backfill("bf-1", request=asked, **changes))
    expected = backfill_row(request=asked, last=day(3), **changes)
    assert store.read(lambda r: r.backfill("bf-1")) == expected


def test_only_columns_of_a_backfill_that_exists_can_be_changed(store: Store) -> None:
    register(store)
    with pytest.raises(NotFoundError, match="no backfill bf-9"):
        store.write(lambda w: w.set_backfill("bf-9", failed=1))
    with pytest.raises(NotFoundError, match="no backfill bf-9"):
        store.write(lambda w: w.set_backfill("bf-9", version="v1"))
    with pytest.raises(TypeError, match="owner_id"):
        store.write(lambda w: w.set_backfill("bf-1", owner_id="x"))
    with pytest.raises(TypeError, match="dag_id"):
        store.write(lambda w: w.set_backfill("bf-1", dag_id="x"))


def test_a_planned_backfill_can_be_dropped_and_one_that_started_cannot(store: Store) -> None:
    register(store)
    store.write(lambda w: w.add_backfill(backfill_row(), [plan_row(day(1))]))
    store.write(lambda w: w.drop_backfill("bf-1"))
    assert store.read(lambda r: r.backfill("bf-1")) is None
    # The next one gets the freed key: nothing of the old may show.
    store.write(lambda w: w.add_backfill(backfill_row("bf-2", state=BackfillState.RUNNING), []))
    assert store.read(lambda r: list(r.backfill_dates("bf-2"))) == []
    with pytest.raises(StoreError, match="history"):
        store.write(lambda w: w.drop_backfill("bf-2"))
    store.write(lambda w: w.drop_backfill("never was"))


def test_backfill_dates_show_what_the_dag_run_says_now(store: Store) -> None:
    claim = claimed_backfill(store)
    store.write(lambda w: w.save(claim, opening(claim, day(1))))
    store.write(lambda w: w.save(claim, finishing(claim, day(1))))
    first, second, third = store.read(lambda r: list(r.backfill_dates("bf-1")))
    assert (first.outcome, first.run_state, first.run_ended_at) == (RunState.SUCCESS, RunState.SUCCESS, NOW + 9)
    assert (second.outcome, second.run_state) == (None, None)
    assert store.read(lambda r: list(r.backfill_dates("bf-1", after=day(1), limit=1))) == [second]
    assert third.logical_date == day(3)
    assert store.read(lambda r: list(r.backfill_dates("bf-1", backwards=True))) == [third, second, first]
    assert store.read(lambda r: list(r.backfill_dates("bf-1", backwards=True, after=day(3), limit=1))) == [second]


def test_worked_on_streams_all_dates_but_those_left_alone(store: Store) -> None:
    claim = claimed_backfill(store)
    left_alone = [plan_row(day(1), Action.SKIP), *(plan_row(day(number)) for number in (2, 3))]
    store.write(lambda w: w.add_backfill(backfill_row("bf-2"), left_alone))
    store.write(lambda w: w.save(claim, opening(claim, day(1))))
    store.write(lambda w: w.save(claim, finishing(claim, day(1))))
    assert store.read(lambda r: list(r.worked_on("bf-1"))) == [day(1), day(2), day(3)]
    assert store.read(lambda r: list(r.worked_on("bf-2", backwards=True))) == [day(3), day(2)]


# claims


def test_an_outcome_is_written_once(store: Store) -> None:
    """Contract section 1: an outcome is set when the backfill finishes the date and never changes later."""
    claim = claimed_backfill(store)
    store.write(lambda w: w.save(claim, Batch(outcomes=[OutcomeRow(day(1), RunState.FAILED)], counts=Counts(0, 1))))
    store.write(lambda w: w.save(claim, Batch(outcomes=[OutcomeRow(day(1), RunState.SUCCESS)])))
    assert store.read(lambda r: list(r.backfill_dates("bf-1")))[0].outcome is RunState.FAILED
    row = store.read(lambda r: r.backfill("bf-1"))
    assert row is not None
    assert (row.completed, row.failed) == (0, 1)
    assert store.read(lambda r: [p.logical_date for p in r.pending("bf-1", after=None, limit=9)]) == [day(2), day(3)]


def test_start_and_end_that_meet_in_one_batch_leave_the_end(store: Store) -> None:
    """Performance, point 2."""
    claim = claimed_backfill(store)
    both = opening(claim, day(1))
    both.runs = finishing(claim, day(1)).runs
    both.instances = [instance_row(day(1), state=TaskState.QUEUED), instance_row(day(1), state=TaskState.SUCCESS)]
    store.write(lambda w: w.save(claim, both))
    run = store.read(lambda r: r.run(DAG, day(1)))
    assert run == run_row(day(1), RunState.SUCCESS, ended_at=NOW + 9, backfill_id="bf-1")
    assert [row.state for row in store.read(lambda r: list(r.instances(DAG, 0, day(9))))] == [TaskState.SUCCESS]


def test_a_batch_of_a_backfill_that_was_taken_over_is_refused(store: Store) -> None:
    """Issue promise 3: a process that lost its claim writes nothing more."""
    claim = claimed_backfill(store)
    store.write(lambda w: w.set_backfill("bf-1", owner="own-2"))
    with pytest.raises(ConflictError) as refused:
        store.write(lambda w: w.save(claim, opening(claim, day(1))))
    assert refused.value.code == "claim-lost"
    assert store.read(lambda r: list(r.runs(DAG, 0, day(9)))) == []


def test_a_date_that_somebody_else_runs_cannot_be_opened_and_nothing_of_the_batch_stays(store: Store) -> None:
    """Contract section 1: one conditional update whose row count is looked at; section 6: exit 5."""
    one = claimed_backfill(store)
    two = claimed_backfill(store, "bf-2", "own-2")
    store.write(lambda w: w.save(one, opening(one, day(2))))
    with pytest.raises(ConflictError) as refused:
        store.write(lambda w: w.save(two, opening(two, day(1), day(2))))
    assert refused.value.code == "dates-owned"
    assert "2024-01-02T00:00:00+00:00 is being run by pid" in refused.value.message
    assert "bf-1" in refused.value.hint
    owners = store.read(lambda r: [(row.logical_date, row.owner) for row in r.runs(DAG, 0, day(9))])
    assert owners == [(day(2), "own-1")]
    assert store.read(lambda r: r.count_runs(DAG, 0, day(9))) == {RunState.RUNNING: 1}


def test_a_date_its_last_owner_released_can_be_opened(store: Store) -> None:
    one = claimed_backfill(store)
    two = claimed_backfill(store, "bf-2", "own-2")
    store.write(lambda w: w.save(one, opening(one, day(1))))
    store.write(lambda w: w.save(one, finishing(one, day(1), RunState.FAILED)))
    store.write(lambda w: w.save(two, opening(two, day(1))))
    row = store.read(lambda r: r.run(DAG, day(1)))
    assert row is not None
    assert (row.owner, row.backfill_id) == ("own-2", "bf-2")


def test_a_dag_run_that_was_taken_away_cannot_be_finished(store: Store) -> None:
    claim = claimed_backfill(store)
    store.write(lambda w: w.save(claim, opening(claim, day(1))))
    store.write(lambda w: w.set_runs(DAG, [run_row(day(1), RunState.QUEUED)]))
    with pytest.raises(ConflictError):
        store.write(lambda w: w.save(claim, finishing(claim, day(1))))


def test_take_backfill_succeeds_once_among_the_living(store: Store) -> None:
    claimed_backfill(store)
    store.hold_owner("own-2")
    assert not store.write(lambda w: w.take_backfill("bf-1", "own-2"))
    assert store.write(lambda w: w.take_backfill("bf-1", "own-1"))
    assert not store.write(lambda w: w.take_backfill("bf-9", "own-1"))


def test_a_backfill_of_a_dead_owner_can_be_taken(store: Store) -> None:
    claimed_backfill(store)
    store.release_owner("own-1")
    assert store.write(lambda w: w.take_backfill("bf-1", "own-2"))
    row = store.read(lambda r: r.backfill("bf-1"))
    assert row is not None
    assert row.owner == "own-2"


# owners


def test_owners_say_whether_they_live(store: Store) -> None:
    claimed_backfill(store)
    (owner,) = store.read(lambda r: r.owners())
    assert (owner.owner, owner.is_alive, owner.started_at) == ("own-1", True, NOW)
    store.release_owner("own-1")
    assert store.read(lambda r: [row.is_alive for row in r.owners()]) == [False]
    store.write(lambda w: w.drop_owner("own-1"))
    assert store.read(lambda r: r.owner("own-1")) is None


def test_an_owner_on_another_host_counts_as_alive(store: Store) -> None:
    store.write(lambda w: w.add_owner("far", pid=1, host="elsewhere.example", at=NOW))
    assert store.read(lambda r: [row.is_alive for row in r.owners()]) == [True]


def test_the_runs_an_owner_still_holds_are_listed(store: Store) -> None:
    claim = claimed_backfill(store)
    store.write(lambda w: w.save(claim, opening(claim, day(2), day(1))))
    store.write(lambda w: w.save(claim, finishing(claim, day(2))))
    held = store.write(lambda w: list(w.runs_owned_by("own-1")))
    assert [(dag_id, row.logical_date) for dag_id, row in held] == [(DAG, day(1))]
    # Recovery changes the rows while it walks them.
    store.write(lambda w: [w.set_runs(d, [row._replace(owner=None)]) for d, row in w.runs_owned_by("own-1")])
    assert store.write(lambda w: list(w.runs_owned_by("own-1"))) == []


def test_overlapping_names_backfills_of_the_living_with_dates_to_do(store: Store) -> None:
    claimed_backfill(store, dates=5)

    def ids(first: int, last: int, besides: str | None = None) -> list[str]:
        return [row.backfill_id for row in store.read(lambda r: r.overlapping(DAG, first, last, besides=besides))]

    assert ids(day(5), day(9)) == ["bf-1"]
    assert ids(day(6), day(9)) == []
    assert ids(day(1), day(9), "own-1") == []
    store.write(lambda w: w.set_backfill("bf-1", completed=5))
    assert ids(day(1), day(9)) == []
    store.write(lambda w: w.set_backfill("bf-1", completed=0))
    store.release_owner("own-1")
    assert ids(day(1), day(9)) == []


def test_claimed_streams_the_dates_still_to_do(store: Store) -> None:
    claim = claimed_backfill(store, dates=4)
    store.write(lambda w: w.save(claim, Batch(outcomes=[OutcomeRow(day(2), RunState.SUCCESS)])))
    assert store.read(lambda r: list(r.claimed("bf-1", day(1), day(3)))) == [day(1), day(3)]


# audit, pools


def test_the_audit_chain_grows_by_one_and_only_at_its_end(store: Store) -> None:
    assert store.read(lambda r: r.audit_head()) == (0, "")
    store.write(lambda w: [w.add_audit(audit_row(n)) for n in (1, 2, 3)])
    assert store.read(lambda r: r.audit_head()) == (3, "h3")
    for wrong in (3, 5):
        with pytest.raises(StoreError, match="does not follow 3"):
            store.write(lambda w, n=wrong: w.add_audit(audit_row(n)))
    assert store.read(lambda r: list(r.audit())) == [audit_row(n) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("asked", "seqs"),
    [
        ({"after": 1}, [2, 3]),
        ({"limit": 2}, [1, 2]),
        ({"actor": "bob"}, [2]),
        ({"action": "reset", "target": "daily_sales"}, [3]),
        ({"since": NOW + 2, "until": NOW + 2}, [2]),
        ({"target": "nobody"}, []),
    ],
)
def test_the_audit_is_filtered(store: Store, asked: dict[str, object], seqs: list[int]) -> None:
    rows = [audit_row(1), audit_row(2, actor="bob"), audit_row(3, action="reset")]
    store.write(lambda w: [w.add_audit(row) for row in rows])
    assert [row.seq for row in store.read(lambda r: list(r.audit(**asked)))] == seqs  # type: ignore[arg-type]


def test_text_that_is_no_unicode_is_stored_as_an_escape(store: Store) -> None:
    """Output of a task may hold any bytes; it must not be able to stop the writer."""
    register(store)
    reason = b"caf\xe9 \xff".decode("utf-8", "surrogateescape")
    store.write(lambda w: w.add_attempts(DAG, [attempt_row(day(1), reason=reason)]))
    (row,) = store.read(lambda r: list(r.attempts(DAG, 0, day(9))))
    assert row.reason == "caf\\udce9 \\udcff"
    store.write(lambda w: w.add_audit(audit_row(1, details={"argument": reason})))
    (entry,) = store.read(lambda r: list(r.audit()))
    assert entry.details == {"argument": reason}


def test_pools_can_be_set_described_and_forgotten(store: Store) -> None:
    assert store.read(lambda r: r.pools()) == {}
    store.write(lambda w: [w.set_pool("warehouse", 2, "two connections"), w.set_pool("default_pool", -1)])
    assert store.read(lambda r: r.pools()) == {
        "default_pool": PoolRow(-1, None),
        "warehouse": PoolRow(2, "two connections"),
    }
    store.write(lambda w: w.drop_pool("warehouse"))
    assert [*store.read(lambda r: r.pools())] == ["default_pool"]


# transactions


def test_an_exception_in_a_write_leaves_nothing_behind(store: Store) -> None:
    register(store)

    def fails(w: object) -> None:
        w.register_dag("new", version="n1", tasks={"t": "1"}, path=None, definition=None, at=NOW)  # type: ignore[attr-defined]
        w.set_runs("new", [run_row(day(1), version="n1")])  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write(fails)
    assert store.read(lambda r: r.dag("new")) is None
    # Keys learnt in the lost transaction are forgotten: the next DAG gets the same integer.
    register(store, "another")
    with pytest.raises(StoreError, match="'new'"):
        store.write(lambda w: w.set_runs("new", [run_row(day(1))]))


def test_reads_inside_a_write_see_what_it_wrote(store: Store) -> None:
    register(store)

    def work(w: object) -> object:
        w.set_runs(DAG, [run_row(day(1))])  # type: ignore[attr-defined]
        return w.run(DAG, day(1))  # type: ignore[attr-defined]

    assert store.write(work) == run_row(day(1))


def test_a_stream_ends_with_its_read(store: Store) -> None:
    register(store)
    store.write(lambda w: w.set_runs(DAG, [run_row(day(n)) for n in range(1, 5)]))
    escaped = store.read(lambda r: r.runs(DAG, 0, day(9)))
    with pytest.raises(RuntimeError, match="ended with the `read`"):
        next(escaped)
    half_read = store.read(lambda r: [stream := r.runs(DAG, 0, day(9)), next(stream)][0])
    store.write(lambda w: w.set_runs(DAG, [run_row(day(5))]))
    assert store.read(lambda r: r.count_runs(DAG, 0, day(9))) == {RunState.RUNNING: 5}
    with pytest.raises(Exception, match="closed"):
        next(half_read)


def test_a_write_inside_a_write_is_a_bug_and_says_so(store: Store) -> None:
    with pytest.raises(RuntimeError, match="write inside write"):
        store.write(lambda _: store.write(lambda w: w.set_pool("p", 1)))


def test_threads_take_turns_at_writing(store: Store) -> None:
    def add(number: int) -> None:
        for _ in range(20):
            store.write(
                lambda w: w.set_pool(f"pool-{number}", w.pools().get(f"pool-{number}", PoolRow(0, None)).slots + 1)
            )

    threads = [threading.Thread(target=add, args=(number % 2,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read(lambda r: r.pools()) == {"pool-0": PoolRow(40, None), "pool-1": PoolRow(40, None)}
