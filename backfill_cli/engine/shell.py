"""Running a shell command: its own process group, streamed output, a time limit that ends all of it.

Owns the child process. stdout and stderr go to the log as they come; the last line of stdout is the result. A
background process that keeps the pipes open does not hold the task: when the shell has ended, what it wrote is read
and the pipes are left.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from shutil import which
from typing import NamedTuple

from backfill_cli.engine.cancelling import AttemptCancelled, AttemptTimeout, Key, Register
from backfill_cli.engine.logs import AttemptLog

TERM_GRACE_S = 5.0
"""Seconds between SIGTERM and SIGKILL for a process group that is to end."""

_CHUNK = 65_536
_LINE_KEPT = 1 << 20
"""Bytes of the last stdout line that are kept: what an XCom may hold."""


class ShellEnd(NamedTuple):
    """How a command ended: exit status (negative: minus the signal), last stdout line, last stderr line."""

    status: int
    last_line: str | None
    last_error: str


@cache
def shell_path() -> str:
    """Return bash if there is one, else sh: what templates are quoted for is the grammar both share."""
    return which("bash") or "/bin/sh"


class _Tail:
    """The last non-empty line of a stream, without holding the stream."""

    def __init__(self) -> None:
        self._last = b""
        self._open = b""
        self.seen = False

    def feed(self, data: bytes) -> None:
        self.seen = self.seen or bool(data)
        *lines, rest = (self._open + data).split(b"\n")
        self._open = rest[-_LINE_KEPT:]
        for line in reversed(lines):
            if line.strip():
                self._last = line[-_LINE_KEPT:]
                break

    def text(self) -> str:
        line = self._open if self._open.strip() else self._last
        return line.decode(errors="backslashreplace").rstrip("\r")


class _Child:
    """A running command: its pipes, its time, and the way its whole process group ends.

    `end` may be called from another thread: SIGTERM goes out at once, SIGKILL follows after the grace time.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: AttemptLog, timeout_s: float | None) -> None:
        self.out, self.err = _Tail(), _Tail()
        self.timed_out = False
        self._process = process
        self._log = log
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._kill_at: float | None = None

    @property
    def ending(self) -> bool:
        return self._kill_at is not None

    def end(self) -> None:
        if self._kill_at is None:
            self._kill_at = time.monotonic() + TERM_GRACE_S
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the whole process group without any grace."""
        self._signal(signal.SIGKILL)

    def listen(self) -> None:
        """Read both pipes until the process has ended, minding the time."""
        assert self._process.stdout and self._process.stderr
        with selectors.DefaultSelector() as selector, self._process.stdout as out, self._process.stderr as err:
            for pipe, tail in ((out, self.out), (err, self.err)):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe.fileno(), selectors.EVENT_READ, tail)
            with _exit_handle(self._process, selector) as can_wake:
                while self._process.poll() is None:
                    for event, _ in selector.select(self._pause(can_wake)):
                        if event.data is not None and not self._read(event.fd, event.data):
                            selector.unregister(event.fd)
                    self._mind_time()
            for event in list(selector.get_map().values()):
                while self._read(event.fd, event.data):
                    pass
        if self.ending:
            self._signal(signal.SIGKILL)  # the shell is gone; its children may linger

    def _mind_time(self) -> None:
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self.timed_out = True
            self.end()
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = now + 1.0  # a process in the kernel's hands dies when it comes back: no need to spin
            self._signal(signal.SIGKILL)

    def _pause(self, can_wake: bool) -> float:
        # A cancel comes from another thread and does not wake the selector: look again soon, SIGKILL may be due.
        longest = 1.0 if can_wake else 0.02
        due = [at for at in (self._deadline, self._kill_at) if at is not None]
        return max(0.0, min([longest, *(at - time.monotonic() for at in due)]))

    def _read(self, descriptor: int, tail: _Tail) -> bool:
        """Read what is there; False at the end of the stream."""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        tail.feed(data)
        self._log.write(data)
        return bool(data)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


@contextmanager
def _exit_handle(process: subprocess.Popen[bytes], selector: selectors.BaseSelector) -> Iterator[bool]:
    """Let the selector wake when the process ends; False where the system cannot, and it must be polled."""
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        yield False
        return
    selector.register(handle, selectors.EVENT_READ, None)
    try:
        yield True
    finally:
        selector.unregister(handle)
        os.close(handle)


def run_shell(
    command: str,
    *,
    env: Mapping[str, str],
    cwd: str | None,
    log: AttemptLog,
    timeout_s: float | None,
    register: Register,
    key: Key,
) -> ShellEnd:
    """Run a command to its end and return how it ended.

    Raises:
        AttemptTimeout: It was still running after `timeout_s` seconds; its process group has ended.
        AttemptCancelled: `register.cancel(key)` was called; its process group has ended.
        OSError: The shell could not be started.
    """
    process = subprocess.Popen(
        [shell_path(), "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(env),
        cwd=cwd,
        process_group=0,
    )
    child = _Child(process, log, timeout_s)
    try:
        with register.running(key, child.end):
            child.listen()
    except BaseException:  # the log cannot be written: nobody would hear the command any more
        child.kill()
        process.wait()
        raise
    status = process.wait()
    if child.timed_out:
        raise AttemptTimeout
    if child.ending:
        raise AttemptCancelled
    return ShellEnd(status, child.out.text() if child.out.seen else None, child.err.text())
