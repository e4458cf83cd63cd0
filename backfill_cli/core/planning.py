"""From a schedule, a selection and a history to a plan: an action and a reason for every date.

Owns contract section 4, actions. Two ascending streams are merged, the intervals the schedule has and the dag_runs the
store has, so a plan of a million dates is walked, never held. What summarises it (`summarise`) keeps counts, the first
and the last few rows, and one group an action and reason.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from backfill_cli.core.intervals import Span
from backfill_cli.core.records import Action, BackfillDateRow, DurationRow, PlanRow, RunRow
from backfill_cli.core.results import ActionGroup, Estimate
from backfill_cli.core.states import RunState

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.rates import Rate

REPROCESS = frozenset({"failed", "success", "completed", "stale", "all"})
NO_RUN = "no run yet"
HELD = "being run by another process"
_LEFT_TO = "being run by "
BLOCKED = "blocked"
CLEARED = "cleared"
INTERRUPTED = "interrupted"
PARTIAL = "partial"
LEFT_FAILED = "failed"
"""Why a date is left alone that makes the backfill no success."""
_SHOWN = 12
_ENDS = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """What to do with dates that already have a dag_run.

    Args:
        version: The DAG's version now; a success under another one is stale.
        reprocess: Any of REPROCESS.
        reset: Clear everything first, whatever the state.
        only_failed: `rerun-failed`: failed dates, and those blocked behind them; all others stay out of the plan.
        is_live: Whether an owner id belongs to a process that is alive.
        held: Dates that are left to another backfill, each with its id.
        left_out: Dates that somebody took out of a stored backfill, each with the reason.
        in_the_way: With `only_failed`: unfinished dates that go on as well, for a failed or blocked one waits for them.
    """

    version: str
    reprocess: frozenset[str] = frozenset()
    reset: bool = False
    only_failed: bool = False
    is_live: Callable[[str], bool] = field(default=lambda _owner: True)
    in_the_way: frozenset[int] = frozenset()
    held: Mapping[int, str] = field(default_factory=dict)
    left_out: Mapping[int, str] = field(default_factory=dict)

    def names(self, state: RunState, *, stale: bool) -> bool:
        """Return whether `--reprocess` names a dag_run of that terminal state."""
        if "all" in self.reprocess or "completed" in self.reprocess:
            return True
        if state is RunState.FAILED:
            return "failed" in self.reprocess
        return "success" in self.reprocess or (stale and "stale" in self.reprocess)


def decide_action(run: RunRow | None, policy: Policy) -> tuple[Action, str] | None:
    """Return the action for one date and the reason in words; None leaves the date out of the plan."""
    if policy.only_failed:
        return _decide_repair(run, policy)
    if run is None:
        return Action.CREATE, NO_RUN
    if run.owner is not None and policy.is_live(run.owner):
        return Action.SKIP, HELD
    if policy.reset:
        return Action.RESET, f"{unfinished_because(run) if not run.state.is_terminal else run.state}, cleared first"
    if not run.state.is_terminal:
        return Action.RESUME, unfinished_because(run)
    stale = run.state is RunState.SUCCESS and run.version != policy.version
    action = Action.RERUN if policy.names(run.state, stale=stale) else Action.SKIP
    if run.state is RunState.FAILED:
        return action, LEFT_FAILED
    return action, f"succeeded, version {run.version[:7]}" if stale else "succeeded, same version"


def _decide_repair(run: RunRow | None, policy: Policy) -> tuple[Action, str] | None:
    if run is None or run.state is RunState.SUCCESS:
        return None
    if run.owner is not None and policy.is_live(run.owner):
        return Action.SKIP, HELD
    if run.state is RunState.FAILED:
        return Action.RERUN, "failed"
    because = unfinished_because(run)
    return (Action.RESUME, because) if because == BLOCKED or run.logical_date in policy.in_the_way else None


def in_the_way(runs: Iterable[RunRow]) -> frozenset[int]:
    """Return the dates that were cleared or interrupted and stand between a repair and its success.

    In a DAG that waits on the past a failed or blocked date is blocked again behind them, whatever is repaired.

    Args:
        runs: Those that count as the past of later ones, ascending.
    """
    found: list[int] = []
    waiting: list[int] = []
    for run in runs:
        if run.state is RunState.SUCCESS:
            waiting.clear()
        elif run.state is RunState.FAILED or unfinished_because(run) == BLOCKED:
            found += waiting
            waiting.clear()
        else:
            waiting.append(run.logical_date)
    return frozenset(found)


def unfinished_because(run: RunRow) -> str:
    """Return why a dag_run is not terminal though nobody works on it: blocked, cleared, interrupted or partial."""
    if run.reason in (CLEARED, INTERRUPTED, PARTIAL):
        return run.reason
    return BLOCKED if run.state is RunState.QUEUED and run.reason else INTERRUPTED


def is_blocked(row: BackfillDateRow) -> bool:
    """Return whether a date of a backfill without outcome waits for an earlier one (semantics section 4)."""
    waits = row.outcome is None and row.run_state is RunState.QUEUED and row.run_reason is not None
    return waits and row.run_reason not in (CLEARED, INTERRUPTED, PARTIAL)


_row = partial(tuple.__new__, PlanRow)
"""Makes a PlanRow from its five values in half the time: a plan may have a million."""


def plan_rows(
    spans: Iterable[Span], history: Iterable[RunRow], policy: Policy, *, backwards: bool = False
) -> Iterator[PlanRow]:
    """Merge intervals with dag_runs and yield one row a date; dates the policy leaves out are dropped.

    Args:
        spans: The selected intervals, ascending, or descending when `backwards`.
        history: The dag_runs of at least the same bounds, in the same order. Those on no interval are passed by.
        policy: What to do with dates that have one.
    """
    runs = iter(history)
    run = next(runs, None)
    fresh = decide_action(None, policy)
    action, reason = fresh if fresh is not None else (Action.CREATE, "")
    for start, end in spans:
        while run is not None and (run.logical_date > start if backwards else run.logical_date < start):
            run = next(runs, None)
        if run is None or run.logical_date != start:
            if fresh is not None:
                yield _row((start, end, action, None, reason))
            continue
        decided = decide_action(run, policy)
        if decided is not None:
            yield PlanRow(start, run.data_interval_end, decided[0], run.state, decided[1])


def leave_to_others(rows: Iterable[PlanRow], held: Mapping[int, str]) -> Iterator[PlanRow]:
    """Yield a plan's rows with those that another backfill has to do (date → its id) left to it."""
    for row in rows:
        other = held.get(row.logical_date) if row.action is not Action.SKIP or row.reason == HELD else None
        yield row if other is None else row._replace(action=Action.SKIP, reason=left_to(other))


