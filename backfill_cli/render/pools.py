"""The screens of `pools list`, `pools set` and `pools delete`."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from backfill_cli.core.pool_rules import PoolRules
from backfill_cli.core.pooling import PoolChange, PoolsResult, PoolUser, PoolView
from backfill_cli.core.pools import STORE, UNLIMITED
from backfill_cli.render.parts import closing
from backfill_cli.render.run import short_head
from backfill_cli.render.text import Part, columns, cut, line, wide
from backfill_cli.render.theme import BOLD, DIM, WARN, look
from backfill_cli.render.words import count, duration

_ORIGINS = {STORE: "set in the store"}


def render_list(result: PoolsResult, width: int) -> Iterator[Text]:
    """Return a line a pool, and below it a line a process that has slots of it or waits for them."""
    head: list[Part] = ["", *((one, DIM) for one in ("slots", "taken", "free", "waiting", ""))]
    lines = columns([head, *(_row(pool) for pool in result.pools)], indent=1)
    yield lines[0]
    for pool, text in zip(result.pools, lines[1:], strict=True):
        text.truncate(width - 1, overflow="ellipsis")
        yield text
        if pool.description:
            yield line((f"   {cut(pool.description, width - 4)}", DIM))
        if rules := _rules(pool.rules):
            yield line((f"   {rules}", DIM))
        for hold in pool.holds:
            yield line((f"   {cut(hold.why, width - 4)}", WARN))
        users = [_user(one) for one in pool.users if one.held or one.waiting]
        yield from columns(users, indent=3)
    if all(pool.origin != STORE for pool in result.pools):
        yield from closing("bfill pools set NAME SLOTS")


def render_set(result: PoolChange, width: int) -> Iterator[Text]:
    """Return what the pool is now, and what it was."""
    pool = result.after
    assert pool is not None, result.name
    seen = look("success")
    if not result.changed:
        yield line(" ", (result.name, BOLD), f"   {_slots(pool.slots)}, as it was")
        return
    was = "new" if result.before is None else f"before {_number(result.before.slots)}, {result.before.origin}"
    yield line(" ", (f"{seen.symbol} {result.name}", seen.style), f"   {_slots(pool.slots)}   ", (was, DIM))
    if pool.description:
        yield line((f"   {cut(pool.description, width - 4)}", DIM))
    if pool.beneath is not None and pool.beneath != pool.slots:
        yield line((f"   bfill.toml says {_number(pool.beneath)}; the store goes before it", DIM))
    if pool.users:
        told = f"{count(len(pool.users), 'running process', 'running processes')} will see it within a second"
        yield line((f"   {told}; what runs is not stopped", DIM))
    yield line((" audit head ", DIM), short_head(result.audit_head))


def render_delete(result: PoolChange, width: int) -> Iterator[Text]:
    """Return that it is gone, or what holds for it again."""
    seen = look("success")
    if result.after is None:
        yield line(" ", (f"{seen.symbol} {result.name} deleted", seen.style))
    else:
        yield line(" ", (f"{seen.symbol} {result.name}", seen.style), f"   {_slots(result.after.slots)} again   ",
                   (result.after.origin, DIM))  # fmt: skip
    yield line((" audit head ", DIM), short_head(result.audit_head))


def _rules(rules: PoolRules | None) -> str:
    """How gently a pool is to be asked: `at most 100/min · breaker after 5 alike, for 30 s · health check`."""
    if rules is None:
        return ""
    said = []
    if rules.rate_limit is not None:
        said.append(f"at most {rules.rate_limit.said}")
    if rules.breaker is not None:
        said.append(f"breaker after {rules.breaker.failures:,} alike, for {duration(rules.breaker.cooldown_s)}")
    if rules.health is not None:
        said.append("health check")
    return " · ".join(said)


def _row(pool: PoolView) -> list[Part]:
    waiting = line((f"{pool.waiting:>7,}", WARN if pool.waiting else DIM))
    origin = _ORIGINS.get(pool.origin, pool.origin)
    if pool.beneath is not None and pool.beneath != pool.slots:
        origin += f", bfill.toml says {_number(pool.beneath)}"
    return [
        (pool.name, BOLD),
        _right(_number(pool.slots), 5),
        _right(f"{pool.taken:,}", 5),
        _right("" if pool.free is None else f"{pool.free:,}", 4),
        waiting,
        (origin, DIM),
    ]


def _user(one: PoolUser) -> list[Part]:
    held = f", keeps {count(one.held - one.taken, 'more', 'more')}" if one.held > one.taken else ""
    waits = f", {count(one.waiting, 'task waits', 'tasks wait')}" if one.waiting else ""
    who = one.backfill_id or "tasks of a process that died"
    return [who, (one.dag_id or "", DIM), (f"pid {one.pid}" if one.pid else "", DIM), f"has {one.taken}{held}{waits}"]


def _right(text: str, cells: int) -> Text:
    return line(" " * max(0, cells - wide(text)) + text)


def _number(slots: int) -> str:
    return "∞" if slots == UNLIMITED else f"{slots:,}"


def _slots(slots: int) -> str:
    if slots == UNLIMITED:
        return "no limit"
    return "0 slots: all its tasks are held" if not slots else count(slots, "slot")
