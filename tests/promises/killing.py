"""Killing commands: whom, and at which instant of their lives (promises 1 and 2).

A command is killed while it starts, when a random part of its tasks has run, or while it closes; then it is given
again, until it ends by itself. What is run is `killworld.py`, which commands in which order `killstories.py`, what must
hold afterwards `killchecks.py`.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from blackbox.world import Going, Project, Ran

from promises.killchecks import Seen, look
from promises.killworld import Shape

STARTS_S = 0.06
"""About what a warm command needs until its first task begins, or from its last task to its end."""


def kill_main(pid: int) -> None:
    """The process alone: what it started lives on."""
    os.kill(pid, signal.SIGKILL)


def kill_tree(pid: int) -> None:
    """The process and all that it started, as the end of a session or of a container does.

    It is held first, so that nothing escapes by being born; and dies first, so that it sees nobody else die.
    """
    os.kill(pid, signal.SIGSTOP)
    others = descendants(pid)
    os.kill(pid, signal.SIGKILL)
    for other in others:
        with suppress(ProcessLookupError):
            os.kill(other, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Return the children of a process, their children, and so on."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        with suppress(OSError):  # it has ended meanwhile
            for thread in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
                children = [int(one) for one in thread.read_text().split()]
                found += children
                waiting += children
    return found


class Life:
    """A running command, watched without asking it anything."""

    def __init__(self, going: Going) -> None:
        self.going = going
        self._handle = os.pidfd_open(going.pid)
        self._end = select.poll()
        self._end.register(self._handle, select.POLLIN)

    def close(self) -> None:
        os.close(self._handle)

    def ends_within(self, seconds: float) -> bool:
        return bool(self._end.poll(seconds * 1000))

    def reaches(self, condition: Callable[[], bool]) -> bool:
        """Wait until something holds; False when the command ends before it does."""
        while not condition():
            if self.ends_within(0.002):
                return False
        return True


@dataclass
class Story:
    """A project in which commands are killed.

    Args:
        lines: How many lines the witness will have when the command at hand has ended.
        snapshots: The store as each kill left it, since the last reset.
        settled: Tries that had ended when a person asked for all to run again.
    """

    project: Project
    shape: Shape
    random: Random
    see: Callable[[str], None]
    lines: int = 0
    snapshots: list[Seen] = field(default_factory=list)
    settled: set[tuple[str, str, int]] = field(default_factory=set)

    def command(self, *words: str) -> Ran:
        """Run a command that nobody disturbs."""
        return self.project.bfill(*words, "--json")

    def until_it_ends(self, *words: str, kills: int) -> Ran:
        """Give a command, kill it up to `kills` times, and return how it ended when it could."""
        for _ in range(kills):
            for stream in ("out", "err"):  # it may be killed before it has any
                (self.project.streams / f"{self.project.started + 1}.{stream}").touch()
            going = self.project.start(*words, "--json")
            life = Life(going)
            try:
                whom = self._strike(life)
            finally:
                life.close()
            ran = going.wait()
            self.see(whom)
            if whom == "killed a child" and ran.code == 3 and ran.json["error"]["code"] == "crashes":
                self.see("the child was the one that tries the DAG file")
                continue
            if ran.code != -signal.SIGKILL:
                return ran
            self.see("kills")
            self.see(f"hit {self._what_was_hit()}")
            self.snapshots.append(look(self.project))
        return self.command(*words)

    def settle(self, *, besides: str = "") -> None:
        """Note the tries on record, but those of one backfill, as settled."""
        rows = self.project.rows(
            "SELECT logical_date, task_id, try_number FROM v_attempts WHERE outcome <> 'lost' AND backfill_id <> ?",
            besides,
        )
        self.settled |= {(row["logical_date"][:10], row["task_id"], row["try_number"]) for row in rows}

    def _strike(self, life: Life) -> str:
        """Wait for a random instant and kill somebody; says whom."""
        if not self._wait(life):
            return "ended before it was killed"
        pid = life.going.pid
        whom = self.random.choice(("main", "main", "tree", "tree", "child"))
        if whom == "child" and self.shape.has_children and life.reaches(lambda: bool(descendants(pid))):
            children = descendants(pid)
            if children:
                with suppress(ProcessLookupError):
                    os.kill(self.random.choice(children), signal.SIGKILL)
                return "killed a child"
        if life.ends_within(0):
            return "ended before it was killed"
        (kill_tree if whom == "tree" else kill_main)(pid)
        return "killed the whole tree" if whom == "tree" else "killed the process alone"

    def _wait(self, life: Life) -> bool:
        when = self.random.random()
        if when < 0.2:
            return not life.ends_within(self.random.uniform(0, 2 * STARTS_S))
        before = self._written()
        share = 0.97 if when > 0.85 else self.random.random()
        wanted = before + share * max(0, self.lines - before)
        return life.reaches(lambda: self._written() >= wanted) and not life.ends_within(
            self.random.uniform(0, STARTS_S / 2)
        )

    def _written(self) -> int:
        return (self.project.folder / "witness").read_bytes().count(b"\n")

    def _what_was_hit(self) -> str:
        folder = self.project.store.parent
        if not self.project.store.exists():
            return "before there was a store"
        at_rest = not any((folder / f"bfill.db-{one}").exists() for one in ("wal", "journal"))
        return "with the store at rest" if at_rest else "while the store was open for writing"
