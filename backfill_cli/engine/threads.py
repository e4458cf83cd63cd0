"""Tries in threads of this process: workers that take the next one themselves and report into the inbox themselves.

Owns the threads and the queue before them. `ThreadPoolExecutor` is not used here: a Future a try, with its lock, its
condition and its callbacks, costs more than all else that a worker does for a task that does nothing
(benchmarks/README.md). A worker is started when a try comes and none is free, up to the limit.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NamedTuple

from backfill_cli import clock
from backfill_cli.core.graph import Task
from backfill_cli.core.invocations import Invocation
from backfill_cli.engine.attempt import Bench, run_attempt
from backfill_cli.engine.messages import Tell, lost, started


class _Try(NamedTuple):
    invocation: Invocation
    bench: Bench
    tell: Tell


class InThreads:
    """A backend whose tries run in up to `workers` threads of this process."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._threads: list[Thread] = []
        self._queue: SimpleQueue[_Try | None] = SimpleQueue()
        self._free: deque[None] = deque()
        self._is_shut = False

    def submit(self, invocation: Invocation, task: Task, bench: Bench, tell: Tell) -> None:
        """Start a try when there is a worker for it. Raises RuntimeError after `shutdown`."""
        if self._is_shut:
            raise RuntimeError("cannot run a task after shutdown")
        self._queue.put(_Try(invocation, bench, tell))
        try:
            self._free.pop()
        except IndexError:
            if len(self._threads) < self._workers:
                self._start()

    def shutdown(self, *, wait: bool) -> None:
        """Take nothing more, and begin nothing more; with `wait`, return when what runs has ended."""
        self._is_shut = True
        with suppress(Empty):
            while True:
                self._queue.get_nowait()
        for _ in self._threads:
            self._queue.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _start(self) -> None:
        thread = Thread(target=self._work, name=f"bfill_{len(self._threads)}")
        # Before it is in the list nobody waits for it: a thread that cannot start, for want of memory, is none.
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        while True:
            try:
                chosen = self._queue.get_nowait()
            except Empty:
                self._free.append(None)
                chosen = self._queue.get()
            if chosen is None:
                return
            run_here(*chosen)


def run_here(invocation: Invocation, bench: Bench, tell: Tell) -> None:
    """Run a try in this thread: say that it begins, run it, report how it ended, whatever happens."""
    tell(started(invocation))
    try:
        report = run_attempt(invocation, bench)
    except BaseException as error:  # noqa: BLE001  (out of run_attempt comes nothing of a task: the worker itself failed)
        report = lost(invocation, clock.now_us(), error)
    tell(report)
