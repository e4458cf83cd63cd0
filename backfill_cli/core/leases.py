"""Leases: how the processes of one store share the slots of a pool. Numbers in, numbers out.

Owns the arithmetic. Each process holds a lease of a pool: slots nobody else may use, within which it starts its tasks
without asking anybody. Now and then it looks at all leases of the pool and settles its own, in one write transaction:

- *safety*: it never holds more than its running tasks have, unless the sum of all leases stays within the size. So the
  slots in use are never more than the size, except behind a shrink, when nothing new starts until enough have ended.
- *no waste*: while nobody waits it may hold all it could use; slots that are free go to whoever wants them.
- *fairness*: who waits is helped by who holds more than its fair share, as the tasks of that one end. Ranks come one
  after the other (scheduled runs before backfills); within a rank everybody first gets what one of its tasks needs,
  then slot by slot. Where not all can have even that, they take turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from backfill_cli.core.pools import UNLIMITED

TURN_US = 2_000_000
"""Microseconds that a turn lasts at least, where not everybody can be served: a handover costs some tenths of them."""

SCHEDULED, BACKFILL = 0, 1
"""Ranks: who goes first."""


def rank_of(*, scheduled: bool, scheduled_first: bool) -> int:
    """Return the rank of a run; without `scheduled_first` all are equal."""
    return SCHEDULED if scheduled and scheduled_first else BACKFILL


class Lease(NamedTuple):
    """What one process holds of one pool, and what it could use.

    Args:
        slots: Nobody else may use these.
        used: Of running tasks.
        wanted: Those, and what its ready tasks need.
        least: What the largest of its waiting tasks needs; 0 when none waits.
        waiting: Tasks that wait for this pool.
        rank: Lower ones are served first.
        size: The pool's size as its own settings have it; None is the store's word.
        served_at: Epoch microseconds when it last came to have what one task needs; 0 before.
    """

    pool: str
    owner: str
    slots: int = 0
    used: int = 0
    wanted: int = 0
    least: int = 0
    waiting: int = 0
    rank: int = BACKFILL
    size: int | None = None
    served_at: int = 0

    @property
    def need(self) -> int:
        """The slots without which it cannot go on."""
        return min(max(1, self.least), self.wanted)

    @property
    def is_short(self) -> bool:
        """Whether it could use more than it holds."""
        return self.wanted > self.slots


class Settled(NamedTuple):
    """A lease after a look.

    Args:
        lease: What is written.
        limit: Up to how many slots its holder may start tasks: fewer than it holds while it gives back.
        goal: What it should have.
    """

    lease: Lease
    limit: int
    goal: int

    @property
    def is_handing_over(self) -> bool:
        """Whether slots are about to change hands: it gives back as its tasks end, or others do for it."""
        return self.limit != UNLIMITED and (
            self.lease.slots > self.limit or self.limit < min(self.goal, self.lease.wanted)
        )


def agreed_size(size: int, leases: Iterable[Lease]) -> int:
    """Return the size that holds when settings differ: the smallest of the own one and the others' (-1 is largest)."""
    said = [one.size for one in leases if one.size is not None and one.size != UNLIMITED]
    return min([*said, *([] if size == UNLIMITED else [size])], default=UNLIMITED)


def settle(size: int, mine: Lease, others: Sequence[Lease], *, usable: int, now: int) -> Settled:
    """Return my lease as it should be now.

    Args:
        size: Of the pool; -1 is unlimited.
        mine: What I hold (`slots`), with what I use and want at this moment.
        others: Those of all other processes that live, or whose tasks still run.
        usable: Slots I could ever use at once: held ahead of need while nobody else waits.
        now: Epoch microseconds.
    """
    if size == UNLIMITED:
        return Settled(mine._replace(slots=mine.used, served_at=0), UNLIMITED, UNLIMITED)
    free = max(0, size - sum(one.slots for one in others))
    goal = fair_shares(size, (mine, *others), now)[mine.owner]
    if not any(one.is_short for one in others):
        goal = max(goal, usable)
    limit = min(goal, free)
    slots = max(limit, mine.used)
    was_served = 0 < mine.need <= mine.slots
    served_at = now if 0 < mine.need <= slots and not was_served else mine.served_at
    return Settled(mine._replace(slots=slots, served_at=served_at), limit, goal)


def fair_shares(size: int, leases: Sequence[Lease], now: int) -> Mapping[str, int]:
    """Return the slots each owner should have: together at most `size`, nobody more than it wants."""
    shares = {one.owner: 0 for one in leases}
    left = size
    for rank in sorted({one.rank for one in leases}):
        group = sorted((one for one in leases if one.rank == rank and one.wanted), key=lambda one: _turn(one, now))
        served, unserved = [], []
        for one in group:
            if one.need <= left:
                shares[one.owner] = one.need
                left -= one.need
                served.append(one)
            else:
                unserved.append(one)
        left = _fill(shares, served, left)
        left = _fill(shares, unserved, left)
    return shares


def _turn(lease: Lease, now: int) -> tuple[int, int, str]:
    """Return the place in line: whoever has its turn, then who waits, longest first, then who has had it longest."""
    if lease.slots < lease.need or not lease.slots:
        return 1, lease.served_at, lease.owner
    if now - lease.served_at < TURN_US:
        return 0, lease.served_at, lease.owner
    return 2, -lease.served_at, lease.owner


def _fill(shares: dict[str, int], group: Sequence[Lease], left: int) -> int:
    """Raise the lowest shares together until all have what they want or nothing is left; returns the rest."""
    while left and (hungry := [one for one in group if shares[one.owner] < one.wanted]):
        low = min(shares[one.owner] for one in hungry)
        lowest = [one for one in hungry if shares[one.owner] == low]
        ceiling = min([shares[one.owner] for one in hungry if shares[one.owner] > low] + [one.wanted for one in lowest])
        step = min(ceiling - low, left // len(lowest))
        for one in lowest if step else lowest[:left]:
            shares[one.owner] += step or 1
            left -= step or 1
    return left
