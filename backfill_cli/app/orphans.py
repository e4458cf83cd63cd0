"""What becomes of the processes a dead owner left running: ended, waited for, or let be; and what is said about it.

Owns the choice and the words; how such processes are found and ended is `engine/orphans.py`. Until they are gone none
of their tries runs again: two processes would then work on one task instance at once. A process that works for a try
which had ended before is no orphan: its task let it go on (a daemon), and so does bfill.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backfill_cli.core.instants import iso
from backfill_cli.core.problems import Problem
from backfill_cli.errors import ConflictError, UsageProblem

if TYPE_CHECKING:
    from backfill_cli.core.ports import Store
    from backfill_cli.core.records import OwnerRow
    from backfill_cli.engine.orphans import Family, Orphan, Try

CHOICES = ("end", "wait", "leave")

GRACE_S = 5.0
"""Seconds between SIGTERM and SIGKILL, as for a process group that is cancelled."""

_NAMED = 3
"""Processes named one by one in a sentence; the rest is a number."""


class OrphansLeft(Exception):
    """A dead owner's processes still run, so nothing of it can be given back yet. Undoes the transaction it is in."""

    def __init__(self, owner: OwnerRow, backfills: frozenset[str], in_flight: frozenset[Try]) -> None:
        super().__init__(owner.owner)
        self.owner = owner
        self.backfills = backfills
        self.in_flight = in_flight


@dataclass
class Orphans:
    """What to do with the orphans a command meets, and afterwards what was done.

    Args:
        choice: `end` (SIGTERM, SIGKILL after the grace time), `wait`, or `leave`: run beside them.
        tell: Takes a line for the person who waits meanwhile.

    Raises:
        UsageProblem: The choice is none.
    """

    choice: str = "end"
    tell: Callable[[str], None] = lambda _line: None
    problems: list[Problem] = field(default_factory=list)
    done: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.choice not in CHOICES:
            raise UsageProblem(
                f"--orphans '{self.choice}' is not known", hint=f"use one of: {', '.join(CHOICES)}", code="bad-value"
            )

    def family(self, store: Store, owner: str) -> Family:
        """Return what is left of a dead owner; nothing when it is to be let be."""
        from backfill_cli.engine.orphans import Family, find

        if self.choice == "leave":
            return Family(())
        return find(owner, store.children_lock(owner), lambda: store.has_children(owner))

    def settle(self, store: Store, left: OrphansLeft) -> None:
        """End the orphans, or wait for them.

        Raises:
            ConflictError: One of them must not be ended by bfill, or cannot be.
        """
        from backfill_cli.engine import orphans

        pid = left.owner.pid

        def look() -> Family:
            return concerned(self.family(store, left.owner.owner), left)

        def to_end() -> list[Orphan]:
            return [one for one in look().orphans if not one.has_left]

        found = look()
        if self.choice == "wait":
            self.tell(f"waiting for {_named(found)}, left running by pid {pid}")
            orphans.wait(lambda: not look())
            self._note(left, found.orphans, "waited for", "waited")
            return
        if ended := to_end():
            self.tell(f"ending {_listed(ended)}, left running by pid {pid}")
            ended = orphans.end(to_end, GRACE_S)
            self._note(left, ended, "ended", "ended")
        # What cannot be seen may be about to leave by itself, as a worker does whose parent is gone.
        if look().is_hidden:
            orphans.wait(lambda: not look().is_hidden, GRACE_S)
        if still := look():
            raise _conflict(still, pid, store.children_lock(left.owner.owner))

    def _note(self, left: OrphansLeft, ended: Sequence[Orphan], word: str, outcome: str) -> None:
        if not ended:
            return
        self.done.setdefault(left.owner.owner, []).extend(
            {"pid": one.process.pid, "command": one.command[:200], "for": _for(one), "outcome": outcome}
            for one in ended
        )
        processes = f"{len(ended)} process" if len(ended) == 1 else f"{len(ended)} processes"
        self.problems.append(
            Problem(
                f"orphans-{outcome}",
                f"{processes} left running by pid {left.owner.pid}, which vanished, {word} first: {_listed(ended)}",
                "the tries they worked for run again; see: bfill audit --action recover",
            )
        )


def end_stragglers(store: Store, owner: str, cut_off: frozenset[tuple[int, str, int]]) -> None:
    """End what tries that were stopped have left outside of their process groups.

    That is the children of Python tasks, which share bfill's own group, and a command's that made a group of their own
    (`timeout`, `set -m`). What a try that had ended before left in the background stays.

    Args:
        cut_off: The tries, as (logical_date, task_id, try_number).
    """
    from backfill_cli.engine.orphans import end, find

    tries = {(iso(date), task_id, number) for date, task_id, number in cut_off}

    def look() -> list[Orphan]:
        family = find(owner, store.children_lock(owner), lambda: store.has_children(owner))
        return [
            one
            for one in family.orphans
            if not one.has_left
            and (one.of is None or (one.of.run_id.partition("__")[2], one.of.task_id, one.of.try_number) in tries)
        ]

    end(look, GRACE_S)


def concerned(family: Family, left: OrphansLeft) -> Family:
    """Return those of a family that work for a try in flight, or for one nobody can name."""
    mine = [
        one
        for one in family.orphans
        if one.of is None or one.of.backfill_id not in left.backfills or one.of in left.in_flight
    ]
    return family._replace(orphans=tuple(mine))


def _conflict(family: Family, pid: int, lock: str | None) -> ConflictError:
    if not family.orphans:
        return ConflictError(
            f"a process that pid {pid} left running cannot be seen from here",
            hint=f"find it: fuser -v {lock}; or run beside it: --orphans leave",
            code="orphans-alive",
        )
    pids = " ".join(str(one.process.pid) for one in family.orphans)
    because = "left its session, so bfill does not end it" if family.orphans[0].has_left else "does not end"
    return ConflictError(
        f"{_listed(family.orphans)}, left running by pid {pid}, {because}",
        hint=f"end it: kill {pids}; or run beside it: --orphans leave",
        code="orphans-alive",
    )


def _named(family: Family) -> str:
    return _listed(family.orphans) if family.orphans else "a process that cannot be seen from here"


def _listed(orphans: Sequence[Orphan]) -> str:
    shown = [f"pid {one.process.pid} ({_cut(one.command)}{_for_text(one)})" for one in orphans[:_NAMED]]
    rest = len(orphans) - _NAMED
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def _for_text(one: Orphan) -> str:
    return f": {_for(one)}" if one.of is not None else ""


def _for(one: Orphan) -> str | None:
    if one.of is None:
        return None
    return f"{one.of.dag_id} {one.of.task_id} {one.of.run_id.partition('__')[2][:10]} try {one.of.try_number}"


def _cut(text: str, longest: int = 60) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
