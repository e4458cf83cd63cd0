"""What a task prints: one file a try, made at the first byte, with stdout, stderr and logging in it.

Owns the capture. Threads share one `sys.stdout`, so during a run it is replaced by a stream that asks a context
variable whose try is speaking; what no try says goes to stderr, because stdout carries bfill's own result. Secrets are
masked on the way, also where one comes in several writes. Folders are 0700 and files 0600 whatever the umask, and a
symlink in place of a log is refused.
"""

from __future__ import annotations

import io
import logging
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from errno import ELOOP, EMLINK, ENXIO
from pathlib import Path
from threading import Lock
from typing import TextIO

from backfill_cli.core.masking import SECRETS
from backfill_cli.engine.strays import diverted

_LEVELS = 3
"""Folders below the store's in which a log lies: `logs/<dag_id>/<run_id>`."""

_current: ContextVar[AttemptLog | None] = ContextVar("bfill_attempt_log", default=None)


class LogLost(OSError):
    """Something a try said is not in its log: the disk is full, or failing. A task never succeeds in silence then."""


class AttemptLog:
    """The log of one try. Writes are appended whole and unbuffered: a killed process loses nothing it had printed, but
    for the last bytes that could have been the beginning of a secret."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._lock = Lock()
        self._closed = False
        self._lost: LogLost | None = None
        self._said = SECRETS.stream()

    def write(self, data: bytes) -> None:
        """Append what the try says, secrets masked; after `close` it is dropped."""
        with self._lock:
            self._append(self._said.feed(data))

    def append(self, data: bytes) -> None:
        """Append bytes of a stream that masks secrets itself: the pipes of a command are one each."""
        with self._lock:
            self._append(data)

    def _append(self, data: bytes) -> None:
        """Write to the file, which is made with its folders at the first byte. Raises LogLost, and remembers it."""
        if not data or not self.path or self._closed:
            return
        try:
            if self._descriptor is None:
                self._descriptor = _open_private(self.path)
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            self._lost = LogLost(f"its log cannot be written: {error.strerror or error}")
            raise self._lost from error

    def check(self) -> None:
        """Raise LogLost when anything that was said is not in the log, whoever caught that at the time."""
        if self._lost is not None:
            raise self._lost

    def line(self, text: str) -> None:
        """Append one line of bfill's own, marked as such."""
        self.note(f"[bfill] {text}\n")

    def note(self, text: str) -> None:
        """Append text of bfill's own; where it cannot be written, how the try ended must not change for that."""
        with suppress(OSError):
            self.write(text.encode(errors="backslashreplace"))

    def close(self) -> None:
        with self._lock:
            with suppress(OSError):  # as for every last word: how the try ended is decided
                self._append(self._said.flush())
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
        self._lock = Lock()
        self._said = SECRETS.stream()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        log = _current.get()
        data = text.encode(errors="backslashreplace")
        if log is not None:
            log.write(data)
        elif SECRETS:
            with self._lock:
                self._otherwise.write(self._said.feed(data).decode(errors="backslashreplace"))
        else:
            self._otherwise.write(text)
        return len(text)

    def finish(self) -> None:
        """Write what was held back; nothing more is said."""
        with self._lock, suppress(OSError, ValueError):
            self._otherwise.write(self._said.flush().decode(errors="backslashreplace"))

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
    with diverted() if own_process else nullcontext():
        switch = _Switch(err)
        sys.stdout = sys.stderr = switch
        root.addHandler(handler)
        if level == logging.WARNING:  # the default nobody chose: tasks expect INFO in their logs
            root.setLevel(logging.INFO)
        try:
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
            sys.stdout, sys.stderr = out, err
            switch.finish()


def _open_private(path: str) -> int:
    """Open a log, made with its folders where they are missing.

    From the store's folder on, step by step from descriptor to descriptor: no link leads out of it, however quickly one
    is put in the place of a folder. Raises OSError.
    """
    parents = Path(path).parents
    below = min(_LEVELS, len(parents) - 1)
    parents[below].mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(parents[below], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for one in reversed(parents[:below]):
            inner = _folder_in(folder, one)
            os.close(folder)
            folder = inner
        return _file_in(folder, Path(path))
    finally:
        os.close(folder)


def _folder_in(folder: int, path: Path) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path.name, flags, dir_fd=folder)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another try made it meanwhile
            os.mkdir(path.name, 0o700, dir_fd=folder)
            os.chmod(path.name, 0o700, dir_fd=folder)
        return os.open(path.name, flags, dir_fd=folder)
    except OSError as error:
        raise OSError(
            error.errno, "a symbolic link or a file stands in the place of a folder for logs", str(path)
        ) from None


def _file_in(folder: int, path: Path) -> int:
    # Not blocking: a pipe without a reader, put there under the name of a log, would hold the task for ever.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path.name, flags, 0o600, dir_fd=folder)
    except OSError as error:
        reason = "a symbolic link or a pipe stands in the place of a log"
        raise OSError(error.errno, reason if error.errno in (ELOOP, ENXIO) else error.strerror, str(path)) from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise OSError(EMLINK, "what stands in the place of a log is no file of its own", str(path))
    os.fchmod(descriptor, 0o600)
    return descriptor
