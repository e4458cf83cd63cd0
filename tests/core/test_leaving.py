"""Which dates may be taken out of a backfill, and what is said of it: pure decisions, all or nothing."""

from __future__ import annotations

import pytest
from builders import day
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.leaving import (
    DateStands,
    answer,
    dates_asked,
    dates_text,
    decide,
    has_place,
    is_left_out,
    leave_out,
    named,
    skipped_reason,
)
from backfill_cli.core.records import Action, BackfillDateRow, PlanRow
from backfill_cli.core.states import RunState
from backfill_cli.core.zones import clock_of

SHOW = clock_of("UTC").show


def row(number: int = 1, action: Action = Action.CREATE, **changes: object) -> BackfillDateRow:
    values = {"outcome": None, "reason": "no run yet", "run_state": None, "run_started_at": None}
    values |= {"run_ended_at": None, "run_reason": None, **changes}
    return BackfillDateRow(day(number), day(number + 1), action, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stands", "why"),
    [
        (DateStands(row()), None),
        (DateStands(row(run_state=RunState.QUEUED), is_open=True, is_unrun=True), None),
        (DateStands(row(run_state=RunState.FAILED)), None),
        (DateStands(row(run_state=RunState.QUEUED), is_open=True), "has begun"),
        (DateStands(row(outcome=RunState.SUCCESS)), "has succeeded"),
        (DateStands(row(outcome=RunState.FAILED)), "has failed"),
        (DateStands(row(run_state=RunState.QUEUED), is_unrun=True, has_passed=True), "is blocked, or has just ended"),
    ],
)
def test_a_date_is_left_out_as_long_as_nothing_has_begun_in_it(stands: DateStands, why: str | None) -> None:
    decision = decide([stands], SHOW)
    assert decision.dates == (() if why else (day(1),))
    assert decision.refused == (f"2024-01-01 {why}: nothing was left out" if why else "")


def test_a_refusal_names_all_that_stand_against_it_by_cause() -> None:
    done = [DateStands(row(number, outcome=RunState.SUCCESS)) for number in (1, 2)]
    decision = decide([*done, DateStands(row(3)), DateStands(row(4), is_open=True)], SHOW)
    assert decision.leave == ()
    assert decision.refused == ("2024-01-01 and 2024-01-02 have succeeded, 2024-01-04 has begun: nothing was left out")


def test_an_answer_says_what_is_out_what_was_and_what_keeps_an_unfinished_dag_run() -> None:
    skipped = row(1, Action.SKIP, reason="succeeded, same version")
    stands = [
        DateStands(skipped),
        DateStands(row(2, run_state=RunState.QUEUED)),
        DateStands(row(3, run_state=RunState.FAILED)),
        DateStands(row(4, run_state=RunState.SUCCESS)),
        DateStands(row(5, run_state=RunState.QUEUED), is_unrun=True),
    ]
    assert answer(decide(stands, SHOW), SHOW, remaining=1) == (
        "2024-01-02, 2024-01-03, 2024-01-04 and 2024-01-05 are left out; 2024-01-01 is left alone already; "
        "2024-01-03 stays failed in the store; 2024-01-02 stays unfinished in the store; 1 date remains"
    )
    only = decide(stands[:1], SHOW)
    assert answer(only, SHOW, remaining=9) == "2024-01-01 is left alone already (succeeded, same version)"


def test_many_dates_are_named_by_their_first() -> None:
    dates = [day(number) for number in range(1, 2_002)]
    assert named(dates, SHOW) == "2024-01-01, 2024-01-02, 2024-01-03 and 1,998 more"


@given(st.lists(st.integers(-62_000_000_000, 253_000_000_000)))
def test_dates_come_back_from_a_request_as_they_went_in(dates: list[int]) -> None:
    assert dates_asked({"dates": dates_text(dates)}) == (sorted(set(dates)) or None)


@pytest.mark.parametrize("args", [{}, {"dates": None}, {"dates": []}, {"dates": [1]}, {"dates": ["yesterday"]}])
def test_a_request_that_names_no_dates_is_none(args: dict[str, object]) -> None:
    assert dates_asked(args) is None


def test_a_plan_loses_what_was_taken_out_of_it_and_keeps_why_the_others_are_left_alone() -> None:
    rows = [PlanRow(day(n), day(n + 1), action, None, "r") for n, action in ((1, Action.CREATE), (2, Action.SKIP))]
    rows.append(PlanRow(day(3), day(4), Action.RERUN, RunState.FAILED, "failed"))
    reason = skipped_reason("ana: no data")
    left = list(leave_out(rows, dict.fromkeys((day(1), day(2)), reason)))
    assert [one.action for one in left] == [Action.SKIP, Action.SKIP, Action.RERUN]
    assert [one.reason for one in left] == [reason, "r", "failed"]
    assert is_left_out(reason)
    assert not is_left_out("being run by bf-1")
    assert not is_left_out(None)


def test_what_was_taken_out_keeps_its_place_among_the_waves_and_what_was_never_to_be_done_has_none() -> None:
    assert has_place(row(1)) and has_place(row(1, Action.SKIP, reason=skipped_reason("ana")))
    assert not has_place(row(1, Action.SKIP, reason="succeeded, same version"))
