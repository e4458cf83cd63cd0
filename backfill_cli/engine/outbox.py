"""Events on their way out of the process: a bounded queue and one thread, so that a listener holds nothing back.

Owns order, patience and the count of what did not arrive. Whoever puts events in never waits and never fails; the
thread is started by the first of them, because a process that is still loading a DAG may want to fork.
"""

from __future__ import annotations

import json
import time
from collections import deque
from contextlib import suppress
from threading import Condition, Event, Thread
from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.engine.couriers import Busy, Courier, Undelivered

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 10_000
"""Events that wait; what comes when so many do is lost, and counted."""

AGAIN_S = 10.0
"""Seconds until an event is brought once more to somebody who was busy or away."""

_LAST_S = 3.0
"""Seconds of the wait at the end that are kept for the last event: how the run ended matters more than how it went."""


class Losses(NamedTuple):
    """What did not arrive: so many events of so many, and why the first of them did not."""

    lost: int
    of: int
    first_error: str


class Outbox:
    """Hands events to a courier in their order, one at a time.

    Args:
        courier: Delivers one event, or raises Undelivered.
        most: Events that may wait.
        patience_s: Seconds in which an event is brought again and again to somebody who is busy or away, until he has
            it, or the run is over. After that the next ones get no such time, until one has arrived.
        on_settled: Called, from any thread, when so many events have arrived, or have not: with the reason then. Of
            none, with a reason, when one has to wait.
    """

    def __init__(
        self,
        courier: Courier,
        *,
        most: int = MOST,
        patience_s: float = 0.0,
        on_settled: Callable[[int, str], None] | None = None,
    ) -> None:
        self._courier = courier
        self._most = most
        self._patience_s = self._patience_left_s = patience_s
        self._on_settled = on_settled
        self._waiting: deque[str] = deque()
        self._changed = Condition()
        self._hurry = Event()
        self._thread: Thread | None = None
        self._is_closing = False
        self._is_abandoned = False
        self._under_way = 0
        self._put = self._lost = 0
        self._first_error = ""

    def put(self, text: str) -> None:
        """Take whole lines, one JSON object each with its type in `event`. Never waits, never raises."""
        with self._changed:
            for line in text.splitlines():
                self._put += 1
                if len(self._waiting) < self._most:
                    self._waiting.append(line)
                else:
                    self._settled(1, f"more than {self._most:,} events were waiting")
            if self._thread is None and self._waiting:
                self._thread = Thread(target=self._work, name="bfill-on-event", daemon=True)
                with suppress(RuntimeError):  # no more threads: what waits is counted as lost by `close`
                    self._thread.start()
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """Events that have not arrived yet."""
        return len(self._waiting) + self._under_way

    def settle(self, within_s: float) -> bool:
        """Wait until nothing waits, at most so long; returns whether nothing does."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.waiting, within_s)

    def close(self, within_s: float) -> Losses | None:
        """Wait for what is on its way, at most so long, and give up the rest; returns what was lost.

        When the time is nearly over, everything but the last event is passed over. Ctrl-C ends the waiting.
        """
        until = time.monotonic() + within_s
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        with suppress(KeyboardInterrupt):
            if not self.settle(max(0.0, within_s - min(_LAST_S, within_s / 2))):
                self._keep_only_the_last()
                self.settle(max(0.0, until - time.monotonic()))
        return self._abandon(within_s)

    def _keep_only_the_last(self) -> None:
        with self._changed:
            self._hurry.set()
            passed_over = max(0, len(self._waiting) - 1)
            for _ in range(passed_over):
                self._waiting.popleft()
            if passed_over:
                self._settled(passed_over, "there was no time left for it when the run had ended")
        self._courier.end()

    def _abandon(self, within_s: float) -> Losses | None:
        with self._changed:
            self._is_abandoned = True
            self._hurry.set()
            if self.waiting:
                self._settled(self.waiting, f"it was still waiting {within_s:g} s after the run had ended")
            self._waiting.clear()
            self._under_way = 0
            self._changed.notify_all()
            losses = Losses(self._lost, self._put, self._first_error) if self._lost else None
        self._courier.end()
        return losses

    def _settled(self, number: int, why: str) -> None:
        """So many events are off our hands: they have arrived, or are lost for a reason."""
        if number and why:
            self._lost += number
            self._first_error = self._first_error or why
        if (number or why) and self._on_settled is not None:
            self._on_settled(number, why)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing or self._is_abandoned)
                if not self._waiting:
                    return
                line = self._waiting.popleft()
                self._under_way = 1
            error = self._deliver(line)
            with self._changed:
                if self._is_abandoned:  # counted as lost already, whatever has become of it
                    return
                self._under_way = 0
                self._settled(1, error)
                self._changed.notify_all()

    def _deliver(self, line: str) -> str:
        """Return why it did not arrive; empty when it did."""
        until = time.monotonic() + self._patience_left_s
        while True:
            try:
                self._courier.deliver(json.loads(line)["event"], line, self._hurry)
            except Busy as error:
                if time.monotonic() + AGAIN_S > until or self._is_closing:
                    self._patience_left_s = 0.0
                    return str(error)
                self._settled(0, str(error))
                with self._changed:
                    self._changed.wait_for(lambda: self._is_closing, AGAIN_S)
            except Undelivered as error:
                return str(error)
            except Exception as error:  # noqa: BLE001  (whatever it is, the run is not to know)
                return f"{type(error).__name__} in bfill"
            else:
                self._patience_left_s = self._patience_s
                return ""
