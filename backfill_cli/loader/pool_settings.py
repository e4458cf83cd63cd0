"""`[pools]` of the settings: `api = 4`, or a table `[pools.api]` with rules besides the slots.

Owns the check of a pool's keys and values. What a rule does is the core's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backfill_cli.core.pool_rules import PoolRules
from backfill_cli.core.pooling import NAMES, may_name
from backfill_cli.core.pools import MOST_SLOTS, UNLIMITED


class BadPool(ValueError):
    """What a pool cannot have; the text says what, and behind a `|` what it takes."""


def pool_rules(name: str, value: Any) -> PoolRules:
    """Return one pool of the settings. Raises BadPool for a name, a key or a value that cannot be."""
    if not may_name(name):
        raise BadPool(f"pool {name!r}|{NAMES}")
    if not isinstance(value, Mapping):
        return PoolRules(_slots(f"pool {name}", value))
    for key in value:
        if key not in _KEYS:
            from backfill_cli.core.graph import near_hint

            raise BadPool(f"pool {name}: '{key}'|{', '.join(_KEYS)} in [pools.{name}]; {near_hint(key, _KEYS)}")
    return PoolRules(**{key: _KEYS[key](f"pool {name}: {key}", one) for key, one in value.items()})


def _slots(what: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not UNLIMITED <= value <= MOST_SLOTS:
        raise BadPool(f"{what} = {value!r}|whole numbers up to {MOST_SLOTS}; -1 is unlimited")
    return value


def _rate(what: str, value: Any) -> Any:
    from backfill_cli.core.rates import parse_rate

    try:
        return parse_rate(value)
    except ValueError as error:
        raise BadPool(f"{what} = {value!r}|{error}") from None


def _breaker(what: str, value: Any) -> Any:
    from backfill_cli.core.breakers import BreakerRule

    takes = "a table such as {failures = 5, cooldown = '30s'}"
    if not isinstance(value, Mapping) or value.keys() - {"failures", "cooldown"}:
        raise BadPool(f"{what} = {value!r}|{takes}")
    failures = value.get("failures", BreakerRule().failures)
    if isinstance(failures, bool) or not isinstance(failures, int) or failures < 1:
        raise BadPool(f"{what}: failures = {failures!r}|{takes}, with 1 failure or more")
    return BreakerRule(failures, _seconds(what, value.get("cooldown", BreakerRule().cooldown_s)))


def _seconds(what: str, value: Any) -> float:
    """Return the seconds of `30s`, `300ms`, `1h30m`, or of a number of them; not more than a year's."""
    from backfill_cli.core.durations import parse_span
    from backfill_cli.core.signals import LONGEST_DELAY_S

    found = parse_span(value) if isinstance(value, str) else None
    seconds = value if found is None else found.total_seconds()
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= LONGEST_DELAY_S:
        longest = f"{LONGEST_DELAY_S / 86_400:g} days at most"
        raise BadPool(f"{what}: cooldown = {value!r}|a time such as '30s', '300ms' or '5m', or seconds; {longest}")
    return float(seconds)


def _health(what: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadPool(f"{what} = {value!r}|an http:// address, or a command whose exit status 0 means well")
    return value


_KEYS: dict[str, Callable[[str, Any], Any]] = {
    "slots": _slots,
    "rate_limit": _rate,
    "breaker": _breaker,
    "health": _health,
}
