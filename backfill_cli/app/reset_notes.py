"""What clearing leaves behind in a chain of dates: later ones that have run since, and what they have run over.

Owns two notes of `reset`, each from a look at the next date where the task that waits is not cleared. `later-dates`: it
waited for what is now cleared, and stays as it is. `run-over`: a task with wait_for_downstream may overwrite what the
tasks directly behind it have dealt with, so one of those, run again alone, finds what a later date has left there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from backfill_cli.app.commands import command_line
from backfill_cli.app.naming import typed
from backfill_cli.core.following import counts_as_past
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import InstanceRow, RunRow
from backfill_cli.core.states import TaskState
from backfill_cli.core.zones import clock_of

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.ports import Reader

_FOR_EVER = 2**62
_RAN = frozenset({TaskState.SUCCESS, TaskState.FAILED})


def reset_notes(
    reader: Reader,
    dag: Dag,
    options: BackfillOptions,
    runs: Sequence[RunRow],
    cleared: Sequence[InstanceRow],
    *,
    downstream: bool = False,
) -> Iterator[Problem]:
    """Yield what a person should know who clears these task instances of these dag_runs, ascending, before it is done.

    Args:
        options: How the dates and tasks were selected; the command in a hint repeats it.
        downstream: With everything behind the tasks.
    """
    more = " --downstream" if downstream else ""
    if not runs or not dag.waits_on_past:
        return
    names = {one.task_id for one in cleared}
    for task in dag.tasks.values():
        over = [task_id for task_id in dag.downstream[task.task_id] if task_id in names]
        if task.task_id in names and (task.depends_on_past or task.wait_for_downstream):
            yield from _later_dates(reader, dag, task.task_id, runs, f"{_wider(reader, options, dag, runs)}{more}")
            return
        if task.wait_for_downstream and over:
            yield from islice(_run_over(reader, dag, task.task_id, over[0], runs), 1)
            return


def _later_dates(reader: Reader, dag: Dag, task_id: str, runs: Sequence[RunRow], command: str) -> Iterator[Problem]:
    cleared = {run.logical_date for run in runs}
    behind = reader.runs(dag.dag_id, runs[0].logical_date + 1, _FOR_EVER)
    later = next((run for run in behind if run.logical_date not in cleared and counts_as_past(dag, run)), None)
    if later is not None and _last_try(reader, dag, task_id, later) is not None:
        yield Problem(
            "later-dates",
            f"{clock_of(dag.timezone).show(later.logical_date)} and what follows it stay as they are; they waited for"
            f" the {task_id} of what is cleared",
            f"if they build on it, clear them too: {command}",
        )


def _run_over(reader: Reader, dag: Dag, task_id: str, cleared: str, runs: Sequence[RunRow]) -> Iterator[Problem]:
    """Whether the task has run for another date since it ran for the first or the last of these.

    Looked at are the dates beside it and the latest: the one before may have been run again since.
    """
    show = clock_of(dag.timezone).show
    for run in dict.fromkeys((runs[0], runs[-1])):
        mine = _last_try(reader, dag, task_id, run)
        beside = (
            next(reader.runs(dag.dag_id, run.logical_date + 1, _FOR_EVER), None),
            reader.run_before(dag.dag_id, run.logical_date),
            reader.run_before(dag.dag_id, _FOR_EVER),
        )
        for other in beside:
            its = _last_try(reader, dag, task_id, other) if other is not None else None
            if other is not None and mine is not None and its is not None and its > mine:
                yield Problem(
                    "run-over",
                    f"{task_id} of {show(other.logical_date)} has run since, so {cleared} of"
                    f" {show(run.logical_date)} may find what that has left",
                    f"clear {task_id} of these dates with it: --task {task_id} --downstream",
                )


def _wider(reader: Reader, options: BackfillOptions, dag: Dag, runs: Sequence[RunRow]) -> str:
    """The same command up to the last date that has run."""
    last = reader.run_before(dag.dag_id, _FOR_EVER) or runs[-1]
    wider = replace(
        options,
        dag_id=options.dag_id if options.backfill_id is None else dag.dag_id,
        backfill_id=None,
        start_date=typed(runs[0].logical_date, dag),
        end_date=typed(last.logical_date, dag),
        dates=(),
        last=None,
        limit=None,
    )
    return command_line("reset", wider)


def _last_try(reader: Reader, dag: Dag, task_id: str, run: RunRow) -> int | None:
    """When the latest try of a task of a date began, epoch microseconds; None when it has not run."""
    for one in reader.instances(dag.dag_id, run.leader, run.leader):
        if one.task_id == task_id and one.state in _RAN:
            return one.started_at
    return None
