"""May this task run now? Trigger rules and the past, each a table or a list of small predicates.

Owns semantics sections 4 and 5, and what a branch cuts off. A trigger rule sees counts of how the upstreams ended and
answers with a `Verdict`; the past rules see the previous dag_run and answer with met, wait, or blocked and why. Nothing
here knows a run's machinery: `core/machine.py` asks, and acts on the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.core.graph import Dag, Task, TriggerRule
from backfill_cli.core.states import TaskState

if TYPE_CHECKING:
    from backfill_cli.core.invocations import AttemptReport


class Verdict(Enum):
    """What a rule says of a task that has not run yet."""

    RUN = "run"
    WAIT = "wait"
    SKIP = "skip"
    UPSTREAM_FAILED = "upstream_failed"


class Upstream(NamedTuple):
    """How many upstreams a task has, and how those that ended did."""

    total: int
    success: int = 0
    failed: int = 0
    upstream_failed: int = 0
    skipped: int = 0

    @property
    def done(self) -> int:
        return self.success + self.failed + self.upstream_failed + self.skipped

    @property
    def all_done(self) -> bool:
        return self.done == self.total

    @property
    def bad(self) -> int:
        return self.failed + self.upstream_failed


Rule = Callable[[Upstream], Verdict]


def _when_done(up: Upstream, verdict: Verdict) -> Verdict:
    return verdict if up.all_done else Verdict.WAIT


def _all_success(up: Upstream) -> Verdict:
    if up.bad:
        return Verdict.UPSTREAM_FAILED
    # A skip decides only when all are done: a failure still to come must win, whichever ended first (section 8).
    return _when_done(up, Verdict.SKIP if up.skipped else Verdict.RUN)


def _all_failed(up: Upstream) -> Verdict:
    return Verdict.SKIP if up.success or up.skipped else _when_done(up, Verdict.RUN)


def _all_done_min_one_success(up: Upstream) -> Verdict:
    if up.skipped:
        return Verdict.SKIP
    return _when_done(up, Verdict.RUN if up.success else Verdict.UPSTREAM_FAILED)


def _all_skipped(up: Upstream) -> Verdict:
    return Verdict.SKIP if up.done > up.skipped else _when_done(up, Verdict.RUN)


def _one_success(up: Upstream) -> Verdict:
    if up.success:
        return Verdict.RUN
    return _when_done(up, Verdict.SKIP if up.skipped == up.total else Verdict.UPSTREAM_FAILED)


def _one_failed(up: Upstream) -> Verdict:
    return Verdict.RUN if up.bad else _when_done(up, Verdict.SKIP)


def _one_done(up: Upstream) -> Verdict:
    return Verdict.RUN if up.success or up.failed else _when_done(up, Verdict.SKIP)


def _none_failed(up: Upstream) -> Verdict:
    return Verdict.UPSTREAM_FAILED if up.bad else _when_done(up, Verdict.RUN)


def _none_failed_min_one_success(up: Upstream) -> Verdict:
    if up.bad:
        return Verdict.UPSTREAM_FAILED
    return _when_done(up, Verdict.RUN if up.success else Verdict.SKIP)


def _none_skipped(up: Upstream) -> Verdict:
    return Verdict.SKIP if up.skipped else _when_done(up, Verdict.RUN)


RULES: Mapping[TriggerRule, Rule] = {
    TriggerRule.ALL_SUCCESS: _all_success,
    TriggerRule.ALL_FAILED: _all_failed,
    TriggerRule.ALL_DONE: lambda up: _when_done(up, Verdict.RUN),
    TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: _all_done_min_one_success,
    TriggerRule.ALL_SKIPPED: _all_skipped,
    TriggerRule.ONE_SUCCESS: _one_success,
    TriggerRule.ONE_FAILED: _one_failed,
    TriggerRule.ONE_DONE: _one_done,
    TriggerRule.NONE_FAILED: _none_failed,
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: _none_failed_min_one_success,
    TriggerRule.NONE_SKIPPED: _none_skipped,
    TriggerRule.ALWAYS: lambda _up: Verdict.RUN,
}


def decide(rule: TriggerRule, up: Upstream) -> Verdict:
    """Return what the rule says; a task without upstreams may always run."""
    return Verdict.RUN if up.total == 0 else RULES[rule](up)


def cut_off(dag: Dag, report: AttemptReport) -> list[str]:
    """Return the tasks to skip because of what a branch or a short circuit decided, in DAG order; most often none.

    A task directly behind a branch is kept when the branch chose it, or chose a task it follows.
    """
    behind = dag.downstream[report.task_id]
    if report.follow is not None:
        whole = dag.whole or dag  # a branch may choose what was left out of this part, and what is kept lies behind it
        kept = set(report.follow).union(*(whole.descendants(task_id) for task_id in report.follow))
        return [task_id for task_id in behind if task_id not in kept]
    if report.skip_behind == "all":
        return sorted(dag.descendants(report.task_id), key=dag.position.__getitem__)
    return list(behind) if report.skip_behind else []


class PastRun(NamedTuple):
    """The previous dag_run of a DAG, as the past rules see it.

    Args:
        states: The states of its task instances, by task id; a task that has no instance is absent.
        is_open: This backfill is still working on it: what is not done may yet be done.
        is_finished: The dag_run is terminal, so a task absent from `states` was not in the DAG then.
        ever_ran: Of the tasks absent from `states`, those with an instance in a run before.
    """

    logical_date: int
    states: Mapping[str, TaskState]
    is_open: bool = False
    is_finished: bool = True
    ever_ran: Collection[str] = frozenset()


class Past(NamedTuple):
    """What the past says: met; or not met, and then whether waiting helps, on which task of which date, and why."""

    met: bool
    waits: bool = False
    logical_date: int = 0
    task_id: str = ""
    state: str = ""


MET = Past(True)
ABSENT = "absent"
"""In place of a state: a finished dag_run has no instance of the task, which ran before it (rule 4)."""


def watched_by(task: Task, behind: Collection[str]) -> tuple[str, ...]:
    """Return the tasks of the previous dag_run that this one waits for: itself, and perhaps those directly `behind`."""
    if task.wait_for_downstream:
        return (task.task_id, *behind)
    return (task.task_id,) if task.depends_on_past else ()


_DONE = frozenset({TaskState.SUCCESS, TaskState.SKIPPED})


def past_of(task: Task, behind: Collection[str], previous: PastRun | None, *, ignore: bool = False) -> Past:
    """Return whether `depends_on_past` and `wait_for_downstream` allow the task (semantics section 4).

    Args:
        task: The task in the run at hand.
        behind: Its immediate downstream task ids.
        previous: The latest earlier run by logical date, or None.
        ignore: The backfill's first run, with `--ignore-first-depends-on-past`.
    """
    if ignore or previous is None:
        return MET
    for task_id in watched_by(task, behind):
        past = past_at(task_id, previous)
        if not past.met:
            return past
    return MET


def past_at(task_id: str, previous: PastRun) -> Past:
    """Return what one watched task of the previous dag_run says: rules 4 and 5 of semantics section 4."""
    state = previous.states.get(task_id)
    if state in _DONE:
        return MET
    if state is None and previous.is_finished and task_id not in previous.ever_ran:
        return MET  # rule 4: it was not in the DAG then, and never before
    word = str(state) if state is not None else (ABSENT if previous.is_finished else "scheduled")
    return Past(False, previous.is_open, previous.logical_date, task_id, word)
