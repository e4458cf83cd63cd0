"""Reserving starts in the store, for tasks under a limit of rate.

Owns the transaction: one for all limits of a turn, and none in a turn in which nobody under a limit could start. What a
limit grants is arithmetic (`core/rates.py`); that the store keeps it makes it hold for all processes that share it, and
after one of them was killed.
"""

from __future__ import annotations

from collections.abc import Mapping

from backfill_cli.core.machine import BackfillMachine
from backfill_cli.core.ports import Store, Writer
from backfill_cli.core.rates import Pace, Reservation, reserve


class Pacer:
    """Reserves starts for one run."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def reserve(self, machine: BackfillMachine, now: int) -> None:
        """Reserve what the machine could start now, epoch microseconds, as far as the limits allow."""
        lacking = machine.lacking(now)
        if lacking:
            for pace, reservation in self._store.write(lambda writer: _reserved(writer, lacking, now)).items():
                pace.granted(reservation)


def _reserved(writer: Writer, lacking: Mapping[Pace, int], now: int) -> dict[Pace, Reservation]:
    found = {}
    for pace, wanted in lacking.items():
        stored = writer.next_start(pace.key)
        found[pace] = reserve(pace.rate, stored, now, wanted)
        if found[pace].next_at != stored:  # also without a start: what a wrong clock has stored goes
            writer.set_next_start(pace.key, found[pace].next_at)
    return found
