"""Where state lives: the `Store` of `core/ports.py` over SQL.

`opening.open_store` is the only way in. `models` and `migrations` say what the tables are, `reading` and `writing` hold
the queries, `sql` the transactions around them, `engines` everything that depends on the database at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backfill_cli.store.opening import memory_store, open_store

__all__ = ["memory_store", "open_store"]


def __getattr__(name: str) -> Any:
    # On first use (PEP 562): `peeking`, for completion, needs none of what opening a store for real imports.
    if name not in __all__:
        raise AttributeError(f"module 'backfill_cli.store' has no attribute {name!r}")
    from backfill_cli.store import opening

    return getattr(opening, name)
