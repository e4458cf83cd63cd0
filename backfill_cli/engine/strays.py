"""What tasks write past Python's streams, to descriptors 1 and 2: their child processes, and code in C.

Owns where that goes while tasks run: into a pipe that bfill reads, and from there to stderr, because stdout carries
bfill's own result. On the way secrets are masked and, for a terminal, what could drive it is written as an escape. A
stderr that is full, has lost its reader or is not read any more fails or holds up no task: it was promised to bfill.
Which try wrote what cannot be known: threads share the descriptors.
"""

from __future__ import annotations

import codecs
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

from backfill_cli.core.harmless import harmless
from backfill_cli.core.masking import SECRETS

_CHUNK = 65_536
_ROOM = 4_096
"""Bytes that a pipe with any room takes at once."""
_PATIENCE_MS = 1_000


@contextmanager
def diverted() -> Iterator[None]:
    """Let descriptors 1 and 2 both lead to stderr, through the filter, while the block runs."""
    with _filtered_stderr():
        try:
            sys.stdout.flush()
            kept = os.dup(1)
            os.dup2(2, 1)
        except (OSError, ValueError):  # stdout or stderr is closed: nothing to protect
            yield
            return
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


@contextmanager
def _filtered_stderr() -> Iterator[None]:
    """Put a pipe in the place of descriptor 2, whose other end is read, filtered, and written to the real one."""
    try:
        real = os.dup(2)
    except OSError:  # closed: nobody reads what could be filtered
        yield
        return
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    reading, writing = os.pipe()
    waking, wake = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    pump = Thread(target=_pump, args=(reading, real, waking), name="bfill-strays", daemon=True)
    pump.start()
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os.dup2(real, 2)
        # A child that was left behind may hold the pipe open: what is in it by now is read, and no more waited for.
        os.close(wake)
        pump.join()
        for descriptor in (reading, waking, real):
            os.close(descriptor)


def _pump(reading: int, real: int, waking: int) -> None:
    stream = SECRETS.stream()
    shown = _Shown() if _is_terminal(real) else bytes
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    poll.register(waking, select.POLLIN)
    while reading in (ready for ready, _ in poll.poll()):
        data = os.read(reading, _CHUNK)
        if not data:
            break
        _write(real, shown(stream.feed(data)))
    _write(real, shown(stream.flush()))


class _Shown:
    """Bytes in pieces, as text that a terminal may show."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def __call__(self, data: bytes) -> bytes:
        return harmless(self._decoder.decode(data), keep="\n\t").encode(errors="backslashreplace")


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it; what stderr does not take, or nobody reads in time, is lost: the end of a run waits for us."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    at = 0
    with suppress(OSError):
        while at < len(data) and poll.poll(_PATIENCE_MS):
            at += os.write(descriptor, data[at : at + _ROOM])
