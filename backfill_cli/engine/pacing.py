"""What limits of rate and breakers need of the world outside: reservations in the store, and answers about health.

Owns the transaction that reserves starts: one for all limits of a turn, and none in a turn in which nobody under a
limit could start. What a limit grants is arithmetic (`core/rates.py`); that the store keeps it makes it hold for all
processes that share it, and after one of them was killed. Health is asked beside the loop, once at a time a pool.
"""

from __future__ import annotations

from collections.abc import Mapping

from backfill_cli.core.listening import PaceChange
from backfill_cli.core.machine import BackfillMachine
from backfill_cli.core.ports import Clock, Store, Writer
from backfill_cli.core.rates import Pace, Reservation, reserve
from backfill_cli.core.throttle import Throttle
from backfill_cli.engine.agreeing import Agreeing
from backfill_cli.engine.health import Answer, ask_beside
from backfill_cli.engine.messages import Checked, Tell

PROBE_EVERY_US = 2_000_000
"""Microseconds between an answer of `--probe` and the next question; a turn of the loop asks, so it may be more."""

_PROBE = ""


class Pacer:
    """Reserves starts and asks after health for one run.

    Args:
        throttle: What decides; the machine's.
        checks: Pool → its health check.
        environ: What commands inherit.
        clock: What a start is reserved by: the moment the store is had, which others may have kept for a while.
        probe: A command or address that is asked every few seconds, for the number of dates at once.
        agreeing: Who agrees with other processes about the pools of a name; None: the run uses none.
    """

    def __init__(
        self,
        store: Store,
        throttle: Throttle,
        checks: Mapping[str, str],
        environ: Mapping[str, str],
        clock: Clock,
        *,
        probe: str | None = None,
        agreeing: Agreeing | None = None,
    ) -> None:
        self._probe = probe
        self._agreeing = agreeing
        self._probe_at = 0
        self._store = store
        self._throttle = throttle
        self._checks = checks
        self._environ = environ
        self._clock = clock
        self._asked: set[str] = set()

    def before_turn(self, machine: BackfillMachine, now: int, tell: Tell) -> None:
        """Reserve what the machine could start now (epoch µs), as far as the limits allow, and ask who has to be asked.

        Args:
            tell: Takes the answers, from other threads.
        """
        if self._agreeing is not None:
            self._agreeing.before_turn(machine, now)
        lacking = machine.lacking(now)
        if lacking:
            for pace, reservation in self._store.write(lambda writer: self._reserved(writer, lacking)).items():
                pace.granted(reservation)
        if machine.paused or machine.stopping:
            return  # nothing starts: whoever is left alone is not to be asked how it is, either
        for pool, breaker in self._throttle.breakers.items():
            if breaker.is_asking and pool not in self._asked:
                self._ask(pool, self._checks[pool], tell)
        if self._probe is not None and now >= self._probe_at and _PROBE not in self._asked:
            self._ask(_PROBE, self._probe, tell)

    def heard(self, message: Checked, now: int) -> None:
        """Take the answer about a pool's health, or that of the probe."""
        self._asked.discard(message.of)
        if message.of == _PROBE:
            self._probe_at = now + PROBE_EVERY_US
            if self._throttle.adaptive is not None:
                self._throttle.adaptive.on_probe(is_well=message.is_well, told=message.told, now=now)
            return
        self._throttle.breakers[message.of].on_health(is_well=message.is_well, told=message.told, now=now)

    def news(self) -> list[PaceChange]:
        """Return what has changed by itself since the last turn."""
        return self._throttle.news()

    def _ask(self, of: str, check: str, tell: Tell) -> None:
        def answered(answer: Answer) -> None:
            tell(Checked(of, answer.is_well, answer.told))

        self._asked.add(of)
        ask_beside(check, self._environ, answered)

    def _reserved(self, writer: Writer, lacking: Mapping[Pace, int]) -> dict[Pace, Reservation]:
        now, found = self._clock.now_us(), {}
        for pace, wanted in lacking.items():
            stored = writer.next_start(pace.key)
            found[pace] = reserve(pace.rate, stored, now, wanted)
            if found[pace].next_at != stored:  # also without a start: what a wrong clock has stored goes
                writer.set_next_start(pace.key, found[pace].next_at)
        return found
