"""Semantics sections 4 to 6 said a second time, slowly and without the machine: what every random run is compared with.

`table` is the trigger-rule table read aloud with quantifiers, where the core counts. `final_states` finds the end of a
whole backfill as a fixpoint over sets of states; it knows no order of events, no slots, no time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from backfill_cli.core.graph import Dag, Task, TriggerRule
from backfill_cli.core.states import Outcome, RunState, TaskState

SUCCESS, FAILED, SKIPPED = TaskState.SUCCESS, TaskState.FAILED, TaskState.SKIPPED
UPSTREAM_FAILED, UNFINISHED = TaskState.UPSTREAM_FAILED, TaskState.RUNNING
ENDED = {SUCCESS, FAILED, SKIPPED, UPSTREAM_FAILED}
BAD = {FAILED, UPSTREAM_FAILED}


def table(rule: TriggerRule, ups: Sequence[TaskState]) -> str:
    """Return `run`, `wait`, `skip` or `upstream_failed`: the row of section 5, as it is written there."""
    if not ups:
        return "run"
    done = all(up in ENDED for up in ups)
    any_bad = any(up in BAD for up in ups)
    any_success, any_skipped = SUCCESS in ups, SKIPPED in ups

    def if_done(verdict: str) -> str:
        return verdict if done else "wait"

    match rule:
        case TriggerRule.ALL_SUCCESS:
            # A skip alone does not decide early: a failure that is still to come wins, always (section 8).
            return "upstream_failed" if any_bad else if_done("skip" if any_skipped else "run")
        case TriggerRule.ALL_FAILED:
            return "skip" if any_success or any_skipped else if_done("run")
        case TriggerRule.ALL_DONE:
            return if_done("run")
        case TriggerRule.ALL_DONE_MIN_ONE_SUCCESS:
            return "skip" if any_skipped else if_done("run" if any_success else "upstream_failed")
        case TriggerRule.ALL_SKIPPED:
            return "skip" if any_success or any_bad else if_done("run")
        case TriggerRule.ONE_SUCCESS:
            all_skipped = all(up is SKIPPED for up in ups)
            return "run" if any_success else if_done("skip" if all_skipped else "upstream_failed")
        case TriggerRule.ONE_FAILED:
            return "run" if any_bad else if_done("skip")
        case TriggerRule.ONE_DONE:
            return "run" if any_success or FAILED in ups else if_done("skip")
        case TriggerRule.NONE_FAILED:
            return "upstream_failed" if any_bad else if_done("run")
        case TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS:
            return "upstream_failed" if any_bad else if_done("run" if any_success else "skip")
        case TriggerRule.NONE_SKIPPED:
            return "skip" if any_skipped else if_done("run")
        case TriggerRule.ALWAYS:
            return "run"


Script = Callable[[int, str], Sequence[Outcome]]
"""(logical date, task) → how its tries end, one after the other; after the last one it succeeds."""


def end_of(outcomes: Sequence[Outcome], retries: int) -> tuple[TaskState, int]:
    """Return how a task that runs ends, and after how many tries; losses and deferrals use no retry."""
    failures, losses_in_a_row = 0, 0
    for tries, outcome in enumerate(outcomes, start=1):
        if outcome is Outcome.LOST:
            losses_in_a_row += 1
            if losses_in_a_row == 3:
                return FAILED, tries
            continue
        losses_in_a_row = 0
        if outcome is Outcome.SUCCESS:
            return SUCCESS, tries
        if outcome is Outcome.SKIPPED:
            return SKIPPED, tries
        if outcome is Outcome.FAILED:
            return FAILED, tries
        if outcome is Outcome.RETRY:
            failures += 1
            if failures > retries:
                return FAILED, tries
    return SUCCESS, len(outcomes) + 1


def final_states(dag: Dag, dates: Sequence[int], script: Script) -> dict[int, dict[str, TaskState]]:
    """Return every task instance's last state, `scheduled` for what never becomes possible; dates ascend."""
    states = {date: dict.fromkeys(dag.tasks, TaskState.SCHEDULED) for date in dates}
    moved = True
    while moved:
        moved = False
        for place, date in enumerate(dates):
            for task in dag.tasks.values():
                if states[date][task.task_id] is not TaskState.SCHEDULED:
                    continue
                before = states[dates[place - 1]] if place else None
                ended = _step(dag, task, states[date], before, script(date, task.task_id))
                if ended is not None:
                    states[date][task.task_id] = ended
                    moved = True
    return states


def _step(
    dag: Dag,
    task: Task,
    now: Mapping[str, TaskState],
    before: Mapping[str, TaskState] | None,
    outcomes: Sequence[Outcome],
) -> TaskState | None:
    verdict = table(task.trigger_rule, [now[up] for up in sorted(task.upstream)])
    if verdict == "skip":
        return SKIPPED
    if verdict == "upstream_failed":
        return UPSTREAM_FAILED
    if verdict == "wait" or not _past_is_met(dag, task, before):
        return None
    return end_of(outcomes, task.retry.retries)[0]


def _past_is_met(dag: Dag, task: Task, before: Mapping[str, TaskState] | None) -> bool:
    if before is None or not (task.depends_on_past or task.wait_for_downstream):
        return True
    own = before[task.task_id] in (SUCCESS, SKIPPED)
    behind = [other.task_id for other in dag.tasks.values() if task.task_id in other.upstream]
    return own and (not task.wait_for_downstream or all(before[one] in (SUCCESS, SKIPPED) for one in behind))


def run_state(dag: Dag, states: Mapping[str, TaskState]) -> RunState:
    """Return how a date ends: section 6, "dag_run result"; `queued` when something never became possible: blocked."""
    if any(state not in ENDED for state in states.values()):
        return RunState.QUEUED
    followed = {up for task in dag.tasks.values() for up in task.upstream}
    leaves = [states[task_id] for task_id in dag.tasks if task_id not in followed]
    return RunState.FAILED if any(leaf in BAD for leaf in leaves) else RunState.SUCCESS
