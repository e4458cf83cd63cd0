"""Shifts of one DAG side by side: together they have no more dates open than its `max_active_runs`.

Owns the effect, looked at twice a second. A shift that catches up for hours holds a lease of the DAG's dates, as runs
hold leases of pools (`core/leases.py`); the next interval comes with a shift of its own, and gets a place as soon as
one of those dates ends. So what is due now waits for a place and never for the whole of a catch-up. Backfills have
their own `--parallel` and are not counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backfill_cli.app.sharing import EAGER_S, matters
from backfill_cli.core.leases import SCHEDULED, Lease, Settled, agreed_size, settle
from backfill_cli.core.pools import date_limit

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.machine import BackfillMachine
    from backfill_cli.core.ports import Reader, Store, Writer
    from backfill_cli.engine.coordinator import Coordinator


class Abreast:
    """A `Poller`: settles how many dates one shift may have open.

    Args:
        owner: This process.
    """

    def __init__(self, ctx: AppContext, store: Store, owner: str, machine: BackfillMachine) -> None:
        self._ctx = ctx
        self._store = store
        self._most = machine.dag.max_active_runs
        self._lease = Lease(date_limit(machine.dag.dag_id), owner, rank=SCHEDULED, size=self._most)

    def poll(self, run: Coordinator) -> float | None:
        """Look at the leases of all shifts of the DAG, settle this one, and tell the machine what it may open."""
        machine, now = run.machine, self._ctx.clock.now_us()
        mine = self._wanting(machine)

        def look(reader: Reader) -> Settled:
            others = [one for one in reader.leases([mine.pool]) if one.owner != mine.owner]
            return settle(agreed_size(self._most, others), mine, others, usable=mine.wanted, now=now)

        def work(writer: Writer) -> Settled:
            settled = look(writer)
            if writer.owner(mine.owner) is not None:  # else the claim is lost, and the next batch will be told
                writer.set_leases([settled.lease])
            return settled

        settled = self._store.read(look)
        if matters(self._lease, settled.lease):
            settled = self._store.write(work)
            self._lease = settled.lease
        # With nothing left to open there must be room all the same: the feed has yet to say that it is empty.
        machine.share = settled.limit if _unfinished(machine) > mine.used else mine.used + 1
        return EAGER_S if settled.is_handing_over else None

    def _wanting(self, machine: BackfillMachine) -> Lease:
        """Return the lease with what is open and wanted at this moment."""
        is_still = machine.stopping or machine.paused
        left = 0 if is_still else _unfinished(machine)
        used = len(machine.runs)
        wanted = max(used, min(left, machine.limits.parallel))
        return self._lease._replace(used=used, wanted=wanted, least=int(wanted > used), waiting=wanted - used)


def _unfinished(machine: BackfillMachine) -> int:
    """Return how many dates have not come to their end, those that are open included."""
    return machine.total - machine.completed - machine.failed - machine.blocked