def left_to(backfill_id: str) -> str:
    """Return the reason of a date that is left to another backfill."""
    return _LEFT_TO + backfill_id


def is_left_to_another(reason: str | None) -> bool:
    """Whether a date was left to another backfill, which had it and was alive."""
    return reason is not None and reason.startswith(_LEFT_TO) and reason != HELD


@dataclass(slots=True)
class PlanSummary:
    """What a plan comes to. `first` and `last` are the dates of its first and last row, in the order it is walked."""

    counts: dict[Action, int] = field(default_factory=lambda: dict.fromkeys(Action, 0))
    groups: list[ActionGroup] = field(default_factory=list)
    head: list[PlanRow] = field(default_factory=list)
    tail: list[PlanRow] = field(default_factory=list)
    first: int | None = None
    last: int | None = None

    @property
    def to_run(self) -> int:
        return sum(self.counts.values()) - self.counts[Action.SKIP]


def summarise(rows: Iterable[PlanRow]) -> PlanSummary:
    """Walk a plan once and return what it comes to."""
    summary = PlanSummary()
    groups: dict[tuple[Action, str], list[int]] = {}
    shown: dict[tuple[Action, str], list[int]] = {}
    tail: deque[PlanRow] = deque(maxlen=_ENDS)
    row: PlanRow | None = None
    action: Action | None = None
    reason = ""
    group, listed = [0, 0], list[int]()
    head, keep = summary.head, tail.append
    for row in rows:
        date, _, row_action, _, row_reason = row
        if row_action is not action or row_reason is not reason:  # neighbours share both: one look-up a stretch
            action, reason = row_action, row_reason
            group, listed = groups.setdefault((action, reason), [0, 0]), shown.setdefault((action, reason), [])
            summary.first = date if summary.first is None else summary.first
        group[0] += 1
        group[1] = date
        if group[0] <= _SHOWN:
            listed.append(date)
        if action is not Action.SKIP:
            if len(head) < _ENDS:
                head.append(row)
            else:
                keep(row)
    if row is not None:
        summary.last = row.logical_date
    summary.tail = list(tail)
    order = list(Action)
    for (action, reason), (count, last) in sorted(groups.items(), key=lambda item: order.index(item[0][0])):
        summary.counts[action] += count
        summary.groups.append(ActionGroup(action, reason, count, tuple(shown[action, reason]), last))
    return summary


