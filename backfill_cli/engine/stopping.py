"""Signals: the first drains, the second stops at once; either way the state is recorded before the process leaves.

Owns the handlers while a run lasts, and puts them back. Once the run has taken its dates a handler only puts a word
into the coordinator's inbox: what a stop means is decided there, between two turns, never in the middle of a write.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

from backfill_cli.interrupts import Interrupted, remember

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


class Stops:
    """The signals that come while a run lasts: the first interrupts it until `keep`, later ones are kept for it."""

    def __init__(self) -> None:
        self._seen: list[int] = []
        self._is_kept = False
        self._on_signal: Callable[[int], None] | None = None

    @property
    def first(self) -> int | None:
        return self._seen[0] if self._seen else None

    def note(self, number: int) -> None:
        """Take a signal, in its handler. Raises Interrupted when it is the first and nothing has been taken yet."""
        self._seen.append(number)
        if self._on_signal is not None:
            self._on_signal(number)
        elif not self._is_kept and len(self._seen) == 1:
            raise Interrupted(number)

    def keep(self) -> None:
        """From now on there is something to give back: no signal breaks in any more."""
        self._is_kept = True

    def tell(self, on_signal: Callable[[int], None]) -> None:
        """Hand on what was kept and what will come: there is somebody now who can act on it."""
        kept = list(self._seen)
        self._on_signal = on_signal
        for number in kept:
            on_signal(number)


@contextmanager
def noticing(*, own_process: bool) -> Iterator[Stops]:
    """Take INT, TERM and HUP while the block runs.

    Args:
        own_process: bfill is the whole process. A guest leaves the signals to its host.
    """
    stops = Stops()
    if not own_process:
        yield stops
        return
    try:
        with handling(stops.note):
            yield stops
    finally:
        if stops.first is not None:
            remember(stops.first)
