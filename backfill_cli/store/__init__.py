"""Where state lives: the `Store` of `core/ports.py` over SQL.

`opening.open_store` is the only way in. `models` and `migrations` say what the tables are, `reading` and `writing` hold
the queries, `sql` the transactions around them, `engines` everything that depends on the database at hand.
"""

from __future__ import annotations

from backfill_cli.store.opening import memory_store, open_store

__all__ = ["memory_store", "open_store"]
