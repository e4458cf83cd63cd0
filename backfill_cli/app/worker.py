"""What a worker process runs: `python -m backfill_cli.app.worker FD`.

Owns the child's side of the conversation: a recipe first, then invocations, each answered by a report, until the
parent closes its end. SIGTERM cancels the try that runs, as a stop at once does in the parent's own threads; SIGINT is
left to the parent, which shares the terminal and decides what a Ctrl-C means.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from multiprocessing.connection import Connection
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backfill_cli.app.bench import Recipe
    from backfill_cli.core.ports import AttemptReport, Invocation
    from backfill_cli.engine.attempt import Bench


def serve(connection: Connection[Any, Any]) -> None:
    """Answer invocations until the connection is closed."""
    from backfill_cli.app.bench import bench_of
    from backfill_cli.engine.attempt import run_attempt
    from backfill_cli.engine.logs import captured

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    bench = bench_of(connection.recv(), os.environ)

    def cancel(_number: int, _frame: object) -> None:
        # In a thread: the register's lock may be held by the very code this signal has interrupted.
        Thread(target=bench.register.cancel_all, daemon=True).start()

    signal.signal(signal.SIGTERM, cancel)
    with captured(own_process=True):
        while True:
            try:
                invocation: Invocation = connection.recv()
            except EOFError:
                return
            connection.send(run_attempt(invocation, bench))


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
    serve(Connection(int(sys.argv[1])))
