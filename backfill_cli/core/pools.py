"""Slots: who may go next, without any system around us being asked for more than it has.

Owns semantics section 6, priority and pools. Ready tasks wait in one heap for each pool and number of slots, ordered by
weight, then logical date, then DAG order. A heap whose tasks need more than is free is passed over untouched, whatever
its length, and all others go on; so is one that is held. A dag_run at its max_active_tasks parks its tasks aside.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from heapq import heappop, heappush
from operator import itemgetter
from typing import NamedTuple

UNLIMITED = -1
DEFAULT_POOL = "default_pool"
DEFAULT_POOL_SLOTS = 128


Queue = tuple[str, int, str]
"""Who waits in one heap: pool, slots each of them takes, and the task, for tasks that wait apart (else empty)."""


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
        self._waiting: dict[Queue, list[Ready]] = {}
        self._apart: set[str] = set()

    def add(self, ready: Ready) -> None:
        """Let a task wait for its pool."""
        heappush(self._waiting.setdefault((ready.pool, ready.slots, self.apart(ready)), []), ready)

    def apart(self, ready: Ready) -> str:
        """Return the task, when it waits apart from the others of its pool; else an empty text."""
        return ready.task_id if ready.task_id in self._apart else ""

    def set_apart(self, task_id: str) -> None:
        """Let a task wait apart from the others of its pool from now on: it may be held when they are not."""
        if task_id in self._apart:
            return
        self._apart.add(task_id)
        for queue, heap in list(self._waiting.items()):
            if any(ready.task_id == task_id for ready in heap):
                del self._waiting[queue]
                for ready in heap:
                    self.add(ready)

    def free(self, pool: str) -> float:
        """Return the slots nobody holds; infinite for an unlimited pool."""
        size = self.sizes[pool]
        return float("inf") if size == UNLIMITED else size - self.taken[pool]

    def give_back(self, pool: str, slots: int) -> None:
        self.taken[pool] -= slots

    def take(
        self,
        capacity: int,
        may_go: Callable[[Ready], bool],
        is_held: Callable[[Queue], bool] | None = None,
    ) -> Iterator[Ready]:
        """Yield up to `capacity` tasks in order of priority, each with its slots taken.

        Args:
            capacity: How many may start at once.
            may_go: Asked last. When it answers no, the task leaves the heap: the caller has parked or dropped it.
            is_held: Whether a queue is passed over, though its tasks would fit; None: no queue is.
        """
        while capacity > 0:
            fitting = (heap for queue, heap in self.fitting() if is_held is None or not is_held(queue))
            heap = min(fitting, key=itemgetter(0), default=None)
            if heap is None:
                return
            ready = heappop(heap)
            if may_go(ready):
                self.taken[ready.pool] += ready.slots
                capacity -= 1
                yield ready

    def fitting(self) -> Iterator[tuple[Queue, list[Ready]]]:
        """Yield the queues in which somebody waits and whose tasks fit into what is free."""
        return ((queue, heap) for queue, heap in self._waiting.items() if heap and queue[1] <= self.free(queue[0]))

    def queues(self) -> Iterator[tuple[Queue, int]]:
        """Yield the queues in which somebody waits, and how many."""
        return ((queue, len(heap)) for queue, heap in self._waiting.items() if heap)

    def waiting(self, besides: Container[Queue] = ()) -> dict[str, int]:
        """Return how many tasks wait, by pool; pools nobody waits for are left out, and the queues `besides`."""
        counts: dict[str, int] = {}
        for queue, count in self.queues():
            if queue not in besides:
                counts[queue[0]] = counts.get(queue[0], 0) + count
        return counts
