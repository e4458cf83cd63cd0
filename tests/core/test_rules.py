"""Semantics sections 4 and 5: trigger rules against the whole table, the past rule by rule, what a branch cuts off."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import pytest
from builders import FIRST, day, make_dag, make_task
from oracle import FAILED, SKIPPED, SUCCESS, UNFINISHED, UPSTREAM_FAILED, table

from backfill_cli.core.graph import TriggerRule
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.rules import MET, RULES, Past, PastRun, Upstream, Verdict, cut_off, decide, past_of
from backfill_cli.core.states import Outcome, TaskState

EVERY = (SUCCESS, FAILED, UPSTREAM_FAILED, SKIPPED, UNFINISHED)


def counted(ups: tuple[TaskState, ...]) -> Upstream:
    found = Counter(ups)
    return Upstream(len(ups), found[SUCCESS], found[FAILED], found[UPSTREAM_FAILED], found[SKIPPED])


@pytest.mark.parametrize("rule", TriggerRule)
def test_every_rule_agrees_with_the_table_for_every_combination_of_upstreams(rule: TriggerRule) -> None:
    """Section 5, all twelve rules: 0 to 3 upstreams, each in any of five states."""
    for number in range(4):
        for ups in product(EVERY, repeat=number):
            assert decide(rule, counted(ups)).value == table(rule, ups), (rule, ups)


def test_the_table_holds_twelve_rules() -> None:
    assert len(TriggerRule) == 12
    assert set(RULES) == set(TriggerRule)


@pytest.mark.parametrize("rule", TriggerRule)
def test_a_rule_that_has_decided_does_not_change_its_mind(rule: TriggerRule) -> None:
    """Section 5, "E": what is decided before all upstreams are done stays right whatever they come to."""
    for ups in product(EVERY, repeat=3):
        early = decide(rule, counted(ups))
        if early is Verdict.WAIT or UNFINISHED not in ups:
            continue
        for later in product(EVERY[:4], repeat=3):
            ended = tuple(new if old is UNFINISHED else old for old, new in zip(ups, later, strict=True))
            assert decide(rule, counted(ended)) is early, (rule, ups, ended)


@pytest.mark.parametrize(
    ("rule", "ups", "verdict"),
    [
        ("all_success", (SUCCESS, SUCCESS), "run"),
        ("all_success", (FAILED, SKIPPED), "upstream_failed"),
        ("all_success", (SKIPPED, UNFINISHED), "wait"),
        ("all_failed", (FAILED, UPSTREAM_FAILED), "run"),
        ("all_done", (SUCCESS, UNFINISHED), "wait"),
        ("all_done_min_one_success", (FAILED, FAILED), "upstream_failed"),
        ("all_skipped", (SKIPPED, SKIPPED), "run"),
        ("one_success", (SUCCESS, UNFINISHED), "run"),
        ("one_success", (SKIPPED, FAILED), "upstream_failed"),
        ("one_failed", (UPSTREAM_FAILED, UNFINISHED), "run"),
        ("one_done", (UPSTREAM_FAILED, SKIPPED), "skip"),
        ("one_done", (FAILED, UNFINISHED), "run"),
        ("none_failed", (SKIPPED, SKIPPED), "run"),
        ("none_failed_min_one_success", (SKIPPED, SKIPPED), "skip"),
        ("none_skipped", (FAILED, SUCCESS), "run"),
        ("always", (UNFINISHED, FAILED), "run"),
    ],
)
def test_rows_of_the_table_spelled_out(rule: str, ups: tuple[TaskState, ...], verdict: str) -> None:
    """Section 5, a row or two a rule, by hand: an error common to code and oracle would show here."""
    assert decide(TriggerRule(rule), counted(ups)).value == verdict


# section 4: the past

X = make_task("x", depends_on_past=True)


def past(states: dict[str, TaskState], **changes: Any) -> PastRun:
    return PastRun(day(1), states, **changes)


def test_the_first_run_may_ignore_the_past() -> None:
    """Section 4, rule 1."""
    assert past_of(X, (), past({"x": FAILED}), ignore=True) is MET


def test_a_task_that_does_not_depend_on_the_past_is_not_held_by_it() -> None:
    """Section 4, rule 2."""
    assert past_of(make_task("x"), (), past({"x": FAILED})).met


def test_without_a_previous_run_the_past_is_met() -> None:
    """Section 4, rule 3."""
    assert past_of(X, (), None).met


@pytest.mark.parametrize(("ever_ran", "met"), [(frozenset(), True), (frozenset({"x"}), False)])
def test_a_task_absent_from_the_previous_run_is_met_only_if_it_never_ran_before(
    ever_ran: frozenset[str], met: bool
) -> None:
    """Section 4, rule 4."""
    found = past_of(X, (), past({"other": SUCCESS}, ever_ran=ever_ran))
    assert found.met is met
    assert met or (found.state, found.waits) == ("absent", False)


def test_an_absent_task_of_a_previous_run_that_is_not_finished_is_still_to_run() -> None:
    assert past_of(X, (), past({}, is_finished=False)) == Past(False, False, day(1), "x", "scheduled")


@pytest.mark.parametrize("state", TaskState)
def test_the_task_in_the_previous_run_must_be_success_or_skipped(state: TaskState) -> None:
    """Section 4, rule 5: skipped counts as done, upstream_failed does not."""
    assert past_of(X, (), past({"x": state})).met is (state in (SUCCESS, SKIPPED))


def test_what_this_backfill_still_works_on_is_waited_for_and_all_else_blocks() -> None:
    waits = past_of(X, (), past({"x": TaskState.RUNNING}, is_open=True, is_finished=False))
    assert (waits.met, waits.waits) == (False, True)
    assert past_of(X, (), past({"x": FAILED})) == Past(False, False, FIRST, "x", "failed")


@pytest.mark.parametrize("state", TaskState)
def test_wait_for_downstream_looks_at_each_immediate_downstream(state: TaskState) -> None:
    """Section 4, rule 6."""
    a = make_task("a", wait_for_downstream=True)
    found = past_of(a, ("b", "c"), past({"a": SUCCESS, "b": SKIPPED, "c": state}))
    assert found.met is (state in (SUCCESS, SKIPPED))
    assert found.met or found.task_id == "c"


def test_wait_for_downstream_sets_depends_on_past() -> None:
    """Section 4, rule 6: its own state counts although depends_on_past was not asked for."""
    a = make_task("a", wait_for_downstream=True)
    assert not past_of(a, ("b",), past({"a": FAILED, "b": SUCCESS})).met


def test_wait_for_downstream_does_not_look_behind_the_immediate_downstreams() -> None:
    """Section 4, rule 6: in a >> b >> c a failed c does not hold a."""
    dag = make_dag(make_task("a", wait_for_downstream=True), make_task("b", after="a"), make_task("c", after="b"))
    states = {"a": SUCCESS, "b": SUCCESS, "c": FAILED}
    assert past_of(dag.tasks["a"], dag.downstream["a"], past(states)).met


# branches


def decided(task_id: str, **changes: Any) -> AttemptReport:
    return AttemptReport(FIRST, task_id, 1, Outcome.SUCCESS, 0, 0, **changes)


BRANCHED = make_dag(
    make_task("pick"),
    make_task("left", after="pick"),
    make_task("right", after="pick"),
    make_task("join", after="pick left right"),
)


def test_a_branch_keeps_what_it_chose_and_what_follows_that() -> None:
    assert cut_off(BRANCHED, decided("pick", follow=("left",))) == ["right"]


def test_a_branch_that_chose_nothing_cuts_off_all_that_is_directly_behind() -> None:
    assert cut_off(BRANCHED, decided("pick", follow=())) == ["left", "right", "join"]


def test_a_short_circuit_cuts_off_everything_behind_or_the_next_tasks_alone() -> None:
    dag = make_dag(make_task("a"), make_task("b", after="a"), make_task("c", after="b"))
    assert cut_off(dag, decided("a", skip_behind="all")) == ["b", "c"]
    assert cut_off(dag, decided("a", skip_behind="direct")) == ["b"]
    assert cut_off(dag, decided("a")) == []
