"""Processes of this machine as /proc tells of them: who they are, what they were given, which lock they hold.

Owns the reading, and the sending of a signal to exactly the process that was read about. A process that ends while it
is looked at, or that belongs to somebody else, is no error: it is not there. What follows from all this is
`engine/orphans.py`.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_EXCLUSIVE = re.compile(rb"^lock:.*\bFLOCK\b.*\bWRITE\b", re.MULTILINE)


class Process(NamedTuple):
    """One process. `started` is in ticks since the machine started: with the pid it names a process for ever."""

    pid: int
    parent: int
    group: int
    session: int
    started: int
    is_dead: bool


def is_there() -> bool:
    """Return whether this system has a /proc to read."""
    return (_PROC / "self" / "stat").exists()


def processes() -> Iterator[Process]:
    """Return every process of the machine that can be seen from here."""
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            found = process(int(entry.name))
            if found is not None:
                yield found


def process(pid: int) -> Process | None:
    """Return one process; None when it has ended, and nobody need be waiting for it."""
    data = _read(pid, "stat")
    # The command's name stands in parentheses and may hold anything, parentheses and blanks included.
    fields = data.rpartition(b")")[2].split()
    if len(fields) < 20:
        return None
    parent, group, session = (int(one) for one in fields[1:4])
    return Process(pid, parent, group, session, int(fields[19]), fields[0] in (b"Z", b"X"))


def environment(pid: int) -> Mapping[str, str]:
    """Return what a process was given as its environment when it began; empty when that is not ours to see."""
    pairs = (entry.partition(b"=") for entry in _read(pid, "environ").split(b"\0"))
    return {os.fsdecode(name): os.fsdecode(value) for name, sign, value in pairs if sign}


def command(pid: int) -> str:
    """Return the command line of a process, on one line; empty when it cannot be seen."""
    return " ".join(os.fsdecode(_read(pid, "cmdline")).replace("\0", " ").split())


def ancestors(pid: int) -> set[int]:
    """Return a process and all that it descends from."""
    found: set[int] = set()
    while pid > 0 and pid not in found:
        found.add(pid)
        one = process(pid)
        pid = one.parent if one is not None else 0
    return found


def holds_lock(pid: int, file: os.stat_result) -> bool:
    """Return whether a process has a descriptor with the lock of a file: one it took, or inherited."""
    try:
        descriptors = list((_PROC / str(pid) / "fd").iterdir())
    except OSError:
        return False
    for one in descriptors:
        with suppress(OSError):
            # Who only asks whether it is locked has the file open as well, without that lock or with a shared one.
            if os.path.samestat(one.stat(), file) and _EXCLUSIVE.search(_read(pid, f"fdinfo/{one.name}")):
                return True
    return False


def send(one: Process, number: signal.Signals) -> bool:
    """Send a signal to this very process; False when it has ended, or is not ours to signal.

    The pid alone would not do: it may be somebody else's by now. A pidfd is taken first and the process behind it
    compared then, so that nothing can come in between.
    """
    try:
        handle = os.pidfd_open(one.pid)
    except (AttributeError, OSError):
        handle = -1
    try:
        now = process(one.pid)
        if now is None or now.started != one.started:
            return False
        if handle >= 0:
            signal.pidfd_send_signal(handle, number)
        else:
            os.kill(one.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        if handle >= 0:
            os.close(handle)
    return True


def _read(pid: int, name: str) -> bytes:
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""
