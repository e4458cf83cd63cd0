"""A circuit breaker: a system that fails every task alike is left alone for a while, then asked once.

Owns what one process does about the circuit of a pool (`core/circuits.py`): it holds the pool through `core/holds.py`
while the circuit is open or somebody else probes, asks after health, and sends the probe. With a health check a run
begins with asking, and well means closed then; before a probe it is asked again, and a system that is not well is left
alone for another cooldown. Failed tries count against their tasks as always.

Alone, a breaker keeps its circuit itself. Shared, what it sees goes on a list as well, which somebody replays on the
stored circuit, and the probe is somebody's to hand out (`engine/agreeing.py`).
"""

from __future__ import annotations

from backfill_cli.core.changes import Key
from backfill_cli.core.circuits import (
    BreakerRule,
    BreakerState,
    Circuit,
    Sign,
    TryEnded,
    Unwell,
    Who,
    after,
    claimed,
    released,
    renewed,
)
from backfill_cli.core.holds import Hold, Holds, of_pool
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.listening import PaceChange
from backfill_cli.core.problems import Problem

__all__ = ["Breaker", "BreakerRule", "BreakerState"]

SOURCE = "breaker"
"""What its holds are known by."""


class Breaker:
    """The breaker of one pool in one run.

    Args:
        has_health: The pool has a health check, to be asked before anything of it starts.
        now: Epoch microseconds.

    Attributes:
        state: Where it is, as this run sees it.
        opened: How often this run has seen it open by what it saw itself.
        signs: What it has seen since the circuit was last agreed on; only when it is shared.
    """

    def __init__(self, pool: str, rule: BreakerRule, holds: Holds, *, has_health: bool = False) -> None:
        self.pool = pool
        self.state = BreakerState.CLOSED
        self.opened = 0
        self.news: list[PaceChange] = []
        self.signs: list[Sign] = []
        self.circuit = Circuit(pool)
        self._rule = rule
        self._holds = holds
        self._who = Who()
        self._is_shared = False
        self._has_health = has_health
        self._is_well = not has_health
        self._why = ""
        self._probe: Key | None = None
        self._follow(0)

    def share(self, who: Who) -> None:
        """Keep the circuit in common with other processes from now on, under this name."""
        self._who, self._is_shared = who, True

    @property
    def is_asking(self) -> bool:
        return self.state is BreakerState.ASKING

    @property
    def may_claim(self) -> bool:
        """Whether the probe is to be had, as far as this run knows."""
        is_over = self.circuit.state is BreakerState.OPEN and self.state is not BreakerState.OPEN
        is_free = self.circuit.state is BreakerState.HALF_OPEN and not self.circuit.prober
        return (is_over or is_free) and not self.is_asking

    @property
    def is_unclaimed(self) -> bool:
        """Whether nothing but a task that may start is missing: it would be the probe."""
        return self.state is BreakerState.HALF_OPEN and not self.circuit.prober

    @property
    def has_claim(self) -> bool:
        """Whether the probe is this run's to send, and has not been sent."""
        return self._is_mine and self._probe is None

    def must_renew(self, now: int) -> bool:
        """Whether the probe is under way, and its claim half over at `now` (epoch µs)."""
        circuit = self.circuit
        return self._is_mine and self._probe is not None and 2 * (now - circuit.at) > circuit.until - circuit.at

    def has_moved(self, now: int, *, can_probe: bool) -> bool:
        """Whether the circuit is to be agreed on anew at `now` (epoch µs): by a sign, or for the sake of the claim."""
        return bool(self.signs) or self.has_claim is not can_probe or self.must_renew(now)

    @property
    def _is_mine(self) -> bool:
        return self.circuit.state is BreakerState.HALF_OPEN and self.circuit.prober == self._who.owner

    def problem(self) -> Problem | None:
        """Return what a result has to say about it; None when it has never opened."""
        if not self.opened:
            return None
        times = "once" if self.opened == 1 else f"{self.opened} times"
        return Problem(
            "breaker-opened",
            f"the circuit breaker of pool {self.pool} opened {times}, last after {self._why}; it is {self.state} now",
            "look at the system behind the pool; bfill rerun-failed runs again what failed by it",
        )

    def on_time(self, now: int) -> None:
        """Let the cooldown end, when it is over at `now` (epoch µs)."""
        if self.state is BreakerState.OPEN and not self.circuit.is_open(now):
            self._follow(now)

    def on_health(self, *, is_well: bool, told: str, now: int) -> None:
        """Take the answer of the health check; `told` says in words what it was."""
        if self.state is not BreakerState.ASKING:
            return
        self._is_well = is_well
        if is_well:
            self._follow(now)
        else:
            self._see(Unwell(told, now))

    def on_start(self, key: Key) -> None:
        """A task of the pool starts: half open, it is the probe, and the others wait for how it ends."""
        if self.has_claim:
            self._probe = key
            self._hold("half open: one task probes")

    def on_end(self, report: AttemptReport, now: int) -> None:
        """Take how a try of the pool has ended."""
        is_probe = self._probe == (report.logical_date, report.task_id)
        if is_probe:
            self._probe = None
        if is_probe or self.circuit.state is BreakerState.CLOSED:
            self._see(TryEnded(report.outcome, report.reason or "", now, is_probe))

    def replayed(self, stored: Circuit, now: int, *, wants: bool) -> Circuit:
        """Return the stored circuit after what this run has seen, and with its claim; changes nothing here.

        Args:
            wants: A task could be the probe; without one a claim is given back, unless the probe is under way.
        """
        circuit = stored
        for sign in self.signs:
            circuit = after(circuit, sign, self._rule, self._who)
        if wants and self._is_well:
            circuit = claimed(circuit, now, self._who)
        elif self._probe is None:
            circuit = released(circuit, self._who)
        return circuit if self._probe is None else renewed(circuit, now, self._who)

    def agree(self, circuit: Circuit, now: int) -> None:
        """Go by this circuit, which others go by as well, from `now` (epoch µs) on."""
        self.signs.clear()
        if circuit != self.circuit:
            self._move(circuit, now)

    def _see(self, sign: Sign) -> None:
        circuit = after(self.circuit, sign, self._rule, self._who)
        if circuit is self.circuit:
            self._follow(sign.at)
            return
        if self._is_shared:
            self.signs.append(sign)
        self._move(circuit, sign.at)

    def _move(self, circuit: Circuit, now: int) -> None:
        before, self.circuit = self.circuit, circuit
        if circuit.state is BreakerState.OPEN and (before.state, before.at) != (circuit.state, circuit.at):
            self._is_well = not self._has_health
            self._why = circuit.why
            self.opened += self._is_own
            self._tell("breaker_opened", now, circuit.why, cooldown_s=(circuit.until - circuit.at) / 1_000_000)
        elif circuit.state is BreakerState.HALF_OPEN is not before.state:
            self._tell("breaker_half_open", now, "the cooldown is over: one task probes")
        elif circuit.state is BreakerState.CLOSED is not before.state:
            self._is_well = True
            self._tell("breaker_closed", now, "the probe succeeded")
        self._follow(now)

    def _follow(self, now: int) -> None:
        """Hold the pool, or let it go, as the circuit says."""
        circuit = self.circuit
        if circuit.is_open(now):
            self.state = BreakerState.OPEN
            self._hold("open" if self._is_own else f"opened by {circuit.by}", circuit.until, circuit.why)
        elif circuit.prober and not self._is_mine:
            self.state = BreakerState.HALF_OPEN
            self._hold(f"half open: a task of {circuit.by} probes")
        elif not self._is_well:
            self.state = BreakerState.ASKING
            self._hold("its health check is asked")
        elif circuit.state is BreakerState.CLOSED:
            self.state = BreakerState.CLOSED
            self._holds.lift(of_pool(self.pool), SOURCE)
        elif self._is_mine:
            self.state = BreakerState.HALF_OPEN
            if self._probe is None:
                self._holds.lift(of_pool(self.pool), SOURCE)
        elif self._is_shared:
            self.state = BreakerState.HALF_OPEN
            self._hold("half open: nobody probes yet")
        else:
            self._move(claimed(circuit, max(now, circuit.until), self._who), now)

    @property
    def _is_own(self) -> bool:
        return self.circuit.by == self._who.backfill_id

    def _hold(self, how: str, until: int | None = None, detail: str = "") -> None:
        reason = f"the circuit breaker of pool {self.pool}, {how}"
        self._holds.put(of_pool(self.pool), SOURCE, Hold(reason, until, detail))

    def _tell(self, what: str, now: int, why: str, **more: object) -> None:
        # Of a circuit that others have closed nothing is kept, not even who did.
        by = {} if self._is_own or not self.circuit.by else {"by": self.circuit.by}
        self.news.append(PaceChange(what, now, why, {"pool": self.pool, **more, **by}))
