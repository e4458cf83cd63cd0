"""Running a shell command: its own process group, streamed output, a time limit that ends all of it.

Owns the child process. stdout and stderr go to the log as they come; the last line of stdout is the result. A
background process that keeps the pipes open does not hold the task: when the shell has ended, what it wrote is read
and the pipes are left.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from shutil import which
from typing import NamedTuple

from backfill_cli.core.masking import SECRETS
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


class _Pipe:
    """The end of a stream that is read here: what comes goes to the log, secrets masked, and its last line is kept."""

    __slots__ = ("_log", "_masked", "descriptor", "tail")

    def __init__(self, descriptor: int, log: AttemptLog) -> None:
        self.descriptor = descriptor
        self.tail = _Tail()
        self._log = log
        self._masked = SECRETS.stream()

    def read(self) -> bool:
        """Read what is there, waiting for it if there is nothing; False at the end of the stream."""
        data = os.read(self.descriptor, _CHUNK)
        if data:
            self.tail.feed(data)
            self._log.append(self._masked.feed(data))
        return bool(data)

    def finish(self) -> None:
        """Write to the log what was held back: nothing follows."""
        self._log.append(self._masked.flush())


class _Child:
    """A running command: its pipes, its time, and the way its whole process group ends.

    `end` may be called from another thread: SIGTERM goes out at once, SIGKILL follows after the grace time, or with the
    next call: whoever asks again does not want to wait.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], pipes: Sequence[_Pipe], timeout_s: float | None, register: Register
    ) -> None:
        self.timed_out = self.was_stopped = False
        self._register = register
        self._process = process
        self._pipes = {pipe.descriptor: pipe for pipe in pipes}
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._kill_at: float | None = None

    @property
    def ending(self) -> bool:
        return self._kill_at is not None

    def end(self) -> None:
        if self._kill_at is None:
            self._kill_at = time.monotonic() + TERM_GRACE_S
            self._signal(signal.SIGTERM)
        else:
            self._signal(signal.SIGKILL)

    def kill(self) -> None:
        """End the whole process group without any grace."""
        self._signal(signal.SIGKILL)

    def listen(self) -> None:
        """Read both pipes until the process has ended, minding the time."""
        poll = select.poll()
        for descriptor in self._pipes:
            poll.register(descriptor, select.POLLIN)
        with _exit_handle(self._process) as handle:
            if handle is not None:
                poll.register(handle, select.POLLIN)
            has_ended = False
            while not has_ended:
                for descriptor, _ in poll.poll(self._pause_ms(can_wake=handle is not None)):
                    if descriptor == handle:
                        has_ended = True
                    elif not self._pipes[descriptor].read():
                        poll.unregister(descriptor)
                        del self._pipes[descriptor]
                self._mind_time()
                if handle is None:
                    has_ended = self._process.poll() is not None
            if handle is not None:
                poll.unregister(handle)
        # What it wrote last may still be in the pipes; a background process that holds them open is not waited for.
        while ready := poll.poll(0):
            for descriptor, _ in ready:
                if not self._pipes[descriptor].read():
                    poll.unregister(descriptor)
        # The shell is gone; its children may linger, deaf to what has ended it (`&` makes them deaf to Ctrl-C). Asked
        # before the shell is waited for: until then its pid is nobody else's.
        self.was_stopped = not self.ending and self._register.was_stopped(self._status())
        if self.ending or self.was_stopped:
            self._signal(signal.SIGKILL)

    def _status(self) -> int:
        """Return how the shell has ended, as `subprocess` says it, and leave it to be waited for."""
        if self._process.returncode is not None:
            return self._process.returncode
        found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        if found is None:
            return 0
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def _mind_time(self) -> None:
        if self._deadline is None and self._kill_at is None:
            return
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self.timed_out = True
            self.end()
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = now + 1.0  # a process in the kernel's hands dies when it comes back: no need to spin
            self._signal(signal.SIGKILL)

    def _pause_ms(self, *, can_wake: bool) -> float:
        # A cancel comes from another thread and does not wake the poll: look again soon, SIGKILL may be due.
        longest = 1.0 if can_wake else 0.02
        due = [at for at in (self._deadline, self._kill_at) if at is not None]
        return 1_000 * max(0.0, min([longest, *(at - time.monotonic() for at in due)]))

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


@contextmanager
def _exit_handle(process: subprocess.Popen[bytes]) -> Iterator[int | None]:
    """A descriptor that can be read when the process has ended; None where the system has none, and it is polled."""
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        yield None
        return
    try:
        yield handle
    finally:
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
    heirlooms: Sequence[int] = (),
) -> ShellEnd:
    """Run a command to its end and return how it ended.

    Args:
        heirlooms: Descriptors it inherits besides its streams (`lineage.py`).

    Raises:
        AttemptTimeout: It was still running after `timeout_s` seconds; its process group has ended.
        AttemptCancelled: `register.cancel(key)` was called, or it died of the signal the run is stopped with; its
            process group has ended.
        OSError: The shell could not be started.
    """
    with ExitStack() as ends:
        out, into_out = _pipe(ends)
        err, into_err = _pipe(ends)
        # Pipes of our own: those of Popen come wrapped in file objects, which cost more than all the reading.
        try:
            process = subprocess.Popen(
                [shell_path(), "-c", command],
                stdin=_nothing(),
                stdout=into_out,
                stderr=into_err,
                env=env,
                cwd=cwd,
                pass_fds=heirlooms,
                process_group=0,
            )
        finally:
            os.close(into_out)
            os.close(into_err)
        pipes = _Pipe(out, log), _Pipe(err, log)
        child = _Child(process, pipes, timeout_s, register)
        try:
            with register.running(key, child.end):
                child.listen()
            for pipe in pipes:
                pipe.finish()
        except BaseException:  # the log cannot be written: nobody would hear the command any more
            child.kill()
            process.wait()
            raise
        status = process.wait()
    if child.timed_out:
        raise AttemptTimeout
    if child.ending or child.was_stopped:
        raise AttemptCancelled
    told, complained = (pipe.tail for pipe in pipes)
    return ShellEnd(status, told.text() if told.seen else None, complained.text())


def _pipe(ends: ExitStack) -> tuple[int, int]:
    """Return a new pipe; its reading end is closed with `ends`."""
    reading, writing = os.pipe()
    ends.callback(os.close, reading)
    return reading, writing


@cache
def _nothing() -> int:
    """Return a descriptor of /dev/null, opened once: what every command reads."""
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
