"""What keeps tasks from starting although they are ready and slots are free: a hold, with its reason.

Owns holds on everything, on one pool, on one task of the DAG: closed hours, a system that said wait, a breaker that is
open. Several may lie on the same thing; what is held starts when the last of them is gone. Who puts and lifts them is
`core/throttle.py`.
"""

from __future__ import annotations

from typing import NamedTuple

EVERYTHING = ""
"""The scope of a hold on all tasks."""


class Hold(NamedTuple):
    """Why something is held, in words, until when, epoch µs (None: until it is lifted), and what led to it."""

    reason: str
    until: int | None = None
    detail: str = ""

    @property
    def end(self) -> float:
        return float("inf") if self.until is None else self.until


def of_pool(pool: str) -> str:
    """Return the scope of a pool."""
    return f"pool:{pool}"


def of_task(task_id: str) -> str:
    """Return the scope of a task, on all dates."""
    return f"task:{task_id}"


class Holds:
    """The holds there are, by what they lie on and who put them there."""

    def __init__(self) -> None:
        self._holds: dict[str, dict[str, Hold]] = {}

    def __bool__(self) -> bool:
        return bool(self._holds)

    def put(self, scope: str, source: str, hold: Hold) -> None:
        """Lay a hold on something; it replaces one of the same source."""
        self._holds.setdefault(scope, {})[source] = hold

    def lift(self, scope: str, source: str) -> None:
        held = self._holds.get(scope)
        if held is not None:
            held.pop(source, None)
            if not held:
                del self._holds[scope]

    def get(self, scope: str, source: str) -> Hold | None:
        return self._holds.get(scope, {}).get(source)

    def on(self, *scopes: str, besides: str = "") -> Hold | None:
        """Return the hold on any of these that lasts longest; None when none is held, `besides` by that source."""
        if not self._holds:
            return None
        found = [hold for scope in scopes for source, hold in self._holds.get(scope, {}).items() if source != besides]
        return max(found, key=lambda hold: hold.end, default=None)

    def expire(self, now: int) -> None:
        """Lift what has lasted until `now`, epoch µs."""
        for scope, held in list(self._holds.items()):
            for source, hold in list(held.items()):
                if hold.end <= now:
                    self.lift(scope, source)
