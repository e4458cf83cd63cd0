"""What a process of a simulated story has in the place of the real thing: its inbox, its stores, its dates."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty
from typing import TYPE_CHECKING, Any

from builders import Ledger

if TYPE_CHECKING:
    from backfill_cli.core.progress import RunSpec
    from simulated.processes import Process


class Inbox:
    """The coordinator's inbox; waiting for it is waiting in virtual time."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._messages: deque[Any] = deque()

    def put(self, message: Any) -> None:
        self._messages.append(message)
        if self._process.is_listening:
            self._process.wake_at = min(self._process.wake_at, self._process.sim.now)

    def get_nowait(self) -> Any:
        if not self._messages:
            raise Empty
        return self._messages.popleft()

    def get(self, timeout: float) -> Any:
        if not self._messages:
            self._process.sleep(timeout, is_listening=True)
        return self.get_nowait()


class Shared:
    """The store as one process sees it: before each transaction another one may have its turn."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def read(self, work: Callable[[Any], Any]) -> Any:
        self._process.dawdle()
        return self._process.sim.store.read(work)

    def write(self, work: Callable[[Any], Any]) -> Any:
        self._process.dawdle()
        found = self._process.sim.store.write(work)
        self._process.sim.watch.look()
        return found


class Commits:
    """The part of the store that is the backfill's own."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def write(self, work: Callable[[Any], Any]) -> Any:
        return work(self._ledger)


class Feed:
    def __init__(self, ledger: Ledger, dates: Sequence[int]) -> None:
        self._ledger, self._dates = ledger, list(dates)

    def take(self, most: int) -> Sequence[RunSpec]:
        taken, self._dates = self._dates[:most], self._dates[most:]
        return [self._ledger.spec(date) for date in taken]
