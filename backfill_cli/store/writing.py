"""Writes to the ledger: what a running backfill records, and what recovery and reset put right.

Owns the hot path: `save` runs once a turn of the coordinator, for all that waited in its inbox. Rows go to the driver
as plain tuples, many a statement; later rows for a key replace earlier ones before anything is written, so the start
and the end of a task that meet in one batch cost one write. `writing_backfills.py` has the rest of `Writer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from backfill_cli.core.records import AttemptRow, Batch, Claim, InstanceRow, RunRow, RunType, XComRow
from backfill_cli.core.states import RunState
from backfill_cli.errors import ConflictError
from backfill_cli.store import counting
from backfill_cli.store.connections import ByKeys, Insert
from backfill_cli.store.problems import one_line
from backfill_cli.store.reading import ACTIVE, RUN_COLUMNS, RUN_NAMES
from backfill_cli.store.reading_backfills import SqlReader
from backfill_cli.store.rows import KEY, OWNED_RUN

_RUN_COLUMNS = (
    "dag, logical_date, data_interval_end, run_type, state, version, conf, started_at, ended_at, reason, "
    "backfill, owner, batch"
)
_RUN_UPDATE = (
    "ON CONFLICT (dag, logical_date) DO UPDATE SET data_interval_end = excluded.data_interval_end, "
    "run_type = excluded.run_type, state = excluded.state, version = excluded.version, conf = excluded.conf, "
    "started_at = excluded.started_at, ended_at = excluded.ended_at, reason = excluded.reason, "
    "backfill = excluded.backfill, owner = excluded.owner, batch = excluded.batch"
)
_RUNS = Insert("dag_runs", _RUN_COLUMNS, _RUN_UPDATE)
# The claim itself: nobody else's row is changed, and the row count tells.
_OPENED_RUNS = Insert("dag_runs", _RUN_COLUMNS, f"{_RUN_UPDATE} WHERE dag_runs.owner IS NULL OR dag_runs.owner = ?")
_OWN_RUNS = Insert("dag_runs", _RUN_COLUMNS, f"{_RUN_UPDATE} WHERE dag_runs.owner = ?")
_INSTANCES = Insert(
    "task_instances",
    "dag, logical_date, task, state, try_number, spent, losses, started_at, ended_at, retry_at, reason",
    "ON CONFLICT (dag, logical_date, task) DO UPDATE SET state = excluded.state, try_number = excluded.try_number, "
    "spent = excluded.spent, losses = excluded.losses, started_at = excluded.started_at, "
    "ended_at = excluded.ended_at, retry_at = excluded.retry_at, reason = excluded.reason",
)
_ATTEMPTS = Insert(
    "attempts",
    "dag, logical_date, task, try_number, started_at, ended_at, outcome, reason, version, backfill",
    "ON CONFLICT DO NOTHING",
)
_XCOMS = Insert(
    "xcoms",
    "dag, logical_date, task, name, value",
    "ON CONFLICT (dag, logical_date, task, name) DO UPDATE SET value = excluded.value",
)
_STATES = ByKeys("SELECT logical_date, state FROM dag_runs WHERE dag = ? AND logical_date IN ({keys})")
_OUTCOMES = ByKeys(
    "UPDATE backfill_dates SET outcome = ? WHERE backfill = ? AND outcome IS NULL AND logical_date IN ({keys})"
)

_USUAL = RunType.BACKFILL
"""Nearly every dag_run is of this type; in the store the empty one stands for it."""


class LedgerWriter(SqlReader):
    """What happens to dates, in one transaction."""

    def save(self, claim: Claim, batch: Batch) -> None:
        """Write a batch for the claim's dag_runs; opening one claims it.

        Raises:
            ConflictError: The claim no longer holds (`claim-lost`), or a dag_run to open belongs to somebody else
                (`dates-owned`). The transaction must not be committed then.
        """
        backfill = self._verify(claim)
        dag = self._keys.dag(claim.dag_id)
        opened = {row.logical_date: row for row in batch.opened}
        known: dict[int, RunRow] = {}
        for row in batch.runs:
            # Opened and finished in one batch: one write, which must pass the condition of the opening.
            (opened if row.logical_date in opened else known)[row.logical_date] = row
        self._put_runs(dag, claim, opened, _OPENED_RUNS, backfill)
        self._put_runs(dag, claim, known, _OWN_RUNS, backfill)
        self._put_instances(dag, batch.instances)
        self._put_attempts(dag, batch.attempts, {claim.backfill_id: backfill})
        if batch.cleared:
            self._drop_xcoms(dag, batch.cleared)
        if batch.xcoms:
            self._put_xcoms(dag, batch.xcoms)
        self._put_outcomes(backfill, batch.outcomes)
        if batch.counts is not None:
            self._connection.run(
                "UPDATE backfills SET completed = ?, failed = ? WHERE backfill = ?", (*batch.counts, backfill)
            )

    def set_runs(self, dag_id: str, runs: Iterable[RunRow]) -> None:
        """Upsert dag_runs as given, owner included (None releases); for recovery, release and reset."""
        dag = self._keys.dag(dag_id)
        backfills: dict[str, int | None] = {}
        rows = {row.logical_date: row for row in runs}
        self._count(dag, rows)
        self._connection.insert(_RUNS, (self._run_values(dag, row, backfills) for row in rows.values()))

    def set_instances(self, dag_id: str, rows: Iterable[InstanceRow]) -> None:
        """Upsert task instances as given; for recovery and reset."""
        self._put_instances(self._keys.dag(dag_id), rows)

    def add_attempts(self, dag_id: str, rows: Iterable[AttemptRow]) -> None:
        """Append attempts; one that exists with the same key stays as it is."""
        self._put_attempts(self._keys.dag(dag_id), rows, {})

    def drop_xcoms(self, dag_id: str, pairs: Iterable[tuple[int, str]]) -> int:
        """Remove the XComs of (logical_date, task_id) pairs; how many values went."""
        return self._drop_xcoms(self._keys.dag(dag_id), pairs)

    def runs_owned_by(self, owner: str) -> Iterator[tuple[str, RunRow]]:
        """Return the (dag_id, dag_run) pairs the owner still holds, by DAG and date.

        Read to the end first: whoever asks is about to change the very index this walks.
        """
        rows = self._connection.all(
            f"SELECT d.dag_id, {RUN_COLUMNS} FROM dag_runs r LEFT JOIN dags d ON d.dag = r.dag {RUN_NAMES} "
            f"WHERE {ACTIVE} AND r.owner = ? ORDER BY r.dag, r.logical_date",
            (owner,),
        )
        return iter(list(OWNED_RUN.records(rows)))

    def _verify(self, claim: Claim) -> int:
        """Return the backfill's key if the claim holds. One look-up, before anything is written."""
        row = self._connection.one(
            "SELECT backfill FROM backfills WHERE backfill_id = ? AND owner = ?", (claim.backfill_id, claim.owner)
        )
        if row is None:
            raise ConflictError(
                f"backfill {claim.backfill_id} no longer belongs to this process",
                hint=f"another command took it over; see: bfill status {claim.backfill_id}",
                code="claim-lost",
            )
        return KEY.record(row)

    def _put_runs(self, dag: int, claim: Claim, rows: Mapping[int, RunRow], how: Insert, backfill: int) -> None:
        if not rows:
            return
        backfills: dict[str, int | None] = {claim.backfill_id: backfill}
        self._count(dag, rows)
        values = (self._run_values(dag, row, backfills) for row in rows.values())
        written = self._connection.insert(how, values, (claim.owner,))
        if written != len(rows):
            raise self._conflict(dag, claim, rows)

    def _run_values(self, dag: int, row: RunRow, backfills: dict[str, int | None]) -> tuple[Any, ...]:
        date, end, run_type, state, version, conf, started_at, ended_at, reason, backfill_id, owner, batch = row
        return (
            dag, date, end, None if run_type is _USUAL else run_type._value_, state._value_,
            self._keys.versions(dag)[version], None if conf == "{}" else storable(conf), started_at, ended_at,
            storable(reason), self._backfill_key(backfill_id, backfills), owner, batch,
        )  # fmt: skip

    def _count(self, dag: int, rows: Mapping[int, RunRow]) -> None:
        before = self._states(dag, list(rows))
        changes = ((date, before.get(date), row.state._value_) for date, row in rows.items())
        counting.note_changes(self._connection, dag, changes)

    def _states(self, dag: int, dates: list[int]) -> dict[int, str]:
        """Return the states of those dates that have a dag_run."""
        found: dict[int, str] = {}
        for text, asked in _STATES.parts(dates):
            found.update(self._connection.all(text, (dag, *asked)))
        return found

    def _put_outcomes(self, backfill: int, outcomes: Iterable[tuple[int, RunState]]) -> None:
        dates: dict[RunState, list[int]] = {}
        for date, outcome in outcomes:
            dates.setdefault(outcome, []).append(date)
        for outcome, finished in dates.items():
            for text, asked in _OUTCOMES.parts(finished):
                self._connection.run(text, (outcome._value_, backfill, *asked))

    def _put_instances(self, dag: int, rows: Iterable[InstanceRow]) -> None:
        latest = {(row.logical_date, row.task_id): row for row in rows}
        if not latest:
            return
        tasks = self._keys.tasks(dag)
        values = [
            (dag, date, tasks[task_id], state._value_, tries, spent, losses, begun, ended, retry_at, storable(reason))
            for date, task_id, state, tries, spent, losses, begun, ended, retry_at, reason in latest.values()
        ]
        self._connection.insert(_INSTANCES, values)
        self._note_first_dates(values)

    def _note_first_dates(self, values: Iterable[tuple[Any, ...]]) -> None:
        """Keep tasks.first_date, which answers `ever_ran`, at the earliest date of any instance."""
        known = self._keys.first_dates
        earlier: dict[int, int] = {}
        for _, date, task, *_ in values:
            if date < earlier.get(task, known.get(task, date + 1)):
                earlier[task] = date
        self._connection.many(
            "UPDATE tasks SET first_date = ? WHERE task = ? AND (first_date IS NULL OR first_date > ?)",
            ((date, task, date) for task, date in earlier.items()),
        )
        known.update(earlier)

    def _put_attempts(self, dag: int, rows: Iterable[AttemptRow], backfills: dict[str, int | None]) -> None:
        tasks = self._keys.tasks(dag)
        versions = self._keys.versions(dag)
        values = (
            (
                dag, date, tasks[task_id], tries, begun, ended, outcome._value_, storable(reason), versions[version],
                self._backfill_key(backfill_id, backfills),
            )
            for date, task_id, tries, begun, ended, outcome, reason, version, backfill_id in rows
        )  # fmt: skip
        self._connection.insert(_ATTEMPTS, values)

    def _put_xcoms(self, dag: int, rows: Iterable[XComRow]) -> None:
        tasks = self._keys.tasks(dag)
        self._connection.insert(
            _XCOMS,
            ((dag, date, tasks[task_id], storable(name), storable(value)) for date, task_id, name, value in rows),
        )

    def _drop_xcoms(self, dag: int, pairs: Iterable[tuple[int, str]]) -> int:
        tasks = self._keys.tasks(dag)
        return self._connection.many(
            "DELETE FROM xcoms WHERE dag = ? AND logical_date = ? AND task = ?",
            ((dag, date, tasks[task_id]) for date, task_id in pairs),
        )

    def _backfill_key(self, backfill_id: str | None, backfills: dict[str, int | None]) -> int | None:
        if backfill_id is None:
            return None
        if backfill_id not in backfills:
            backfills[backfill_id] = self._keys.backfill(backfill_id)
        return backfills[backfill_id]

    def _conflict(self, dag: int, claim: Claim, rows: Mapping[int, RunRow]) -> ConflictError:
        """Return the error that names the first date somebody else has, and who that is."""
        for date in sorted(rows):
            row = self._connection.one(
                "SELECT r.owner, o.pid, o.host, o.started_at, b.backfill_id FROM dag_runs r "
                "LEFT JOIN owners o ON o.owner = r.owner LEFT JOIN backfills b ON b.backfill = r.backfill "
                "WHERE r.dag = ? AND r.logical_date = ? AND (r.owner IS NULL OR r.owner <> ?)",
                (dag, date, claim.owner),
            )
            if row is not None:
                owner, pid, host, since, backfill_id = row
                who = f"pid {pid} on {host} since {_utc(since)}" if pid else f"{one_line(str(owner))}, which has left"
                return ConflictError(
                    f"{claim.dag_id} {_utc(date * 1_000_000)} is being run by {who}",
                    hint=f"wait until it has finished; see: bfill status {backfill_id or ''}".rstrip(),
                    code="dates-owned",
                )
        return ConflictError(f"{claim.dag_id}: dates of {claim.backfill_id} were taken over", code="claim-lost")


def storable(text: str | None) -> str | None:
    """Return text that any database takes: what is no Unicode (from a task's output, say) is written as an escape."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _utc(microseconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).isoformat()
