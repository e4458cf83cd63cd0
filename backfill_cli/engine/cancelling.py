"""Ending a try that runs: timeouts and cancellation, for a child's process group or for a Python thread.

Owns the register of what runs in this process and how to end it. A process group ends for certain. A Python thread
ends cooperatively: an exception is raised in it at its next bytecode, so a call that sits in C code returns first.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import SIGHUP, SIGINT, SIGTERM
from threading import Lock, Timer, get_ident

Key = tuple[int, str]

STOP_SIGNALS = (SIGINT, SIGTERM, SIGHUP)

STOP_HEARD_S = 0.1
"""Seconds that a signal for everybody may take to reach bfill after it has reached a task."""


class AttemptTimeout(BaseException):
    """Raised in a task's thread when its execution_timeout is over; a BaseException, so that `except Exception`
    in the task does not swallow it."""


class AttemptCancelled(BaseException):
    """Raised in a task's thread when the run is stopped at once, or the dag_run's time is up."""


class Register:
    """What runs now, by (logical_date, task_id), each with the call that ends it.

    A try may be cancelled between its submission and its first line. So a cancellation stays: what enters the register
    under a cancelled key, or after `cancel_all`, is ended as it enters. Nobody starts such a key again in this process,
    because its dag_run is over, or the whole backfill is.
    """

    def __init__(self) -> None:
        self._endings: dict[Key, Callable[[], None]] = {}
        self._cancelled: set[Key] = set()
        self._all_cancelled = False
        self._lock = Lock()
        self.stopping_for: set[int] = set()
        """The signals that a stop was asked with: a try that dies of one of them was stopped, it did not fail."""

    def enter(self, key: Key, end: Callable[[], None]) -> None:
        """Make `end` the way to end `key`; called at once if it is to end already."""
        with self._lock:
            self._endings[key] = end
            if self._all_cancelled or key in self._cancelled:
                end()

    def leave(self, key: Key) -> None:
        """Forget `key`: it has ended. Leaving twice is leaving once."""
        with self._lock:
            self._endings.pop(key, None)

    @contextmanager
    def running(self, key: Key, end: Callable[[], None]) -> Iterator[None]:
        """Make `end` the way to end `key` while the block runs."""
        self.enter(key, end)
        try:
            yield
        finally:
            self.leave(key)

    def cancel(self, key: Key) -> None:
        """Ask one try to end, now or as soon as it begins."""
        # Under the lock, so that a try cannot leave the register between the look and the call.
        with self._lock:
            self._cancelled.add(key)
            end = self._endings.get(key)
            if end is not None:
                end()

    def cancel_all(self) -> None:
        """Ask everything that runs to end, and everything that begins from now on."""
        with self._lock:
            self._all_cancelled = True
            for end in self._endings.values():
                end()

    def was_stopped(self, status: int) -> bool:
        """Return whether the exit status of a child says that it died of a signal the run is stopped with.

        Whoever signals a whole session, a container or a service reaches the tasks too, sometimes before bfill: a death
        by such a signal waits a moment for a stop before it counts as a failure.

        Args:
            status: As `subprocess` gives it; 128 + N, as a shell reports the death of a child of its own, counts too.
        """
        number = -status if status < 0 else status - 128
        if number not in STOP_SIGNALS:
            return False
        until = time.monotonic() + STOP_HEARD_S
        while number not in self.stopping_for and time.monotonic() < until:
            time.sleep(STOP_HEARD_S / 10)
        return number in self.stopping_for

    def wait_until_empty(self, longest_s: float) -> bool:
        """Wait, at most so long, until nothing runs any more; False when something still does."""
        until = time.monotonic() + longest_s
        while self._endings:
            if time.monotonic() >= until:
                return False
            time.sleep(0.01)
        return True


class _Interruption:
    """The way to raise an exception in a thread, as long as the block it is meant for has not been left."""

    def __init__(self) -> None:
        self._thread = get_ident()
        self._lock = Lock()
        self._is_over = False
        self._is_sent = False

    def send(self, exception: type[BaseException]) -> bool:
        """Raise it in the thread at its next bytecode. False: the block is over, and nothing happened."""
        with self._lock:
            if not self._is_over:
                self._is_sent = True
                _set_async(self._thread, exception)
            return not self._is_over

    def close(self) -> None:
        """Let nothing be sent any more; what was sent before and not raised yet is raised in here."""
        with self._lock:
            self._is_over = True
        # Not taken back with `SetAsyncExc(thread, NULL)`: in CPython 3.11 that leaves the interpreter's "look up" flag
        # set with nothing to look at, and a process that is traced or profiled then spins for ever.
        if self._is_sent:
            for _ in range(100):
                pass


@contextmanager
def interruptible(
    register: Register, key: Key, timeout_s: float | None, on_timeout: Callable[[], None] | None
) -> Iterator[None]:
    """Let the block, in this thread, be ended by `register.cancel(key)` or by its timeout.

    Args:
        timeout_s: Seconds; None is no limit.
        on_timeout: Called, in another thread, when the time is over and the block has not ended yet.

    Raises:
        AttemptTimeout, AttemptCancelled: In the block, at its next bytecode.
    """
    interruption = _Interruption()

    def expire() -> None:
        if interruption.send(AttemptTimeout) and on_timeout is not None:
            on_timeout()

    def cancel() -> None:
        interruption.send(AttemptCancelled)

    timer = Timer(timeout_s, expire) if timeout_s is not None else None
    try:
        if timer is not None:
            timer.daemon = True
            timer.start()
        register.enter(key, cancel)
        yield
    finally:
        # An interruption may still arrive in these very lines, before `close` has been through: then they begin anew.
        # What arrives here comes too late to count: the block has ended, and how it did stands.
        while True:
            try:
                interruption.close()
                register.leave(key)
                if timer is not None:
                    timer.cancel()
                break
            except (AttemptTimeout, AttemptCancelled):
                continue


def _set_async(thread: int, exception: type[BaseException]) -> None:
    """Set the exception a thread raises at its next bytecode."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(exception))
