"""Who cares, while a run lasts, for what its machine cannot know: reserved starts, health, what other processes meet.

Owns the choice of who is needed; a run without limits and without pools of a name needs nobody. What they do is
`engine/pacing.py` and `engine/agreeing.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backfill_cli.core.pools import DEFAULT_POOL

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.machine import BackfillMachine
    from backfill_cli.core.ports import Store
    from backfill_cli.core.records import Claim
    from backfill_cli.core.throttle import Throttle
    from backfill_cli.engine.agreeing import Agreeing
    from backfill_cli.engine.pacing import Pacer


def agreeing_of(ctx: AppContext, store: Store, machine: BackfillMachine, claim: Claim) -> Agreeing | None:
    """Return who agrees with other processes about the systems behind pools; None when the DAG names no pool."""
    pools = {task.pool for task in machine.dag.tasks.values()} - {DEFAULT_POOL}
    throttle = machine.slots.throttle
    if not pools and not throttle.breakers:
        return None
    from backfill_cli.core.circuits import Who
    from backfill_cli.engine.agreeing import Agreeing

    return Agreeing(store, throttle, pools, Who(claim.owner, claim.backfill_id), ctx.clock)


def pacer_of(
    ctx: AppContext, store: Store, throttle: Throttle, agreeing: Agreeing | None, *, probe: str | None
) -> Pacer | None:
    """Return who reserves starts, asks after health and writes what was met; None when there is nothing of it.

    Args:
        probe: A command or address to ask about the number of dates at once.
    """
    if not throttle.needs_care and agreeing is None:
        return None
    from backfill_cli.engine.pacing import Pacer

    checks = {name: one.health for name, one in ctx.settings.pool_rules.items() if one.health is not None}
    return Pacer(store, throttle, checks, ctx.environ, ctx.clock, probe=probe, agreeing=agreeing)
