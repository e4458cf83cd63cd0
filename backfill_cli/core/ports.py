"""What the engine and the use cases need from outside, as protocols: Store, Reader, Writer, Clock.

Owns no behaviour. `store/` implements Store over SQL, `app/context.py` brings the implementations together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from backfill_cli.core.records import (
    AttemptRow,
    AuditRow,
    BackfillDateRow,
    BackfillRow,
    Batch,
    Claim,
    DagRow,
    DurationRow,
    EndedRuns,
    InstanceRow,
    LeftRun,
    OwnerRow,
    PlanRow,
    PoolRow,
    RunRow,
    VersionRow,
)
from backfill_cli.core.states import BackfillState, Outcome, RunState, TaskState

if TYPE_CHECKING:
    from backfill_cli.core.agreements import AgreementReader, AgreementWriter
    from backfill_cli.core.controls import ControlReader, ControlWriter
    from backfill_cli.core.histories import HistoryReader, HistoryWriter
    from backfill_cli.core.leases import Lease
    from backfill_cli.core.waits import Waits

T = TypeVar("T")


class Reader(Protocol):
    """Queries over one consistent snapshot. Iterators stream and are valid only inside the `read` or `write` call."""

    # DAGs
    def dags(self) -> list[DagRow]: ...
    def dag(self, dag_id: str) -> DagRow | None: ...
    def versions(self, dag_id: str) -> list[VersionRow]:
        """Every version seen, oldest first."""
        ...

    # the ledger: dag_runs, task instances, attempts
    def runs(
        self,
        dag_id: str,
        first: int,
        last: int,
        *,
        states: Sequence[RunState] | None = None,
        backwards: bool = False,
    ) -> Iterator[RunRow]:
        """dag_runs with first <= logical_date <= last, in order of logical date; streams."""
        ...

    def ended_runs(self, dag_id: str, first: int, last: int) -> Iterator[EndedRuns]:
        """Terminal dag_runs of those dates, by date, some thousands at a time: a fifth of what `runs` costs."""
        ...

    def batch_ends(self, dag_id: str, first: int, last: int) -> Mapping[int, int]:
        """First date of each batch, of now and of before → its last one, or a later one; empty without batches."""
        ...

    def run(self, dag_id: str, logical_date: int) -> RunRow | None: ...
    def run_before(
        self, dag_id: str, logical_date: int, *, state: RunState | None = None, skip_manual: bool = False
    ) -> RunRow | None:
        """The latest dag_run strictly before the date, of that state if one is given."""
        ...

    def last_scheduled(self, dag_id: str) -> int | None:
        """The end of the latest scheduled dag_run's interval, None before the first."""
        ...

    def left_scheduled(self, dag_id: str) -> list[LeftRun]:
        """dag_runs that a scheduler created and did not finish, and that nobody owns; by date."""
        ...

    def count_runs(self, dag_id: str, first: int, last: int) -> Mapping[RunState, int]: ...
    def instances(
        self, dag_id: str, first: int, last: int, *, states: Sequence[TaskState] | None = None
    ) -> Iterator[InstanceRow]:
        """Task instances of those dates, by date and task; streams."""
        ...

    def ever_ran(self, dag_id: str, task_id: str, before: int) -> bool:
        """Whether any task instance of this task exists strictly before the date."""
        ...

    def attempts(
        self,
        dag_id: str,
        first: int,
        last: int,
        *,
        task_id: str | None = None,
        backfill_id: str | None = None,
        outcome: Outcome | None = None,
    ) -> Iterator[AttemptRow]:
        """Attempts of those dates, by date, task and try; streams."""
        ...

    def durations(self, dag_id: str, *, attempts: int = 2_000) -> list[DurationRow]:
        """What successful tries took, over the latest `attempts` of the DAG by logical date."""
        ...

    def xcoms(self, dag_id: str, logical_date: int) -> Mapping[str, Mapping[str, str]]:
        """task_id → key → JSON text of one date."""
        ...

    # backfills
    def backfill(self, backfill_id: str) -> BackfillRow | None: ...
    def backfills(
        self,
        *,
        dag_id: str | None = None,
        states: Sequence[BackfillState] | None = None,
        identity: str | None = None,
        besides: str | None = None,
        limit: int = 20,
    ) -> list[BackfillRow]:
        """Latest first; of that identity, or of any but `besides`."""
        ...

    def pending(self, backfill_id: str, *, after: int | None, limit: int, backwards: bool = False) -> list[PlanRow]:
        """The next dates to work on: no outcome yet and not `skip`; after that date in the given direction (keyset)."""
        ...

    def backfill_dates(
        self, backfill_id: str, *, after: int | None = None, limit: int | None = None, backwards: bool = False
    ) -> Iterator[BackfillDateRow]:
        """The dates of a backfill, ascending or descending, each with what its dag_run says now; streams."""
        ...

    def ended_since(self, backfill_id: str, at: int) -> int:
        """How many dates of a backfill it has finished at that instant, epoch µs, or later; a walk over all of them."""
        ...

    def worked_on(self, backfill_id: str, *, backwards: bool = False) -> Iterator[int]:
        """The dates of a backfill that are not `skip`, done or not, and those that somebody took out, in either order.

        A quarter of what rows cost; for waves, in which a date that was taken out keeps its place.
        """
        ...

    # owners and audit
    def owners(self) -> list[OwnerRow]: ...
    def owner(self, owner: str) -> OwnerRow | None: ...
    def overlapping(self, dag_id: str, first: int, last: int, *, besides: str | None = None) -> list[BackfillRow]:
        """Backfills of the DAG with a live owner (other than `besides`) that still have dates to do in the range.

        Bounds alone are compared; `claims` decides about single dates.
        """
        ...

    def claimed(self, backfill_id: str, first: int, last: int) -> Iterator[int]:
        """Dates of that backfill in the range that it still has to finish, ascending; streams."""
        ...

    def audit_head(self) -> tuple[int, str]:
        """(seq, hash) of the last entry; (0, "") for an empty chain."""
        ...

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
        """Entries with seq > after, ascending; since and until are epoch microseconds, both included; streams."""
        ...

    def history(self) -> HistoryReader: ...
    def controls(self) -> ControlReader: ...
    def agreements(self) -> AgreementReader: ...
    def pools(self) -> Mapping[str, PoolRow]:
        """The pools somebody has set, by name. `default_pool` is there without a row as well."""
        ...

    def leases(self, pools: Collection[str] | None = None) -> list[Lease]:
        """Leases of these pools, or of all, that count: their process lives, or what it has started still runs."""
        ...

    def waits(self, owner: str) -> Waits | None:
        """What the tasks of a process wait for, as it last looked; None when none waits."""
        ...

    def next_start(self, limit: str) -> int | None:
        """The nominal time of the next start under a limit of rate, epoch µs; None before the first."""
        ...


