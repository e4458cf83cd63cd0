"""Slots: who may go next, without any system around us being asked for more than it has.

Owns semantics section 6, priority and pools, and how large a pool is. Ready tasks wait in one heap for each pool and
number of slots, ordered by weight, then logical date, then DAG order. A heap whose tasks need more than is free is
passed over untouched, whatever its length, and all others go on; so is one that is held. A dag_run at its
max_active_tasks parks its tasks aside. A limit of one task over all dag_runs (`max_active_tis_per_dag`) is a second
pool that each of its instances needs a slot of; it waits apart, so that nobody waits behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from operator import itemgetter
from typing import NamedTuple

UNLIMITED = -1
DEFAULT_POOL = "default_pool"
DEFAULT_POOL_SLOTS = 128
MOST_SLOTS = 2**31
"""More than any system around us takes at once."""

STORE, SETTINGS, BUILT_IN = "store", "bfill.toml", "built in"


class PoolSize(NamedTuple):
    """How large a pool is, and who says so: the store, the settings, or bfill itself."""

    slots: int
    origin: str


def pool_sizes(stored: Mapping[str, int], configured: Mapping[str, int]) -> dict[str, PoolSize]:
    """Return every pool's size.

    What somebody has set in the store goes before the settings: it is the word of whoever looks after the system, holds
    for every process at once and may change while they run. The settings name pools nobody has set.
    """
    return {
        DEFAULT_POOL: PoolSize(DEFAULT_POOL_SLOTS, BUILT_IN),
        **{name: PoolSize(slots, SETTINGS) for name, slots in configured.items()},
        **{name: PoolSize(slots, STORE) for name, slots in stored.items()},
    }


def task_limit(dag_id: str, task_id: str) -> str:
    """Return the name of the pool that is the limit of one task: no other pool can have it."""
    return f"{dag_id}:{task_id}"


def date_limit(dag_id: str) -> str:
    """Return the name of the pool that is `max_active_runs` of a DAG's shifts: no other pool, and no task, has it."""
    return f"{dag_id}:"


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


class Demand(NamedTuple):
    """What the tasks of a pool ask for.

    Args:
        used: Slots of running tasks.
        more: Slots that ready tasks could use.
        least: The largest need among those.
        waiting: Tasks that this pool keeps from starting.
    """

    used: int
    more: int
    least: int
    waiting: int


