"""Waiting for a store that others are writing to.

Owns when to try again; what to try again is always a whole transaction, first read included, because what it read may
no longer hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from backfill_cli.store.problems import StoreBusy

T = TypeVar("T")

PATIENCE_S = 30.0
"""How long a transaction is tried again while others hold the store."""


def patiently(once: Callable[[], T], patience_s: float) -> T:
    """Return what `once` returns, calling it again while it raises StoreBusy, for about `patience_s` seconds.

    Raises:
        StoreBusy: Still busy then (code `store-locked`).
    """
    try:
        return once()
    except StoreBusy:
        if patience_s <= 0:
            raise
    # Imported when needed: most commands never meet a busy store.
    from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

    retrying = Retrying(
        retry=retry_if_exception_type(StoreBusy),
        stop=stop_after_delay(patience_s),
        wait=wait_random_exponential(multiplier=0.01, max=0.5),
        reraise=True,
    )
    return retrying(once)
