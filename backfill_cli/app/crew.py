"""Child processes of a scheduler, one a shift: DAGs run side by side, each loaded afresh, none in another one's way.

Owns how they are made, heard, told of signals, and how each ends. A child is a fork of a process that has imported what
a shift needs and has no threads: it begins within milliseconds, runs one piece of work, says what came of it, and
leaves. It leads a process group of its own, so that a Ctrl-C on the terminal is the parent's alone, which hands on
every signal once. Its end of the conversation is its leash: when the parent has vanished, however that came, the child
stops as it does after SIGTERM: what runs may end within the grace time, and all is recorded.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self

from backfill_cli import interrupts
from backfill_cli.core.masking import SECRETS
from backfill_cli.errors import BfillError

_HEAD = 8
"""Bytes before a message that say how long it is."""

_CHUNK = 1 << 18

LOOK_EVERY_S = 1.0
"""Seconds between two looks of a child whether its parent is there; that its end is closed is noticed at once."""


class Refused(NamedTuple):
    """A child's last word: an error that explains itself."""

    message: str
    hint: str
    exit_code: int


class Gone(NamedTuple):
    """A child has ended.

    Args:
        status: Its exit status; below 0 the signal that ended it.
    """

    status: int


class Line:
    """A child's side of the conversation."""

    def __init__(self, end: socket.socket, parent: int) -> None:
        self._end = end
        self._parent = parent

    def send(self, message: object) -> None:
        """Say something; nobody may be there to hear it."""
        data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        with suppress(OSError):
            self._end.sendall(len(data).to_bytes(_HEAD, "big") + data)

    def mind_parent(self) -> None:
        """Stop this process as SIGTERM does once the parent has vanished; from here on it has a second thread."""
        Thread(target=self._mind_parent, name="bfill-leash", daemon=True).start()

    def _mind_parent(self) -> None:
        poll = select.poll()
        poll.register(self._end.fileno(), 0)  # nothing is read here: only that the other end is closed is of interest
        while not poll.poll(LOOK_EVERY_S * 1_000) and os.getppid() == self._parent:
            pass
        os.kill(os.getpid(), signal.SIGTERM)


class Member:
    """One child, as its parent knows it.

    Args:
        name: What it works on.
        pid: Its process, and the group it leads.
    """

    def __init__(self, name: str, pid: int, end: socket.socket) -> None:
        self.name = name
        self.pid = pid
        self.end = end
        self.may_say_more = True
        self._heard = bytearray()

    def hear(self) -> Iterator[Any]:
        """Yield what it has said since. Never waits."""
        with suppress(BlockingIOError):
            while self.may_say_more:
                try:
                    data = self.end.recv(_CHUNK)
                except ConnectionError:
                    data = b""
                self.may_say_more = bool(data)
                self._heard += data
        while len(self._heard) >= _HEAD:
            end = _HEAD + int.from_bytes(self._heard[:_HEAD], "big")
            if len(self._heard) < end:
                return
            message = pickle.loads(self._heard[_HEAD:end])
            del self._heard[:end]
            yield message


class Crew:
    """The children of this process, for the length of a `with` block, which ends those that are left.

    Args:
        on_signal: Called in the handler of INT, TERM and HUP, after every child was told.
    """

    def __init__(self, on_signal: Callable[[int], None]) -> None:
        self._members: dict[int, Member] = {}
        self._on_signal = on_signal
        self._woken, self._wake = socket.socketpair()
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1

    @staticmethod
    def is_possible() -> bool:
        """Whether this process may have children that are its copies: it is bfill's own, and has no other thread."""
        from backfill_cli.loader import rehearsal

        return rehearsal.is_possible()

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __enter__(self) -> Self:
        for end in (self._woken, self._wake):
            end.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for one in interrupts.SIGNALS:
            if signal.getsignal(one) is not signal.SIG_IGN:
                self._before[one] = signal.signal(one, self._handle)
        # Only so that its coming ends a wait: who has ended is asked there.
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._members:  # an error broke the loop that would have heard them out
            self.send_signal(signal.SIGTERM)
            for _ in self.hear(LOOK_EVERY_S):
                pass
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._woken.close()
        self._wake.close()

    def start(self, name: str, work: Callable[[Line], None]) -> Member:
        """Fork a child that does `work`, and says what came of it on the line it is given."""
        ours, theirs = socket.socketpair()
        for stream in (sys.stdout, sys.stderr):  # or the child's copy of what waits in them is written as well
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        parent = os.getpid()
        # A signal that came between the two could mean to the child what it means to the parent.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, interrupts.SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                for end in (ours, self._woken, self._wake, *(one.end for one in self._members.values())):
                    os.close(end.detach())  # or nobody would notice that the parent has vanished
                _live(Line(theirs, parent), work, before)
            with suppress(OSError):
                os.setpgid(pid, pid)  # as the child does itself: whoever comes first
            theirs.close()
            ours.setblocking(False)
            member = self._members[pid] = Member(name, pid, ours)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return member

    def send_signal(self, number: int) -> None:
        """Send a signal to every child."""
        for pid in list(self._members):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def hear(self, timeout_s: float | None) -> Iterator[tuple[Member, Any]]:
        """Wait until somebody says something or ends, a signal comes, or time is up; yield what was said, `Gone` last.

        Args:
            timeout_s: Seconds; None waits for ever.
        """
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        for member in self._members.values():
            if member.may_say_more:
                poll.register(member.end, select.POLLIN)
        poll.poll(None if timeout_s is None else max(0.0, timeout_s) * 1_000)
        with suppress(BlockingIOError):
            while self._woken.recv(_CHUNK):
                pass
        for member in list(self._members.values()):
            # Asked first: what it had to say before it ended is there by then. Something it has left behind may hold
            # its end of the line open for as long as it likes.
            pid, status = os.waitpid(member.pid, os.WNOHANG)
            for message in member.hear():
                yield member, message
            if pid:
                del self._members[pid]
                member.end.close()
                yield member, Gone(os.waitstatus_to_exitcode(status))

    def _handle(self, number: int, _frame: object) -> None:
        self.send_signal(number)
        self._on_signal(number)


def _live(line: Line, work: Callable[[Line], None], mask: set[int | signal.Signals]) -> NoReturn:
    """Be the child: do the work and leave, whatever becomes of it."""
    status = 70
    try:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        interrupts.listen()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        work(line)
        status = 0
    except interrupts.Interrupted as stop:
        status = stop.exit_code
    except BfillError as error:
        line.send(Refused(SECRETS.text(str(error)), SECRETS.text(error.hint), error.exit_code))
        status = error.exit_code
    except BaseException as error:  # noqa: BLE001  (a bug, or the user's exit: the parent and the other DAGs go on)
        line.send(_broke(error))
    finally:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()
        # Nothing of the parent's may be taken down, and a task's thread that never returns must not hold this up.
        os._exit(status)


def _broke(error: BaseException) -> Refused:
    """Return what to say of an error nobody foresaw."""
    from traceback import extract_tb

    place = extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119
    return Refused(SECRETS.text(f"a bug: {type(error).__name__}: {error} ({where})"), "please report it", 70)
