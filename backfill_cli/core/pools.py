"""Slots: who may go next, without any system around us being asked for more than it has.

Owns semantics section 6, priority and pools. Ready tasks wait in one heap for each pool and number of slots, ordered by
weight, then logical date, then DAG order. A heap whose tasks need more than is free is passed over untouched, whatever
its length, and all others go on. A dag_run at its max_active_tasks parks its tasks aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from heapq import heappop, heappush
from operator import itemgetter
from typing import NamedTuple

UNLIMITED = -1
DEFAULT_POOL = "default_pool"
DEFAULT_POOL_SLOTS = 128


class Ready(NamedTuple):
    """A task instance that may run; the order of the fields is the order of priority."""

    minus_weight: int
    logical_date: int
    position: int
    task_id: str
    slots: int
    pool: str


class Pools:
    """The pools of one coordinator: their size, what is taken, and who waits."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = dict(sizes)
        self.taken = dict.fromkeys(sizes, 0)
        self._waiting: dict[tuple[str, int], list[Ready]] = {}

    def add(self, ready: Ready) -> None:
        """Let a task wait for its pool."""
        heappush(self._waiting.setdefault((ready.pool, ready.slots), []), ready)

    def free(self, pool: str) -> float:
        """Return the slots nobody holds; infinite for an unlimited pool."""
        size = self.sizes[pool]
        return float("inf") if size == UNLIMITED else size - self.taken[pool]

    def give_back(self, pool: str, slots: int) -> None:
        self.taken[pool] -= slots

    def take(self, capacity: int, may_go: Callable[[Ready], bool]) -> Iterator[Ready]:
        """Yield up to `capacity` tasks in order of priority, each with its slots taken.

        Args:
            capacity: How many may start at once.
            may_go: Asked last. When it answers no, the task leaves the heap: the caller has parked or dropped it.
        """
        while capacity > 0:
            fitting = (heap for (pool, slots), heap in self._waiting.items() if heap and slots <= self.free(pool))
            heap = min(fitting, key=itemgetter(0), default=None)
            if heap is None:
                return
            ready = heappop(heap)
            if may_go(ready):
                self.taken[ready.pool] += ready.slots
                capacity -= 1
                yield ready

    def waiting(self) -> dict[str, int]:
        """Return how many tasks wait, by pool; pools nobody waits for are left out."""
        counts: dict[str, int] = {}
        for (pool, _), heap in self._waiting.items():
            if heap:
                counts[pool] = counts.get(pool, 0) + len(heap)
        return counts
