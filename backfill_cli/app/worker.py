"""What a worker process runs: `python -m backfill_cli.app.worker FD PARENT`.

Owns the child's side of the conversation: a recipe first, then invocations, each answered by a report, until the
parent closes its end. SIGTERM cancels the try that runs, as a stop at once does in the parent's own threads; INT and
HUP are left to the parent, which shares the terminal and decides what they mean. A parent that has vanished wants no
report any more: the try is cancelled, and with it ends all that is in the worker's process group.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from threading import Thread
from typing import TYPE_CHECKING, Any

from backfill_cli import clock

if TYPE_CHECKING:
    from backfill_cli.app.bench import Recipe
    from backfill_cli.core.invocations import AttemptReport, Invocation
    from backfill_cli.engine.attempt import Bench


TERM_GRACE_S = 4.0
"""Seconds a try has to end when the parent has vanished: less than whoever comes next gives this process."""

LOOK_EVERY_S = 0.5
"""Seconds between two looks whether the parent is still there; a closed connection is noticed at once."""


def serve(connection: Connection[Any, Any], parent: int) -> None:
    """Answer invocations until the connection is closed.

    Args:
        parent: The pid of who started this process.
    """
    from backfill_cli.app.bench import bench_of
    from backfill_cli.engine.attempt import run_attempt
    from backfill_cli.engine.logs import captured

    bench = bench_of(connection.recv(), os.environ)
    stopping_for = bench.register.stopping_for
    Thread(target=_mind_parent, args=(connection.fileno(), parent, bench), daemon=True).start()

    def cancel(number: int, _frame: object) -> None:
        stopping_for.add(number)
        # In a thread: the register's lock may be held by the very code this signal has interrupted.
        Thread(target=bench.register.cancel_all, daemon=True).start()

    def note(number: int, _frame: object) -> None:
        stopping_for.add(number)  # a task's own child may die of it

    # Handled, not ignored: what is ignored stays so in everything a task starts.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGHUP))
    signal.signal(signal.SIGTERM, cancel)
    with captured(own_process=True):
        while True:
            try:
                invocation: Invocation = connection.recv()
            except EOFError:
                return
            connection.send(run_attempt(invocation, bench))


def _mind_parent(descriptor: int, parent: int, bench: Bench) -> None:
    """Wait until the parent is gone, then end what runs here, and this process with it."""
    poll = select.poll()
    poll.register(descriptor, 0)  # nothing is read here: only that the other end is closed is of interest
    while not poll.poll(LOOK_EVERY_S * 1_000) and os.getppid() == parent:
        pass
    bench.register.cancel_all()
    if bench.register.wait_until_empty(TERM_GRACE_S):
        time.sleep(LOOK_EVERY_S)  # between two tries: the connection's end is the way out
    # Its own group, this process included: a sleep in C, and whatever the task has started and not ended.
    os.killpg(0, signal.SIGKILL)


def run_remote(invocation: Invocation, recipe: Recipe) -> AttemptReport:
    """Run one try on a worker of somebody else's executor; its bench is made once a process."""
    from backfill_cli.engine.attempt import run_attempt

    return run_attempt(invocation, _bench_here(recipe))


_benches: list[tuple[Recipe, Bench]] = []
_capture = ExitStack()


def _bench_here(recipe: Recipe) -> Bench:
    for known, bench in _benches:
        if known == recipe:
            return bench
    from backfill_cli.app.bench import bench_of
    from backfill_cli.engine.logs import captured

    if not _benches:  # for the life of the worker: its threads share one stdout
        _capture.enter_context(captured(own_process=False))
    _benches.append((recipe, bench_of(recipe, os.environ)))
    return _benches[-1][1]


if __name__ == "__main__":
    descriptor, parent, offset_ns = map(int, sys.argv[1:])
    clock.follow(offset_ns)
    serve(Connection(descriptor), parent)
