"""Agreeing with the other processes of a store about the systems behind pools: who said wait, what is broken.

Owns the effects. What others have met is read twice a second, in one query a kind, by those whose DAG uses a pool of a
name. What this run meets is written at the turn in which it meets it, before anything more starts: a transaction for
each refusal that makes the pool wait longer, each failure under a breaker, each probe, and none for a task that ends
well. What follows from it is decided in `core/deferrals.py` and `core/circuits.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from backfill_cli.core.circuits import Circuit, Who

if TYPE_CHECKING:
    from backfill_cli.core.agreements import Deferral
    from backfill_cli.core.machine import BackfillMachine
    from backfill_cli.core.ports import Clock, Reader, Store, Writer
    from backfill_cli.core.throttle import Throttle
    from backfill_cli.engine.coordinator import Coordinator


class Agreeing:
    """A `Poller` that reads what others have met; and `before_turn`, which writes what this run has.

    Args:
        throttle: What decides; the machine's.
        pools: Those of a name that the run uses: a refusal by one of them is meant for all who ask it.
        who: This process.
    """

    def __init__(self, store: Store, throttle: Throttle, pools: Collection[str], who: Who, clock: Clock) -> None:
        self._store = store
        self._throttle = throttle
        self._pools = pools
        self._who = who
        self._clock = clock
        for breaker in throttle.breakers.values():
            breaker.share(who)

    def poll(self, run: Coordinator) -> float | None:
        """Go by what the other processes have met."""
        now, breakers = self._clock.now_us(), self._throttle.breakers

        def look(reader: Reader) -> tuple[list[Deferral], Mapping[str, Circuit]]:
            agreed = reader.agreements()
            circuits = agreed.circuits(breakers) if breakers else []
            return agreed.deferrals(self._pools), {one.pool: one.at_time(now) for one in circuits}

        deferrals, circuits = self._store.read(look)
        for deferral in deferrals:
            self._throttle.deferrals.hear(deferral, now, own=deferral.by == self._who.backfill_id)
        for pool, breaker in breakers.items():
            if not breaker.signs:  # else what it has seen is replayed first, in this turn
                breaker.agree(circuits.get(pool, Circuit(pool)), now)
        return None

    def before_turn(self, machine: BackfillMachine, now: int) -> None:
        """Write what this run has met since the last turn, and take the probe of a breaker if one can be sent."""
        wants = {
            pool: machine.has_probe(pool, now)
            for pool, breaker in self._throttle.breakers.items()
            if breaker.signs or breaker.may_claim or breaker.has_claim or breaker.must_renew(now)
        }
        breakers = self._throttle.breakers
        moved = [pool for pool, can in wants.items() if breakers[pool].has_moved(now, can_probe=can)]
        told = self._throttle.deferrals.told
        if not moved and not told:
            return

        def work(writer: Writer) -> Mapping[str, Circuit]:
            agreed = writer.agreements()
            before = {one.pool: one for one in agreed.deferrals(told)} if told else {}
            for pool, deferral in told.items():
                if pool not in before or not before[pool].lasts(now) or before[pool].until < deferral.until:
                    agreed.keep_deferral(deferral._replace(by=self._who.backfill_id))
            stored = {one.pool: one.at_time(now) for one in agreed.circuits(moved)} if moved else {}
            after = {}
            for pool in moved:
                was = stored.get(pool, Circuit(pool))
                after[pool] = breakers[pool].replayed(was, now, wants=wants[pool])
                if after[pool] != was:
                    agreed.keep_circuit(after[pool])
            return after

        for pool, circuit in self._store.write(work).items():
            breakers[pool].agree(circuit, now)
        told.clear()
