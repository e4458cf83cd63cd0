"""What keeps pools from starting anything besides slots, as whoever lists them is told: who said wait, what is broken.

Owns the words; what processes agree on is `core/agreements.py` and `core/circuits.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from backfill_cli.core.circuits import BreakerState, Circuit
from backfill_cli.core.pooling import PoolHold, PoolView
from backfill_cli.core.wording import moment_words, soon_words

if TYPE_CHECKING:
    from backfill_cli.core.agreements import Deferral
    from backfill_cli.core.ports import Reader


def with_holds(reader: Reader, pools: Mapping[str, PoolView], now: int) -> list[PoolView]:
    """Return the pools with what holds them at `now`, epoch microseconds."""
    agreed = reader.agreements()
    deferrals = {one.pool: one for one in agreed.deferrals(pools)}
    circuits = {one.pool: one for one in agreed.circuits(pools)}
    return [
        replace(pool, holds=tuple(_holds(deferrals.get(name), circuits.get(name), now))) for name, pool in pools.items()
    ]


def _holds(deferral: Deferral | None, circuit: Circuit | None, now: int) -> Iterator[PoolHold]:
    if deferral is not None and deferral.lasts(now):
        yield _until(f"said wait to {deferral.by}", deferral.until, deferral.reason, deferral.by, now)
    if circuit is None or circuit.state is BreakerState.CLOSED:
        return
    if circuit.is_open(now):
        yield _until(f"circuit breaker opened by {circuit.by}", circuit.until, circuit.why, circuit.by, now)
    else:
        probe = f"a task of {circuit.by} probes" if circuit.prober else "the next task probes"
        yield PoolHold(f"circuit breaker half open: {probe}", None, circuit.by)


def _until(why: str, until: int, detail: str, by: str, now: int) -> PoolHold:
    soon = soon_words(until, now)
    ends = f"for {soon} more" if soon else f"until {moment_words(until, now, 'UTC')} UTC"
    return PoolHold(f"{why}, {ends}" + (f" ({detail})" if detail else ""), until, by)
