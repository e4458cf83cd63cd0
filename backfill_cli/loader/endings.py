"""How a child that loaded a DAG file ended, in words: the error for whoever wrote the file.

Owns the wording, and the reading of the trace: lines of ours (`@exit 3|dags/a.py:7`) and what `faulthandler` wrote. The
watching is `loader/rehearsal.py`'s.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from backfill_cli.errors import DefinitionError
from backfill_cli.loader.places import Place

INTO_A_TASK = "what belongs to a date goes into a task"
MUST_LOAD = f"the file must load without an error; {INTO_A_TASK}"

CLOSED = 197
"""Exit code of a child whose way to speak was closed by the file: nothing else can be said then."""

_SIGNALS_OF_BUGS = {
    signal.SIGSEGV: "a memory access fault",
    signal.SIGBUS: "a bus error",
    signal.SIGABRT: "abort()",
    signal.SIGFPE: "an arithmetic fault",
    signal.SIGILL: "an illegal instruction",
}


def explain_ending(file: str, folder: Path, why: str, status: int, trace: str, timeout_s: float) -> DefinitionError:
    """Return the error for a child that ended without a verdict.

    Args:
        why: `floods`, `slow` or `mute` (nothing can come from it any more) when the parent ended it, else empty.
        status: As `waitpid` gives it.
        trace: What was written on the way: marks of ours, and faulthandler's tracebacks.
    """
    marks = [_Mark(*found) for found in re.findall(r"^@(\w+) (.*)\|(.*)$", trace, flags=re.MULTILINE)]
    where = _innermost_line(trace, folder, file)
    if why == "floods":
        return _error(
            "floods", "prints more than 1 MiB while it is loaded", "what a task prints goes to its log", where
        )
    if why == "slow" or "Timeout (" in trace:
        return slow(timeout_s, where)
    for kind, (message, hint) in _TOLD.items():
        for mark in marks:
            if mark.kind == kind:
                return _error(_CODES.get(kind, "exits"), message.format(mark.said), hint, mark.where)
    code = os.waitstatus_to_exitcode(status)
    if code == CLOSED or why == "mute":
        what = "closes files that are not its own while it is loaded"
        return _error("changes-process", what, "close what the file has opened, one by one", where)
    if code >= 0:
        hint = f"a DAG file must come to its end; {INTO_A_TASK}"
        return _error("exits", f"ends the process while it is loaded, with exit code {code}", hint, where)
    name = signal.Signals(-code).name
    if -code in _SIGNALS_OF_BUGS:
        what = f"crashes the interpreter while it is loaded: {_SIGNALS_OF_BUGS[signal.Signals(-code)]} ({name})"
        return _error("crashes", what, "try its imports one by one; a broken C extension is the usual cause", where)
    hint = "the system ends what takes too much memory" if -code == signal.SIGKILL else INTO_A_TASK
    return _error("crashes", f"is ended by {name} while it is loaded", hint, where)


def slow(timeout_s: float, where: str) -> DefinitionError:
    """Return the error of a file that does not end in time."""
    return _error(
        "slow-definition",
        f"does not end within {timeout_s:g} s of loading",
        "move the work into a task; a slow file may have more time: import_timeout_s in bfill.toml",
        where,
    )


class _Mark:
    """Something the child noted just before it happened."""

    def __init__(self, kind: str, said: str, where: str) -> None:
        self.kind, self.said, self.where = kind, said, where


# In this order: a daemon's first half leaves, and its second half, a copy, may or may not have come out by then.
_TOLD = {
    "exit": ("leaves with os._exit({}) while it is loaded", 'put it under: if __name__ == "__main__":'),
    "exec": ("becomes another program while it is loaded: {}", "start programs in a task, with subprocess.run()"),
    "kill": ("ends its own process while it is loaded: {}", INTO_A_TASK),
    "copy": (
        "makes a copy of the process with os.fork() while it is loaded, and the copy goes on as bfill",
        'start processes in a task, or under: if __name__ == "__main__":',
    ),
}
_CODES = {"copy": "forks", "kill": "crashes"}


def _error(code: str, message: str, hint: str, where: str) -> DefinitionError:
    return DefinitionError(message, hint=hint, code=code, where=where)


def _innermost_line(trace: str, folder: Path, file: str) -> str:
    """Return the place of the user's innermost line in faulthandler's words; the last thread there is the main one."""
    below = str(folder) + os.sep
    for thread in reversed(re.split(r"^(?:Current thread|Thread) ", trace, flags=re.MULTILINE)):
        for name, number in re.findall(r'^  File "(.*)", line (\d+) in ', thread, flags=re.MULTILINE):
            if name == file or (name.startswith(below) and "site-packages" not in name):
                return str(Place(name, int(number)))
    return str(Place(file, 1))
