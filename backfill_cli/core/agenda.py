"""The agenda of a scheduler that stays: which DAG to look after now, which one next, and when all of them are over.

Owns the decisions, over facts that others gather: what a DAG's schedule says, what the store says, how a shift ended.
It knows no clock, no file and no process; epoch seconds go in.

A DAG is *due* when its next interval is complete, when something was left to do, or when something about it changed. A
shift is then begun for it; whether there really is something to do is decided there, in the transaction that creates
it. So to be due once too often costs a look and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

Mark = tuple[object, ...]

FIRST_PAUSE_S, LONGEST_PAUSE_S = 5, 60
"""Seconds until a DAG that went wrong is looked at again: the first time, and after many times."""


class Facts(NamedTuple):
    """What a look at a DAG has found.

    Args:
        name: What `--dag` calls it.
        next_at: When its next interval is complete; None when nobody knows of one.
        why: Why nothing more is due, in words.
        is_due: There may be something to create or to go on with.
        is_held: Something is due that a living process outside has to do first.
        is_paused: Nothing is created for it until it is unpaused.
        is_over: No interval will follow by itself.
        in_order: Its dates wait for each other, so one shift follows the other.
        mark: All in the store that something left over, or held by others, may depend on; empty when nothing is.
    """

    name: str
    dag_id: str
    timezone: str = "UTC"
    path: str | None = None
    next_at: int | None = None
    why: str = ""
    is_due: bool = False
    is_held: bool = False
    is_paused: bool = False
    is_over: bool = False
    in_order: bool = False
    mark: Mark = ()


class Trouble(NamedTuple):
    """Why a DAG cannot be looked at or run."""

    message: str
    hint: str
    exit_code: int


@dataclass(slots=True)
class Entry:
    """One DAG.

    Args:
        due_since: Since when it is to be looked after; None when it is not.
        trouble: What is wrong with it now.
        again_at: When it is to be tried again because of that.
        tries: How often in a row it went wrong.
        is_unknown: It has not been loaded yet, or not since that went wrong: only a look at all DAGs can tell.
        shifts: Shifts of it that run now.
    """

    facts: Facts
    due_since: int | None = None
    trouble: Trouble | None = None
    again_at: int | None = None
    tries: int = 0
    is_unknown: bool = False
    shifts: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether a shift of it may begin."""
        return self.due_since is not None and not (self.shifts and self.facts.in_order)

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs or will run."""
        return self.facts.is_over and self.trouble is None and self.due_since is None and not self.shifts


class Agenda:
    """The DAGs a scheduler looks after, by name."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.is_known = False
        self._shifts: Counter[str] = Counter()

    @property
    def is_over(self) -> bool:
        """Whether there are DAGs, and none of them will ever be due again."""
        return self.is_known and bool(self.entries) and all(entry.is_over for entry in self.entries.values())

    def survey(self, found: Iterable[Facts | tuple[str, Trouble]], now: int) -> None:
        """Take what a look at all DAGs has found, in order; those that are not among it are no more."""
        before, self.entries = self.entries, {}
        for one in found:
            name = one.name if isinstance(one, Facts) else one[0]
            # A file that was broken for a moment may come back while a shift of its DAG still runs.
            entry = before.get(name) or Entry(Facts(name, name), shifts=self._shifts[name])
            self.entries[name] = entry
            if isinstance(one, Facts):
                self._take(entry, one, now)
            else:
                self._fail(entry, one[1], now)
                entry.is_unknown = True
        self.is_known = True

    def learned(self, name: str, facts: Facts, now: int) -> None:
        """Take what a shift of a DAG has found when it began; what is due it does itself."""
        entry = self.entries.get(name)
        if entry is not None:
            self._take(entry, facts._replace(is_due=False), now)

    def begun(self, name: str) -> None:
        """A shift of a DAG begins."""
        entry = self.entries[name]
        self._shifts[name] += 1
        entry.shifts = self._shifts[name]
        # Until the shift says when the next interval is complete nobody knows: it looks at the clock later than this.
        entry.due_since, entry.again_at, entry.facts = None, None, entry.facts._replace(next_at=None)

    def ended(self, name: str, now: int, facts: Facts | None = None, trouble: Trouble | None = None) -> None:
        """A shift of a DAG has ended, with how the DAG stands now, or with trouble; with neither it was interrupted."""
        self._shifts[name] -= 1
        entry = self.entries.get(name)
        if entry is None:
            return  # its file was removed meanwhile
        entry.shifts = self._shifts[name]
        if facts is not None:
            self._take(entry, facts, now)
        elif trouble is not None:
            self._fail(entry, trouble, now)

    def note(self, paused: frozenset[str], marks: Mapping[str, Mark], now: int) -> None:
        """Take what the store says by now; a DAG is due when something about what is left of it has changed.

        Args:
            paused: The dag_ids that are paused.
            marks: Of each dag_id, where they are not empty.
        """
        for entry in self.entries.values():
            dag_id = entry.facts.dag_id
            if entry.facts.is_paused and dag_id not in paused:
                entry.facts = entry.facts._replace(is_paused=False)
                self._be_due(entry, now)
            mark = marks.get(dag_id, ())
            if mark and mark != entry.facts.mark:
                self._be_due(entry, now)
            entry.facts = entry.facts._replace(mark=mark)

    def ready(self, now: int) -> Iterator[str]:
        """Yield the DAGs a shift of which may begin now, those that have been due for longest first."""
        for entry in self.entries.values():
            facts = entry.facts
            if facts.next_at is not None and facts.next_at <= now:
                self._be_due(entry, facts.next_at)
            if not entry.is_unknown and self._is_again(entry, now):
                self._be_due(entry, now)
        ready = [(entry.due_since or 0, name) for name, entry in self.entries.items() if entry.is_ready]
        yield from (name for _, name in sorted(ready, key=lambda one: one[0]))

    def needs_survey(self, now: int) -> bool:
        """Whether all DAGs are to be looked at again, because one did not load."""
        return any(entry.is_unknown and self._is_again(entry, now) for entry in self.entries.values())

    def wake_at(self) -> int | None:
        """Return when the next DAG will be due; None when nobody knows."""
        moments = [at for one in self.entries.values() for at in (one.facts.next_at, one.again_at) if at is not None]
        return min(moments, default=None)

    def next_due(self) -> Facts | None:
        """Return the DAG whose next interval is complete first."""
        waiting = [one.facts for one in self.entries.values() if one.facts.next_at is not None]
        return min(waiting, key=lambda facts: facts.next_at or 0, default=None)

    def _take(self, entry: Entry, facts: Facts, now: int) -> None:
        entry.facts, entry.trouble, entry.again_at, entry.tries, entry.is_unknown = facts, None, None, 0, False
        if facts.is_due:
            self._be_due(entry, now)

    def _fail(self, entry: Entry, trouble: Trouble, now: int) -> None:
        entry.trouble, entry.due_since = trouble, None
        entry.again_at = now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S << min(entry.tries, 10))
        entry.tries += 1

    @staticmethod
    def _is_again(entry: Entry, now: int) -> bool:
        """Whether a DAG that went wrong is to be tried again; at once when the clock was set back behind that."""
        return entry.again_at is not None and not now < entry.again_at <= now + LONGEST_PAUSE_S

    @staticmethod
    def _be_due(entry: Entry, since: int) -> None:
        if entry.due_since is None:
            entry.due_since = since
