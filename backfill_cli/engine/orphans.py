"""What a vanished bfill left running: found for certain, then ended or waited for, before its tries run again.

Owns the search for the two marks that everything a run starts carries (`lineage.py`). One is a descriptor whose lock
lives as long as any process that inherited it; the kernel answers for it, and a recycled pid cannot fake it. The other
is `BFILL_OWNER` in the environment, for what no descriptor reaches: the children of a Python task that uses
`subprocess`, which closes them. Who belongs to the same process group belongs to the family too.

A process that left the session (`setsid`) did so to outlive its task: it is found and named, never signalled. Whether
that matters, and what is said about it, is `app/orphans.py`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from backfill_cli.engine import procfs
from backfill_cli.engine.lineage import OWNER_VARIABLE
from backfill_cli.engine.procfs import Process

KILL_WAIT_S = 5.0
"""Seconds a process may take to die of SIGKILL; one that takes longer hangs in the kernel."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.2


class Try(NamedTuple):
    """Which try a process works for, as its environment says."""

    backfill_id: str
    dag_id: str
    run_id: str
    task_id: str
    try_number: int


class Orphan(NamedTuple):
    """A process that outlived the bfill that started it.

    Args:
        of: None for a worker, or for what a Python task has started: such a process works for some try of that bfill.
        has_left: It is in a session of its own.
    """

    process: Process
    command: str
    of: Try | None
    has_left: bool


class Family(NamedTuple):
    """Everything that is left of one owner.

    Args:
        is_hidden: Its lock is held, by a process that cannot be seen: another user's, in another container, or on a
            system without /proc.
    """

    orphans: tuple[Orphan, ...]
    is_hidden: bool = False

    def __bool__(self) -> bool:
        return bool(self.orphans) or self.is_hidden


def find(owner: str, lock: str | None, is_locked: Callable[[], bool]) -> Family:
    """Return what is left of a dead owner.

    Args:
        lock: The lock file its children inherited.
        is_locked: Asks the kernel whether somebody holds it.
    """
    locked = is_locked()
    if not procfs.is_there():
        return Family((), locked)
    file, group, session = _lock_file(lock) if lock is not None else (None, None, None)
    not_ours = procfs.ancestors(os.getpid())  # whoever started bfill from inside a task's tmux must not lose it
    living = {one.pid: one for one in procfs.processes() if not one.is_dead and one.pid not in not_ours}
    environments = {pid: procfs.environment(pid) for pid in living}
    holders = {pid for pid in living if procfs.holds_lock(pid, file)} if locked and file is not None else set()
    kin = holders | {pid for pid, env in environments.items() if env.get(OWNER_VARIABLE) == owner}
    if session is not None:
        # Its own group holds also what started bfill: a shell script, make. Only groups its children made count.
        groups = {living[pid].group for pid in kin if living[pid].session == session} - {group}
        kin |= {pid for pid, one in living.items() if one.group in groups and one.session == session}
    orphans = [
        Orphan(living[pid], procfs.command(pid), _try_of(environments[pid]), _has_left(living[pid], session))
        for pid in sorted(kin)
    ]
    return Family(tuple(orphans), locked and not holders and is_locked())


def end(look: Callable[[], list[Orphan]], grace_s: float) -> list[Orphan]:
    """End processes, and return all that a signal was sent to: SIGTERM, and SIGKILL when the grace time is over.

    Args:
        look: Returns those that are still there; asked again and again, because they may start others meanwhile.
        grace_s: Seconds they have to end by themselves.
    """
    told: dict[Process, Orphan] = {}
    kill_at = time.monotonic() + grace_s
    pause = _FIRST_PAUSE_S
    while left := look():
        now = time.monotonic()
        if now >= kill_at + KILL_WAIT_S:
            break
        for one in left:
            if now >= kill_at:
                procfs.send(one.process, signal.SIGKILL)
            elif one.process not in told:
                procfs.send(one.process, signal.SIGTERM)
                procfs.send(one.process, signal.SIGCONT)  # one that was stopped could not end
            told.setdefault(one.process, one)
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE_S, pause * 2)
    return list(told.values())


def wait(is_over: Callable[[], bool], longest_s: float | None = None) -> bool:
    """Wait until something is over; False when that takes longer than `longest_s` seconds."""
    until = None if longest_s is None else time.monotonic() + longest_s
    pause = _FIRST_PAUSE_S
    while not is_over():
        if until is not None and time.monotonic() >= until:
            return False
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE_S, pause * 2)
    return True


def _lock_file(lock: str) -> tuple[os.stat_result | None, int | None, int | None]:
    """Return the file, and process group and session of the owner that made it; None when it does not say.

    A group or session of 0 is one: its leader is outside of the container that the owner runs in.
    """
    path = Path(lock)
    with suppress(OSError, ValueError):
        file = path.lstat()
        _, group, session = (int(word) for word in path.read_text(encoding="ascii").split())
        return file, group, session
    return None, None, None


def _has_left(one: Process, session: int | None) -> bool:
    # Without a word about the owner's session: who leads one has made it.
    return one.session != session if session is not None else one.session == one.pid


def _try_of(environment: Mapping[str, str]) -> Try | None:
    try:
        return Try(
            environment["BFILL_BACKFILL_ID"],
            environment["BFILL_DAG_ID"],
            environment["BFILL_RUN_ID"],
            environment["BFILL_TASK_ID"],
            int(environment["BFILL_TRY_NUMBER"]),
        )
    except (KeyError, ValueError):
        return None
