"""Planning: the action for every date and its reason (contract section 4), summaries, estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from builders import DAY, day, make_dag, make_plan_row, make_run, make_task
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.intervals import Span
from backfill_cli.core.planning import Policy, decide_action, estimate, in_the_way, plan_rows, summarise
from backfill_cli.core.rates import parse_rate
from backfill_cli.core.records import Action, DurationRow, RunRow
from backfill_cli.core.results import ActionGroup
from backfill_cli.core.states import RunState

NOW = Policy("v1", is_live=lambda owner: owner == "alive")


def policy(*reprocess: str, version: str = "v1", reset: bool = False, only_failed: bool = False) -> Policy:
    return Policy(version, frozenset(reprocess), reset, only_failed, lambda owner: owner == "alive")


SUCCEEDED = make_run()
OLDER = make_run(version="v0aaaaaaaaa")
FAILED = make_run(state=RunState.FAILED, reason="a: boom")
KILLED = make_run(state=RunState.RUNNING, owner="dead")
STOPPED = make_run(state=RunState.QUEUED, reason="interrupted")
CLEARED = make_run(state=RunState.QUEUED, reason="cleared")
BLOCKED = make_run(state=RunState.QUEUED, reason="a waits for 2024-01-01: a is failed there")
OWNED = make_run(state=RunState.RUNNING, owner="alive")


@pytest.mark.parametrize(
    ("run", "action", "reason"),
    [
        (None, Action.CREATE, "no run yet"),
        (SUCCEEDED, Action.SKIP, "succeeded, same version"),
        (OLDER, Action.SKIP, "succeeded, version v0aaaaa"),
        (FAILED, Action.SKIP, "failed"),
        (KILLED, Action.RESUME, "interrupted"),
        (STOPPED, Action.RESUME, "interrupted"),
        (CLEARED, Action.RESUME, "cleared"),
        (BLOCKED, Action.RESUME, "blocked"),
        (OWNED, Action.SKIP, "being run by another process"),
    ],
)
def test_run_creates_and_resumes_and_leaves_successes_and_failures_alone(
    run: RunRow | None, action: Action, reason: str
) -> None:
    """Contract section 4, actions; the default of --reprocess is none."""
    assert decide_action(run, NOW) == (action, reason)


@pytest.mark.parametrize(
    ("reprocess", "rerun"),
    [
        ((), ""),
        (("failed",), "failed"),
        (("success",), "success stale"),
        (("stale",), "stale"),
        (("failed", "stale"), "failed stale"),
        (("completed",), "failed success stale"),
        (("all",), "failed success stale"),
    ],
)
def test_reprocess_widens_what_is_run_again(reprocess: tuple[str, ...], rerun: str) -> None:
    """Contract section 4: comma-combinable; completed = failed,success; stale = succeeded under another version."""
    runs = {"failed": FAILED, "success": SUCCEEDED, "stale": OLDER}
    actions = {name: decide_action(run, policy(*reprocess)) for name, run in runs.items()}
    assert {name for name, found in actions.items() if found and found[0] is Action.RERUN} == set(rerun.split())
    assert all(found and found[0] in (Action.RERUN, Action.SKIP) for found in actions.values())


def test_reset_clears_everything_but_what_somebody_is_running() -> None:
    """Contract section 4, reset: clear all, then run."""
    reset = policy(reset=True)
    assert decide_action(SUCCEEDED, reset) == (Action.RESET, "success, cleared first")
    assert decide_action(FAILED, reset) == (Action.RESET, "failed, cleared first")
    assert decide_action(BLOCKED, reset) == (Action.RESET, "blocked, cleared first")
    assert decide_action(None, reset) == (Action.CREATE, "no run yet")
    assert decide_action(OWNED, reset) == (Action.SKIP, "being run by another process")


def test_rerun_failed_takes_failed_and_blocked_dates_and_never_missing_ones() -> None:
    """Contract section 5, rerun-failed."""
    repair = policy(only_failed=True)
    assert decide_action(FAILED, repair) == (Action.RERUN, "failed")
    assert decide_action(BLOCKED, repair) == (Action.RESUME, "blocked")
    assert decide_action(OWNED, repair) == (Action.SKIP, "being run by another process")
    assert [decide_action(run, repair) for run in (None, SUCCEEDED, OLDER, STOPPED, CLEARED, KILLED)] == [None] * 6


def test_what_is_unfinished_before_a_failed_or_blocked_date_is_in_its_way() -> None:
    """Section 4, rule 5: cleared waits again. A success in between ends the waiting; a gap does not (rule 3)."""

    def found(*runs: RunRow) -> list[int]:
        return sorted(in_the_way(run._replace(logical_date=place) for place, run in enumerate(runs, 1)))

    assert found(CLEARED, STOPPED, BLOCKED, SUCCEEDED, CLEARED, FAILED, CLEARED) == [1, 2, 5]
    assert found(CLEARED, SUCCEEDED, FAILED, BLOCKED) == []
    assert found() == []
    takes = replace(policy(only_failed=True), in_the_way=frozenset({CLEARED.logical_date}))
    assert decide_action(CLEARED, takes) == (Action.RESUME, "cleared")
    assert decide_action(SUCCEEDED, takes) is None


def spans(*days: int) -> list[Span]:
    return [Span(day(n), day(n) + DAY) for n in days]


def test_a_plan_merges_intervals_with_history() -> None:
    history = [make_run(day(1)), make_run(day(3), state=RunState.FAILED), make_run(day(9))]
    rows = list(plan_rows(spans(1, 2, 3), history, NOW))
    assert [(row.logical_date, row.action, row.state) for row in rows] == [
        (day(1), Action.SKIP, RunState.SUCCESS),
        (day(2), Action.CREATE, None),
        (day(3), Action.SKIP, RunState.FAILED),
    ]


def test_dag_runs_on_no_interval_are_passed_by() -> None:
    rows = list(plan_rows(spans(2), [make_run(day(1)), make_run(day(2) + 1)], NOW))
    assert [(row.logical_date, row.action) for row in rows] == [(day(2), Action.CREATE)]


def test_an_existing_run_keeps_the_interval_it_had() -> None:
    """The schedule may have changed since; what was run is what the history says."""
    (row,) = plan_rows(spans(1), [make_run(day(1), data_interval_end=day(1) + 3600)], NOW)
    assert row.data_interval_end == day(1) + 3600


def test_an_empty_selection_is_an_empty_plan() -> None:
    assert list(plan_rows([], [make_run()], NOW)) == []
    assert summarise([]).to_run == 0


@given(st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)), st.booleans())
def test_every_selected_date_has_one_row_whatever_is_stored(
    selected: set[int], stored: set[int], backwards: bool
) -> None:
    history = [make_run(day(n)) for n in sorted(stored, reverse=backwards)]
    rows = list(plan_rows(spans(*sorted(selected, reverse=backwards)), history, NOW, backwards=backwards))
    assert [row.logical_date for row in rows] == [day(n) for n in sorted(selected, reverse=backwards)]
    assert {row.logical_date for row in rows if row.action is Action.SKIP} == {day(n) for n in selected & stored}


def test_a_plan_is_walked_and_not_held() -> None:
    """Performance: plans of a million dates stream; the first row needs the first interval alone."""
    asked: list[int] = []

    def endless() -> object:
        n = 0
        while True:
            n += 1
            asked.append(n)
            yield Span(day(n), day(n + 1))

    rows = plan_rows(endless(), iter([]), NOW)  # type: ignore[arg-type]
    assert [next(rows).logical_date for _ in range(3)] == [day(1), day(2), day(3)]
    assert len(asked) == 3


def test_a_summary_counts_groups_and_shows_both_ends() -> None:
    rows = [make_plan_row(day(n)) for n in range(1, 11)]
    rows.append(make_plan_row(day(11), action=Action.SKIP, reason="failed"))
    found = summarise(iter(rows))
    assert found.counts == {
        Action.CREATE: 10,
        Action.RESUME: 0,
        Action.RERUN: 0,
        Action.RESET: 0,
        Action.SKIP: 1,
    }
    assert (found.to_run, found.first, found.last) == (10, day(1), day(11))
    assert [row.logical_date for row in found.head] == [day(1), day(2), day(3)]
    assert [row.logical_date for row in found.tail] == [day(8), day(9), day(10)]
    assert found.groups == [
        ActionGroup(Action.CREATE, "no run yet", 10, tuple(day(n) for n in range(1, 11)), day(10)),
        ActionGroup(Action.SKIP, "failed", 1, (day(11),), day(11)),
    ]


@pytest.mark.parametrize(("number", "head", "tail"), [(1, 1, 0), (3, 3, 0), (4, 3, 1), (6, 3, 3), (100, 3, 3)])
def test_no_row_is_shown_twice(number: int, head: int, tail: int) -> None:
    found = summarise(make_plan_row(day(n)) for n in range(1, number + 1))
    assert (len(found.head), len(found.tail)) == (head, tail)
    assert not set(found.head) & set(found.tail)


def duration(task_id: str, mean_s: float, high_s: float | None = None) -> DurationRow:
    return DurationRow(task_id, 10, mean_s, mean_s / 2, mean_s if high_s is None else high_s)


CHAIN = make_dag(make_task("a"), make_task("b", after="a"), make_task("side"))


@pytest.mark.parametrize(("runs", "parallel", "low"), [(1, 1, 5), (10, 1, 50), (10, 4, 15), (10, 99, 5)])
def test_an_estimate_is_the_critical_path_in_so_many_lanes(runs: int, parallel: int, low: float) -> None:
    found = estimate(
        CHAIN, runs, parallel=parallel, durations=[duration("a", 2), duration("b", 3), duration("side", 4)]
    )
    assert (found.task_instances, found.low_s, found.high_s) == (runs * 3, low, low)


def test_the_high_end_goes_half_way_to_the_slowest_and_unseen_tasks_count_as_the_mean() -> None:
    found = estimate(CHAIN, 1, parallel=1, durations=[duration("a", 2, 6)])
    assert (found.low_s, found.high_s) == (4, 6)


@pytest.mark.parametrize("known", [[], [duration("gone", 5)]])
def test_without_history_nothing_is_estimated_but_counts(known: Sequence[DurationRow]) -> None:
    found = estimate(CHAIN, 7, parallel=2, durations=known)
    assert (found.task_instances, found.low_s, found.high_s) == (21, None, None)


def test_a_pool_that_needs_longer_than_the_lanes_decides_the_estimate() -> None:
    """Ten dates of 2 s in ten lanes take 2 s; through two slots of a pool they take ten."""
    dag = make_dag(make_task("a", pool="warehouse"))
    known = [duration("a", 2, 2)]
    assert estimate(dag, 10, parallel=10, durations=known, pools={"warehouse": 2}).low_s == 10
    assert estimate(dag, 10, parallel=10, durations=known, pools={"warehouse": -1}).low_s == 2
    assert estimate(dag, 10, parallel=10, durations=known).low_s == 2


def test_a_rate_that_leaves_less_than_the_lanes_decides_the_estimate() -> None:
    """Ten dates with two starts each of a pool that starts one a second take 20 s, and the 2 % of a rate's price."""
    known = [duration("a", 2, 2), duration("b", 2, 2)]
    pooled = make_dag(make_task("a", pool="api"), make_task("b", pool="api"))
    found = estimate(pooled, 10, parallel=10, durations=known, rates={"api": parse_rate("60/min")})
    assert (found.low_s, found.high_s) == (20.4, 20.4)
    own = make_dag(make_task("a", rate_limit=parse_rate("1/s")), make_task("b"))
    assert estimate(own, 10, parallel=10, durations=known).low_s == 10.2
