"""Why a task has not run yet: the rules of one date, asked one by one, and what is behind the first that says no.

Owns the reasoning of `bfill explain`. The answers are those of `core/rules.py`, which a run goes by; here they are only
put into words and followed back, from date to date, to what began it. Nothing is read here: `at` brings other dates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.core.rules import Past, PastRun, Upstream, Verdict, decide, past_at, watched_by
from backfill_cli.core.states import FAILURES, IN_FLIGHT, TaskState
from backfill_cli.core.zones import clock_of

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag, Task
    from backfill_cli.core.records import InstanceRow, RunRow

MET = "met"
WAITS = "waits"
HELD = "held"
DECIDES = "decides"
"""What a rule says of a task: go; not yet, and what it waits for may come by itself; not before somebody does
something; or that it will not run at all (skipped, upstream_failed)."""

FAR = 1_000
"""Dates a chain is followed back."""


class Check(NamedTuple):
    """One rule, asked about one task.

    Args:
        rule: A trigger rule, `depends_on_past`, `wait_for_downstream`, `retry`, `interrupted` or `slots`.
        verdict: met, waits, held or decides.
        logical_date, task_id, state: The task instance it looks at, where it is one.
        upstream: How the upstreams stand, for a trigger rule.
    """

    rule: str
    verdict: str
    text: str
    logical_date: int | None = None
    task_id: str | None = None
    state: str | None = None
    upstream: Upstream | None = None


class Cause(NamedTuple):
    """Where a chain of waiting begins: a task instance that failed, runs, or that nobody works on.

    Args:
        reason: What was said when it failed; empty otherwise.
        dates: So many dates back; 0 is the date itself.
        more: It was not followed to its beginning: this is as far as was looked.
    """

    logical_date: int
    task_id: str
    state: str
    reason: str
    dates: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class DateFacts:
    """What the rules ask of one date.

    Args:
        run: Its dag_run, or None.
        instances: Its task instances by task id; a task that has not begun has none.
        previous: The dag_run before it.
        ignore_past: It is the first date of a backfill with `--ignore-first-depends-on-past`.
        is_live: A living process works on it.
        free: Of each pool that has a limit, the slots that are free and those there are.
        waits: Of tasks that are ready, what that process says they wait for.
        turn: What a date that a living process will come to waits for; empty for every other.
    """

    logical_date: int
    run: RunRow | None = None
    instances: Mapping[str, InstanceRow] = field(default_factory=dict)
    previous: PastRun | None = None
    ignore_past: bool = False
    is_live: bool = False
    free: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    waits: Mapping[str, str] = field(default_factory=dict)
    turn: str = ""

    def state(self, task_id: str) -> TaskState:
        one = self.instances.get(task_id)
        return TaskState.SCHEDULED if one is None else one.state

    def upstream(self, task: Task) -> Upstream:
        """Count how the task's upstreams ended."""
        ended = Counter(self.state(above) for above in task.upstream)
        return Upstream(
            len(task.upstream),
            ended[TaskState.SUCCESS],
            ended[TaskState.FAILED],
            ended[TaskState.UPSTREAM_FAILED],
            ended[TaskState.SKIPPED],
        )


def checks_of(dag: Dag, task: Task, facts: DateFacts) -> tuple[Check, ...]:
    """Return every rule that stands between a task and its next try; none when it has ended or runs."""
    one = facts.instances.get(task.task_id)
    state = facts.state(task.task_id)
    if state.is_terminal or (state in IN_FLIGHT and facts.is_live):
        return ()
    if state in IN_FLIGHT:
        return (Check("interrupted", HELD, "its process died; the next run takes it up again"),)
    if state is TaskState.UP_FOR_RETRY:
        due = "" if one is None or one.retry_at is None else f" at {_moment(dag, one.retry_at)}"
        return (Check("retry", WAITS if facts.is_live else HELD, f"its next try is due{due}"),)
    checks = [_trigger(dag, task, facts), *_past(dag, task, facts)]
    if all(check.verdict == MET for check in checks):
        checks.append(_slots(task, facts))
    return tuple(checks)


