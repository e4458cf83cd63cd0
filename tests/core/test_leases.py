"""core/leases.py: processes that settle in any order never use more than there is, and nobody is left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill_cli.core.leases import BACKFILL, SCHEDULED, TURN_US, Lease, Settled, agreed_size, fair_shares, settle
from backfill_cli.core.pools import UNLIMITED

SECOND = 1_000_000


def lease(owner: str, slots: int = 0, **values: int) -> Lease:
    return Lease("p", owner, slots, **values)


def shares(size: int, *leases: Lease, now: int = 0) -> dict[str, int]:
    return dict(fair_shares(size, leases, now))


# shares


def test_what_is_wanted_is_shared_evenly_and_nobody_has_more_than_it_wants() -> None:
    assert shares(6, lease("a", wanted=9), lease("b", wanted=9)) == {"a": 3, "b": 3}
    assert shares(6, lease("a", wanted=1), lease("b", wanted=9)) == {"a": 1, "b": 5}
    assert shares(9, lease("a", wanted=2), lease("b", wanted=3)) == {"a": 2, "b": 3}
    assert shares(0, lease("a", wanted=2)) == {"a": 0}


def test_scheduled_runs_have_all_they_want_before_backfills_have_any() -> None:
    leases = [lease("a", wanted=9, rank=BACKFILL), lease("s", wanted=3, rank=SCHEDULED)]
    assert shares(4, *leases) == {"s": 3, "a": 1}
    assert shares(2, *leases) == {"s": 2, "a": 0}


def test_everybody_gets_what_one_task_needs_before_anybody_gets_more() -> None:
    assert shares(4, lease("a", wanted=9, least=3), lease("b", wanted=9, least=1)) == {"a": 3, "b": 1}
    assert shares(3, lease("a", wanted=4, least=2), lease("b", wanted=4, least=2)) == {"a": 3, "b": 0}


def test_who_waits_goes_before_who_has_had_its_turn() -> None:
    had = lease("a", 2, wanted=4, least=2, served_at=SECOND)
    waits = lease("b", 0, wanted=4, least=2)
    assert shares(2, had, waits, now=SECOND + TURN_US - 1) == {"a": 2, "b": 0}
    assert shares(2, had, waits, now=SECOND + TURN_US) == {"a": 0, "b": 2}


LEASES = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 4), st.sampled_from([0, 1]), st.integers(0, 5)),
    max_size=6,
)


@given(st.integers(0, 12), LEASES)
def test_shares_fit_the_size_and_waste_nothing(size: int, made: list[tuple[int, int, int, int, int]]) -> None:
    leases = [
        lease(str(n), slots, wanted=wanted, least=least, rank=rank, served_at=at * SECOND)
        for n, (slots, wanted, least, rank, at) in enumerate(made)
    ]
    found = shares(size, *leases, now=6 * SECOND)
    assert all(0 <= found[one.owner] <= one.wanted for one in leases)
    assert sum(found.values()) == min(size, sum(one.wanted for one in leases))


# settling


def test_alone_a_process_holds_all_it_could_use() -> None:
    assert settle(4, lease("a"), [], usable=9, now=0).limit == 4
    assert settle(4, lease("a"), [], usable=3, now=0).limit == 3


def test_free_slots_are_given_back_as_soon_as_somebody_wants_them() -> None:
    """Also those that would be its fair share: it does not want them."""
    mine = lease("a", 4, used=1, wanted=1)
    assert settle(4, mine, [lease("b", wanted=9)], usable=4, now=0).lease.slots == 1


def test_what_is_beyond_the_fair_share_is_given_back_as_tasks_end() -> None:
    mine = lease("a", 4, used=4, wanted=9)
    found = settle(4, mine, [lease("b", wanted=9)], usable=4, now=0)
    assert (found.limit, found.lease.slots) == (2, 4), "held while its tasks run, and nothing new starts"
    found = settle(4, found.lease._replace(used=3), [lease("b", wanted=9)], usable=4, now=0)
    assert (found.limit, found.lease.slots) == (2, 3)


def test_a_pool_that_shrinks_below_what_runs_starts_nothing_and_stops_nothing() -> None:
    found = settle(1, lease("a", 4, used=3, wanted=5), [], usable=4, now=0)
    assert (found.limit, found.lease.slots) == (1, 3)
    assert settle(0, lease("a", 4, used=3, wanted=5), [], usable=4, now=0).limit == 0


def test_an_unlimited_pool_needs_no_lease() -> None:
    assert settle(UNLIMITED, lease("a", used=7, wanted=9), [lease("b", 5)], usable=9, now=0).limit == UNLIMITED


def test_where_settings_differ_the_smallest_size_holds() -> None:
    assert agreed_size(4, [lease("b", size=2), lease("c")]) == 2
    assert agreed_size(4, [lease("b", size=UNLIMITED)]) == 4
    assert agreed_size(UNLIMITED, [lease("b", size=3)]) == 3
    assert agreed_size(UNLIMITED, [lease("b", size=UNLIMITED)]) == UNLIMITED


# several processes


@dataclass
class Process:
    """One process as the property plays it: tasks of some sizes that wait, some that run, and the limit it goes by."""

    owner: str
    rank: int = BACKFILL
    waiting: list[int] = field(default_factory=list)
    running: list[tuple[int, int]] = field(default_factory=list)
    lease: Lease = field(default_factory=lambda: Lease("p", ""))
    limit: int = 0
    done: int = 0

    @property
    def used(self) -> int:
        return sum(slots for slots, _ in self.running)


class World:
    """A pool and the processes that share it; only one settles at a time, as in a write transaction."""

    def __init__(self, size: int, processes: list[Process]) -> None:
        self.size = size
        self.now = 0
        self.processes = processes
        self.over = 0
        """Slots in use beyond the size that a shrink has left behind."""
        for one in processes:
            one.lease = Lease("p", one.owner, rank=one.rank)

    def settle(self, one: Process) -> Settled:
        used, more = one.used, sum(one.waiting)
        mine = one.lease._replace(
            used=used, wanted=used + more, least=max(one.waiting, default=0), waiting=len(one.waiting)
        )
        others = [other.lease for other in self.processes if other is not one]
        found = settle(self.size, mine, others, usable=8, now=self.now)
        one.lease, one.limit = found.lease, found.limit
        return found

    def start(self, one: Process, length: int) -> None:
        """Start what fits, as `core/pools.py` does: a task that needs more than is free is passed over."""
        for slots in sorted(one.waiting):
            if one.used + slots <= one.limit:
                one.waiting.remove(slots)
                one.running.append((slots, self.now + length))

    def end(self, one: Process) -> None:
        over = [task for task in one.running if task[1] <= self.now]
        one.running = [task for task in one.running if task[1] > self.now]
        one.done += len(over)

    def resize(self, size: int) -> None:
        self.size = size
        self.over = max(0, self.used - size)

    @property
    def used(self) -> int:
        return sum(one.used for one in self.processes)

    def check(self) -> None:
        """The invariant: never more in use than there is, but for what a shrink found running, which only ends."""
        self.over = min(self.over, max(0, self.used - self.size))
        assert self.used <= self.size + self.over, (self.used, self.size, self.over)
        assert all(one.used <= one.lease.slots for one in self.processes), "nobody uses what it does not hold"


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 4))
def test_processes_in_any_order_never_use_more_than_there_is(seed: int, count: int) -> None:
    """THE invariant: any number of processes that start, end, look and die in any order, while the size changes."""
    random = Random(seed)
    world = World(random.randint(0, 6), [Process(str(n), rank=random.choice([0, 1, 1])) for n in range(count)])
    for _ in range(300):
        world.now += random.choice([0, SECOND // 10, SECOND])
        one = random.choice(world.processes)
        match random.randrange(8):
            case 0 | 1:
                world.settle(one)
            case 2 | 3:
                before = world.used
                world.start(one, random.choice([0, SECOND, 5 * SECOND]))
                assert world.used <= max(before, world.size) or world.over, "what starts fits"
            case 4 | 5:
                world.end(one)
            case 6:
                one.waiting += [random.randint(1, 3) for _ in range(random.randint(0, 4))]
            case _:
                if random.random() < 0.2:
                    world.resize(random.randint(0, 6))
                    for other in world.processes:  # everybody has seen it before anything more starts
                        world.settle(other)
                elif random.random() < 0.1:  # killed with all its tasks: its lease does not count any more
                    one.lease, one.limit = Lease("p", one.owner, rank=one.rank), 0
                    one.running.clear()
        world.check()


@pytest.mark.parametrize(
    ("size", "slots", "length"),
    [(2, (1, 1), SECOND), (2, (2, 2), SECOND), (2, (1, 1, 1), SECOND), (4, (3, 2), SECOND), (2, (2, 2), 7 * SECOND)],
)
def test_everybody_gets_on_and_about_as_much(size: int, slots: tuple[int, ...], length: int) -> None:
    """Busy processes that look twice a second, for ten minutes; also where not all can have a task at once."""
    world = World(size, [Process(str(n)) for n in range(len(slots))])
    for tick in range(6_000):
        world.now = tick * SECOND // 10
        for n, one in enumerate(world.processes):
            one.waiting = [slots[n]] * 4
            world.end(one)
            if (tick + n) % 5 == 0 or one.limit < one.lease.slots or one.limit < slots[n]:
                world.settle(one)
            world.start(one, length)
            world.check()
    slot_seconds = [one.done * slots[n] * length / SECOND for n, one in enumerate(world.processes)]
    assert min(slot_seconds) > 0.6 * max(slot_seconds), slot_seconds
    assert sum(slot_seconds) > 0.8 * 600 * (size - size % min(slots)) * (0.75 if max(slots) > 2 else 1), slot_seconds


def test_nobody_holds_back_a_scheduled_run_longer_than_its_tasks_last() -> None:
    world = World(2, [Process("b"), Process("s", rank=SCHEDULED)])
    backfill, scheduled = world.processes
    began = None
    for tick in range(100):
        world.now = tick * SECOND // 10
        backfill.waiting = [1] * 4
        if tick == 20:
            scheduled.waiting = [1, 1]
        for one in world.processes:
            world.end(one)
            world.settle(one)
            world.start(one, SECOND)
            world.check()
        if began is None and len(scheduled.running) == 2:
            began = tick
    assert began is not None and 20 <= began <= 32, began
