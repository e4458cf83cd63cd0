"""Signals: the first drains, the second stops at once; either way the state is recorded before the process leaves.

Owns the handlers while a run lasts, and puts them back. A handler only puts a word into the coordinator's inbox: what a
stop means is decided there, between two turns, never in the middle of a write.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def handling(on_signal: Callable[[int], None]) -> Iterator[None]:
    """Hand INT, TERM and HUP to `on_signal` while the block runs; outside the main thread it does nothing."""
    if current_thread() is not main_thread():
        yield
        return

    def handle(number: int, _frame: object) -> None:
        on_signal(number)

    before = {one: signal.signal(one, handle) for one in SIGNALS if signal.getsignal(one) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
