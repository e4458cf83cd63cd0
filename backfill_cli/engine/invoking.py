"""What a worker is told of a try: where its DAG is, which date, what those before it have pushed.

Owns the making of invocations, and the copy of XComs that goes with each.
"""

from __future__ import annotations

from backfill_cli.core.instants import run_id
from backfill_cli.core.invocations import DagRef, Invocation
from backfill_cli.core.machine import BackfillMachine, Submission
from backfill_cli.core.progress import OpenRun
from backfill_cli.core.states import TaskState
from backfill_cli.core.work import PythonWork
from backfill_cli.core.xcoms import RETURN_VALUE


class Invocations:
    """Makes the invocations of one backfill.

    Args:
        machine: Knows what the open dates have pushed.
        backfill_id: Told to the tasks.
        dag_ref: What a worker finds the DAG by.
        logs: The folder for logs.
    """

    def __init__(self, machine: BackfillMachine, backfill_id: str, dag_ref: DagRef, logs: str) -> None:
        self._machine = machine
        self._backfill_id = backfill_id
        self._dag_ref = dag_ref
        self._logs = logs
        self._returning: dict[str, tuple[str, ...]] = {}

    def of(self, submission: Submission) -> Invocation:
        """Return what a worker is given for a try."""
        run = submission.run
        name = run_id(run.run_type, run.logical_date)
        task_id, try_number = submission.task.task_id, submission.try_number
        return Invocation(
            self._dag_ref,
            task_id,
            run.logical_date,
            run.data_interval_end,
            name,
            run.run_type,
            try_number,
            submission.spent,
            self._backfill_id,
            run.conf,
            self._xcoms_of(run, task_id),
            submission.previous_success,
            f"{self._logs}/{self._dag_ref.dag_id}/{name}/{task_id}.{try_number}.log",
            run.logical_dates,
        )

    def _xcoms_of(self, run: OpenRun, task_id: str) -> dict[str, dict[str, str]]:
        """Return a copy, tasks in DAG order: the machine goes on filling its own while the worker reads.

        A Python task that returned None is not stored, which would cost a row a task; to those behind it its result is
        null all the same, not missing. It stands first: a pull that names no task takes the last that pushed something.
        """
        silent = [
            one
            for one in self._returning_before(task_id)
            if RETURN_VALUE not in run.xcoms.get(one, ()) and run.instances[one].state is TaskState.SUCCESS
        ]
        if not run.xcoms and not silent:
            return {}
        found: dict[str, dict[str, str]] = {one: {RETURN_VALUE: "null"} for one in silent}
        place = self._machine.dag.position
        for one in sorted(run.xcoms, key=lambda name: place.get(name, -1)):
            found[one] = {**found.pop(one, {}), **run.xcoms[one]}
        return found

    def _returning_before(self, task_id: str) -> tuple[str, ...]:
        """Return the Python tasks before a task whose result is pushed; looked up once a task."""
        known = self._returning.get(task_id)
        if known is None:
            before = self._machine.dag.ancestors(task_id)
            known = self._returning[task_id] = tuple(
                task.task_id
                for task in self._machine.dag.tasks.values()
                if task.task_id in before and task.do_xcom_push and isinstance(task.work, PythonWork)
            )
        return known