class Writer(Reader, Protocol):
    """One write transaction: everything is kept, or nothing. Reads see its own writes."""

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
        """Note a DAG and this version of it, with its tasks (id → digest, in DAG order)."""
        ...

    def add_backfill(self, row: BackfillRow, dates: Iterable[PlanRow]) -> None:
        """Store a backfill and stream its dates in. Raises StoreError when the id exists."""
        ...

    def pause_dag(self, dag_id: str, at: int | None) -> None:
        """Note since when the scheduler creates nothing for a registered DAG, epoch microseconds; None: it does."""
        ...

    def add_dates(self, backfill_id: str, dates: Iterable[PlanRow]) -> None:
        """Give a backfill more dates; its bounds and counters are the caller's to set."""
        ...

    def set_backfill(self, backfill_id: str, **changes: Any) -> None:
        """Change named columns of one backfill (fields of BackfillRow)."""
        ...

    def drop_backfill(self, backfill_id: str) -> None:
        """Remove a `planned` backfill and its dates: it was replaced."""
        ...

    def take_backfill(self, backfill_id: str, owner: str) -> bool:
        """Make `owner` its owner if nobody alive owns it; one conditional update. False: somebody else does."""
        ...

    def save(self, claim: Claim, batch: Batch) -> None:
        """Write a batch for the claim's dag_runs.

        Opening a dag_run (`batch.opened`) claims it by one conditional update whose row count is looked at.

        Raises:
            ConflictError: The claim no longer holds, or a dag_run to open belongs to a live other owner.
        """
        ...

    def set_runs(self, dag_id: str, runs: Iterable[RunRow]) -> None:
        """Upsert dag_runs as given, owner included (None releases); for recovery, release and reset."""
        ...

    def set_instances(self, dag_id: str, rows: Iterable[InstanceRow]) -> None:
        """Upsert task instances as given; for recovery and reset."""
        ...

    def add_attempts(self, dag_id: str, rows: Iterable[AttemptRow]) -> None:
        """Append attempts; one that exists with the same key stays as it is."""
        ...

    def drop_xcoms(self, dag_id: str, pairs: Iterable[tuple[int, str]]) -> int:
        """Remove the XComs of (logical_date, task_id) pairs; how many values went."""
        ...

    def add_owner(self, owner: str, *, pid: int, host: str, at: int) -> None: ...
    def drop_owner(self, owner: str) -> None: ...
    def runs_owned_by(self, owner: str) -> Iterator[tuple[str, RunRow]]:
        """(dag_id, dag_run) pairs the owner still holds; over the partial index on what is owned."""
        ...

    def add_audit(self, row: AuditRow) -> None:
        """Append one entry; its seq must follow the head. Raises StoreError otherwise."""
        ...

    def history(self) -> HistoryWriter: ...
    def controls(self) -> ControlWriter: ...
    def agreements(self) -> AgreementWriter: ...
    def set_pool(self, name: str, slots: int, description: str | None = None) -> None: ...
    def drop_pool(self, name: str) -> None: ...
    def set_leases(self, leases: Iterable[Lease]) -> None:
        """Keep these leases, each in the place of what its owner had of that pool; one of nothing goes."""
        ...

    def set_waits(self, owner: str, waits: Waits | None, at: int) -> None:
        """Keep what the tasks of a process wait for (None: nothing); `at` in microseconds."""
        ...

    def set_next_start(self, limit: str, at: int) -> None:
        """Note when the next start under a limit of rate may be; in the transaction that read it."""
        ...


