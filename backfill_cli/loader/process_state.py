"""What a DAG file may not leave changed in the process that loads it: folder, umask, signals, streams, limits, imports.

Owns looking before, and putting back after. `os.environ`, new entries of `sys.path` and new modules stay: an author
who adds those means the tasks. What is put back is told, so that nobody wonders why `os.chdir` had no effect.
"""

from __future__ import annotations

import builtins
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from backfill_cli.errors import DefinitionError

_NAMES_OF_SYS = ("stdin", "stdout", "stderr", "excepthook", "unraisablehook", "displayhook", "exit")
_IMPORTING = ("path", "meta_path", "path_hooks")
_SIGNALS = (
    "SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGTSTP", "SIGTTIN", "SIGTTOU",
    "SIGUSR1", "SIGUSR2",
)  # fmt: skip
_LIMITS = ("AS", "CORE", "CPU", "DATA", "FSIZE", "NOFILE", "NPROC", "STACK")
_ASIDE = 10
"""Descriptors kept aside get a number from here on: 0 to 2 are what is being protected."""


class Change(NamedTuple):
    """Something that was changed and has been put back, and what an author can do instead."""

    what: str
    instead: str


class _Lost(Exception):
    """Something that cannot be put back; the text says in words what was done."""


PutBack = Callable[[], "Change | None"]


@contextmanager
def put_back(folder: Path) -> Iterator[list[Change]]:
    """Let the block change this process, then make it what it was; the list is filled when the block ends.

    Meanwhile stdin is empty, and descriptor 1 is stderr: what the file's child processes print is no part of a result.
    For the main thread: what is put back belongs to all threads of the process.

    Args:
        folder: Modules of files below it are the user's own, to be replaced or taken away as the file likes.

    Raises:
        DefinitionError: Something cannot be put back: a hard limit was lowered, descriptors kept aside were closed.
    """
    changes: list[Change] = []
    steps = [
        _folder(), _umask(), _signals(), _descriptor(0, _nothing), _descriptor(1, lambda: 2), _descriptor(2),
        _interpreter(), _limits(), _modules(folder), _builtins(),
    ]  # fmt: skip
    lost: list[str] = []
    try:
        yield changes
    finally:
        for step in reversed(steps):
            try:
                found = step()
            except _Lost as error:
                lost.append(str(error))
            else:
                changes.extend([found] if found else [])
    if lost:
        raise DefinitionError(
            f"{' and '.join(lost)} while it is loaded, which cannot be undone",
            hint="do that in a script that a task starts",
            code="changes-process",
        )


def _folder() -> PutBack:
    try:
        path = os.getcwd()  # noqa: PTH109
    except OSError:
        return lambda: None  # it is gone already: there is nothing to come back to

    def back() -> Change | None:
        with suppress(OSError):
            if os.getcwd() == path:  # noqa: PTH109
                return None
        try:
            os.chdir(path)
        except OSError:
            raise _Lost("takes away the working directory") from None
        return Change("the working directory", "use Path(__file__).parent, or cwd= of a BashOperator")

    return back


def _umask() -> PutBack:
    mask = os.umask(0o077)
    os.umask(mask)

    def back() -> Change | None:
        return None if os.umask(mask) == mask else Change("the umask", "set it in the task that makes the files")

    return back


def _signals() -> PutBack:
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])

    def back() -> Change | None:
        changed = [number for number in numbers if signal.getsignal(number) is not before[number]]
        for number in changed:
            if before[number] is not None:  # None: set by C code, and not ours to know
                signal.signal(number, before[number])
        was_blocked = signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if not changed and was_blocked == blocked:
            return None
        return Change("how signals are handled", "bfill stops its tasks by signals; let a task set handlers of its own")

    return back


def _descriptor(number: int, becomes: Callable[[], int] | None = None) -> PutBack:
    """Keep a descriptor aside, and let the block have `becomes()` in its place."""
    import fcntl

    try:
        kept = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _ASIDE)
    except OSError:
        return lambda: None  # closed by the caller: there is nothing to protect
    with suppress(OSError):
        if becomes is not None:
            made = becomes()
            os.dup2(made, number)
            if made > 2:
                os.close(made)
    before = os.fstat(number)

    def back() -> Change | None:
        now = None
        with suppress(OSError):
            now = os.fstat(number)
        try:
            os.dup2(kept, number)
            os.close(kept)
        except OSError:
            raise _Lost("closes files that are not its own") from None
        if now is not None and os.path.samestat(now, before):
            return None
        return Change(f"descriptor {number}", "let a task redirect its own output")

    return back


def _nothing() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def _interpreter() -> PutBack:
    recursion, interval, trace = sys.getrecursionlimit(), sys.getswitchinterval(), sys.gettrace()
    names = {name: getattr(sys, name, None) for name in _NAMES_OF_SYS}
    lists = {name: (getattr(sys, name), list(getattr(sys, name))) for name in _IMPORTING}

    def back() -> Change | None:
        for name, value in names.items():
            setattr(sys, name, value)
        for name, (owner, before) in lists.items():
            now = list(getattr(sys, name, None) or ())
            # What was added stays in its place; what was taken away comes behind it.
            owner[:] = [*now, *(one for one in before if one not in now)]
            setattr(sys, name, owner)
        sys.setswitchinterval(interval)
        if sys.gettrace() is not trace:
            sys.settrace(trace)
        if sys.getrecursionlimit() == recursion:
            return None
        sys.setrecursionlimit(recursion)
        return Change("the recursion limit", "set it in the task that needs it")

    return back


def _limits() -> PutBack:
    import resource

    kinds = [getattr(resource, f"RLIMIT_{name}") for name in _LIMITS if hasattr(resource, f"RLIMIT_{name}")]
    before = {kind: resource.getrlimit(kind) for kind in kinds}

    def back() -> Change | None:
        changed = [kind for kind in kinds if resource.getrlimit(kind) != before[kind]]
        for kind in changed:
            try:
                resource.setrlimit(kind, before[kind])
            except (OSError, ValueError):
                raise _Lost("lowers a limit of the process") from None
            if resource.getrlimit(kind)[1] != before[kind][1]:
                raise _Lost("lowers a limit of the process")
        return Change("limits of the process", "set them in a script that a task starts") if changed else None

    return back


def _modules(folder: Path) -> PutBack:
    before = dict(sys.modules)
    own = str(folder) + os.sep

    def back() -> Change | None:
        changed = [name for name, one in before.items() if sys.modules.get(name) is not one and not _is_below(one, own)]
        for name in changed:
            sys.modules[name] = before[name]
        if not changed:
            return None
        return Change(f"the imported module {changed[0]}", "change what a task does inside the task")

    return back


def _is_below(module: ModuleType | None, folder: str) -> bool:
    file = getattr(module, "__file__", None) or ""
    return file.startswith(folder) and "site-packages" not in file


def _builtins() -> PutBack:
    before: dict[str, Any] = dict(vars(builtins))

    def back() -> Change | None:
        now = vars(builtins)
        changed = [name for name, value in before.items() if now.get(name, back) is not value and name != "_"]
        for name in changed:
            now[name] = before[name]
        return Change(f"the builtin {changed[0]}", "define a function of your own") if changed else None

    return back
