"""Ending a try that runs: timeouts and cancellation, for a child's process group or for a Python thread.

Owns the register of what runs in this process and how to end it. A process group ends for certain. A Python thread
ends cooperatively: an exception is raised in it at its next bytecode, so a call that sits in C code returns first.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Timer, get_ident

Key = tuple[int, str]


class AttemptTimeout(BaseException):
    """Raised in a task's thread when its execution_timeout is over; a BaseException, so that `except Exception`
    in the task does not swallow it."""


class AttemptCancelled(BaseException):
    """Raised in a task's thread when the run is stopped at once, or the dag_run's time is up."""


class Register:
    """What runs now, by (logical_date, task_id), each with the call that ends it."""

    def __init__(self) -> None:
        self._endings: dict[Key, Callable[[], None]] = {}
        self._lock = Lock()

    @contextmanager
    def running(self, key: Key, end: Callable[[], None]) -> Iterator[None]:
        """Make `end` the way to end `key` while the block runs."""
        with self._lock:
            self._endings[key] = end
        try:
            yield
        finally:
            with self._lock:
                self._endings.pop(key, None)

    def cancel(self, key: Key) -> None:
        """Ask one try to end; nothing happens if it is over already."""
        # Under the lock, so that a try cannot leave the register between the look and the call.
        with self._lock:
            end = self._endings.get(key)
            if end is not None:
                end()

    def cancel_all(self) -> None:
        for key in list(self._endings):
            self.cancel(key)


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
    thread, lock, over = get_ident(), Lock(), False

    def interrupt(exception: type[BaseException]) -> bool:
        with lock:
            if over:
                return False
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(exception))
            return True

    def expire() -> None:
        if interrupt(AttemptTimeout) and on_timeout is not None:
            on_timeout()

    def cancel() -> None:
        interrupt(AttemptCancelled)

    timer = Timer(timeout_s, expire) if timeout_s is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        with register.running(key, cancel):
            yield
    finally:
        with lock:
            over = True
        if timer is not None:
            timer.cancel()
        # An exception set but not yet raised belongs to nobody any more.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)
