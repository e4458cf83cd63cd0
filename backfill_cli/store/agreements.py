"""What processes agree on about the systems behind pools, in the store: a row a pool that said wait, or is broken.

Owns the queries of `core/agreements.py`. Both tables have as many rows as there are pools, at most; what is over stays
until something newer takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from backfill_cli.core.agreements import Deferral
from backfill_cli.core.circuits import BreakerState, Circuit
from backfill_cli.store.connections import Connection, Row
from backfill_cli.store.rows import Shape
from backfill_cli.store.writing import storable

_STATES = {state.value: state for state in BreakerState if state is not BreakerState.ASKING}


def _circuit(row: Row) -> Circuit:
    return Circuit(row[0], _STATES[row[1]], *row[2:])


DEFERRAL: Shape[Deferral] = Shape("deferrals", "sttss", lambda row: Deferral(*row))
CIRCUIT: Shape[Circuit] = Shape("circuits", "ssnssttss", _circuit)


class StoredAgreements:
    """`AgreementWriter` over one transaction; over a snapshot, the reading half of it.

    Args:
        counts: Whether a process lives, or something it has started.
    """

    def __init__(self, connection: Connection, counts: Callable[[str], bool]) -> None:
        self._connection = connection
        self._counts = counts

    def deferrals(self, pools: Collection[str]) -> list[Deferral]:
        """Return those of these pools; also such as are over."""
        return list(DEFERRAL.records(self._of("SELECT pool, at, until, by, reason FROM deferrals", pools)))

    def circuits(self, pools: Collection[str]) -> list[Circuit]:
        """Return those of these pools that are not clear; a prober that has died has no claim."""
        query = "SELECT pool, state, failures, signature, why, at, until, by, prober FROM circuits"
        found = CIRCUIT.records(self._of(query, pools))
        return [one._replace(prober="") if one.prober and not self._counts(one.prober) else one for one in found]

    def keep_deferral(self, deferral: Deferral) -> None:
        """Keep what a system has said, in the place of what it said before."""
        self._put("deferrals", deferral)

    def keep_circuit(self, circuit: Circuit) -> None:
        """Keep a circuit; a clear one goes."""
        if circuit.is_clear:
            self._connection.run("DELETE FROM circuits WHERE pool = ?", (storable(circuit.pool),))
        else:
            self._put("circuits", circuit)

    def _of(self, query: str, pools: Collection[str]) -> list[Row]:
        marks = ", ".join("?" * len(pools))
        return self._connection.all(f"{query} WHERE pool IN ({marks}) ORDER BY pool", tuple(map(storable, pools)))

    def _put(self, table: str, values: tuple[Any, ...]) -> None:
        row = [storable(one) if isinstance(one, str) else one for one in values]
        self._connection.run(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row)
