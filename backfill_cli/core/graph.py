"""The task graph of a DAG: frozen definitions, their order, their cycles, their parts.

Owns `Task`, `Dag` and everything that follows from the edges alone: topological order, leaves, ancestors, descendants,
priority weights, selections such as `load+`. What users write (`with DAG(...)`, `>>`, decorators) is built in `loader/`
and compiled into these values once; from then on nothing changes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from graphlib import CycleError as GraphCycle
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from backfill_cli.core.retries import RetryPolicy
from backfill_cli.core.work import EmptyWork, Work
from backfill_cli.errors import CycleError, DefinitionError, NotFoundError

if TYPE_CHECKING:
    from backfill_cli.core.problems import Problem
    from backfill_cli.core.rates import Rate
    from backfill_cli.core.schedules import Schedule


class TriggerRule(StrEnum):
    """When a task may run, given how its upstreams ended (semantics section 5)."""

    ALL_SUCCESS = "all_success"
    ALL_FAILED = "all_failed"
    ALL_DONE = "all_done"
    ALL_DONE_MIN_ONE_SUCCESS = "all_done_min_one_success"
    ALL_SKIPPED = "all_skipped"
    ONE_SUCCESS = "one_success"
    ONE_FAILED = "one_failed"
    ONE_DONE = "one_done"
    NONE_FAILED = "none_failed"
    NONE_FAILED_MIN_ONE_SUCCESS = "none_failed_min_one_success"
    NONE_SKIPPED = "none_skipped"
    ALWAYS = "always"


class WeightRule(StrEnum):
    """How a task's priority follows from the weights around it (semantics section 6)."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    ABSOLUTE = "absolute"


Callback = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What users asked to be called, by what happened; a DAG has `on_success` and `on_failure` alone.

    Each receives the Context: after a try that did not succeed with `exception` and `reason` in it besides the macros,
    and for a DAG with its dag_run's `state` and `reason`.
    """

    on_execute: tuple[Callback, ...] = ()
    on_success: tuple[Callback, ...] = ()
    on_failure: tuple[Callback, ...] = ()
    on_retry: tuple[Callback, ...] = ()
    on_skipped: tuple[Callback, ...] = ()


NO_CALLBACKS = Callbacks()
NO_RETRIES = RetryPolicy()


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One task of a DAG, as it will be run.

    Args:
        task_id: Unique in its DAG.
        work: What it does.
        upstream: Ids of the tasks directly before it.
        execution_timeout_s: Seconds per try; None is no limit.
        rate_limit: How many of its tries may start in how much time, on all dates together; None is no limit.
        max_active: Instances of it at once over all dag_runs (`max_active_tis_per_dag`); None is no limit.
        executor: `thread`, `process` or `package.module:factory`; None is the command's default.
        digest: A digest of what the task does, for `stale` and "what changed".
        where: `file:line` of its definition, for errors.
    """

    task_id: str
    work: Work = field(default_factory=EmptyWork)
    upstream: frozenset[str] = frozenset()
    trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS
    depends_on_past: bool = False
    wait_for_downstream: bool = False
    retry: RetryPolicy = NO_RETRIES
    execution_timeout_s: float | None = None
    pool: str = "default_pool"
    pool_slots: int = 1
    rate_limit: Rate | None = None
    max_active: int | None = None
    priority_weight: int = 1
    weight_rule: WeightRule = WeightRule.DOWNSTREAM
    executor: str | None = None
    do_xcom_push: bool = True
    params: Mapping[str, Any] = field(default_factory=dict)
    callbacks: Callbacks = NO_CALLBACKS
    digest: str = ""
    where: str | None = None


