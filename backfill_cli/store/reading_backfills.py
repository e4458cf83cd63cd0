"""Queries over requests and proof: backfills and their dates, owners, pools, the audit chain.

Owns the other half of `Reader` (core/ports.py). Pages are keysets, counters are columns: nothing here walks history to
answer a short question.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from backfill_cli.core.leaving import SKIPPED_BY
from backfill_cli.core.records import AuditRow, BackfillDateRow, BackfillRow, OwnerRow, PlanRow, PoolRow
from backfill_cli.core.states import BackfillState
from backfill_cli.store.connections import Connection
from backfill_cli.store.keys import Keys
from backfill_cli.store.locks import OwnerLocks
from backfill_cli.store.reading import LedgerReader, one_of
from backfill_cli.store.rows import (
    AUDIT,
    BACKFILL,
    BACKFILL_DATE,
    DATE,
    HEAD,
    LEASE,
    OWNER,
    PLAN,
    POOL,
    RATE_LIMIT,
    WAITS,
)

if TYPE_CHECKING:
    from backfill_cli.core.leases import Lease
    from backfill_cli.core.waits import Waits
    from backfill_cli.store.agreements import StoredAgreements
    from backfill_cli.store.controls import StoredControls
    from backfill_cli.store.proving import StoredHistory

_BACKFILLS = (
    "SELECT f.backfill_id, d.dag_id, f.state, v.digest, f.identity, f.request, f.created_at, f.first_date, "
    "f.last_date, f.planned, f.parent_id, f.started_at, f.ended_at, f.completed, f.failed, f.blocked, f.interrupted, "
    "f.reason, f.owner FROM backfills f "
    "LEFT JOIN dags d ON d.dag = f.dag LEFT JOIN dag_versions v ON v.version = f.version"
)
PLANNED = (
    "SELECT p.logical_date, p.data_interval_end, p.action, p.outcome, s.sentence, r.state, r.started_at, "
    "r.ended_at, r.reason, r.batch FROM backfill_dates p JOIN backfills f ON f.backfill = p.backfill "
    "LEFT JOIN reasons s ON s.reason = p.reason "
    "LEFT JOIN dag_runs r ON r.dag = f.dag AND r.logical_date = p.logical_date"
)
"""Dates of backfills, p, each with what its dag_run says now."""
TAKEN_OUT = f"s.sentence GLOB '{SKIPPED_BY}*'"
"""Whether the reason, s, of a date that is left alone is that somebody took it out."""
_OWNERS = "SELECT owner, pid, host, started_at FROM owners"
_TO_DO = "outcome IS NULL AND action <> 'skip'"
_LEASES = "SELECT pool, owner, slots, used, wanted, least, waiting, rank, size, served_at FROM pool_leases"


class SqlReader(LedgerReader):
    """All of `Reader`, over one snapshot."""

    def __init__(self, connection: Connection, keys: Keys, locks: OwnerLocks) -> None:
        super().__init__(connection, keys)
        self._locks = locks

    def backfill(self, backfill_id: str) -> BackfillRow | None:
        """Return one backfill, None when there is none of that id."""
        return BACKFILL.maybe(self._connection.one(f"{_BACKFILLS} WHERE f.backfill_id = ?", (backfill_id,)))

    def backfills(
        self,
        *,
        dag_id: str | None = None,
        states: Sequence[BackfillState] | None = None,
        identity: str | None = None,
        besides: str | None = None,
        limit: int = 20,
    ) -> list[BackfillRow]:
        """Return the latest backfills, in reverse order of creation."""
        wanted, values = one_of("f.state", states)
        parameters: list[str | int | None] = [*values]
        if dag_id is not None:
            wanted += " AND f.dag = ?"
            parameters.append(self._keys.find_dag(dag_id))
        if identity is not None:
            wanted += " AND f.identity = ?"
            parameters.append(identity)
        if besides is not None:
            wanted += " AND f.identity <> ?"
            parameters.append(besides)
        query = f"{_BACKFILLS} WHERE 1 = 1{wanted} ORDER BY f.backfill DESC LIMIT ?"
        return list(BACKFILL.records(self._connection.rows(query, (*parameters, limit))))

    def pending(self, backfill_id: str, *, after: int | None, limit: int, backwards: bool = False) -> list[PlanRow]:
        """Return the next dates to work on: without outcome, not `skip`, beyond `after` in the given direction."""
        beyond = "" if after is None else f" AND p.logical_date {'<' if backwards else '>'} ?"
        rows = self._connection.rows(
            "SELECT p.logical_date, p.data_interval_end, p.action, p.state, s.sentence FROM backfill_dates p "
            f"LEFT JOIN reasons s ON s.reason = p.reason WHERE p.backfill = ? AND {_TO_DO}{beyond} "
            f"ORDER BY p.logical_date {'DESC' if backwards else 'ASC'} LIMIT ?",
            (self._keys.backfill(backfill_id), *(() if after is None else (after,)), limit),
        )
        return list(PLAN.records(rows))

    def backfill_dates(
        self, backfill_id: str, *, after: int | None = None, limit: int | None = None, backwards: bool = False
    ) -> Iterator[BackfillDateRow]:
        """Stream the dates of a backfill, ascending or descending, each with what its dag_run says now."""
        parameters: list[int | None] = [self._keys.backfill(backfill_id)]
        query = f"{PLANNED} WHERE p.backfill = ?"
        if after is not None:
            query += f" AND p.logical_date {'<' if backwards else '>'} ?"
            parameters.append(after)
        query += f" ORDER BY p.logical_date {'DESC' if backwards else 'ASC'}"
        if limit is not None:
            query += " LIMIT ?"
            parameters.append(limit)
        return BACKFILL_DATE.records(self._connection.rows(query, parameters))

    def worked_on(self, backfill_id: str, *, backwards: bool = False) -> Iterator[int]:
        """Stream the dates a backfill works on, done or not, and those that somebody took out of it."""
        rows = self._connection.rows(
            f"SELECT logical_date FROM backfill_dates WHERE backfill = ? AND (action <> 'skip' OR reason IN "
            f"(SELECT s.reason FROM reasons s WHERE {TAKEN_OUT})) "
            f"ORDER BY logical_date {'DESC' if backwards else 'ASC'}",
            (self._keys.backfill(backfill_id),),
        )
        return DATE.records(rows)

    def ended_since(self, backfill_id: str, at: int) -> int:
        """Count the dates of a backfill that it finished at that instant (epoch µs) or later; a walk over them."""
        row = self._connection.one(
            "SELECT count(*) FROM backfill_dates p JOIN backfills f ON f.backfill = p.backfill "
            "JOIN dag_runs r ON r.dag = f.dag AND r.logical_date = p.logical_date AND r.backfill = p.backfill "
            # A date of which only some tasks were to run has no end of its own.
            "WHERE p.backfill = ? AND p.outcome IS NOT NULL AND coalesce(r.ended_at, r.started_at) >= ?",
            (self._keys.backfill(backfill_id), at),
        )
        assert row is not None
        return int(row[0])

    def owners(self) -> list[OwnerRow]:
        """Return every process that coordinates or was killed while it did, oldest first."""
        rows = self._connection.rows(f"{_OWNERS} ORDER BY started_at, owner")
        return [self._owner_row(*row) for row in OWNER.records(rows)]

    def owner(self, owner: str) -> OwnerRow | None:
        """Return one of them, None when it has left in good order or never was."""
        row = OWNER.maybe(self._connection.one(f"{_OWNERS} WHERE owner = ?", (owner,)))
        return None if row is None else self._owner_row(*row)

    def overlapping(self, dag_id: str, first: int, last: int, *, besides: str | None = None) -> list[BackfillRow]:
        """Return the DAG's backfills with a live owner other than `besides` that have dates to do in the range."""
        rows = self._connection.rows(
            f"{_BACKFILLS} WHERE f.dag = ? AND f.owner IS NOT NULL AND f.owner <> ? "
            "AND f.first_date <= ? AND f.last_date >= ? ORDER BY f.backfill",
            (self._keys.find_dag(dag_id), besides or "", last, first),
        )
        return [row for row in BACKFILL.records(rows) if row.remaining > 0 and self._lives(row.owner)]

    def claimed(self, backfill_id: str, first: int, last: int) -> Iterator[int]:
        """Stream the dates of that backfill in the range that it still has to finish, ascending."""
        rows = self._connection.rows(
            f"SELECT logical_date FROM backfill_dates WHERE backfill = ? AND logical_date BETWEEN ? AND ? AND {_TO_DO} "
            "ORDER BY logical_date",
            (self._keys.backfill(backfill_id), first, last),
        )
        return DATE.records(rows)

    def audit_head(self) -> tuple[int, str]:
        """Return (seq, hash) of the last entry; (0, "") for an empty chain."""
        row = self._connection.one("SELECT seq, hash FROM audit_events ORDER BY seq DESC LIMIT 1")
        return HEAD.maybe(row) or (0, "")

    def audit(
        self,
        *,
        after: int = 0,
        limit: int | None = None,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> Iterator[AuditRow]:
        """Stream entries with seq > after, ascending; `since` and `until` are epoch microseconds, both included."""
        conditions: Mapping[str, str | int | None] = {
            "actor = ?": actor,
            "action = ?": action,
            "target = ?": target,
            "at >= ?": since,
            "at <= ?": until,
        }
        asked = {condition: value for condition, value in conditions.items() if value is not None}
        query = (
            "SELECT seq, at, actor, host, action, target, reason, outcome, details, previous, hash FROM audit_events "
            f"WHERE {' AND '.join(['seq > ?', *asked])} ORDER BY seq"
        )
        if limit is not None:
            query += " LIMIT ?"
        parameters = (after, *asked.values(), *(() if limit is None else (limit,)))
        return AUDIT.records(self._connection.rows(query, parameters))

    def history(self) -> StoredHistory:
        """Return this snapshot as it is, unchecked."""
        from backfill_cli.store.proving import StoredHistory  # asked for by few commands

        return StoredHistory(self._connection, self._keys)

    def controls(self) -> StoredControls:
        """Return what is asked of running backfills; of a writer, to ask and to answer as well."""
        from backfill_cli.store.controls import StoredControls  # asked for by few commands

        return StoredControls(self._connection, self._keys)

    def agreements(self) -> StoredAgreements:
        """Return what processes agree on about the systems behind pools; of a writer, to write it as well."""
        from backfill_cli.store.agreements import StoredAgreements  # asked for by few commands

        return StoredAgreements(self._connection, self._counts)

    def pools(self) -> Mapping[str, PoolRow]:
        """Return the pools somebody has set, by name; -1 is unlimited."""
        return dict(POOL.records(self._connection.rows("SELECT name, slots, description FROM pools ORDER BY name")))

    def leases(self, pools: Collection[str] | None = None) -> list[Lease]:
        """Return the leases of these pools, or of all, that count: their process or something it started lives."""
        some = "" if pools is None else f" WHERE pool IN ({', '.join('?' * len(pools))})"
        found = list(LEASE.records(self._connection.rows(f"{_LEASES}{some} ORDER BY pool, owner", tuple(pools or ()))))
        counts = {owner: self._counts(owner) for owner in {one.owner for one in found}}
        return [one for one in found if counts[one.owner]]

    def waits(self, owner: str) -> Waits | None:
        """Return what the tasks of a process wait for, as it last looked."""
        return WAITS.maybe(self._connection.one("SELECT document FROM waits WHERE owner = ?", (owner,)))

    def next_start(self, limit: str) -> int | None:
        """Return the nominal time of the next start under a limit of rate, epoch µs; None before the first."""
        row = self._connection.one("SELECT name, next_at FROM rate_limits WHERE name = ?", (limit,))
        return None if row is None else RATE_LIMIT.record(row)[1]

    def _owner_row(self, owner: str, pid: int, host: str, started_at: int) -> OwnerRow:
        return OwnerRow(owner, pid, host, started_at, self._locks.is_alive(owner, host))

    def _counts(self, owner: str) -> bool:
        """Whether a process may still use what it holds; tasks that outlive it do."""
        return self._lives(owner) or self._locks.has_children(owner)

    def _lives(self, owner: str | None) -> bool:
        row = None if owner is None else self.owner(owner)
        return row is not None and row.is_alive
