"""What the settings say of a pool besides its slots: how gently the system behind it is to be asked.

Owns the shape alone; what a rule does is in `core/rates.py` and `core/breakers.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from backfill_cli.core.breakers import BreakerRule
    from backfill_cli.core.rates import Rate


class PoolRules(NamedTuple):
    """One pool of the settings.

    Args:
        slots: Its size, -1 is unlimited; None leaves it to the store, where a pool without a size is unlimited.
        rate_limit: How many tries may start in how much time, whatever the DAG; None is no limit.
        breaker: When its circuit breaker opens, and for how long; None: it has none, unless `health` gives it one.
        health: An http:// address or a command, asked when a run begins and before a breaker's probe.
    """

    slots: int | None = None
    rate_limit: Rate | None = None
    breaker: BreakerRule | None = None
    health: str | None = None
