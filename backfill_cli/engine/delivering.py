"""The process that brings a scheduler's events to their target: the far end of an outpost's line.

Owns how it lives: it takes what comes, delivers it from an outbox, and says for each event what came of it. It leaves
with its parent: when that has vanished, however that came, it delivers what it has within `CLOSE_S`. Somebody who is
away for a while is waited for: a receiver that is started anew misses nothing.
"""

from __future__ import annotations

import gc
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from backfill_cli.engine.outbox import Outbox

if TYPE_CHECKING:
    import socket

    from backfill_cli.engine.couriers import Courier

CLOSE_S = 10.0
"""Seconds in which what is on its way may still arrive when the parent has vanished."""

PATIENCE_S = 300.0
"""Seconds that events wait for somebody who is away, before they are lost one after the other."""

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_CHUNK = 1 << 16


def live(line: socket.socket, courier: Courier, most: int) -> NoReturn:
    """Be the child: deliver what comes until nothing comes any more, and leave, whatever becomes of it."""
    status = 70
    try:
        os.setpgid(0, 0)  # a Ctrl-C on the terminal is not for it
        signal.set_wakeup_fd(-1)
        for one in STOPS:
            signal.signal(one, _stay)  # not SIG_IGN: commands would inherit that
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _keep_only(line.fileno())
        gc.freeze()  # a collection would copy every page it walks through
        _serve(line, courier, most)
        status = 0
    finally:
        os._exit(status)


def _stay(_number: int, _frame: object) -> None:
    """What asks the parent to stop makes it close the line, when it has told all."""


def _keep_only(kept: int) -> None:
    """Close what else is open: a pipe whose reader waits for its end, a lock that says that the parent lives."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nowhere, number)
    for name in os.listdir("/dev/fd"):  # noqa: PTH208
        if int(name) > 2 and int(name) != kept:
            with suppress(OSError):
                os.close(int(name))


def _serve(line: socket.socket, courier: Courier, most: int) -> None:
    def settled(number: int, why: str) -> None:
        with suppress(OSError):  # nobody is there to hear it
            line.sendall(f"{number} {why}".strip().replace("\n", " ").encode(errors="replace") + b"\n")

    outbox = Outbox(courier, most=most, patience_s=PATIENCE_S, on_settled=settled)
    within_s, rest = CLOSE_S, b""
    with suppress(ConnectionError):
        while data := line.recv(_CHUNK):
            *lines, rest = (rest + data).split(b"\n")
            for one in lines:
                if one.startswith(b"{"):
                    outbox.put(one.decode())
                else:
                    within_s = float(one)
    outbox.close(within_s)
