"""An outbox in a process of its own, for a process that forks and so may have no second thread: a scheduler.

Owns our end of the line to it; theirs is `delivering.py`. Events go out on it, one a line; `1` comes back for one
that has arrived, `3 why` for three that have not, `0 why` while one has to wait. Whoever puts events in never waits:
what the line does not take stays here, and what waits in both processes together is bounded.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from backfill_cli.engine.delivering import STOPS, live
from backfill_cli.engine.outbox import MOST, Losses

if TYPE_CHECKING:
    from collections.abc import Callable

    from backfill_cli.engine.couriers import Courier

_MARGIN_S = 1.0
"""Seconds that the process has beyond its time, before it is killed: it may just be leaving."""

_CHUNK = 1 << 16


class Outpost:
    """Hands events to a courier in their order, one at a time, from a child that is forked here.

    Args:
        courier: Delivers one event, or raises Undelivered.
        most: Events that may wait.

    Attributes:
        failing: Why the last event that is known of did not arrive, or has to wait; empty when it did.
    """

    def __init__(self, courier: Courier, *, most: int = MOST) -> None:
        self._courier = courier
        self._most = most
        self._backlog: deque[bytes] = deque()
        self._heard = b""
        self._put = self._lost = self._on_way = 0
        self._first_error = self.failing = ""
        self._pid = 0
        self._line: socket.socket | None = None
        self._is_leaving = self._is_shut = False
        self._start()
        # Every process that is forked from this one: with its copy of our end, nobody would notice that we have left.
        os.register_at_fork(after_in_child=self._let_go)

    def put(self, text: str) -> None:
        """Take whole lines, one JSON object each with its type in `event`. Never waits, never raises."""
        if self._line is None and threading.active_count() == 1:
            self._start()  # it was killed; with other threads about, one that waits for a lock could be copied
        for line in text.splitlines():
            self._put += 1
            if self._line is None:
                self._lose(1, "nobody is there to deliver it")
            elif self.waiting >= self._most:
                self._lose(1, f"more than {self._most:,} events were waiting")
            else:
                self._on_way += 1
                self._backlog.append(line.encode() + b"\n")
        self.look()

    @property
    def waiting(self) -> int:
        """Events that have not arrived yet, as far as it is known."""
        return self._on_way

    @property
    def losses(self) -> Losses | None:
        """What did not arrive by now."""
        return Losses(self._lost, self._put, self._first_error) if self._lost else None

    @property
    def is_gone(self) -> bool:
        """Whether its process has left."""
        return self._line is None

    def look(self) -> None:
        """Hand over what the line takes, and hear what has become of what it took before. Never waits."""
        try:
            self._hear()
            self._hand_over()
        except BlockingIOError:
            return
        except OSError:  # it has left: what it said before that is still there
            with suppress(OSError):
                self._hear()
            self._gone()

    def settle(self, within_s: float) -> bool:
        """Wait until nothing waits, at most so long; returns whether nothing does."""
        return self._wait(lambda: not self._on_way or self._line is None, within_s)

    def leave(self, within_s: float) -> None:
        """Let it deliver what waits within so many seconds, and leave; nobody waits for that here."""
        if not self._is_leaving:
            self._is_leaving = True
            self._backlog.append(b"%f\n" % within_s)
            self.look()

    def close(self, within_s: float) -> Losses | None:
        """Wait for what is on its way, at most so long, and give up the rest; returns what was lost.

        When the time is nearly over, everything but the last event is passed over. Ctrl-C ends the waiting.
        """
        self.leave(within_s)
        with suppress(KeyboardInterrupt):
            self._wait(lambda: self._line is None, within_s + _MARGIN_S)
        if self._line is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._gone(f"it was still waiting {within_s:g} s after the run had ended")
        return self.losses

    # our end of the line

    def _start(self) -> None:
        with suppress(OSError):  # no process can be made now: the next event asks for one again
            self._pid, self._line = _forked(self._courier, self._most)
            self._heard = b""

    def _hand_over(self) -> None:
        line = self._line
        while line is not None and self._backlog:
            sent = line.send(self._backlog[0])
            if sent < len(self._backlog[0]):
                self._backlog[0] = self._backlog[0][sent:]
            else:
                self._backlog.popleft()
        if line is not None and self._is_leaving and not self._is_shut:
            line.shutdown(socket.SHUT_WR)
            self._is_shut = True

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            while self._line is not None:
                data = self._line.recv(_CHUNK)
                if not data:
                    self._gone()
                    return
                *lines, self._heard = (self._heard + data).split(b"\n")
                for line in lines:
                    number, _, self.failing = line.decode().partition(" ")
                    self._on_way -= int(number)
                    if self.failing:
                        self._lose(int(number), self.failing)

    def _gone(self, why: str = "") -> None:
        """Its process has left, or is about to: what is still on its way has not arrived."""
        if self._line is not None:
            self._line.close()
            self._line = None
            _, status = os.waitpid(self._pid, 0)
            code = os.waitstatus_to_exitcode(status)
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            self._lose(self._on_way, why or f"the process that delivers them ended with {how}")
            self._on_way = 0
            self._backlog.clear()

    def _lose(self, number: int, why: str) -> None:
        if number:
            self._lost += number
            self.failing = why
            self._first_error = self._first_error or why

    def _wait(self, is_done: Callable[[], bool], within_s: float) -> bool:
        until = time.monotonic() + within_s
        while not is_done() and self._line is not None and (left := until - time.monotonic()) > 0:
            poll = select.poll()
            poll.register(self._line, select.POLLIN | (select.POLLOUT if self._backlog else 0))
            poll.poll(left * 1_000)
            self.look()
        return is_done()

    def _let_go(self) -> None:
        if self._line is not None:
            os.close(self._line.detach())
            self._line = None


def _forked(courier: Courier, most: int) -> tuple[int, socket.socket]:
    """Return a child that delivers, and our end of the line to it."""
    ours, theirs = socket.socketpair()
    # A signal that came between the two would mean to the child what it means to the parent.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        with theirs:
            pid = os.fork()
            if pid == 0:
                live(theirs, courier, most)
    except OSError:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    ours.setblocking(False)
    return pid, ours
