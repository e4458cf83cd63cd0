"""What a task prints: one file a try, made at the first byte, with stdout, stderr and logging in it.

Owns the capture. Threads share one `sys.stdout`, so during a run it is replaced by a stream that asks a context
variable whose try is speaking; what no try says goes to stderr, because stdout carries bfill's own result. Folders are
0700 and files 0600 whatever the umask, and a symlink in place of a log is refused.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from threading import Lock
from typing import TextIO

_current: ContextVar[AttemptLog | None] = ContextVar("bfill_attempt_log", default=None)


class AttemptLog:
    """The log of one try. Writes are appended whole and unbuffered: a killed process loses nothing it had printed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._lock = Lock()
        self._closed = False

    def write(self, data: bytes) -> None:
        """Append bytes; the file and its folders are made at the first ones. After `close` they are dropped."""
        if not data or not self.path:
            return
        with self._lock:
            if self._closed:
                return
            if self._descriptor is None:
                self._descriptor = _open_private(self.path)
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def line(self, text: str) -> None:
        """Append one line of bfill's own, marked as such."""
        self.note(f"[bfill] {text}\n")

    def note(self, text: str) -> None:
        """Append text of bfill's own; where it cannot be written, how the try ended must not change for that."""
        with suppress(OSError):
            self.write(text.encode(errors="backslashreplace"))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None


@contextmanager
def speaking(log: AttemptLog) -> Iterator[None]:
    """Let what this thread prints and logs go to `log`, until the block ends."""
    token = _current.set(log)
    try:
        yield
    finally:
        _current.reset(token)
        log.close()


class _Switch(io.TextIOBase):
    """A text stream that writes to the log of the try that speaks, else to `otherwise`."""

    def __init__(self, otherwise: TextIO) -> None:
        self._otherwise = otherwise

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        log = _current.get()
        if log is None:
            return self._otherwise.write(text)
        log.write(text.encode(errors="backslashreplace"))
        return len(text)

    def flush(self) -> None:
        # Closed meanwhile: whoever keeps this stream is not to be told when it is garbage collected, in Python 3.13.
        if _current.get() is None and not self._otherwise.closed:
            self._otherwise.flush()

    def fileno(self) -> int:
        return self._otherwise.fileno()


class _LogHandler(logging.Handler):
    """Sends records to the log of the try that logs; outside a try they are nobody's here."""

    def emit(self, record: logging.LogRecord) -> None:
        log = _current.get()
        if log is None:
            return
        try:
            log.note(self.format(record) + "\n")
        except Exception:  # noqa: BLE001  (a record whose arguments do not fit its message: logging's own way with it)
            self.handleError(record)


@contextmanager
def captured(*, own_process: bool) -> Iterator[None]:
    """Capture what tasks print and log while the block runs.

    Args:
        own_process: bfill is the whole process, not a guest in somebody's Python: file descriptor 1 points to stderr
            meanwhile, so that a task's subprocess cannot write into the JSON document on stdout.
    """
    root = logging.getLogger()
    handler = _LogHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    level = root.level
    out, err = sys.stdout, sys.stderr
    saved = _divert_stdout() if own_process else None
    sys.stdout = sys.stderr = _Switch(err)
    root.addHandler(handler)
    if level == logging.WARNING:  # the default nobody chose: tasks expect INFO in their logs
        root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        sys.stdout, sys.stderr = out, err
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)


def _divert_stdout() -> int | None:
    try:
        sys.stdout.flush()
        saved = os.dup(1)
        os.dup2(2, 1)
    except (OSError, ValueError):  # stdout or stderr is closed: nothing to protect
        return None
    return saved


def _open_private(path: str) -> int:
    folder = Path(path).parent
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        with suppress(FileExistsError):  # another try made it meanwhile
            one.mkdir(mode=0o700)
            one.chmod(0o700)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor
