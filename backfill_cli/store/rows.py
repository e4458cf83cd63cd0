"""From a database row to a record, checked: a store may be damaged or edited by hand.

Owns the check of every row that is read. A wrong type, a word that is no state, a name no DAG can have, a date outside
the calendar or JSON that is none is a StoreError with code `store-damaged`, never a crash three layers up. The types of
a row are looked up in a set of the combinations already seen, which costs a quarter of a microsecond; what JSON text
says is in `documents.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from backfill_cli.core.leases import Lease
from backfill_cli.core.pools import MOST_SLOTS
from backfill_cli.core.records import (
    Action,
    AttemptRow,
    AuditRow,
    BackfillDateRow,
    BackfillRow,
    DagRow,
    InstanceRow,
    LeftRun,
    PlanRow,
    PoolRow,
    RunRow,
    RunType,
    VersionRow,
)
from backfill_cli.core.states import BackfillState, Outcome, RunState, TaskState
from backfill_cli.core.waits import Waits, read_waits
from backfill_cli.store.connections import Row
from backfill_cli.store.documents import (
    FIRST_SECOND,
    LAST_SECOND,
    conf_text,
    definition,
    digests,
    json_text,
    mapping,
    name,
    planned,
    request,
)
from backfill_cli.store.problems import damaged

T = TypeVar("T")

_YEAR = 366 * 86_400
_BOUNDS = {
    "d": (FIRST_SECOND, LAST_SECOND),
    # A year less at both ends: no clock shows those, and neither a zone nor rounding must lead out of the calendar.
    "t": ((FIRST_SECOND + _YEAR) * 1_000_000, (LAST_SECOND - _YEAR) * 1_000_000),
    "n": (0, 2**62),
}

RUN_STATES: dict[str | None, RunState] = {state.value: state for state in RunState}
TASK_STATES = {state.value: state for state in TaskState}
BACKFILL_STATES = {state.value: state for state in BackfillState}
OUTCOMES = {outcome.value: outcome for outcome in Outcome}
ACTIONS = {action.value: action for action in Action}
RUN_TYPES: dict[str | None, RunType] = {None: RunType.BACKFILL, **{one.value: one for one in RunType}}
_MAYBE_RUN_STATE: dict[str | None, RunState | None] = {None: None, **RUN_STATES}


class Shape(Generic[T]):
    """What the rows of one query look like, and the record they become.

    Args:
        table: Named in the error.
        columns: A letter a column: `d` a date in seconds, `t` an instant in microseconds, `n` a count, `i` any
            integer, `s` text; capitals may be NULL.
        make: The record from a row of those types; may raise KeyError or ValueError for a value it does not know.
    """

    __slots__ = ("_bounded", "_columns", "_make", "_seen", "_table")

    def __init__(self, table: str, columns: str, make: Callable[[Row], T]) -> None:
        self._table = table
        self._columns = columns
        self._make = make
        self._seen: set[tuple[type, ...]] = set()
        self._bounded = tuple((i, *_BOUNDS[kind.lower()]) for i, kind in enumerate(columns) if kind.lower() in _BOUNDS)

    def records(self, rows: Iterable[Row]) -> Iterator[T]:
        """Stream the records of many rows. Raises StoreError at one that is not as it should be."""
        make, seen, bounded = self._make, self._seen, self._bounded
        for row in rows:
            types = (*map(type, row),)
            if types not in seen:
                self._learn(types, row)
            for index, low, high in bounded:
                value = row[index]
                if value is not None and not low <= value <= high:
                    raise damaged(self._table, f"the number {value}")
            try:
                record = make(row)
            except (KeyError, ValueError, RecursionError) as error:
                raise damaged(self._table, f"a value it cannot have: {error}") from error
            yield record

    def record(self, row: Row) -> T:
        """Return the record of one row. Raises StoreError when it is not as it should be."""
        return next(self.records((row,)))

    def maybe(self, row: Row | None) -> T | None:
        """Return the record of a row that may not be there."""
        return None if row is None else self.record(row)

    def _learn(self, types: tuple[type, ...], row: Row) -> None:
        for kind, found, value in zip(self._columns, types, row, strict=True):
            wanted = str if kind in "sS" else int
            if found is not wanted and not (kind.isupper() and found is type(None)):
                raise damaged(self._table, f"{value!r} where it keeps {'text' if wanted is str else 'a number'}")
        self._seen.add(types)


def _dag(row: Row) -> DagRow:
    if row[3] is not None:
        definition(row[3])
    return DagRow(name(row[0]), *row[1:])


def _run(row: Row) -> RunRow:
    _ordered(row[0], row[1])
    conf = "{}" if row[5] is None else conf_text(row[5])
    return RunRow(
        row[0], row[1], RUN_TYPES[row[2]], RUN_STATES[row[3]], row[4], conf, row[6], row[7], row[8], row[9], row[10],
        row[11],
    )  # fmt: skip


def _left_run(row: Row) -> LeftRun:
    _ordered(row[0], row[1])
    return LeftRun(row[0], row[1], RUN_STATES[row[2]], BACKFILL_STATES[row[3]].is_terminal)


def _instance(row: Row) -> InstanceRow:
    return InstanceRow(row[0], name(row[1]), TASK_STATES[row[2]], *row[3:])


def _attempt(row: Row) -> AttemptRow:
    return AttemptRow(row[0], name(row[1]), row[2], row[3], row[4], OUTCOMES[row[5]], row[6], row[7], row[8])


def _plan(row: Row) -> PlanRow:
    _ordered(row[0], row[1])
    return PlanRow(row[0], row[1], ACTIONS[row[2]], _MAYBE_RUN_STATE[row[3]], row[4])


def _backfill_date(row: Row) -> BackfillDateRow:
    _ordered(row[0], row[1])
    return BackfillDateRow(
        row[0], row[1], ACTIONS[row[2]], _MAYBE_RUN_STATE[row[3]], row[4], _MAYBE_RUN_STATE[row[5]], row[6], row[7],
        row[8], row[9],
    )  # fmt: skip


def _backfill(row: Row) -> BackfillRow:
    if (row[7] is None) != (row[8] is None):
        raise ValueError("one bound without the other")
    _ordered(row[7] or 0, row[8] or 0)
    return BackfillRow(
        row[0], name(row[1]), BACKFILL_STATES[row[2]], row[3], row[4], request(row[5]), row[6], row[7], row[8],
        planned(row[9]), *row[10:],
    )  # fmt: skip


def _ordered(first: int, last: int) -> None:
    """Two instants on the schedule; those of the wall clock may go backwards, as it does."""
    if last < first:
        raise ValueError(f"{last} behind {first}, which is later")


def _pool(row: Row) -> tuple[str, PoolRow]:
    if not -1 <= row[1] <= MOST_SLOTS:
        raise ValueError(f"{row[1]} slots")
    return row[0], PoolRow(row[1], row[2])


def _lease(row: Row) -> Lease:
    if any(number > MOST_SLOTS for number in row[2:6]) or not -1 <= (row[8] or 0) <= MOST_SLOTS:
        raise ValueError("more slots than any pool has")
    return Lease(*row)


def _audit(row: Row) -> AuditRow:
    return AuditRow(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], mapping(row[8]), row[9], row[10])


RUN = Shape("dag_runs", "ddSssSTTSSSD", _run)
OWNED_RUN = Shape("dag_runs", "sddSssSTTSSSD", lambda row: (name(row[0]), _run(row[1:])))
INSTANCE = Shape("task_instances", "dssnnnTTTS", _instance)
ATTEMPT = Shape("attempts", "dsnttsSsS", _attempt)
PLAN = Shape("backfill_dates", "ddsSs", _plan)
BACKFILL_DATE = Shape("backfill_dates", "ddsSsSTTSD", _backfill_date)
BACKFILL = Shape("backfills", "sssssstDDsSTTnnnnSS", _backfill)
DATE: Shape[int] = Shape("backfill_dates", "d", lambda row: int(row[0]))
AUDIT = Shape("audit_events", "ntssssSssss", _audit)
HEAD: Shape[tuple[int, str]] = Shape("audit_events", "ns", lambda row: (row[0], row[1]))
DAG: Shape[DagRow] = Shape("dags", "sSsST", _dag)
BATCH_END: Shape[tuple[int, int]] = Shape("dag_runs", "dd", lambda row: (row[0], row[1]))
FINISHED: Shape[tuple[int, int, bool]] = Shape("backfill_dates", "ndn", lambda row: (row[0], row[1], bool(row[2])))
LEFT_RUN: Shape[LeftRun] = Shape("dag_runs", "ddss", _left_run)
VERSION = Shape("dag_versions", "sts", lambda row: VersionRow(row[0], row[1], digests(row[2])))
VERSION_NAME: Shape[tuple[int, str]] = Shape("dag_versions", "ns", lambda row: (row[0], row[1]))
OWNER: Shape[tuple[str, int, str, int]] = Shape("owners", "snst", lambda row: (row[0], row[1], row[2], row[3]))
XCOM: Shape[tuple[str, str, str]] = Shape("xcoms", "sss", lambda row: (name(row[0]), row[1], json_text(row[2])))
DURATION: Shape[tuple[str, int]] = Shape("attempts", "si", lambda row: (row[0], row[1]))
RUN_COUNT: Shape[tuple[RunState, int]] = Shape("run_counts", "sn", lambda row: (RUN_STATES[row[0]], row[1]))
POOL: Shape[tuple[str, PoolRow]] = Shape("pools", "siS", _pool)
LEASE: Shape[Lease] = Shape("pool_leases", "ssnnnnnnIn", _lease)
WAITS: Shape[Waits] = Shape("waits", "s", lambda row: read_waits(row[0]))
RATE_LIMIT: Shape[tuple[str, int]] = Shape("rate_limits", "st", lambda row: (row[0], row[1]))
KEY: Shape[int] = Shape("keys", "n", lambda row: int(row[0]))
