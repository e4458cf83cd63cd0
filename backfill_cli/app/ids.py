"""Backfill ids: short, sortable by day, readable, hard to mistake (`bf-20240131-7k2m`).

Owns their making. Four letters of an alphabet without look-alikes are enough beside the day; a clash is seen by the
store and tried again.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


def new_backfill_id(now_us: int, head: str = "bf") -> str:
    """Return a fresh id for the UTC day of `now_us` (epoch microseconds); `sc` heads what a scheduler makes."""
    day = datetime.fromtimestamp(now_us / 1_000_000, UTC)
    return f"{head}-{day:%Y%m%d}-" + "".join(secrets.choice(ALPHABET) for _ in range(4))


def new_owner_id() -> str:
    """Return an id for this process as an owner; random, because pids come round again."""
    return secrets.token_hex(8)