def _moment(dag: Dag, micros: int) -> str:
    return clock_of(dag.timezone).show(micros // 1_000_000)


def _trigger(dag: Dag, task: Task, facts: DateFacts) -> Check:
    up = facts.upstream(task)
    verdict = decide(task.trigger_rule, up)
    rule = str(task.trigger_rule)
    if not up.total:
        return Check(rule, MET, "nothing is before it", upstream=up)
    ends = ", ".join(f"{number} {word}" for word, number in up._asdict().items() if word != "total" and number)
    counted = f"{up.done} of {up.total} before it ended" + (f": {ends}" if ends else "")
    match verdict:
        case Verdict.RUN:
            return Check(rule, MET, counted, upstream=up)
        case Verdict.WAIT:
            open_ones = [above for above in dag.tasks if above in task.upstream and not facts.state(above).is_terminal]
            awaited = ", ".join(f"{above} ({facts.state(above)})" for above in open_ones)
            return Check(rule, WAITS, f"{counted}; it waits for {awaited}", upstream=up)
        case Verdict.SKIP:
            return Check(rule, DECIDES, f"{counted}; it will be skipped", upstream=up)
    return Check(rule, DECIDES, f"{counted}; it will be upstream_failed", upstream=up)


def _past(dag: Dag, task: Task, facts: DateFacts) -> Iterator[Check]:
    previous = facts.previous
    for watched in watched_by(task, dag.downstream[task.task_id]):
        rule = "depends_on_past" if watched == task.task_id else "wait_for_downstream"
        if facts.ignore_past:
            yield Check(rule, MET, "--ignore-first-depends-on-past: the date before is not looked at")
        elif previous is None:
            yield Check(rule, MET, "no dag_run is before it")
        else:
            yield _watched(dag, rule, watched, previous)


def _watched(dag: Dag, rule: str, watched: str, previous: PastRun) -> Check:
    date = previous.logical_date
    day = clock_of(dag.timezone).show(date)
    past = past_at(watched, previous)
    state = previous.states.get(watched)
    if past.met:
        was = f"is {state}" if state is not None else "was not in the DAG then"
        return Check(rule, MET, f"{watched} on {day} {was}", date, watched, state)
    text = f"{watched} on {day} is {past.state}; it must be success or skipped"
    return Check(rule, WAITS if past.waits else HELD, text, date, watched, past.state)


def _slots(task: Task, facts: DateFacts) -> Check:
    if facts.turn:
        return Check("slots", WAITS, f"all rules allow it; it waits for {facts.turn}")
    if not facts.is_live:
        return Check("slots", MET, "all rules allow it: the next run of this date starts it")
    if task.task_id in facts.waits:
        return Check("slots", WAITS, f"all rules allow it; it waits for {facts.waits[task.task_id]}")
    free, size = facts.free.get(task.pool, (None, 0))
    slots = "" if free is None else f"pool {task.pool}: needs {task.pool_slots}, {free} of {size} free; "
    return Check("slots", WAITS, f"all rules allow it; {slots}it starts when its turn comes")


def first_held(dag: Dag, task: Task, facts: DateFacts) -> Past | None:
    """Return what the past says no about first, as a run would find it; None when it allows the task."""
    if facts.ignore_past or facts.previous is None:
        return None
    found = (past_at(one, facts.previous) for one in watched_by(task, dag.downstream[task.task_id]))
    return next((past for past in found if not past.met), None)


def cause_of(
    dag: Dag, facts: DateFacts, task_id: str, at: Callable[[int], DateFacts], *, far: int = FAR
) -> Cause | None:
    """Follow a task that has not run, or could not, to what holds it; None when it is that itself.

    Args:
        at: Brings the facts of another date.
        far: So many dates back, at most.
    """
    begun, dates = (facts.logical_date, task_id), 0
    while True:
        ahead = _ahead(dag, facts, task_id)
        if ahead is None:
            break
        date, task_id = ahead
        if date != facts.logical_date:
            if dates == far:
                return _cause(facts, task_id, dates, more=True)
            facts, dates = at(date), dates + 1
    return None if (facts.logical_date, task_id) == begun else _cause(facts, task_id, dates)


def _ahead(dag: Dag, facts: DateFacts, task_id: str) -> tuple[int, str] | None:
    """Return the task instance this one waits for or was failed by; None when it waits for none."""
    task = dag.tasks.get(task_id)
    state = facts.state(task_id)
    if task is None or state in (TaskState.SUCCESS, TaskState.FAILED, TaskState.SKIPPED, TaskState.REMOVED):
        return None
    if state is TaskState.UPSTREAM_FAILED:
        return _one_above(dag, facts, task, lambda above: above in FAILURES)
    if state is not TaskState.SCHEDULED:
        return None
    verdict = decide(task.trigger_rule, facts.upstream(task))
    if verdict not in (Verdict.WAIT, Verdict.RUN):
        return None
    # The past first: upstreams of the same date come by themselves, unless the past holds them too.
    past = first_held(dag, task, facts)
    if past is not None:
        return past.logical_date, past.task_id
    return _one_above(dag, facts, task, lambda above: not above.is_terminal) if verdict is Verdict.WAIT else None


def _one_above(dag: Dag, facts: DateFacts, task: Task, wanted: Callable[[TaskState], bool]) -> tuple[int, str] | None:
    above = sorted(task.upstream, key=lambda one: dag.position[one])
    return next(((facts.logical_date, one) for one in above if wanted(facts.state(one))), None)


def _cause(facts: DateFacts, task_id: str, dates: int, *, more: bool = False) -> Cause:
    one = facts.instances.get(task_id)
    state = facts.state(task_id)
    reason = (one.reason or "") if one is not None and state is TaskState.FAILED else ""
    return Cause(facts.logical_date, task_id, state, reason, dates, more)
