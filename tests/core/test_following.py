"""Which dates of a plan follow a dag_run that the plan leaves alone (semantics section 4, rule 3)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from builders import make_dag
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.following import LOOKED_AT, PastWatch, counts_as_past
from backfill_cli.core.graph import Dag
from backfill_cli.core.intervals import Span
from backfill_cli.core.planning import Policy, plan_rows
from backfill_cli.core.records import Action, PlanRow, RunRow, RunType
from backfill_cli.core.states import RunState

STATES = (RunState.SUCCESS, RunState.FAILED, RunState.QUEUED)
runs = st.dictionaries(
    st.integers(0, 40),
    st.tuples(st.sampled_from(STATES), st.sampled_from([RunType.BACKFILL, RunType.MANUAL])),
    max_size=30,
)


def run_row(date: int, state: RunState, run_type: RunType) -> RunRow:
    return RunRow(date, date + 1, run_type, state, "v1", "{}", None, None, None, "bf-1", None)


def walked(dag: Dag, stored: list[RunRow], dates: Iterable[int]) -> tuple[list[PlanRow], PastWatch]:
    """Walk the plan of some dates as `plan` does: the store knows of the bounds alone, and of the run before them."""
    wanted = sorted(dates)
    first, last = wanted[0], wanted[-1]
    before = [one for one in stored if one.logical_date < first and counts_as_past(dag, one)]
    watch = PastWatch(dag, before[-1] if before else None)
    inside = [one for one in stored if first <= one.logical_date <= last]
    rows = plan_rows([Span(one, one + 1) for one in wanted], watch.over(inside), Policy("v1"))
    return list(watch.over_rows(rows)), watch


@given(runs, st.sets(st.integers(0, 40), min_size=1), st.booleans())
def test_each_date_to_run_waits_for_another_of_the_plan_or_follows_what_the_plan_leaves_alone(
    known: dict[int, tuple[RunState, RunType]], dates: set[int], catchup: bool
) -> None:
    dag = make_dag(catchup=catchup)
    stored = [run_row(date, *known[date]) for date in sorted(known)]
    rows, watch = walked(dag, stored, dates)
    by_date = {one.logical_date: one for one in stored}
    expected: list[list[int]] = []
    to_run: list[int] = []
    for row in rows:
        if row.action is Action.SKIP:
            continue
        earlier = [
            one.logical_date for one in stored if one.logical_date < row.logical_date and counts_as_past(dag, one)
        ]
        previous = max([*earlier, *to_run], default=None)
        if previous is not None and previous not in to_run:
            expected.append([row.logical_date, previous, 0])
        elif previous is not None and expected:
            expected[-1][2] += 1
        to_run.append(row.logical_date)
    left_alone = [one for one in watch.followers if not one.is_resumed]
    assert [[one.row.logical_date, one.previous.logical_date, one.behind] for one in left_alone] == expected
    resumed = {
        row.logical_date
        for row in rows
        if row.action is Action.RESUME and counts_as_past(dag, by_date[row.logical_date])
    }
    pairs = [(before, date) for before, date in pairwise(to_run) if before in resumed]
    skipped = {
        before
        for before, date in pairs
        if any(before < one.logical_date < date and counts_as_past(dag, one) for one in stored)
    }
    going_on = [one for one in watch.followers if one.is_resumed]
    assert [(one.previous.logical_date, one.row.logical_date) for one in going_on] == [
        pair for pair in pairs if pair[0] not in skipped
    ]


def test_a_date_that_was_begun_makes_what_waits_behind_it_uncertain() -> None:
    """The task that waits may be done there."""
    stored = [run_row(3, RunState.FAILED, RunType.BACKFILL), run_row(6, RunState.QUEUED, RunType.BACKFILL)]
    _, watch = walked(make_dag(), stored, range(3, 9))
    first, second = watch.followers
    assert (first.row.logical_date, first.behind, first.is_sure, first.is_resumed) == (4, 4, False, False)
    assert (second.row.logical_date, second.behind, second.is_sure, second.is_resumed) == (7, 1, True, True)


def test_of_very_many_only_the_first_are_kept() -> None:
    dates = range(0, 1_000)
    stored = [run_row(date, RunState.SUCCESS, RunType.BACKFILL) for date in dates if date % 2 == 0]
    _, watch = walked(make_dag(), stored, dates)
    assert len(watch.followers) == LOOKED_AT
