"""What clearing leaves behind in a chain of dates: later ones that have run since, and what they have run over.

Owns two notes of `reset`, each from a look at the next date where the task that waits is not cleared. `later-dates`: it
waited for what is now cleared, and stays as it is. `run-over`: a task with wait_for_downstream may overwrite what the
tasks directly behind it have dealt with, so one of those, run again alone, finds what a later date has left there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from backfill_cli.app.commands import command_line
from backfill_cli.app.past import typed_date
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
    dates = {run.logical_date for run in runs}
    show = clock_of(dag.timezone).show
    for task in dag.tasks.values():
        if not (task.depends_on_past or task.wait_for_downstream):
            continue
        is_cleared = task.task_id in names
        later = _next_run(reader, dag, runs[0].logical_date, dates if is_cleared else frozenset())
        if later is None or not _has_run(reader, dag, task.task_id, later.logical_date):
            continue
        if is_cleared:
            last = reader.run_before(dag.dag_id, _FOR_EVER) or later
            yield Problem(
                "later-dates",
                f"{show(later.logical_date)} and what follows it stay as they are; they waited for the"
                f" {task.task_id} of what is cleared",
                f"if they build on it, clear them too: {_same_but(options, dag, runs[0], last)}{more}",
            )
            return
        over = [task_id for task_id in dag.downstream[task.task_id] if task_id in names]
        if task.wait_for_downstream and over:
            yield Problem(
                "run-over",
                f"{task.task_id} of {show(later.logical_date)} has run since, so {over[0]} of"
                f" {show(runs[0].logical_date)} may find what that has left",
                f"clear {task.task_id} of these dates with it: --task {task.task_id} --downstream",
            )
            return


def _same_but(options: BackfillOptions, dag: Dag, first: RunRow, last: RunRow) -> str:
    """The command, with other dates."""
    wider = replace(
        options,
        dag_id=options.dag_id if options.backfill_id is None else dag.dag_id,
        backfill_id=None,
        start_date=typed_date(first, dag),
        end_date=typed_date(last, dag),
        dates=(),
        last=None,
        limit=None,
    )
    return command_line("reset", wider)


def _next_run(reader: Reader, dag: Dag, first: int, cleared: Collection[int]) -> RunRow | None:
    """The first dag_run behind a date that is not among the cleared ones."""
    for run in reader.runs(dag.dag_id, first + 1, _FOR_EVER):
        if run.logical_date not in cleared and counts_as_past(dag, run):
            return run
    return None


def _has_run(reader: Reader, dag: Dag, task_id: str, date: int) -> bool:
    return any(one.task_id == task_id and one.state in _RAN for one in reader.instances(dag.dag_id, date, date))
