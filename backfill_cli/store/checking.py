"""A store looked at from end to end: pages, schema, every row, every counter, and what dead processes left.

Owns the parts of `store check` that take SQL. Each is a generator of findings over a connection that can change
nothing, a transaction of its own, so that no writer waits for all of them. Rows go through the readers of every other
command and their checks: what passes here is readable there. The proof of history is `app/audit.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from backfill_cli.core.upkeep import Finding, Severity
from backfill_cli.errors import StoreError
from backfill_cli.store import engines, migrations
from backfill_cli.store.agreeing import disagreeing
from backfill_cli.store.agreements import CIRCUIT, DEFERRAL
from backfill_cli.store.companions import refuse_foreign_log
from backfill_cli.store.connections import Connection
from backfill_cli.store.counting import STRETCH
from backfill_cli.store.documents import FIRST_SECOND, LAST_SECOND, json_text, name
from backfill_cli.store.keys import Keys
from backfill_cli.store.locks import OwnerLocks, is_locked
from backfill_cli.store.problems import one_line, translate
from backfill_cli.store.reading_backfills import SqlReader
from backfill_cli.store.rows import BACKFILL_DATE, LEASE, RATE_LIMIT, RUN_STATES, WAITS, Shape
from backfill_cli.store.schema import differences

_MOST = 20
"""Findings of one kind that are told one by one."""
_STEP = 10_000
_RESTORE = "restore a backup; a copy of what can still be read: bfill store backup FILE"
_BY_HAND = "somebody changed it by hand, or the disk did; restore a backup"

# Tables that no reader streams as a whole: columns, and the shape of their rows.
_PLAIN: tuple[tuple[str, str, Shape[Any]], ...] = (
    ("tasks", "task, task_id, first_date", Shape("tasks", "nsD", lambda row: name(row[1]))),
    ("xcoms", "task, logical_date, name, value", Shape("xcoms", "ndss", lambda row: json_text(row[3]))),
    ("run_counts", "dag, bucket, state, runs", Shape("run_counts", "nisn", lambda row: RUN_STATES[row[2]])),
    ("reasons", "reason, sentence", Shape("reasons", "ns", tuple)),
    ("meta", "name, value", Shape("meta", "ss", tuple)),
    ("rate_limits", "name, next_at", RATE_LIMIT),
    ("deferrals", "pool, at, until, by, reason", DEFERRAL),
    ("circuits", "pool, state, failures, signature, why, at, until, by, prober", CIRCUIT),
    ("pool_leases", "pool, owner, slots, used, wanted, least, waiting, rank, size, served_at", LEASE),
    ("waits", "document", WAITS),
)

# table, column, the table its key is from
_LINKS = (
    ("dag_runs", "dag", "dags"),
    ("task_instances", "dag", "dags"),
    ("attempts", "dag", "dags"),
    ("xcoms", "dag", "dags"),
    ("run_counts", "dag", "dags"),
    ("xcoms", "task", "tasks"),
    ("backfill_dates", "backfill", "backfills"),
)

_BUCKET = f"(r.logical_date - ((r.logical_date % {STRETCH}) + {STRETCH}) % {STRETCH}) / {STRETCH}"
_COUNTED = f"SELECT r.dag, {_BUCKET}, r.state, count(*) FROM dag_runs r GROUP BY 1, 2, 3"
_KEPT = "SELECT dag, bucket, state, runs FROM run_counts WHERE runs <> 0"
_FIRST_DATES = (
    "SELECT t.task_id, t.first_date, min(i.logical_date) FROM task_instances i JOIN tasks t ON t.task = i.task "
    "GROUP BY i.task HAVING t.first_date IS NOT min(i.logical_date)"
)
_OUTCOMES = (
    "SELECT f.backfill_id, f.completed, f.failed, count(*) FILTER (WHERE p.outcome = 'success') AS ok, "
    "count(*) FILTER (WHERE p.outcome = 'failed') AS bad FROM backfills f JOIN backfill_dates p "
    "ON p.backfill = f.backfill GROUP BY f.backfill HAVING f.completed <> ok OR f.failed <> bad"
)
_UNNAMED = (
    "SELECT d.dag_id, k.key FROM dag_versions v JOIN dags d ON d.dag = v.dag, json_each(v.tasks) k "
    "WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.dag = v.dag AND t.task_id = k.key)"
)

Tell = Callable[[str, int], None]
"""Hears how far a check has come: what it is at, and how many of them it has seen."""


@dataclass(frozen=True, slots=True)
class Look:
    """One store under examination.

    Args:
        path: Where it lies.
        tell: Hears how far it has come.
        seen: Sound rows by table.
    """

    path: Path
    connection: Connection
    reader: SqlReader
    tell: Tell
    seen: Counter[str] = field(default_factory=Counter)

    @classmethod
    def at(cls, path: Path, tell: Tell) -> Look:
        """Open a store for looking at. Raises StoreError when not even that can be done."""
        refuse_foreign_log(path)
        try:
            connection = engines.connect(str(path), write=False)
        except engines.driver_errors() as error:
            raise translate(error, str(path)) from error
        locks = OwnerLocks(path.parent / "locks")
        return cls(path, connection, SqlReader(connection, Keys(connection), locks), tell)

    def version(self) -> int:
        """Return its schema version. Raises StoreError when it is no bfill store, or of a newer one."""
        try:
            return migrations.version(self.connection, str(self.path))
        except engines.driver_errors() as error:
            raise translate(error, str(self.path)) from error

    def part(self, what: Callable[[Look], Iterator[Finding]]) -> list[Finding]:
        """Return the findings of one part; what it raises on a store it cannot read is the last of them."""
        found: list[Finding] = []
        try:
            self.connection.run("BEGIN")
            found += islice(what(self), 10 * _MOST)
        except StoreError as error:
            found.append(damage(error))
        except engines.driver_errors() as error:
            found.append(damage(translate(error, str(self.path))))
        finally:
            self._end()
        return found

    def close(self) -> None:
        """Give the connection back."""
        self.connection.close()

    def _end(self) -> None:
        try:
            self.connection.end_streams()
            if self.connection.in_transaction:
                self.connection.run("ROLLBACK")
        except engines.driver_errors():
            pass  # a connection that cannot even roll back shows in the next part


def damage(error: StoreError) -> Finding:
    """Return an error as a finding."""
    return Finding(error.code, Severity.DAMAGE, error.message, error.hint)


def pages(look: Look) -> Iterator[Finding]:
    """The file as SQLite knows it: its b-trees, its indexes, NOT NULL, STRICT types; then the foreign keys."""
    look.tell("pages", 0)
    for (line,) in look.connection.rows(f"PRAGMA integrity_check({_MOST})"):
        if line != "ok":
            yield Finding("pages", Severity.DAMAGE, f"the file is inconsistent: {one_line(str(line))}", _RESTORE)
    broken = look.connection.rows("PRAGMA foreign_key_check")
    for table, key, parent, _ in islice(broken, _MOST):
        what = f"row {key} of {table} points to a row of {parent} that is not there"
        yield Finding("foreign-key", Severity.DAMAGE, one_line(what), _BY_HAND)


def schema(look: Look) -> Iterator[Finding]:
    """The schema, compared with what the numbered steps make."""
    number = migrations.version(look.connection, str(look.path))
    for one in differences(look.connection, number):
        if one.is_ours:
            yield Finding(f"schema-{one.what}", Severity.DAMAGE, one_line(f"the store {one}"), _BY_HAND)
        else:
            hint = "bfill does without it, and keeps it; whoever made it can drop it"
            yield Finding(f"schema-{one.what}", Severity.NOTE, one_line(f"the store {one}"), hint)


def rows(look: Look) -> Iterator[Finding]:
    """Every row of every table, read as every other command reads it."""
    reader, connection = look.reader, look.connection
    everything = FIRST_SECOND, LAST_SECOND
    for (dag_id,) in connection.all("SELECT dag_id FROM dags ORDER BY dag"):
        yield from _walk(look, "dags", lambda dag_id=dag_id: [reader.dag(dag_id)])  # type: ignore[misc]
        yield from _walk(look, "dag_versions", partial(reader.versions, dag_id))
        yield from _walk(look, "dag_runs", partial(reader.runs, dag_id, *everything))
        yield from _walk(look, "task_instances", partial(reader.instances, dag_id, *everything))
        yield from _walk(look, "attempts", partial(reader.attempts, dag_id, *everything))
    yield from _walk(look, "backfills", partial(reader.backfills, limit=2**62))
    yield from _walk(look, "backfill_dates", partial(_planned, connection))
    yield from _walk(look, "owners", reader.owners)
    yield from _walk(look, "audit_events", reader.audit)
    yield from _walk(look, "pools", reader.pools)
    yield from _walk(look, "control_requests", lambda: reader.controls().everything())
    for table, columns, shape in _PLAIN:
        query = f"SELECT {columns} FROM {table}"
        yield from _walk(look, table, lambda shape=shape, query=query: shape.records(connection.rows(query)))  # type: ignore[misc]


def counters(look: Look) -> Iterator[Finding]:
    """What is kept beside the rows so that nobody has to count them, counted."""
    look.tell("counters", 0)
    one = look.connection
    differ = list(islice(one.rows(f"{_COUNTED} EXCEPT {_KEPT}"), _MOST))
    differ += islice(one.rows(f"{_KEPT} EXCEPT {_COUNTED}"), _MOST)
    for dag, _, state, runs in differ[:1]:
        what = f"the counts of dag_runs are not those of the rows, for one of DAG {dag}: {runs} {one_line(str(state))}"
        yield Finding("counts", Severity.DAMAGE, what, _BY_HAND)
    for task_id, kept, found in islice(one.rows(_FIRST_DATES), _MOST):
        what = f"task {one_line(str(task_id))} is noted to have begun at {kept}, its first instance is of {found}"
        yield Finding("first-date", Severity.DAMAGE, what, _BY_HAND)
    for backfill_id, completed, failed, ok, bad in islice(one.rows(_OUTCOMES), _MOST):
        what = (
            f"backfill {one_line(str(backfill_id))} counts {completed} and {failed} dates, its dates say {ok} and {bad}"
        )
        yield Finding("counts", Severity.DAMAGE, what, _BY_HAND)
    for dag_id, task_id in islice(one.rows(_UNNAMED), _MOST):
        what = f"a version of {one_line(str(dag_id))} names the task {one_line(str(task_id))}, which it never had"
        yield Finding("unknown-task", Severity.DAMAGE, what, _BY_HAND)
    for dag_id, date, other in islice(disagreeing(one), _MOST):
        what = f"{one_line(f'{dag_id}: {date} and {other}')} ran in one batch, and do not say the same"
        yield Finding("batch", Severity.DAMAGE, what, _BY_HAND)
    for table, column, parent in _LINKS:
        row = one.one(f"SELECT count(*) FROM {table} x WHERE x.{column} NOT IN (SELECT {column} FROM {parent})")
        if row and row[0]:
            what = f"{row[0]} rows of {table} belong to nothing in {parent}"
            yield Finding("orphans", Severity.DAMAGE, what, _BY_HAND)


def leftovers(look: Look) -> Iterator[Finding]:
    """What processes left that ended badly; hardly any of it is damage: the next command that writes puts it right."""
    next_command = "nothing to do: the next command that writes gives back what it held"
    known = set()
    for owner in look.reader.owners():
        known.add(owner.owner)
        if not owner.is_alive:
            what = f"pid {owner.pid} on {owner.host} is gone and still holds dates"
            yield Finding("dead-owner", Severity.NOTE, one_line(what), next_command)
    for dag_id, owner, runs in look.connection.all(
        "SELECT d.dag_id, r.owner, count(*) FROM dag_runs r LEFT JOIN dags d ON d.dag = r.dag "
        "WHERE r.owner IS NOT NULL AND r.owner NOT IN (SELECT owner FROM owners) GROUP BY 1, 2"
    ):
        what = f"{runs} dates of {dag_id} belong to {owner}, a process the store does not know"
        yield Finding("unknown-owner", Severity.DAMAGE, one_line(what), _BY_HAND)
    for path in _of_nobody(look.path.parent / "locks", known):
        what = f"lock file {path.name} belongs to no process"
        yield Finding("stray-lock", Severity.NOTE, one_line(what), f"rm {path}")
    for path in sorted(look.path.parent.glob(".*.tmp")):
        what = f"{path.name} is left of a copy that was not finished"
        yield Finding("stray-copy", Severity.NOTE, one_line(what), f"rm {path}")


def _walk(look: Look, what: str, records: Callable[[], Iterable[object]]) -> Iterator[Finding]:
    """Read a stream to its end, or to the first row that no bfill has written; then the next stream has its turn."""
    look.tell(what, look.seen[what])
    try:
        for _ in records():
            look.seen[what] += 1
            if look.seen[what] % _STEP == 0:
                look.tell(what, look.seen[what])
    except StoreError as error:
        yield damage(error)
    except engines.driver_errors() as error:
        yield damage(translate(error, str(look.path)))


def _planned(connection: Connection) -> Iterator[object]:
    return BACKFILL_DATE.records(
        connection.rows(
            "SELECT p.logical_date, p.data_interval_end, p.action, p.outcome, s.sentence, p.state, NULL, NULL, NULL, "
            "NULL FROM backfill_dates p LEFT JOIN reasons s ON s.reason = p.reason"
        )
    )


def _of_nobody(folder: Path, known: set[str]) -> Iterator[Path]:
    """Yield the lock files without a row and without a holder: of a process that died between the two."""
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return
    for path in found:
        try:
            if path.stem not in known and not is_locked(path):
                yield path
        except StoreError:
            yield path
