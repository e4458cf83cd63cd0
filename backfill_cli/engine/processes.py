"""Worker processes: one a slot, started on demand, each loading the DAG once; ending one really ends what it runs.

Owns `ProcessExecutor`, a `concurrent.futures.Executor` whose threads each drive a child (`python -m
backfill_cli.app.worker`). The standard ProcessPoolExecutor is not used: there a worker that crashes takes the whole
pool with it, and no single worker can be ended. Here a crash is the exception of one future, and becomes `lost`.

Children are started as fresh interpreters, never forked: the coordinator has threads. They speak pickled plain values
(`Invocation`, `AttemptReport`) over a socket pair that nobody else can reach.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any

from backfill_cli import clock
from backfill_cli.core.graph import Task
from backfill_cli.core.invocations import AttemptReport, Invocation
from backfill_cli.core.states import Outcome
from backfill_cli.engine.cancelling import Register
from backfill_cli.engine.lineage import NO_LINEAGE, Lineage

SOFT_GRACE_S = 1.0
"""Seconds a child has, after its task's time is over, to report that itself before it is ended."""

TERM_GRACE_S = 5.0
"""Seconds between SIGTERM and SIGKILL for a child whose task is cancelled."""


class WorkerLost(Exception):
    """A worker process ended without a report; the message says how."""


class _Child:
    """One worker process and the way to talk to it."""

    def __init__(self, recipe: object, lineage: Lineage) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            given = theirs.fileno(), os.getpid(), clock.offset_ns()
            # A child begins with the mask of the thread that makes it. Until the worker can say what these two mean to
            # it, Python would answer them with a traceback.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
            try:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "backfill_cli.app.worker", *map(str, given)],
                    stdin=subprocess.DEVNULL,
                    stdout=2,  # stdout carries bfill's own result
                    env={**os.environ, **lineage.variables},
                    pass_fds=[theirs.fileno(), *lineage.descriptors],
                    process_group=0,
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.connection: Connection[Any, Any] = Connection(ours.detach())
        self.connection.send(recipe)

    def end(self, number: int) -> None:
        """Send a signal to the child and everything in its process group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def close(self) -> None:
        """Let the child leave by itself: its end of the socket says that nothing more comes."""
        with suppress(OSError):
            self.connection.close()
        try:
            self.process.wait(TERM_GRACE_S)
        except subprocess.TimeoutExpired:
            self.end(signal.SIGKILL)
            self.process.wait()


class ProcessExecutor(ThreadPoolExecutor):
    """Runs attempts in worker processes.

    Args:
        workers: Children at most, started on demand.
        recipe: What a child needs to make its bench; a plain value that pickles.
        register: Where a running try can be cancelled.
        lineage: What a child inherits.
    """

    def __init__(self, workers: int, recipe: object, register: Register, lineage: Lineage = NO_LINEAGE) -> None:
        super().__init__(workers, thread_name_prefix="bfill-process")
        self._recipe = recipe
        self._register = register
        self._lineage = lineage
        self._idle: list[_Child] = []
        self._lock = Lock()

    def run(self, invocation: Invocation, task: Task, started: Callable[[], None]) -> AttemptReport:
        """Run one try in a child, in a thread of this executor.

        Raises:
            WorkerLost: The child ended without a report.
        """
        child = self._take()
        started_at = clock.now_us()
        ending = _Ending(child)
        key = invocation.logical_date, invocation.task_id
        started()
        try:
            child.connection.send(invocation)
            with self._register.running(key, ending.cancel):
                report = _await(child, ending, task.execution_timeout_s)
        except (EOFError, OSError, BrokenPipeError) as error:
            status = _reap(child)
            if ending.is_cancelled:
                return _report(invocation, started_at, "cancelled")
            raise WorkerLost(f"the worker process {_how(status)}") from error
        if report is None:
            _reap(child)
            reason = "cancelled" if ending.is_cancelled else f"timed out after {task.execution_timeout_s:g} s"
            return _report(invocation, started_at, reason)
        with self._lock:
            self._idle.append(child)
        return report

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=wait, cancel_futures=cancel_futures)
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.close()

    def _take(self) -> _Child:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _Child(self._recipe, self._lineage)


class _Ending:
    """What has been done to end a child: SIGTERM first, SIGKILL when its grace is over or somebody asks again."""

    def __init__(self, child: _Child) -> None:
        self._child = child
        self.kill_at: float | None = None
        self.is_cancelled = False

    def cancel(self) -> None:
        """From another thread: let the task be ended."""
        self.is_cancelled = True
        if self.kill_at is None:
            self.kill_at = time.monotonic() + TERM_GRACE_S
            self._child.end(signal.SIGTERM)
        else:
            self._child.end(signal.SIGKILL)


def _await(child: _Child, ending: _Ending, timeout_s: float | None) -> AttemptReport | None:
    """Wait for the report; None when the child had to be killed. Raises EOFError when it ended by itself."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s + SOFT_GRACE_S
    while True:
        # A cancel comes from another thread and does not wake the poll: look again soon, SIGKILL may be due.
        due = [at - time.monotonic() for at in (deadline, ending.kill_at) if at is not None]
        if child.connection.poll(max(0.0, min([0.5, *due]))):
            report: AttemptReport = child.connection.recv()
            return report
        if any(at is not None and time.monotonic() >= at for at in (deadline, ending.kill_at)):
            child.end(signal.SIGKILL)
            return None


def _reap(child: _Child) -> int:
    child.end(signal.SIGKILL)
    with suppress(OSError):
        child.connection.close()
    return child.process.wait()


def _how(status: int) -> str:
    if status < 0:
        return f"was ended by signal {-status} ({signal.Signals(-status).name})"
    return f"left with exit status {status}"


def _report(invocation: Invocation, started_at: int, reason: str) -> AttemptReport:
    now = clock.now_us()
    return AttemptReport(
        invocation.logical_date, invocation.task_id, invocation.try_number, Outcome.RETRY, started_at, now, reason
    )
