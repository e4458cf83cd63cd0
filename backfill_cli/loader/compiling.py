"""From the author's `DAG` to the core's frozen `Dag`: every check that needs the whole.

Owns the order of the checks and the place each error names. Single values were checked when they were written
(`loader/options.py`); what follows from the edges is `core/graph.py`'s, and what dates a schedule has,
`core/schedules.py`'s.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from backfill_cli.core.graph import Callbacks, Dag, Task, sort_tasks
from backfill_cli.core.retries import DEFAULT_MAX_DELAY_S, RetryPolicy
from backfill_cli.errors import BfillError, CycleError, DefinitionError
from backfill_cli.loader import names, versions
from backfill_cli.loader.base import BaseOperator, parameters_of
from backfill_cli.loader.bounds import bound, zone_of
from backfill_cli.loader.options import (
    INERT_TASK_OPTIONS,
    TASK_OPTIONS,
    WITHOUT_EFFECT,
    Owner,
    checked_options,
    unknown_option,
)

if TYPE_CHECKING:
    from backfill_cli.core.problems import Problem
    from backfill_cli.loader.authoring import DAG


def compile_dag(dag: DAG, timezone: str) -> Dag:
    """Return the DAG as the core knows it: sorted, checked, with the digests of its tasks and its version.

    Args:
        timezone: The zone of a DAG that names none.

    Raises:
        DefinitionError, ScheduleError, CycleError: Something is wrong; `where` says at which line.
    """
    from backfill_cli.core.schedules import compile_schedule

    owner = Owner(f"DAG '{dag.dag_id}'", str(dag.place))
    try:
        zone = zone_of(owner, dag.timezone, dag.start_date, timezone)
        start, end = bound(owner, "start_date", dag.start_date, zone), bound(owner, "end_date", dag.end_date, zone)
        schedule = compile_schedule(dag.schedule, zone=zone, anchor=start)
    except BfillError as error:
        error.where = error.where or owner.where
        raise
    if start is not None and end is not None and end < start:
        raise DefinitionError(
            f"{owner.label}: end_date {dag.end_date} is before start_date {dag.start_date}",
            hint="both are included; swap them or leave end_date out",
            code="bad-date",
            where=owner.where,
        )
    _check_default_args(dag, owner)
    tasks = _sorted(dag, [compile_task(one) for one in dag.tasks])
    works = [task.work for task in tasks.values()]
    compiled = Dag(
        dag_id=dag.dag_id,
        schedule=schedule,
        timezone=zone,
        tasks=tasks,
        start_date=start,
        end_date=end,
        catchup=dag.catchup,
        max_active_runs=dag.max_active_runs,
        max_active_tasks=dag.max_active_tasks,
        dagrun_timeout_s=dag.dagrun_timeout_s,
        batch_intervals=dag.batch_intervals,
        params=dict(dag.params),
        tags=dag.tags,
        description=dag.description,
        strict_templates=dag.strict_templates,
        callbacks=Callbacks(on_success=dag.on_success_callback, on_failure=dag.on_failure_callback),
        path=str(Path(dag.home).resolve()) if Path(dag.home).is_file() else None,
        where=owner.where,
        connections=names.connections_in(works),
        variables=names.variables_in(works),
        notes=_notes(dag),
        groups={
            name: tuple(task.task_id for task in group.first_tasks())
            for name, group in dag.groups.items()
            if group.every_task()
        },
    )
    return replace(compiled, version=versions.dag_digest(compiled, dag.schedule))


def compile_task(operator: BaseOperator) -> Task:
    """Return one task as the core knows it. Raises DefinitionError for an option or argument that cannot be."""
    options = checked_options(operator.owner, {name: getattr(operator, name) for name in TASK_OPTIONS})
    longest = options["max_retry_delay"]
    task = Task(
        task_id=operator.task_id,
        work=operator.to_work(),
        upstream=frozenset(operator.upstream_task_ids),
        trigger_rule=options["trigger_rule"],
        # semantics section 4.6: waiting for the previous run's downstream tasks is depending on the past
        depends_on_past=options["depends_on_past"] or options["wait_for_downstream"],
        wait_for_downstream=options["wait_for_downstream"],
        retry=RetryPolicy(
            retries=options["retries"] or 0,
            delay_s=options["retry_delay"],
            exponential=options["retry_exponential_backoff"],
            max_delay_s=DEFAULT_MAX_DELAY_S if longest is None else longest,
        ),
        execution_timeout_s=options["execution_timeout"],
        pool=options["pool"],
        pool_slots=options["pool_slots"],
        rate_limit=options["rate_limit"],
        max_active=options["max_active_tis_per_dag"],
        priority_weight=options["priority_weight"],
        weight_rule=options["weight_rule"],
        executor=options["executor"],
        do_xcom_push=options["do_xcom_push"],
        params=options["params"],
        callbacks=Callbacks(
            on_execute=options["on_execute_callback"],
            on_success=options["on_success_callback"],
            on_failure=options["on_failure_callback"],
            on_retry=options["on_retry_callback"],
            on_skipped=options["on_skipped_callback"],
        ),
        where=operator.owner.where,
    )
    return replace(task, digest=versions.task_digest(task, Path(operator.dag.home).parent))


def _sorted(dag: DAG, tasks: list[Task]) -> dict[str, Task]:
    try:
        return sort_tasks(dag.dag_id, tasks, where=str(dag.place))
    except CycleError as error:
        # The place of the DAG says little in a long file: name the line of a task on the cycle instead.
        on_cycle = error.message.rpartition(": ")[2].split(" >> ")
        error.where = next((task.where for task in tasks if task.task_id in on_cycle), error.where)
        raise


def _notes(dag: DAG) -> tuple[Problem, ...]:
    from backfill_cli.core.problems import Problem

    if not dag.tasks:
        hint = "define them inside `with DAG(...)`"
        return (Problem("no-tasks", f"DAG '{dag.dag_id}' has no tasks: its runs succeed at once", hint),)
    unused = sorted({*dag.without_effect, *(name for task in dag.tasks for name in task.without_effect)})
    return tuple(Problem("without-effect", f"{name} has no effect here", WITHOUT_EFFECT[name]) for name in unused)


def _check_default_args(dag: DAG, owner: Owner) -> None:
    """Refuse a key no task can use: a misspelt `retires` would otherwise be nobody's."""
    own = frozenset().union(*(parameters_of(type(task)) for task in dag.tasks))
    for default_args in (dag.default_args, *(group.default_args for group in dag.groups.values())):
        for name in default_args:
            if name not in TASK_OPTIONS and name not in INERT_TASK_OPTIONS and name not in own:
                raise unknown_option(Owner(f"default_args of {owner.label}", owner.where), name, [*TASK_OPTIONS, *own])
