"""The child's side of a rehearsal: it loads files, says what is in them, and leaves a trace of how it ended.

Owns the surroundings a file is loaded in: no stdin, output into a pipe, bounded memory, a watch that ends what hangs,
and marks for what cannot be caught: `os._exit`, `os.exec…`, signals to itself, copies made by `os.fork`. All of it may
be undone by the file; then the parent still sees that the child ended, and knows less about why.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from backfill_cli import loader
from backfill_cli.errors import BfillError, DefinitionError
from backfill_cli.loader.endings import CLOSED, MUST_LOAD
from backfill_cli.loader.places import caller, place_of_error

if TYPE_CHECKING:
    from backfill_cli.loader.rehearsal import Bounds, Work

MOST_FORKS = 64
_COPY_WAIT_S = 0.2
"""Seconds a file that has forked is given to show whether the copy comes out of it."""

_leave = os._exit
_trace = -1
_forks = 0
_forked_at = ""


def play(
    works: Sequence[Work], notes: int, output: int, trace: int, leash: int, supervisor: int, bounds: Bounds
) -> NoReturn:
    """Load each of the works and write a line about each to `notes`; leave after the first bad one. Never returns."""
    global _trace  # noqa: PLW0603  (one rehearsal a process)
    _trace = trace
    loader.may_fork = False
    try:
        _settle(output, leash, bounds.memory_mb)
        _watch(supervisor)
        for work in works:
            found = _loaded(work, bounds.timeout_s)
            os.write(notes, json.dumps(found).encode() + b"\n")
            if "error" in found:
                break
    except OSError:
        _leave(CLOSED)
    except Exception as error:  # noqa: BLE001  (not of a file: an installation that this user may not read, say)
        told = {
            "class": "DefinitionError",
            "message": f"cannot be tried: {type(error).__name__}: {error}",
            "hint": "look at the installation of Python and of bfill: may this user read it?",
            "code": "rehearsal",
        }
        os.write(notes, json.dumps({"error": told}).encode() + b"\n")
    finally:
        _leave(0)


def leave_copy() -> NoReturn:
    """End a copy that a file has made of the process, where it comes out of that file; in a rehearsal, note it."""
    _mark("copy", "", _forked_at)
    _leave(0)


def _loaded(work: Work, timeout_s: float) -> dict[str, Any]:
    import faulthandler

    # From a thread of its own, written in C: it sees what hangs in a C call, or swallows every exception.
    faulthandler.dump_traceback_later(timeout_s + 0.3, exit=True, file=_trace)
    try:
        found: dict[str, Any] = {"dag_ids": list(work.load())}
        _await_copies()
    except BfillError as error:
        found = {"error": _fields(error)}
    except BaseException as error:  # noqa: BLE001  (KeyboardInterrupt: nobody's Ctrl-C, this process has its own group)
        where = str(place_of_error(error.__traceback__, work.folder, work.file))
        what = f"raises {type(error).__name__}"
        found = {"error": _fields(DefinitionError(what, hint=MUST_LOAD, code="raises", where=where))}
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    faulthandler.cancel_dump_traceback_later()
    return found


def _fields(error: BfillError) -> dict[str, Any]:
    _limit_memory(None)  # what the file has taken may still be held by the traceback
    return {
        "class": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "code": error.code,
        "where": error.where,
    }


def _settle(output: int, leash: int, memory_mb: int) -> None:
    import faulthandler
    import fcntl
    import resource

    os.setpgid(0, 0)  # the group ends as one, and a Ctrl-C on the terminal is the parent's alone
    if hasattr(fcntl, "F_SETSIG"):
        # The leash has no writer but the parent: when the parent is gone, however that came, this is killed.
        fcntl.fcntl(leash, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(leash, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(leash, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.enable(file=_trace)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # nobody wants the core
    _limit_memory(memory_mb * 2**20)


def _limit_memory(most: int | None) -> None:
    import resource

    with suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        if most is None:
            resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
            return
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _watch(supervisor: int) -> None:
    """Mark the ways out that leave no exception, and refuse what would take the parent or the machine along."""
    me = os.getpid()

    def leave(status: int) -> NoReturn:
        if os.getpid() == me:
            _mark("exit", str(status))
        _leave(status)

    def listen(event: str, args: tuple[Any, ...]) -> None:
        global _forks, _forked_at  # noqa: PLW0603
        if event == "os.fork":
            if os.getpid() != me or _forks >= MOST_FORKS:
                raise RuntimeError("os.fork() again and again while a DAG file is loaded")
            _forks += 1
            _forked_at = str(caller())
        elif event == "os.exec" and os.getpid() == me:
            _mark("exec", os.fsdecode(args[0]))
        elif event in ("os.kill", "os.killpg"):
            number, sent = args
            # 0 is this child's own group, also where the parent's has that number: its leader is outside of a container
            to_parent = event == "os.kill" and number in (supervisor, -1)
            if to_parent or (number != 0 and number == os.getpgid(supervisor)):
                raise PermissionError("a DAG file may not send signals to the process that loads it")
            if number in (me, 0):
                _mark("kill", signal.Signals(sent).name)

    os._exit = leave
    sys.addaudithook(listen)


def _await_copies() -> None:
    if _forks:
        import time

        time.sleep(_COPY_WAIT_S)


def _mark(kind: str, said: str, where: str = "") -> None:
    if _trace >= 0:
        with suppress(OSError):
            os.write(_trace, f"@{kind} {said}|{where or caller()}\n".encode(errors="replace"))
