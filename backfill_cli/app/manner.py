"""How dates are run, apart from which: limits, hours, how many at once, where tasks run.

Owns the checks that a plan and a run share: a dry run refuses what the run would refuse, and that does so before it
takes anything. What a flag means is the core's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.app.adapting import adaptive_of
from backfill_cli.app.conflicts import check_choice
from backfill_cli.app.halts import halt_of
from backfill_cli.app.orphans import Orphans
from backfill_cli.core.halting import Halt
from backfill_cli.core.hours import Hours, hours_of
from backfill_cli.core.states import BackfillState
from backfill_cli.errors import DefinitionError, RefusedError

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.app.jobs import Job
    from backfill_cli.core.options import BackfillOptions
    from backfill_cli.loader.resolve import Resolved


class Manner(NamedTuple):
    """When a run ends itself, and in which hours its tasks start; None is any."""

    halt: Halt
    hours: Hours | None


def manner_of(ctx: AppContext, job: Job) -> Manner:
    """Return how a job is to be run; the hours of a stored backfill hold unless others are given.

    Raises:
        UsageProblem: Flags that contradict each other, or one that says nothing.
        BackendError, DefinitionError: As `check_executor`.
    """
    options, dag = job.options, job.target.dag
    check_choice(options.on_conflict)
    Orphans(options.orphans)
    check_executor(options, job.target)
    kept = () if job.row is None else tuple(job.row.request["between"])
    hours = hours_of(options.between or kept, dag.timezone)
    adaptive_of(options, job.prepared.parallel)
    halt = halt_of(options, dates=job.plan.to_run, timezone=dag.timezone, now_us=ctx.clock.now_us())
    return Manner(halt, hours)


def check_executor(options: BackfillOptions, target: Resolved) -> None:
    """Refuse an executor that does not exist, and a DAG that no other process could load."""
    from backfill_cli.engine.backends import check_backend

    default = options.executor or "thread"
    for task in target.dag.tasks.values():
        name = task.executor or default
        check_backend(name)
        if name != "thread" and not target.ref.target:
            raise DefinitionError(
                f"DAG '{target.dag.dag_id}' exists only in this process, so executor '{name}' cannot load it",
                hint="write it into a file, or use --executor thread",
                code="dag-in-process",
            )


def refuse(job: Job) -> None:
    """Refuse what the plan only warns about.

    Dates that are not to be reprocessed already have another conf (semantics section 8); or there are more dates than
    one command runs, planned before or not. What was begun goes on whatever its size.
    """
    is_begun = job.row is not None and job.row.state is not BackfillState.PLANNED
    codes = ("conf-differs",) if is_begun else ("conf-differs", "over-max-runs")
    for problem in job.plan.warnings:
        if problem.code in codes:
            raise RefusedError(problem.message, hint=problem.hint, code=problem.code)
