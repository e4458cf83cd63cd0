"""The integers that stand for names: looked up once, remembered for as long as the connection lives.

Owns the caches. Keys of DAGs, versions, tasks and reasons are never taken back, so what was read under one snapshot
holds under every later one; only a rollback can make a key of the same transaction wrong, and `forget` follows it.
Keys of backfills are not remembered: a planned backfill can be dropped, and its key given to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from backfill_cli.errors import StoreError
from backfill_cli.store.connections import Connection
from backfill_cli.store.problems import one_line
from backfill_cli.store.rows import KEY

_REASONS_KEPT = 4_096


class Lookup(dict[str, int]):
    """A dict that asks the database for a name it has not met; a hit costs what any dict's does."""

    def __init__(self, ask: Callable[[str], int], *, at_most: int | None = None) -> None:
        super().__init__()
        self._ask = ask
        self._at_most = at_most

    def __missing__(self, name: str) -> int:
        key = self._ask(name)
        if self._at_most is not None and len(self) >= self._at_most:
            self.clear()
        self[name] = key
        return key


class Keys:
    """Names to keys, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.forget()

    def forget(self) -> None:
        """Drop everything: a transaction was rolled back."""
        self._dags: dict[str, int] = {}
        self._versions: dict[int, Lookup] = {}
        self._tasks: dict[int, Lookup] = {}
        # A plan that words every date differently must not make the cache grow with it.
        self.reasons = Lookup(self._intern, at_most=_REASONS_KEPT)
        self.first_dates: dict[int, int] = {}
        """Task key → the earliest date known to be stored in tasks.first_date."""

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

    def versions(self, dag: int) -> Lookup:
        """Return the DAG's versions; asking for one that was never registered raises StoreError."""
        if dag not in self._versions:
            self._versions[dag] = Lookup(partial(self._version, dag))
        return self._versions[dag]

    def tasks(self, dag: int) -> Lookup:
        """Return the tasks of any version of a DAG; asking for one that was never registered raises StoreError."""
        if dag not in self._tasks:
            self._tasks[dag] = Lookup(partial(self._task, dag))
        return self._tasks[dag]

    def backfill(self, backfill_id: str | None) -> int | None:
        """Return a backfill's key, None when there is none of that id."""
        if backfill_id is None:
            return None
        return KEY.maybe(self._connection.one("SELECT backfill FROM backfills WHERE backfill_id = ?", (backfill_id,)))

    def _version(self, dag: int, digest: str) -> int:
        row = self._connection.one("SELECT version FROM dag_versions WHERE dag = ? AND digest = ?", (dag, digest))
        if row is None:
            raise _unknown("version", digest)
        return KEY.record(row)

    def _task(self, dag: int, task_id: str) -> int:
        row = self._connection.one("SELECT task FROM tasks WHERE dag = ? AND task_id = ?", (dag, task_id))
        if row is None:
            raise _unknown("task", task_id)
        return KEY.record(row)

    def _intern(self, sentence: str) -> int:
        self._connection.run("INSERT INTO reasons (sentence) VALUES (?) ON CONFLICT DO NOTHING", (sentence,))
        return KEY.record(self._connection.one("SELECT reason FROM reasons WHERE sentence = ?", (sentence,)) or (None,))


def _unknown(what: str, name: str) -> StoreError:
    return StoreError(
        f"the store does not know the {what} '{one_line(name)}'",
        hint="a DAG is registered with its version and tasks before anything is stored for it",
        code="store-unknown-name",
    )
