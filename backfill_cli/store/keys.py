"""The integers that stand for names: looked up once, remembered for as long as the connection lives.

Owns the caches. Keys of DAGs, versions, tasks and reasons are never taken back, so what was read under one snapshot
holds under every later one; only a rollback can make a key of the same transaction wrong, and `forget` follows it.
Keys of backfills are not remembered: a planned backfill can be dropped, and its key given to the next.
"""

from __future__ import annotations

from backfill_cli.errors import StoreError
from backfill_cli.store.connections import Connection
from backfill_cli.store.problems import one_line
from backfill_cli.store.rows import KEY

_REASONS_KEPT = 4_096


class Keys:
    """Names to keys, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dags: dict[str, int] = {}
        self._versions: dict[tuple[int, str], int] = {}
        self._tasks: dict[int, dict[str, int]] = {}
        self._reasons: dict[str, int] = {}
        self.first_dates: dict[int, int] = {}
        """Task key → the earliest date known to be stored in tasks.first_date."""

    def forget(self) -> None:
        """Drop everything: a transaction was rolled back."""
        for cache in (self._dags, self._versions, self._tasks, self._reasons, self.first_dates):
            cache.clear()

    def find_dag(self, dag_id: str) -> int | None:
        """Return a DAG's key, None when the store has never seen it."""
        key = self._dags.get(dag_id)
        if key is None:
            key = KEY.maybe(self._connection.one("SELECT dag FROM dags WHERE dag_id = ?", (dag_id,)))
            if key is not None:
                self._dags[dag_id] = key
        return key

    def dag(self, dag_id: str) -> int:
        """Return a DAG's key. Raises StoreError when it was never registered."""
        key = self.find_dag(dag_id)
        if key is None:
            raise _unknown("DAG", dag_id)
        return key

    def version(self, dag: int, digest: str) -> int:
        """Return a version's key. Raises StoreError when it was never registered."""
        key = self._versions.get((dag, digest))
        if key is None:
            row = self._connection.one("SELECT version FROM dag_versions WHERE dag = ? AND digest = ?", (dag, digest))
            if row is None:
                raise _unknown("version", digest)
            key = self._versions[dag, digest] = KEY.record(row)
        return key

    def tasks(self, dag: int) -> dict[str, int]:
        """Return all tasks of a DAG, of any version."""
        found = self._tasks.get(dag)
        if found is None:
            rows = self._connection.rows("SELECT task_id, task FROM tasks WHERE dag = ?", (dag,))
            found = self._tasks[dag] = {str(task_id): KEY.record((task,)) for task_id, task in rows}
        return found

    def task(self, dag: int, task_id: str) -> int | None:
        """Return a task's key, None when no version of the DAG has it."""
        key = self.tasks(dag).get(task_id)
        if key is None:
            # A reader's cache may be older than its snapshot.
            row = self._connection.one("SELECT task FROM tasks WHERE dag = ? AND task_id = ?", (dag, task_id))
            key = KEY.maybe(row)
            if key is not None:
                self._tasks[dag][task_id] = key
        return key

    def backfill(self, backfill_id: str | None) -> int | None:
        """Return a backfill's key, None when there is none of that id."""
        if backfill_id is None:
            return None
        return KEY.maybe(self._connection.one("SELECT backfill FROM backfills WHERE backfill_id = ?", (backfill_id,)))

    def reason(self, sentence: str) -> int:
        """Return the key of a sentence; a new one is stored. For writers."""
        key = self._reasons.get(sentence)
        if key is None:
            self._connection.run("INSERT INTO reasons (sentence) VALUES (?) ON CONFLICT DO NOTHING", (sentence,))
            row = self._connection.one("SELECT reason FROM reasons WHERE sentence = ?", (sentence,))
            # A plan that words every date differently must not make the cache grow with it.
            if len(self._reasons) >= _REASONS_KEPT:
                self._reasons.clear()
            key = self._reasons[sentence] = KEY.record(row or (None,))
        return key


def _unknown(what: str, name: str) -> StoreError:
    return StoreError(
        f"the store does not know the {what} '{one_line(name)}'",
        hint="a DAG is registered with its version and tasks before anything is stored for it",
        code="store-unknown-name",
    )
