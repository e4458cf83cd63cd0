"""What is another between two readings of the settings, by the names people write: `workers`, `pools.api`.

Owns the comparison, and which values may be shown: those of connections, variables and `on_event` may be secrets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from backfill_cli.core.pool_rules import PoolRules
from backfill_cli.core.settings_news import Change
from backfill_cli.loader.settings import Settings

_TABLES = {"connections": "connections", "variables": "variables", "pool_rules": "pools"}
"""Field → the table it is in the file; `pools` are the slots of `pool_rules` once more."""

_NO_SETTINGS = ("root", "file", "pools")
_PLAIN = (str, int, float, type(None))


def changes(before: Settings, after: Settings) -> tuple[Change, ...]:
    """Return what is another, in the order of the settings."""
    return tuple(
        change
        for field in fields(Settings)
        if field.name not in _NO_SETTINGS
        for change in _changes(field.name, getattr(before, field.name), getattr(after, field.name))
    )


def _changes(name: str, before: Any, after: Any) -> Iterator[Change]:
    if name in _TABLES:
        yield from _of_table(_TABLES[name], before, after)
    elif before != after:
        is_plain = name != "store" and isinstance(before, _PLAIN) and isinstance(after, _PLAIN)
        yield Change(name, _turned(before, after) if is_plain else "")


def _of_table(table: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for key in {**before, **after}:
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        name = f"{table}.{key}"
        if new is None:
            yield Change(name, "taken out")
        elif isinstance(old, PoolRules) and isinstance(new, PoolRules) and old._replace(slots=new.slots) == new:
            yield Change(name, _turned(old.slots, new.slots))
        else:
            yield Change(name, "new" if old is None else "")


def _turned(before: Any, after: Any) -> str:
    return f"{_said(before)} → {_said(after)}"


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "default" if value is None else str(value)
