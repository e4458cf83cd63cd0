"""What must never be, seen from above: `Watch` knows the store and every start, and no process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from builders import SECOND, START

from backfill_cli.core.circuits import BreakerState, Circuit
from backfill_cli.core.rates import Rate, parse_rate
from simulated.processes import POOL

if TYPE_CHECKING:
    from simulated.processes import Process
    from simulated.world import Sim

HEARD_US = 700_000
"""How long a process may not know yet what another one has been told: half a second, and what delays it."""


class Watch:
    """Looks at each write and at each start.

    Attributes:
        starts: When tries of the pool began, and of which job.
        held_until: Until when somebody has ever been told to wait, or a circuit was open.
    """

    def __init__(self, sim: Sim) -> None:
        self._sim = sim
        self.starts: list[tuple[int, int]] = []
        self.held_until = START
        self._told_at = self._told_until = START
        self._is_closed, self._moved_at = True, START
        self._are_clocks_one = not any(job.skew_s for job in sim.story.jobs)

    def circuits(self) -> list[Circuit]:
        return self._sim.store.read(lambda reader: reader.agreements().circuits([POOL]))

    def look(self) -> None:
        """Something was written: remember since when the pool is held."""
        now, circuits = self._sim.now, self.circuits()
        deferrals = self._sim.store.read(lambda reader: reader.agreements().deferrals([POOL]))
        is_closed = all(one.state is BreakerState.CLOSED for one in circuits)
        if is_closed is not self._is_closed:
            self._is_closed, self._moved_at = is_closed, now
        for one in deferrals:
            if one.until > self._told_until:
                self._told_at, self._told_until = now, one.until
        holds = [*deferrals, *(one for one in circuits if one.state is BreakerState.OPEN)]
        self.held_until = max([self.held_until, *(now + one.until - one.at for one in holds)])

    def begins(self, process: Process) -> None:
        """A try of the pool begins. Raises AssertionError when it may not."""
        sim, now = self._sim, self._sim.now
        self.starts.append((now, process.number))
        in_use = sum(one.in_flight * one.job.slots for one in sim.alive.values()) + process.job.slots
        assert in_use <= sim.story.slots, f"{in_use} slots in use of {sim.story.slots}"
        if self._are_clocks_one:  # else what is kept of time is each one's own
            for rate, starts in self._limits(process):
                window = [at for at in starts if at > now - rate.period_us]
                assert len(window) <= rate.starts, f"{len(window)} starts within {rate.said}"
            assert now >= self._told_until or now - self._told_at < HEARD_US, "it was told to wait"
            for one in self.circuits():
                is_probe = one.state is BreakerState.HALF_OPEN and one.prober == process.name
                may = is_probe or one.state is BreakerState.CLOSED or now - self._moved_at < HEARD_US
                assert may, f"the circuit is {one.state}, and the prober '{one.prober}'"
        if sim.on_probe is not None and any(one.prober == process.name for one in self.circuits()):
            on_probe, sim.on_probe = sim.on_probe, None
            on_probe(process)

    def _limits(self, process: Process) -> Iterator[tuple[Rate, list[int]]]:
        rate = self._sim.story.rules.rate_limit
        if rate is not None:
            yield rate, [at for at, _ in self.starts]
        if process.job.task_rate:
            yield parse_rate(process.job.task_rate), [at for at, number in self.starts if number == process.number]

    def waited_us(self) -> int:
        """How long nothing has begun that could have."""
        return self._sim.now - max([self._sim.quiet_at, self.held_until, *(at for at, _ in self.starts[-1:])])

    def describe(self) -> str:
        leases = self._sim.store.read(lambda reader: reader.leases())
        processes = [one.describe() for one in self._sim.alive.values()]
        return "\n".join(map(str, [f"{(self._sim.now - START) / SECOND} s", *self.circuits(), *leases, *processes]))