@dataclass(frozen=True, eq=False)
class Dag:
    """A DAG that has been checked: acyclic, ids unique, every edge between known tasks.

    Args:
        dag_id: Its name; history belongs to it.
        schedule: Compiled, in `timezone`.
        timezone: IANA name; naive instants of users are wall time here.
        start_date, end_date: Bounds on logical dates, epoch seconds, both included; None is unbounded.
        tasks: By id, in topological order; ties keep the order of definition.
        version: A digest over everything a run of this DAG would do.
        path: The DAG file, or None for `--command` and DAGs made in Python.
    """

    dag_id: str
    schedule: Schedule
    timezone: str
    tasks: Mapping[str, Task]
    start_date: int | None = None
    end_date: int | None = None
    catchup: bool = False
    max_active_runs: int = 16
    max_active_tasks: int = 16
    dagrun_timeout_s: float | None = None
    batch_intervals: str | None = None
    """How dates may be merged, as `core/merging.py` reads it; None: each runs by itself."""
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    description: str = ""
    strict_templates: bool = False
    callbacks: Callbacks = NO_CALLBACKS
    version: str = ""
    path: str | None = None
    where: str | None = None
    connections: frozenset[str] = frozenset()
    """Names of the connections its tasks use, as far as the definition tells."""
    variables: frozenset[str] = frozenset()
    """Names of the variables its templates use."""
    whole: Dag | None = None
    """For a part of a DAG (`part`): the DAG it is a part of."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Task groups: id → the tasks it begins with, so that a branch may follow a group."""
    notes: tuple[Problem, ...] = ()
    """What its author should know although the DAG can run: no tasks, options that have no effect here."""

    @cached_property
    def width(self) -> int:
        """How many tasks of one dag_run can run beside each other, as far as their distance from the start says."""
        depth: dict[str, int] = {}
        for task_id, task in self.tasks.items():
            depth[task_id] = 1 + max((depth[one] for one in task.upstream), default=0)
        return max(Counter(depth.values()).values(), default=1)

    @cached_property
    def downstream(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the tasks directly behind each task, in DAG order."""
        behind: dict[str, list[str]] = {task_id: [] for task_id in self.tasks}
        for task in self.tasks.values():
            for above in task.upstream:
                behind[above].append(task.task_id)
        return {task_id: tuple(ids) for task_id, ids in behind.items()}

    @cached_property
    def leaves(self) -> frozenset[str]:
        """Tasks with nothing behind them: they decide the dag_run."""
        return frozenset(task_id for task_id, behind in self.downstream.items() if not behind)

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """Tasks with nothing before them, in DAG order."""
        return tuple(task.task_id for task in self.tasks.values() if not task.upstream)

    @cached_property
    def weights(self) -> Mapping[str, int]:
        """The priority of each task by its weight rule: all *distinct* descendants or ancestors count once."""
        own = {task_id: task.priority_weight for task_id, task in self.tasks.items()}

        def total(task: Task) -> int:
            match task.weight_rule:
                case WeightRule.ABSOLUTE:
                    return own[task.task_id]
                case WeightRule.UPSTREAM:
                    return own[task.task_id] + sum(own[other] for other in self.ancestors(task.task_id))
                case _:
                    return own[task.task_id] + sum(own[other] for other in self.descendants(task.task_id))

        return {task_id: total(task) for task_id, task in self.tasks.items()}

    @cached_property
    def left_out(self) -> frozenset[str]:
        """Of a part of a DAG: the tasks that were not chosen."""
        return frozenset() if self.whole is None else frozenset(self.whole.tasks.keys() - self.tasks.keys())

    @cached_property
    def position(self) -> Mapping[str, int]:
        """The place of each task in DAG order, from 0: the last tie-break of priority."""
        return {task_id: place for place, task_id in enumerate(self.tasks)}

    @cached_property
    def waits_on_past(self) -> bool:
        """Whether any task looks at the previous run at all."""
        return any(task.depends_on_past or task.wait_for_downstream for task in self.tasks.values())

    def part(self, chosen: frozenset[str]) -> Dag:
        """Return the DAG with the chosen tasks alone: the same id and version, the order among them kept.

        A task waits for the nearest chosen tasks before it, through those that were left out. All tasks chosen is the
        DAG itself.
        """
        if chosen >= self.tasks.keys():
            return self
        above: dict[str, frozenset[str]] = {}
        for task in self.tasks.values():
            near = (frozenset({one}) if one in chosen else above[one] for one in task.upstream)
            above[task.task_id] = frozenset().union(*near)
        tasks = {name: replace(self.tasks[name], upstream=above[name]) for name in self.tasks if name in chosen}
        return replace(self, tasks=tasks, whole=self)

    def ancestors(self, task_id: str) -> frozenset[str]:
        """Return every task before this one, near or far, without itself."""
        return _reach(task_id, lambda one: self.tasks[one].upstream)

    def descendants(self, task_id: str) -> frozenset[str]:
        """Return every task behind this one, near or far, without itself."""
        return _reach(task_id, lambda one: self.downstream[one])

    def select(self, expressions: Iterable[str]) -> frozenset[str]:
        """Return the ids that `--task` selects: `load`, `+load` (and what is before), `load+` (and behind), globs.

        Raises:
            NotFoundError: An expression selects nothing; the hint names near ids.
        """
        from fnmatch import fnmatchcase

        chosen: set[str] = set()
        for expression in expressions:
            name = expression.strip("+")
            named = [task_id for task_id in self.tasks if fnmatchcase(task_id, name)]
            if not named:
                raise NotFoundError(
                    f"task '{name}' is not in DAG '{self.dag_id}'",
                    hint=near_hint(name, self.tasks),
                    code="unknown-task",
                )
            for task_id in named:
                chosen.add(task_id)
                if expression.startswith("+"):
                    chosen |= self.ancestors(task_id)
                if expression.endswith("+"):
                    chosen |= self.descendants(task_id)
        return frozenset(chosen)


def sort_tasks(dag_id: str, tasks: Iterable[Task], *, where: str | None = None) -> dict[str, Task]:
    """Return the tasks by id in topological order, keeping the order of definition among equals.

    Raises:
        DefinitionError: Two tasks share an id, or an edge leads to an unknown task.
        CycleError: Tasks wait for each other; the message holds the path.
    """
    by_id: dict[str, Task] = {}
    for task in tasks:
        if task.task_id in by_id:
            raise DefinitionError(
                f"task_id '{task.task_id}' is used twice in DAG '{dag_id}'",
                hint="give each task its own task_id",
                code="duplicate-task",
                where=task.where or where,
            )
        by_id[task.task_id] = task
    for task in by_id.values():
        for above in task.upstream - by_id.keys():
            raise DefinitionError(
                f"task '{task.task_id}' follows '{above}', which is not in DAG '{dag_id}'",
                hint=near_hint(above, by_id),
                code="unknown-task",
                where=task.where or where,
            )
    sorter = TopologicalSorter({task_id: task.upstream for task_id, task in by_id.items()})
    try:
        sorter.prepare()
    except GraphCycle as error:
        # graphlib names each node before the one it waits for reversed: print it in the direction of `>>`.
        path = " >> ".join(error.args[1])
        raise CycleError(f"DAG '{dag_id}' has a cycle: {path}", hint="remove one of these edges", where=where) from None
    place = {task_id: number for number, task_id in enumerate(by_id)}
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=place.__getitem__)
        order.extend(ready)
        sorter.done(*ready)
    return {task_id: by_id[task_id] for task_id in order}


def near_hint(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Return "did you mean …" with the nearest known names, else the known ones, else `otherwise`."""
    from difflib import get_close_matches

    names = sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"'{one}'" for one in near) + "?"
    if otherwise or not names:
        return otherwise
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"known: {shown}"


def join_hints(*hints: str) -> str:
    """Return several hints as one line; after a question the next one begins a sentence."""
    joined = ""
    for hint in filter(None, hints):
        if joined.endswith("?"):
            joined += f" {hint[0].upper()}{hint[1:]}"
        else:
            joined = f"{joined}; {hint}" if joined else hint
    return joined


def _reach(start: str, step: Callable[[str], Iterable[str]]) -> frozenset[str]:
    seen: set[str] = set()
    waiting = list(step(start))
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting.extend(step(one))
    return frozenset(seen)