class Pools:
    """The pools of one coordinator: how much of each it may use, what is taken, and who waits.

    Attributes:
        sizes: How large each pool is, for words.
        limits: Up to how many slots tasks start; less than the size when other processes hold the rest.
        gates: Of tasks with a limit of their own, the pool that is this limit.
        elsewhere: Who holds the rest, in words such as `bf-20240401-7k2m holds 3`; by pool.
        spare: Slots beyond the limit that nobody has or wants: what runs here could never use them; by pool.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = dict(sizes)
        self.limits = dict(sizes)
        self.taken = dict.fromkeys(sizes, 0)
        self.gates: dict[str, str] = {}
        self.elsewhere: dict[str, Sequence[str]] = {}
        self.spare: dict[str, int] = {}
        self._waiting: dict[Queue, list[Ready]] = {}
        self._apart: set[str] = set()

    def add(self, ready: Ready) -> None:
        """Let a task wait for its pool."""
        heappush(self._waiting.setdefault(self.queue(ready), []), ready)

    def forget(self, logical_date: int) -> None:
        """Let the tasks of a date wait no more; walks over all that wait."""
        for heap in self._waiting.values():
            left = [ready for ready in heap if ready.logical_date != logical_date]
            if len(left) < len(heap):
                heap[:] = left
                heapify(heap)

    def queue(self, ready: Ready) -> Queue:
        """Return where a task waits: all of a queue fit, or none does."""
        return ready.pool, ready.slots, self.apart(ready)

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

    def set_gate(self, task_id: str, gate: str, slots: int) -> None:
        """Let each instance of a task need a slot of a second pool, of so many."""
        self.set_apart(task_id)
        self.gates[task_id] = gate
        self.sizes[gate] = self.limits[gate] = slots
        self.taken[gate] = 0

    def grant(self, pool: str, size: int, limit: int, spare: int = 0) -> None:
        """Say how large a pool is by now, and how much of it may be used. What is taken beyond that stays taken."""
        self.sizes[pool], self.limits[pool], self.spare[pool] = size, limit, spare

    def demand(self, pool: str, is_away: Callable[[Queue], bool] | None = None) -> Demand:
        """Return what the tasks of a pool ask for at this moment.

        Who is at the limit of its task has no use for slots of its pool: first the one, then the other.

        Args:
            is_away: Whether a queue asks for nothing, as its tasks could not start for long; None: every queue asks.
        """
        more = least = waiting = 0
        for queue, heap in self._waiting.items():
            name, slots, task_id = queue
            gate = self.gates.get(task_id)
            if not heap or pool not in (name, gate) or (is_away is not None and is_away(queue)):
                continue
            need, count = slots if name == pool else 1, len(heap)
            if name == pool and gate is not None:
                count = max(0, int(min(count, self.free(gate))))
            more += need * count
            least = max(least, need if count else 0)
            if (lacking := self.lacks(queue)) is not None and lacking[0] == pool and not self.has_room(*lacking):
                waiting += len(heap)
        return Demand(self.taken[pool], more, least, waiting)

    def free(self, pool: str) -> float:
        """Return the slots that may be used and are not; infinite for an unlimited pool."""
        limit = self.limits[pool]
        return float("inf") if limit == UNLIMITED else limit - self.taken[pool]

    def has_room(self, pool: str, slots: int) -> bool:
        """Whether so many slots are nobody's, though no more may be used here: then the pool keeps no task."""
        return slots <= self.free(pool) + self.spare.get(pool, 0)

    def give_back(self, task_id: str, pool: str, slots: int) -> None:
        """Take back the slots of a task that has ended."""
        self.taken[pool] -= slots
        if task_id in self.gates:
            self.taken[self.gates[task_id]] -= 1

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
                if ready.task_id in self.gates:
                    self.taken[self.gates[ready.task_id]] += 1
                capacity -= 1
                yield ready

    def fitting(self) -> Iterator[tuple[Queue, list[Ready]]]:
        """Yield the queues in which somebody waits and whose tasks fit into what is free."""
        return ((queue, heap) for queue, heap in self._waiting.items() if heap and self.lacks(queue) is None)

    def lacks(self, queue: Queue) -> tuple[str, int] | None:
        """Return the pool that has not enough free for a queue, and how many slots a task needs; None: all fits."""
        pool, slots, task_id = queue
        if slots > self.free(pool):
            return pool, slots
        if task_id in self.gates and self.free(self.gates[task_id]) < 1:
            return self.gates[task_id], 1
        return None

    def room(self, queue: Queue) -> float:
        """Return how many tasks of a queue fit into what is free."""
        pool, slots, task_id = queue
        room = self.free(pool) // slots
        return min(room, self.free(self.gates[task_id])) if task_id in self.gates else room

    def queues(self) -> Iterator[tuple[Queue, int]]:
        """Yield the queues in which somebody waits, and how many."""
        return ((queue, len(heap)) for queue, heap in self._waiting.items() if heap)

    def waiting(self) -> dict[str, int]:
        """Return how many tasks wait, by pool; pools nobody waits for are left out."""
        counts: dict[str, int] = {}
        for queue, count in self.queues():
            counts[queue[0]] = counts.get(queue[0], 0) + count
        return counts

    def heap(self, queue: Queue) -> Sequence[Ready]:
        """Return who waits in a queue, the first one first and the others in no order."""
        return self._waiting.get(queue, ())
