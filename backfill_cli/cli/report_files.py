"""The files and streams reports go to: whose they are, what they may overwrite, and what a failed write costs.

Owns opening, replacing and the one thing worse than no report: a report in place of something that was none.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from backfill_cli.cli import streams
from backfill_cli.cli.outfile import refuse_target
from backfill_cli.errors import UsageProblem

STDOUT = "-"

EVENTS_HEAD = b'{"schema": "bfill-events/'
JUNIT_HEAD = b"<?xml"
"""How an earlier report begins: what may be overwritten."""


class EventStream:
    """Where events go: a file of this user's own, begun anew, or stdout.

    The descriptor is taken before the run: while tasks run, file descriptor 1 leads to stderr. A reader that leaves
    silences the stream; any other failure silences it too, and `close` says so.
    """

    def __init__(self, target: str) -> None:
        self._name = "stdout" if target == STDOUT else target
        self._failure = ""
        self._stdout: IO[str] | None = None
        self._descriptor: int | None = None
        if target == STDOUT:
            streams.flush_quietly(sys.stdout)
            try:
                self._descriptor = os.dup(sys.stdout.fileno())
            except (OSError, ValueError):
                self._stdout = sys.stdout  # a stream without a descriptor: somebody's test
        else:
            self._descriptor = _open_events(Path(target))

    def write(self, text: str) -> None:
        """Write whole lines, now. Never raises."""
        if self._stdout is not None:
            streams.write_quietly(self._stdout, text)
            return
        view = memoryview(text.encode())
        while view and self._descriptor is not None:
            try:
                view = view[os.write(self._descriptor, view) :]
            except OSError as error:
                if not streams.is_broken_pipe(error, self._descriptor):
                    self._failure = f"--events {self._name}: {error.strerror or error}"
                self._shut()

    def close(self) -> str:
        """Close, and return what went wrong, in words; nothing went wrong when the reader has left."""
        self._shut()
        return self._failure

    def _shut(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)


def latest_log(folder: Path, task_id: str) -> str:
    """Return the path of the log of a task's last try that printed anything; empty without one."""
    tries: list[tuple[int, Path]] = []
    with suppress(OSError):
        for path in folder.iterdir():
            name, _, number = path.name.removesuffix(".log").rpartition(".")
            if name == task_id and number.isdecimal():
                tries.append((int(number), path))
    return str(max(tries)[1]) if tries else ""


def _open_events(path: Path) -> int:
    """Open a file for events, emptied, 0600; a link is not followed."""
    if path.parent == Path("/dev/fd") and path.name.isdecimal():
        try:
            return os.dup(int(path.name))  # `--events >(jq …)`: the shell's pipe, which is a link by its name
        except OSError as error:
            raise _unwritable("--events", path, error) from error
    check_target("--events", path, EVENTS_HEAD)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, 0)
    except OSError as error:
        raise _unwritable("--events", path, error) from error
    return descriptor


def check_target(flag: str, path: Path, head: bytes) -> None:
    """Raise UsageProblem unless the path can take a report: missing, empty, no plain file, or an earlier report.

    `--junit sales.py`, a slip of the completion, would otherwise cost somebody their file.
    """
    mode = refuse_target(flag, path, streams_too=True)
    if mode is None or not stat.S_ISREG(mode):
        return
    try:
        with path.open("rb") as file:
            found = file.read(len(head))
    except OSError as error:
        raise _unwritable(flag, path, error) from error
    if found and found != head:
        raise UsageProblem(
            f"{flag} {path} exists and is no earlier report",
            hint="name another file, or remove it",
            code="report-exists",
        )


def _unwritable(flag: str, path: Path, error: OSError) -> UsageProblem:
    return UsageProblem(
        f"{flag} {path} cannot be written: {error.strerror or error}",
        hint="name another file",
        code="report-unwritable",
    )