class Store(Protocol):
    """Where state lives. Thread-safe for reading; one thread writes at a time."""

    @property
    def location(self) -> str:
        """The path or URL, without secrets, as shown to people."""
        ...

    @property
    def logs(self) -> str:
        """The folder for logs beside the store: `<store folder>/logs`."""
        ...

    def read(self, work: Callable[[Reader], T]) -> T:
        """Run `work` over one snapshot and return what it returns."""
        ...

    def write(self, work: Callable[[Writer], T]) -> T:
        """Run `work` in one BEGIN IMMEDIATE transaction, all of it again when the store is busy.

        Raises:
            StoreError: Locked for too long, full, read-only or damaged. Nothing was written.
        """
        ...

    def kept_heads(self) -> Sequence[str] | None:
        """The lines beside the store that keep heads of its audit chain (core/heads.py); read before the snapshot."""

    def hold_owner(self, owner: str) -> None:
        """Take the kernel locks that prove this process and its children alive; before `add_owner`."""
        ...

    def release_owner(self, owner: str) -> None:
        """Give the locks back and remove their files; after the owner's row is gone."""
        ...

    def heirloom(self, owner: str) -> int | None:
        """Return the descriptor that every child of a held owner is to inherit: its lock lives as long as they do."""
        ...

    def children_lock(self, owner: str) -> str | None:
        """Return the path of the lock file that an owner's children inherit; None where there is none."""
        ...

    def has_children(self, owner: str) -> bool:
        """Return whether anything a dead owner has started still lives, as the kernel knows it."""
        ...

    def forget_owner(self, owner: str) -> None:
        """Remove what a dead owner left beside the store; after it has been recovered."""
        ...

    def close(self) -> None: ...


class Clock(Protocol):
    """Where time comes from. Wall time decides what is due; waits use the monotonic clock."""

    def now_us(self) -> int:
        """Epoch microseconds. While a run lasts they never go back and never jump: retries are waited for by them."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump."""
        ...
