"""Results of the `pools` commands, as the screens and the command line's tests show them."""

from __future__ import annotations

from backfill_cli.core.circuits import BreakerRule
from backfill_cli.core.pool_rules import PoolRules
from backfill_cli.core.pooling import PoolChange, PoolsResult, PoolUser, PoolView
from backfill_cli.core.rates import parse_rate

RULES = PoolRules(4, parse_rate("100/min"), BreakerRule(5, 30.0), "https://warehouse.example/health")
HEAD = "7:9f3c81d2" + "0" * 56
_USERS = (
    PoolUser("bf-20240401-7k2m", "daily_sales", 4711, "etl-1", 2, 2, 3),
    PoolUser("bf-20240401-9d4x", "stock", 4712, "etl-1", 1, 2, 0),
    PoolUser(None, None, 4713, "etl-1", 1, 1, 0),
)


def pools() -> PoolsResult:
    return PoolsResult(
        [
            PoolView("api", 5, "store", "the partner's API allows five calls at once", 4, _USERS),
            PoolView("idle", 0, "store"),
            PoolView("warehouse", 4, "bfill.toml", rules=RULES),
            PoolView("wide", -1, "store"),
            PoolView("default_pool", 128, "built in", users=(_USERS[0]._replace(taken=3, held=32, waiting=0),)),
        ]
    )


def changed() -> PoolChange:
    before = PoolView("api", 4, "bfill.toml")
    return PoolChange("api", before, pools().pools[0], True, HEAD)


def deleted() -> PoolChange:
    return PoolChange("api", pools().pools[0], PoolView("api", 4, "bfill.toml"), True, HEAD)


SAMPLES = {
    "pools-list": ("pools list", pools),
    "pools-set": ("pools set", changed),
    "pools-delete": ("pools delete", deleted),
}
