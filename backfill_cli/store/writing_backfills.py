"""Writes of requests and proof: DAGs as loaded, backfills and their dates, owners, pools, the audit chain.

Owns the rest of `Writer` (core/ports.py). A plan of a million dates streams through `add_backfill` in chunks, at the
speed of the driver and in flat memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from backfill_cli.core.records import AuditRow, BackfillRow, PlanRow
from backfill_cli.core.states import BackfillState
from backfill_cli.errors import NotFoundError, StoreError
from backfill_cli.store.connections import Connection, Insert
from backfill_cli.store.keys import Keys
from backfill_cli.store.locks import OwnerLocks
from backfill_cli.store.rows import KEY
from backfill_cli.store.writing import LedgerWriter, storable

if TYPE_CHECKING:
    from backfill_cli.core.leases import Lease
    from backfill_cli.core.waits import Waits

_COLUMNS = {"first": "first_date", "last": "last_date"}
_DATES = Insert("backfill_dates", "backfill, logical_date, data_interval_end, action, state, reason")
_FIXED = frozenset({"backfill_id", "dag_id"})


class SqlWriter(LedgerWriter):
    """All of `Writer`, in one transaction.

    Attributes:
        entries: The audit entries it has appended.
    """

    def __init__(self, connection: Connection, keys: Keys, locks: OwnerLocks) -> None:
        super().__init__(connection, keys, locks)
        self.entries: list[AuditRow] = []

    def register_dag(
        self,
        dag_id: str,
        *,
        version: str,
        tasks: Mapping[str, str],
        path: str | None,
        definition: str | None,
        at: int,
    ) -> None:
        """Note a DAG and this version of it, with its tasks (id → digest, in DAG order); `at` in microseconds."""
        db = self._connection
        db.run(
            "INSERT INTO dags (dag_id, path, definition) VALUES (?, ?, ?) "
            "ON CONFLICT (dag_id) DO UPDATE SET path = excluded.path, definition = excluded.definition",
            (dag_id, storable(path), storable(definition)),
        )
        dag = self._keys.dag(dag_id)
        db.run(
            "INSERT INTO dag_versions (dag, digest, tasks, first_seen_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (dag, version, _json(tasks), at),
        )
        db.run("UPDATE dags SET version = ? WHERE dag = ?", (self._keys.versions(dag)[version], dag))
        db.many(
            "INSERT INTO tasks (dag, task_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
            ((dag, task_id) for task_id in tasks),
        )

    def pause_dag(self, dag_id: str, at: int | None) -> None:
        """Note since when the scheduler creates nothing for a registered DAG, microseconds; None: it does again."""
        self._connection.run("UPDATE dags SET paused_at = ? WHERE dag_id = ?", (at, dag_id))

    def add_backfill(self, row: BackfillRow, dates: Iterable[PlanRow]) -> None:
        """Store a backfill and stream its dates in. Raises StoreError when the id exists."""
        dag = self._keys.dag(row.dag_id)
        if self._keys.backfill(row.backfill_id) is not None:
            raise StoreError(f"backfill {row.backfill_id} exists", hint="plan again", code="store-duplicate")
        values = {name: _value(name, getattr(row, name)) for name in row.__dataclass_fields__ if name not in _FIXED}
        values |= {"backfill_id": row.backfill_id, "dag": dag, "version": self._keys.versions(dag)[row.version]}
        names = ", ".join(_COLUMNS.get(name, name) for name in values)
        marks = ", ".join("?" * len(values))
        self._connection.run(f"INSERT INTO backfills ({names}) VALUES ({marks})", tuple(values.values()))
        self.add_dates(row.backfill_id, dates)

    def add_dates(self, backfill_id: str, dates: Iterable[PlanRow]) -> None:
        """Stream dates into a backfill; its bounds and counters are the caller's to set."""
        backfill = self._keys.backfill(backfill_id)
        reasons = self._keys.reasons
        self._connection.insert(
            _DATES,
            (
                (backfill, date, end, action._value_, None if state is None else state._value_, reasons[reason])
                for date, end, action, state, reason in dates
            ),
        )

    def set_backfill(self, backfill_id: str, **changes: Any) -> None:
        """Change named columns of one backfill (fields of BackfillRow, but not its id or DAG).

        Raises:
            NotFoundError: There is no backfill of that id.
        """
        if not changes:
            return
        wrong = (changes.keys() & _FIXED) | (changes.keys() - BackfillRow.__dataclass_fields__.keys())
        if wrong:
            raise TypeError(f"not columns to change: {', '.join(sorted(wrong))}")
        values = {_COLUMNS.get(name, name): _value(name, value) for name, value in changes.items()}
        if "version" in changes:
            values["version"] = self._keys.versions(self._dag_of(backfill_id))[changes["version"]]
        assignments = ", ".join(f"{column} = ?" for column in values)
        changed = self._connection.run(
            f"UPDATE backfills SET {assignments} WHERE backfill_id = ?", (*values.values(), backfill_id)
        )
        if not changed:
            raise _no_backfill(backfill_id)

    def drop_backfill(self, backfill_id: str) -> None:
        """Remove a `planned` backfill and its dates: it was replaced. One that has started stays, with StoreError."""
        backfill = self._keys.backfill(backfill_id)
        if backfill is None:
            return
        # Its row first: the condition and the removal are one statement.
        planned = BackfillState.PLANNED.value
        if not self._connection.run("DELETE FROM backfills WHERE backfill = ? AND state = ?", (backfill, planned)):
            raise StoreError(f"backfill {backfill_id} has started and is history now", code="store-history")
        self._connection.run("DELETE FROM backfill_dates WHERE backfill = ?", (backfill,))

    def take_backfill(self, backfill_id: str, owner: str) -> bool:
        """Make `owner` its owner if nobody alive owns it; False: somebody else does, or there is no such backfill."""
        row = self._connection.one("SELECT owner FROM backfills WHERE backfill_id = ?", (backfill_id,))
        if row is None:
            return False
        before = row[0]
        if before not in (None, owner) and self._lives(before):
            return False
        changed = self._connection.run(
            "UPDATE backfills SET owner = ? WHERE backfill_id = ? AND (owner IS NULL OR owner = ?)",
            (owner, backfill_id, before),
        )
        return changed == 1

    def add_owner(self, owner: str, *, pid: int, host: str, at: int) -> None:
        """Note a process that coordinates, after `Store.hold_owner`; `at` in microseconds."""
        self._connection.run(
            "INSERT INTO owners (owner, pid, host, started_at) VALUES (?, ?, ?, ?)", (owner, pid, host, at)
        )

    def drop_owner(self, owner: str) -> None:
        """Forget a process; its backfills and dag_runs should have been released or recovered before."""
        self._connection.run("DELETE FROM pool_leases WHERE owner = ?", (owner,))
        self._connection.run("DELETE FROM waits WHERE owner = ?", (owner,))
        self._connection.run("DELETE FROM owners WHERE owner = ?", (owner,))

    def add_audit(self, row: AuditRow) -> None:
        """Append one entry; its seq must follow the head. Raises StoreError otherwise."""
        head, _ = self.audit_head()
        if row.seq != head + 1:
            raise StoreError(
                f"audit entry {row.seq} does not follow {head}",
                hint="run: bfill audit verify",
                code="store-audit-order",
            )
        self._connection.run(
            "INSERT INTO audit_events (seq, at, actor, host, action, target, reason, outcome, details, previous, hash) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.seq, row.at, storable(row.actor), storable(row.host), row.action, storable(row.target),
                storable(row.reason), row.outcome, _json(row.details), row.previous, row.hash,
            ),
        )  # fmt: skip
        self.entries.append(row)

    def set_pool(self, name: str, slots: int, description: str | None = None) -> None:
        """Store a pool's size (-1 is unlimited) and what it protects."""
        self._connection.run(
            "INSERT INTO pools (name, slots, description) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
            "slots = excluded.slots, description = excluded.description",
            (storable(name), slots, storable(description)),
        )

    def set_next_start(self, limit: str, at: int) -> None:
        """Store when the next start under a limit of rate may be, epoch microseconds."""
        self._connection.run(
            "INSERT INTO rate_limits (name, next_at) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET next_at = excluded.next_at",
            (limit, at),
        )

    def drop_pool(self, name: str) -> None:
        """Forget what was set for a pool."""
        self._connection.run("DELETE FROM pools WHERE name = ?", (name,))

    def set_leases(self, leases: Iterable[Lease]) -> None:
        """Keep these leases; one of nothing goes."""
        for one in leases:
            if one.slots or one.wanted:
                self._connection.run(f"INSERT OR REPLACE INTO pool_leases VALUES ({', '.join('?' * len(one))})", one)
            else:
                self._connection.run("DELETE FROM pool_leases WHERE pool = ? AND owner = ?", one[:2])

    def set_waits(self, owner: str, waits: Waits | None, at: int) -> None:
        """Keep what the tasks of a process wait for; `at` in microseconds."""
        if waits is None:
            self._connection.run("DELETE FROM waits WHERE owner = ?", (owner,))
        else:
            self._connection.run("INSERT OR REPLACE INTO waits VALUES (?, ?, ?)", (owner, at, waits.text()))

    def _dag_of(self, backfill_id: str) -> int:
        row = self._connection.one("SELECT dag FROM backfills WHERE backfill_id = ?", (backfill_id,))
        if row is None:
            raise _no_backfill(backfill_id)
        return KEY.record(row)


def _value(name: str, value: Any) -> Any:
    """Return a field of BackfillRow as its column holds it."""
    if name == "state":
        return BackfillState(value).value
    if name in ("request", "planned"):
        return _json(value)
    return storable(value) if isinstance(value, str) else value


def _json(value: Mapping[str, Any]) -> str:
    # Escaped to ASCII: any text goes in and comes back as it was, lone surrogates included.
    return json.dumps(dict(value), separators=(",", ":"))


def _no_backfill(backfill_id: str) -> NotFoundError:
    return NotFoundError(f"no backfill {backfill_id}", hint="list them with: bfill status")
