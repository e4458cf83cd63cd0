"""Sharing the slots of pools with the other processes of a store: a lease for each pool the DAG uses, looked at twice a
second.

Owns the effect: what is read, what is written, what the machine may use afterwards. How much that is says
`core/leases.py`. Starting a task asks nobody; a lease grows only in a write transaction that has seen all the others,
and what it loses is lost to the machine before it is written. What its tasks wait for is written beside the leases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.app.pools import sizes_of
from backfill_cli.core.leases import Lease, Settled, agreed_size, rank_of, settle
from backfill_cli.core.pools import STORE, UNLIMITED, PoolSize
from backfill_cli.core.states import BackfillState

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.machine import BackfillMachine
    from backfill_cli.core.ports import Reader, Store, Writer
    from backfill_cli.engine.coordinator import Coordinator

EAGER_S = 0.1
"""Seconds until the next look while slots are to be handed over: what is not used meanwhile is lost to everybody."""

DETAILS_S = 1.0
"""Seconds between two writes of what changes nobody's share, at least: how many are in use, what waits."""


class _Seen(NamedTuple):
    """One pool after a look."""

    size: int
    settled: Settled
    others: Sequence[Lease]


class Sharing:
    """A `Poller`: settles the leases of one run.

    Args:
        owner: This process.
        scheduled: It runs what is due, and no backfill: that goes first, unless the settings say no.
    """

    def __init__(
        self, ctx: AppContext, store: Store, owner: str, machine: BackfillMachine, *, scheduled: bool = False
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._owner = owner
        rank = rank_of(scheduled=scheduled, scheduled_first=ctx.settings.scheduled_first)
        self._leases = {pool: Lease(pool, owner, rank=rank) for pool in machine.slots.in_use()}
        self._names: dict[str, str] = {}
        self._waits = ""
        self._is_first = True
        self._details_at = 0.0

    def poll(self, run: Coordinator) -> float | None:
        """Look at all leases of these pools, settle those of this run, and tell the machine what it may use."""
        machine, now = run.machine, self._ctx.clock.now_us()
        mine = {pool: self._wanting(machine, lease, now) for pool, lease in self._leases.items()}
        self._is_first = False
        waits = None if machine.stopping else machine.waits(now)
        text = "" if waits is None else waits.text()

        def look(reader: Reader) -> dict[str, _Seen]:
            return self._look(reader, machine, mine, now)

        def work(writer: Writer) -> dict[str, _Seen]:
            seen = look(writer)
            if writer.owner(self._owner) is not None:  # else the claim is lost, and the next batch will be told
                writer.set_leases(one.settled.lease for pool, one in seen.items())
                writer.set_waits(self._owner, waits, now)
            return seen

        seen = self._store.read(look)
        changed = [one.settled.lease for pool, one in seen.items() if one.settled.lease != self._leases[pool]]
        is_due = self._ctx.clock.monotonic() >= self._details_at and (changed or text != self._waits)
        if is_due or any(matters(self._leases[one.pool], one) for one in changed):
            seen = self._store.write(work)
            self._leases = {pool: one.settled.lease for pool, one in seen.items()}
            self._waits = text
            self._details_at = self._ctx.clock.monotonic() + DETAILS_S
        for pool, one in seen.items():
            machine.slots.pools.grant(pool, one.size, one.settled.limit, _spare(one, machine.usable(pool)))
            machine.slots.pools.elsewhere[pool] = self._said(one.others)
        return EAGER_S if any(one.settled.is_handing_over for one in seen.values()) else None

    def _wanting(self, machine: BackfillMachine, lease: Lease, now: int) -> Lease:
        """Return a lease with what is used and wanted at this moment; at first, what will be wanted in a moment."""
        used, more, least, waiting = machine.slots.demand(lease.pool, now)
        usable = machine.usable(lease.pool)
        if self._is_first:
            more, least = usable, 1
        wanted = max(used, min(used + more, usable))
        return lease._replace(used=used, wanted=wanted, least=min(least, wanted), waiting=waiting if usable else 0)

    def _look(self, reader: Reader, machine: BackfillMachine, mine: Mapping[str, Lease], now: int) -> dict[str, _Seen]:
        sizes = sizes_of(self._ctx.settings, reader)
        others: dict[str, list[Lease]] = {pool: [] for pool in mine}
        for one in reader.leases(mine):
            if one.owner != self._owner:
                others[one.pool].append(one)
        self._learn_names(reader, {one.owner for leases in others.values() for one in leases})
        seen = {}
        for pool, lease in mine.items():
            said = self._said_of(machine, sizes.get(pool), pool)
            size = agreed_size(said.slots, others[pool])
            own = lease._replace(size=None if said.origin == STORE else said.slots)
            settled = settle(size, own, others[pool], usable=machine.usable(pool), now=now)
            seen[pool] = _Seen(size, settled, others[pool])
        return seen

    @staticmethod
    def _said_of(machine: BackfillMachine, size: PoolSize | None, pool: str) -> PoolSize:
        """Return how large a pool is; one that was deleted keeps the size it had, a task's limit is the DAG's."""
        return PoolSize(machine.slots.pools.sizes[pool], "the DAG") if size is None else size

    def _learn_names(self, reader: Reader, owners: set[str]) -> None:
        if owners <= self._names.keys():
            return
        for row in reader.backfills(states=[BackfillState.RUNNING, BackfillState.PAUSED], limit=1_000):
            if row.owner is not None:
                self._names[row.owner] = row.backfill_id
        for owner in owners - self._names.keys():
            self._names[owner] = "a process that died"

    def _said(self, others: Sequence[Lease]) -> list[str]:
        held = sorted((one for one in others if one.slots > 0), key=lambda one: (-one.slots, one.owner))
        return [f"{self._names[one.owner]} holds {one.slots:,}" for one in held]


def _spare(seen: _Seen, usable: int) -> int:
    """Return the slots beyond its limit that nobody has or wants, where the limit is all that a run could ever use."""
    if seen.size == UNLIMITED or seen.settled.limit < usable or any(one.is_short for one in seen.others):
        return 0
    return max(0, seen.size - sum(one.slots for one in seen.others) - seen.settled.limit)


def matters(before: Lease, after: Lease) -> bool:
    """Whether others may be waiting for the difference between two leases of one owner."""
    return (
        before.slots != after.slots
        or before.served_at != after.served_at
        or before.size != after.size
        or before.is_short != after.is_short
        or (after.is_short and before.need != after.need)
    )
