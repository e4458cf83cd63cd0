"""What `bfill pools` answers: every pool with its size, who holds slots of it, and what waits.

Owns the shapes and the check of a pool's name; how slots are shared is `core/leases.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from backfill_cli.core.instants import iso_us
from backfill_cli.core.pools import MOST_SLOTS, UNLIMITED
from backfill_cli.core.problems import Problem
from backfill_cli.errors import UsageProblem

if TYPE_CHECKING:
    from backfill_cli.core.pool_rules import PoolRules

_NAME = re.compile(r"\w[\w.-]*")
_LONGEST = 100
NAMES = f"letters, digits, _ . and -, at most {_LONGEST}, the first a letter, a digit or _"
"""What a pool's name is made of: it needs no quotes, and is not the limit of a task (`dag:task`)."""


class PoolUser(NamedTuple):
    """One process that holds slots of a pool or waits for them.

    Args:
        backfill_id, dag_id: What it runs; None when its process has died and only what it started still runs.
        taken: Slots its running tasks have.
        held: Slots nobody else may use: those taken, and those it may start more tasks in.
        waiting: Its tasks that wait for the pool.
    """

    backfill_id: str | None
    dag_id: str | None
    pid: int | None
    host: str | None
    taken: int
    held: int
    waiting: int


class PoolHold(NamedTuple):
    """Why nothing of a pool starts, in any process of the store.

    Args:
        why: In words, with the time that is left.
        until: Epoch microseconds; None: until a task has probed.
        by: The backfill that was told, or saw it.
    """

    why: str
    until: int | None
    by: str


@dataclass(frozen=True, slots=True)
class PoolView:
    """One pool as it stands.

    Args:
        slots: -1 is unlimited, 0 holds all its tasks.
        origin: Who says how large it is: `store`, `bfill.toml` or `built in`.
        beneath: What the settings say while the store's word goes before it; None when they say nothing.
        rules: How gently the settings want it to be asked; None when they say nothing of that.
    """

    name: str
    slots: int
    origin: str
    description: str | None = None
    beneath: int | None = None
    users: Sequence[PoolUser] = ()
    holds: Sequence[PoolHold] = ()
    rules: PoolRules | None = None

    @property
    def taken(self) -> int:
        return sum(one.taken for one in self.users)

    @property
    def free(self) -> int | None:
        """Slots no running task has; None when there is no limit."""
        return None if self.slots == UNLIMITED else max(0, self.slots - self.taken)

    @property
    def waiting(self) -> int:
        return sum(one.waiting for one in self.users)

    def data(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "slots": self.slots,
            "taken": self.taken,
            "free": self.free,
            "waiting": self.waiting,
            "from": self.origin,
            "description": self.description,
            "rate_limit": None if self.rules is None or self.rules.rate_limit is None else self.rules.rate_limit.said,
            "breaker": None if self.rules is None or self.rules.breaker is None else self.rules.breaker._asdict(),
            "has_health_check": self.rules is not None and self.rules.health is not None,
            "users": [one._asdict() for one in self.users],
            "holds": [{"why": one.why, "until": iso_us(one.until), "by": one.by} for one in self.holds],
        }


@dataclass(frozen=True, slots=True)
class PoolsResult:
    """What `pools list` answers."""

    pools: Sequence[PoolView]
    problems: Sequence[Problem] = ()
    exit_code: int = 0

    def data(self) -> dict[str, Any]:
        return {"pools": [one.data() for one in self.pools]}


@dataclass(frozen=True, slots=True)
class PoolChange:
    """What `pools set` and `pools delete` did.

    Args:
        before, after: The pool; None where it was not there, or is there no more.
        changed: False when it was so already, and nothing was written.
    """

    name: str
    before: PoolView | None
    after: PoolView | None
    changed: bool
    audit_head: str
    problems: Sequence[Problem] = field(default_factory=tuple)
    exit_code: int = 0

    def data(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "changed": self.changed,
            "before": self.before.data() if self.before else None,
            "after": self.after.data() if self.after else None,
            "audit_head": self.audit_head,
        }


def may_name(name: str) -> bool:
    """Whether a text can be a pool's name."""
    return _NAME.fullmatch(name) is not None and len(name) <= _LONGEST


def check_name(name: str) -> str:
    """Return a pool's name. Raises UsageProblem for one that would have to be quoted, or could be mistaken."""
    if not may_name(name):
        raise UsageProblem(f"'{name}' cannot name a pool", hint=f"use {NAMES}", code="bad-pool-name")
    return name


def check_slots(text: str | int) -> int:
    """Return a number of slots: 0 holds all tasks, -1 or `unlimited` is no limit. Raises UsageProblem."""
    said = str(text).strip()
    if said == "unlimited":
        return UNLIMITED
    if re.fullmatch(r"-1|\d{1,10}", said, re.ASCII) and int(said) <= MOST_SLOTS:
        return int(said)
    raise UsageProblem(
        f"'{said}' is no number of slots",
        hint=f"write 4 (at most {MOST_SLOTS}), or 0 to hold all tasks of the pool, or -1 for no limit",
        code="bad-slots",
    )
