"""stdout and stderr as they come: closed, broken, full, or of an encoding without `✓`.

Owns what happens when they cannot be written. State is recorded before anything is printed, so a broken pipe
(`| head -1`) is no failure: the rest is dropped and the exit code stands. A full disk behind stdout is told on stderr.
"""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
from pathlib import Path
from typing import IO, cast

PATIENCE_S = 1.0
"""Seconds that progress waits for a reader who has stopped reading."""

_ROOM = 4_096
"""Bytes that a pipe with any room takes at once."""

CANNOT_WRITE = 74
"""Exit code when a result could not be written to stdout (EX_IOERR) and nothing else was wrong."""


def prepare() -> None:
    """Make both streams safe to write to, once, before anything is printed or opened."""
    _occupy()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # Closed by the caller (`>&-`): nobody listens, and print() must not fail for that.
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _occupy() -> None:
    """Put /dev/null in the place of a closed descriptor 0, 1 or 2: the next file to be opened would get its number.

    A lock or a log that is descriptor 1 would receive whatever anybody prints.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            made = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(made, True)
            if made != number:  # somebody's thread was quicker with the number we wanted
                os.dup2(made, number)
                os.close(made)


def is_terminal(stream: IO[str]) -> bool:
    """Return whether a person is behind the stream."""
    try:
        return stream.isatty()
    except (OSError, ValueError):
        return False


def is_live(stream: IO[str]) -> bool:
    """Return whether the stream can be redrawn."""
    return is_terminal(stream) and os.environ.get("TERM", "dumb") != "dumb"


def wants_colour(stream: IO[str], *, no_color: bool) -> bool:
    """Return whether to colour: a terminal that can, and nobody who asked for none (https://no-color.org)."""
    if no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return is_terminal(stream)


def width_of(stream: IO[str]) -> int:
    """Return the columns to lay out for: the terminal's, COLUMNS, or plenty for a file, where nothing need be cut."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked) > 0:
        return max(40, min(int(asked), 500))
    if is_terminal(stream):
        try:
            return max(40, os.get_terminal_size(stream.fileno()).columns)
        except (OSError, ValueError):
            return 80
    return 160


def flush_all() -> OSError | None:
    """Flush both streams; return why stdout could not be, None when it was or when its reader has left."""
    failure: OSError | None = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            silence(stream)
            if stream is sys.stdout and isinstance(error, OSError):
                failure = error
    return None if failure is None or is_broken_pipe(failure) else failure


def progress(stream: IO[str]) -> IO[str]:
    """Return a stream of its own to the same place, for who writes while a run diverts descriptor 2; else itself."""
    try:
        descriptor = os.dup(stream.fileno())
    except (OSError, ValueError):  # closed, or somebody's stream without a descriptor
        return stream
    return cast("IO[str]", Progress(descriptor, getattr(stream, "encoding", None) or "utf-8"))


class Progress(io.TextIOBase):
    """A stream that would rather lose text than time: a reader that stops reading must not stop a backfill.

    `bfill run 2>&1 | less` and Ctrl-S on a terminal are such readers. The first write that finds no room waits for
    `PATIENCE_S`, the following ones not at all, until there is room again.
    """

    def __init__(self, descriptor: int, encoding: str) -> None:
        self._descriptor = descriptor
        self._encoding = encoding
        self._patience_s = PATIENCE_S

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        data = text.encode(self._encoding, "backslashreplace")
        at = 0
        while at < len(data) and self._has_room():
            at += os.write(self._descriptor, data[at : at + _ROOM])
        return len(text)

    def _has_room(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        found = bool(poll.poll(1_000 * self._patience_s))
        self._patience_s = PATIENCE_S if found else 0.0
        return found

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._descriptor)


def is_broken_pipe(error: OSError, descriptor: int = 1) -> bool:
    """Return whether the reader of stdout, or of another descriptor, has left (rather than the disk being full).

    A terminal that was closed answers EIO, as a failing disk does; but a disk is no character device.
    """
    if error.errno == errno.EIO:
        try:
            return stat.S_ISCHR(os.fstat(descriptor).st_mode)
        except OSError:
            return True
    return error.errno in (errno.EPIPE, errno.ESHUTDOWN, errno.EBADF)


def is_output_failure(error: OSError) -> bool:
    """Return whether this can only be a failed write to a stream: a failure of a named file says its name."""
    return error.filename is None and (is_broken_pipe(error) or error.errno in (errno.ENOSPC, errno.EIO))


def write_quietly(stream: IO[str], text: str) -> None:
    """Write text; a stream that is broken loses it and nothing else."""
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        silence(stream)


def flush_quietly(stream: IO[str]) -> None:
    """Flush; a stream that is broken loses what it held and nothing else."""
    write_quietly(stream, "")


def silence(stream: IO[str]) -> None:
    """Send what is still buffered, and all that follows, nowhere: the interpreter flushes once more at its exit."""
    try:
        target = os.open(os.devnull, os.O_WRONLY)
        os.dup2(target, stream.fileno())
        os.close(target)
    except (OSError, ValueError, AttributeError):
        # A stream without a descriptor (a test's) has nothing to send anywhere.
        pass
