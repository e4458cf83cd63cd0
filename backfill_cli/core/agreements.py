"""What the processes of a store agree on about the systems behind their pools: who said wait, and what is broken.

Owns the record of a system that said wait, and the protocols of the store; `store/agreements.py` implements both. The
circuits of breakers are in `core/circuits.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from backfill_cli.core.circuits import Circuit


class Deferral(NamedTuple):
    """The system behind a pool has said wait.

    Args:
        at: When, epoch microseconds.
        until: Until when; epoch microseconds.
        by: The backfill it was said to.
        reason: What it said.
    """

    pool: str
    at: int
    until: int
    by: str
    reason: str

    def lasts(self, now: int) -> bool:
        """Whether it is still to be waited at `now` (epoch µs)."""
        return is_ahead(self.at, self.until, now)


def is_ahead(at: int, until: int, now: int) -> bool:
    """Return whether something that lasts from `at` to `until` is not over at `now`; epoch microseconds.

    What begins later than its own length from now was written by a clock that has been set back since: it is
    forgotten, so that nobody ever waits for more than twice as long as was meant.
    """
    return now < until and at - now <= until - at


class AgreementReader(Protocol):
    """What was agreed on, over one snapshot."""

    def deferrals(self, pools: Collection[str]) -> list[Deferral]:
        """Those of these pools; also such as are over."""
        ...

    def circuits(self, pools: Collection[str]) -> list[Circuit]:
        """Those of these pools that are not clear; a prober that has died has no claim."""
        ...


class AgreementWriter(AgreementReader, Protocol):
    """The same, in a write transaction."""

    def keep_deferral(self, deferral: Deferral) -> None: ...
    def keep_circuit(self, circuit: Circuit) -> None:
        """Keep a circuit; a clear one goes."""
        ...
