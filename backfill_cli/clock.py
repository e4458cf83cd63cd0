"""The clock of what is recorded: the wall clock, but for the length of a run one that cannot be set.

Owns the instants of runs and tries. A wall clock is set by people and by NTP, back as well as forward; a run that asked
it again and again would record tries that end before they begin, and wait a year for a retry that is due in 5 s. So a
run asks it once, when it begins, and goes on by steady time, which no one sets and which counts a machine's sleep as
well. Worker processes take over the offset of the process that starts them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

if hasattr(time, "CLOCK_BOOTTIME"):

    def _steady_ns() -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

else:
    _steady_ns = time.monotonic_ns

_lock = Lock()
_holders = 0
_offset_ns: int | None = None


def _wall_ns() -> int:
    return max(0, time.time_ns())  # before 1970 no clock is right, and instants would be texts nobody can read


def now_us() -> int:
    """Return epoch microseconds, from 0; while held, never less than what was returned before."""
    offset = _offset_ns
    return (_wall_ns() if offset is None else _steady_ns() + offset) // 1_000


@contextmanager
def held() -> Iterator[None]:
    """Let time go steadily on from here while the block lasts, whatever becomes of the wall clock; for all threads."""
    global _holders, _offset_ns  # noqa: PLW0603  (the clock of a process is one)
    with _lock:
        _holders += 1
        if _offset_ns is None:
            _offset_ns = _wall_ns() - _steady_ns()
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if not _holders:
                _offset_ns = None


def offset_ns() -> int:
    """Return what a worker process on this machine has to `follow`."""
    offset = _offset_ns
    return _wall_ns() - _steady_ns() if offset is None else offset


def follow(offset: int) -> None:
    """Tell the time as the process of that offset does, from now on."""
    global _offset_ns  # noqa: PLW0603
    _offset_ns = offset
