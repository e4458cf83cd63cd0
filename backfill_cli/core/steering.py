"""Live control: what may be asked of a backfill from another terminal, how it is answered, and who is told.

Owns the shapes and the words. How a request reaches the process that runs the backfill is `app/steering.py`, what that
process does with it `app/desk.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from backfill_cli.core.instants import iso_us
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import Control


class Answer(NamedTuple):
    """What came of a request: whether it was done, and in words what is so now or why it was not done.

    Args:
        changed: Whether anything is different from before; asking twice is no error, and changes nothing.
    """

    is_done: bool
    text: str
    changed: bool = True

    @property
    def outcome(self) -> str:
        """The outcome of the audit entry."""
        if not self.is_done:
            return "refused"
        return "done" if self.changed else "unchanged"


class Steered(NamedTuple):
    """What those who watch a backfill are told: somebody has steered it.

    Args:
        at: Epoch microseconds.
        text: The answer the asker got.
        is_paused, parallel, total: How the run stands behind it; `total` counts the dates to be worked on.
        dates: Those that were left out by it.
    """

    action: Control
    actor: str
    reason: str | None
    at: int
    text: str
    is_paused: bool
    parallel: int
    total: int
    dates: tuple[int, ...] = ()

    @property
    def by(self) -> str:
        """Who, and why if it was said: the tail of a sentence."""
        return by_whom(self.actor, self.reason)


def by_whom(actor: str, reason: str | None) -> str:
    """Return who asked, and why if it was said."""
    return actor if reason is None else f"{actor}: {reason}"


def refused_hint(backfill_id: str, action: Control) -> str:
    """Return what somebody may do whose request was refused by what the backfill is at."""
    if action is Control.SKIP:
        return f"ask again without them; what has begun ends by itself, or with all of it: bfill cancel {backfill_id}"
    return f"bfill status {backfill_id}"


def paused_reason(by: str, at: int) -> str:
    """Return what a paused backfill says of itself.

    Args:
        by: Who, and why if it was said.
        at: Since when, epoch microseconds.
    """
    who, colon, why = by.partition(": ")
    return f"paused by {who} since {moment(at)}{colon}{why}"


def moment(at: int) -> str:
    """Return an instant, epoch microseconds, to the second as sentences hold it."""
    return f"{datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class SteeringResult:
    """What a request came to: the answer of the process that runs the backfill, or what was done without one.

    Args:
        state: Of the backfill, behind the answer.
        pid, host: Of the process that answered; None when none runs it.
        answered_at: Epoch microseconds.
        waited_s: How long the answer took.
        dates: The dates that were to be left out, as JSON shows them.
        skipped: Dates that the backfill leaves alone.
    """

    backfill_id: str
    dag_id: str
    action: Control
    answer: str
    state: str
    actor: str
    reason: str | None
    pid: int | None
    host: str | None
    answered_at: int
    waited_s: float
    parallel: int
    remaining: int
    audit_head: str
    skipped: int = 0
    dates: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    next_command: str = ""
    exit_code: int = 0

    def with_problems(self, problems: Sequence[Problem]) -> SteeringResult:
        return replace(self, problems=(*self.problems, *problems))

    def data(self) -> dict[str, Any]:
        return {
            "backfill_id": self.backfill_id,
            "dag_id": self.dag_id,
            "action": self.action,
            "answer": self.answer,
            "state": self.state,
            "actor": self.actor,
            "reason": self.reason,
            "pid": self.pid,
            "host": self.host,
            "answered_at": iso_us(self.answered_at),
            "waited_s": round(self.waited_s, 3),
            "parallel": self.parallel,
            "remaining": self.remaining,
            "skipped": self.skipped,
            "dates": list(self.dates),
            "audit_head": self.audit_head,
        }