def estimate(
    dag: Dag,
    runs: int,
    *,
    parallel: int,
    durations: Iterable[DurationRow],
    pools: Mapping[str, int] | None = None,
    lanes: int | None = None,
    rates: Mapping[str, Rate] | None = None,
) -> Estimate:
    """Return how long so many dag_runs may take, from what earlier tries took.

    The low end is the critical path of the means, run in `parallel` lanes; the high end moves every task half-way to
    the slowest of its middle tries. Tasks never seen count as the mean of those that were. A pool (name → slots, -1 is
    unlimited) or a limit of rate (of a pool, or a task's own) that needs longer than that for its tasks decides. Runs
    that go in waves fill the lanes wave by wave, `lanes` times in all.
    """
    known = {row.task_id: row for row in durations if row.task_id in dag.tasks}
    tries = sum(row.tries for row in known.values())
    instances = runs * len(dag.tasks)
    if not known or not runs:
        return Estimate(instances, None, None, tries)
    mean = sum(row.mean_s for row in known.values()) / len(known)
    if lanes is None:
        lanes = ceil(runs / max(1, min(parallel, runs)))

    slowest_rate = runs * _tightest_rate(dag, rates or {})

    def wall(seconds: Mapping[str, float]) -> float:
        slowest_pool = runs * _busiest_pool(dag, seconds, mean, pools or {})
        return max(lanes * _critical_path(dag, seconds, mean), slowest_pool, slowest_rate)

    low = wall({task_id: row.mean_s for task_id, row in known.items()})
    high = wall({task_id: (row.mean_s + row.high_s) / 2 for task_id, row in known.items()})
    return Estimate(instances, round(low, 3), round(max(low, high), 3), tries)


def _busiest_pool(dag: Dag, seconds: Mapping[str, float], otherwise: float, pools: Mapping[str, int]) -> float:
    """Return the seconds a dag_run costs the pool it costs most: slots times seconds, over the slots there are."""
    costs: dict[str, float] = {}
    for task_id, task in dag.tasks.items():
        size = pools.get(task.pool, 0)
        if size > 0:
            costs[task.pool] = costs.get(task.pool, 0.0) + task.pool_slots * seconds.get(task_id, otherwise) / size
    return max(costs.values(), default=0.0)


def _tightest_rate(dag: Dag, rates: Mapping[str, Rate]) -> float:
    """Return the seconds a dag_run costs the tightest limit of rate: a start for each of its tasks under it."""
    starts = Counter(task.pool for task in dag.tasks.values() if task.pool in rates)
    pools = [count * rates[pool].spacing_us for pool, count in starts.items()]
    tasks = [task.rate_limit.spacing_us for task in dag.tasks.values() if task.rate_limit is not None]
    return max((*pools, *tasks), default=0) / 1_000_000


def _critical_path(dag: Dag, seconds: Mapping[str, float], otherwise: float) -> float:
    done: dict[str, float] = {}
    for task_id, task in dag.tasks.items():
        begins = max((done[above] for above in task.upstream), default=0.0)
        done[task_id] = begins + seconds.get(task_id, otherwise)
    return max(done.values(), default=0.0)
