"""Which dag_run is before which, while a backfill runs, and whether what is behind it may begin.

Owns the link from an open run to its predecessor, and the notes a run keeps of the tasks its past holds back. The rules
themselves are `core/rules.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backfill_cli.core.graph import Dag, Task
from backfill_cli.core.progress import OpenRun, RunSpec
from backfill_cli.core.records import RunType
from backfill_cli.core.rules import Past, PastRun, past_of, watched_by


class Predecessors:
    """The runs of one backfill in the order they were opened, as far as the next one has to know it."""

    def __init__(self, dag: Dag) -> None:
        self._dag = dag
        self._latest: OpenRun | None = None

    def open(self, spec: RunSpec) -> OpenRun:
        """Return a date's run, linked with the one before it."""
        run = OpenRun(self._dag, spec, self._previous_of(spec))
        if isinstance(run.previous, OpenRun):
            run.previous.followers.append(run)
        if not (self._dag.catchup and run.run_type is RunType.MANUAL):  # semantics section 4, rule 3
            self._latest = run
        return run

    def leave_out(self, run: OpenRun) -> list[OpenRun]:
        """Take a run in which nothing has begun out of the line; return those behind it, which follow its predecessor.

        Who was the first run of the backfill, and was to ignore the past, hands that on (semantics section 4, rule 1).
        """
        previous, followers = run.previous, run.followers
        for one in followers:
            one.previous = previous
            one.ignore_past = one.ignore_past or run.ignore_past
        if isinstance(previous, OpenRun) and not previous.is_closed:
            previous.followers.remove(run)
            previous.followers += followers
        if self._latest is run:
            self._latest = previous if isinstance(previous, OpenRun) else None
        run.previous, run.followers = None, []
        return followers

    def _previous_of(self, spec: RunSpec) -> OpenRun | PastRun | None:
        """The previous run: the one opened last, unless the store knows a later one."""
        latest = self._latest
        if not self._dag.waits_on_past:
            return None
        if latest is None or latest.logical_date >= spec.logical_date:
            return spec.previous
        if spec.previous is not None and spec.previous.logical_date > latest.last:
            return spec.previous
        return latest


def ask_the_past(run: OpenRun, task: Task, dag: Dag) -> Past:
    """Return what the past says of a task that could begin otherwise, and note on the run what follows from it."""
    behind = dag.downstream[task.task_id]
    past = past_of(task, behind, run.past(watched_by(task, behind)), ignore=run.ignore_past)
    was_waiting = task.task_id in run.past_waiting
    run.stuck.pop(task.task_id, None)
    if past.waits and not was_waiting:
        run.past_waiting.add(task.task_id)
        run.active += 1
    elif not past.waits and was_waiting:
        run.past_waiting.discard(task.task_id)
        run.active -= 1
    if not past.met and not past.waits:
        run.stuck[task.task_id] = past
    return past


def waiting_for(run: OpenRun, moved: Iterable[str]) -> Iterator[tuple[OpenRun, str]]:
    """Yield those of the given tasks that wait for the previous run, which has moved: they are to be asked again."""
    if run.past_waiting:
        for task_id in moved:
            if task_id in run.past_waiting:
                yield run, task_id
