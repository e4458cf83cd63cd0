"""INT, TERM and HUP from a command's first line to its last: each ends it with 128 + its number, and no traceback.

Owns the handlers of a process that is bfill and nothing else. A signal raises `Interrupted` in the main thread, which
unwinds what is under way; a second one leaves at once. While a run lasts `engine/stopping.py` lays its own handlers
over these, because a run has state to record first.

What the parent ignores stays ignored: `nohup bfill …` and a shell's background job were asked not to be stopped so.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # not typing's: until signals are listened to, Python answers Ctrl-C with a traceback
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any, NoReturn
else:
    import _signal  # what `signal` wraps in enums, which take a millisecond to be made

FINISH_S = 1.0
"""Seconds that a result which is being written when a signal comes has to be finished."""

SIGNALS = (int(_signal.SIGINT), int(_signal.SIGTERM), int(_signal.SIGHUP))


class Interrupted(KeyboardInterrupt):
    """A signal asked this command to end; what guards against Ctrl-C guards against this too.

    Args:
        number: The signal's.
    """

    def __init__(self, number: int = SIGNALS[0]) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        return 128 + self.number


_first: list[int] = []
"""The first signal that interrupted this process; it decides the exit code."""

_late: list[int] = []
"""The first signal that came while a result was being written: it says how the command ended, and is finished."""

_handled: list[int] = []
"""The first signal that somebody else took note of, who has said so in a result of his own."""


def listen() -> None:
    """Let INT, TERM and HUP interrupt this process from now on."""
    del _first[:], _late[:], _handled[:]
    Finishing.has_begun = False
    for one in SIGNALS:
        if _signal.getsignal(one) != _signal.SIG_IGN:
            _signal.signal(one, _interrupt)
    sys.unraisablehook = _on_unraisable


def remember(number: int) -> None:
    """Take note of a signal that somebody else has handled: the next one leaves at once."""
    _handled.append(number)


class Finishing:
    """A context around the writing of a result, when all is done and recorded: a first signal lets it be finished.

    Half a JSON document helps nobody. A reader who does not read is waited for `FINISH_S`, not longer; a second signal
    leaves at once, as everywhere.
    """

    is_on = has_begun = False

    def __enter__(self) -> None:
        Finishing.is_on = Finishing.has_begun = True

    def __exit__(self, *_error: object) -> None:
        Finishing.is_on = False
        if _late:
            _signal.setitimer(_signal.ITIMER_REAL, 0)


def stop_if_asked() -> None:
    """Raise Interrupted once more when a signal was swallowed: for the moment before something is begun."""
    if _first:
        raise Interrupted(_first[0])


def exit_code(otherwise: int) -> int:
    """Return 128 + the signal that interrupted this process, or the given code when none did."""
    return 128 + _first[0] if _first else otherwise


def _interrupt(number: int, _frame: object) -> None:
    if before := _handled or _first or _late:
        _leave(before[0])
    if Finishing.is_on:
        _late.append(number)
        _signal.signal(_signal.SIGALRM, lambda *_: _leave(number))
        _signal.setitimer(_signal.ITIMER_REAL, FINISH_S)
        return
    _first.append(number)
    raise Interrupted(number)


def _on_unraisable(broken: Any) -> None:
    """Leave when the signal came inside a destructor or a weak reference's callback, where nothing can be raised."""
    if isinstance(broken.exc_value, Interrupted):
        _leave(broken.exc_value.number)
    sys.__unraisablehook__(broken)


def _leave(number: int) -> NoReturn:
    os._exit(128 + number)
