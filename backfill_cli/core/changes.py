"""What changed in one turn of the machine, each thing once, until it becomes the rows of one batch.

Owns the shape of a write. Rows are made when the turn is over, from what the window says then, so the start and the end
of an attempt that meet in one turn become one write, and an XCom that a newer try has cleared is never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.progress import Instance, OpenRun
from backfill_cli.core.records import AttemptRow, Batch, Counts, InstanceRow, OutcomeRow, RunRow, XComRow
from backfill_cli.core.states import Outcome, RunState

Key = tuple[int, str]
"""A task instance: logical date and task id."""


class Changes:
    """Collects what changed; `take` hands it over and begins anew.

    Args:
        version, backfill_id, owner: Written into every row.
    """

    def __init__(self, version: str, backfill_id: str, owner: str) -> None:
        self._version = version
        self._backfill_id = backfill_id
        self._owner = owner
        self._begin()

    def _begin(self) -> None:
        self._opened: dict[int, OpenRun] = {}
        self._runs: dict[int, OpenRun] = {}
        self._instances: dict[Key, Instance] = {}
        self._attempts: list[AttemptRow] = []
        self._xcoms: dict[Key, Mapping[str, str]] = {}
        self._cleared: dict[Key, None] = {}
        self._outcomes: list[OutcomeRow] = []

    def opened(self, run: OpenRun) -> None:
        """A dag_run came into the window: its row claims it."""
        self._opened[run.logical_date] = run

    def run(self, run: OpenRun) -> None:
        if run.logical_date not in self._opened:
            self._runs[run.logical_date] = run

    def instance(self, logical_date: int, task_id: str, one: Instance) -> None:
        self._instances[logical_date, task_id] = one

    def attempt(self, report: AttemptReport, outcome: Outcome) -> None:
        """A try ended, and this is how it goes down in history."""
        self._attempts.append(
            AttemptRow(
                report.logical_date,
                report.task_id,
                report.try_number,
                report.started_at,
                report.ended_at,
                outcome,
                report.reason,
                self._version,
                self._backfill_id,
            )
        )

    def xcoms(self, logical_date: int, task_id: str, values: Mapping[str, str]) -> None:
        self._xcoms[logical_date, task_id] = values

    def clear_xcoms(self, logical_date: int, task_id: str) -> None:
        """Drop what the store has of the task instance, and what this turn would have added."""
        self._xcoms.pop((logical_date, task_id), None)
        self._cleared[logical_date, task_id] = None

    def outcome(self, run: OpenRun, state: RunState) -> None:
        """A dag_run ended, or all those of a batch: the backfill has finished their dates."""
        self._outcomes.append(OutcomeRow(run.logical_date, state))
        for member in run.members:
            self._outcomes.append(OutcomeRow(member.logical_date, state))

    def take(self, completed: int, failed: int) -> Batch:
        """Return the rows, and forget them. The counts are those of the whole backfill so far."""
        batch = Batch(
            opened=self._run_rows(self._opened.values()),
            runs=self._run_rows(self._runs.values()),
            instances=[self._instance_row(key, one) for key, one in self._instances.items()],
            attempts=self._attempts,
            xcoms=[XComRow(*key, name, value) for key, values in self._xcoms.items() for name, value in values.items()],
            cleared=list(self._cleared),
            outcomes=self._outcomes,
            counts=Counts(completed, failed) if self._outcomes else None,
        )
        self._begin()
        return batch

    def _run_rows(self, runs: Iterable[OpenRun]) -> list[RunRow]:
        rows = []
        for run in runs:
            row = run.row(self._version, self._backfill_id, None if run.is_closed else self._owner, run.ended_at)
            rows.append(row)
            if run.members:
                rows += run.member_rows(row)
        return rows

    @staticmethod
    def _instance_row(key: Key, one: Instance) -> InstanceRow:
        return one.row(*key)
