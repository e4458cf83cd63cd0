"""Loading DAG files in a child first: a crash, an `os._exit` or a flood of output ends the child, and is explained.

Owns the parent's side: it forks, watches, ends what hangs, and puts into words how a child ended that could not say it
itself. The child's side is `loader/rehearsed.py`. A child is a fork made before any thread starts; it loads the files
and says what is in them, no more. Only files that came through are then run in this process.

Rejected: the child goes on as the command and the parent only forwards signals. It saves the second import, but for
the hours of a run everybody then deals with two processes: kill -9 or kill -STOP of the one leaves the other, Ctrl-Z
and exit codes need a go-between, and one file that crashes still hides the others of its folder. A rehearsal costs a
fork (some 5 ms) and importing twice what the file imports, once a command; what bfill has imported is not read anew.

Python users' own processes are never forked: `loader.may_fork` is set by the console entry alone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from backfill_cli import errors, loader
from backfill_cli.errors import BfillError, DefinitionError

LATE_S = 1.0
"""Seconds after the time limit in which a file is ended from inside, with its line; then the child is killed."""

MOST_OUTPUT = 1_048_576
"""Bytes a file may print while it is loaded."""

_SHOWN_OUTPUT = 65_536
_LOOK_EVERY_S = 0.05
_DYING_S = 0.5
"""Seconds between the last that can be heard from a child and its end; then it goes on as something else."""


class Work(NamedTuple):
    """One thing to load: the file it is about, the folder of the user's lines, and the call that returns dag_ids."""

    file: str
    folder: Path
    load: Callable[[], Sequence[str]]


class Bounds(NamedTuple):
    """What loading one file may take: seconds, and MiB of memory beside what is shared or mapped from files."""

    timeout_s: float
    memory_mb: int


Verdict = BfillError | tuple[str, ...]
"""How loading ended: with an error, or with the ids of what is defined."""


def is_possible() -> bool:
    """Whether this process may fork: it is bfill's own, and no other thread could hold a lock the child would need."""
    import threading

    if not loader.may_fork or not hasattr(os, "fork"):
        return False
    return threading.current_thread() is threading.main_thread() and threading.active_count() == 1


def rehearse(works: Sequence[Work], bounds: Bounds) -> Iterator[Verdict]:
    """Load each in a child, and yield how that ended, in order. After a bad one the next begins in a fresh child."""
    done = 0
    while done < len(works):
        with _Child(works, done, bounds) as child:
            while done < len(works):
                verdict = child.verdict(works[done])
                done += 1
                yield verdict
                if isinstance(verdict, BfillError):
                    break


class _Child:
    """A forked child that loads files; the context ends it, with everything that it has started."""

    def __init__(self, works: Sequence[Work], first: int, bounds: Bounds) -> None:
        self._timeout_s = bounds.timeout_s
        self._output = b""
        self._printed = 0
        self._trace = b""
        self._notes = b""
        self._status: int | None = None
        for stream in (sys.stdout, sys.stderr):  # or the child's copy of what waits in them is written as well
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        # The leash is a pipe that nobody writes to: that its writer is gone ends the child.
        pipes = [os.pipe() for _ in ("notes", "output", "trace", "leash")]
        (notes, _), (output, _), (trace, _), (_, self._leash) = pipes
        self._ends = {notes: "_notes", output: "_output", trace: "_trace"}
        self._open = set(self._ends)
        supervisor = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            from backfill_cli.loader.rehearsed import play

            for end in (*self._ends, self._leash):
                os.close(end)
            play(works[first:], pipes[0][1], pipes[1][1], pipes[2][1], pipes[3][0], supervisor, bounds)
        with suppress(OSError):
            os.setpgid(self._pid, self._pid)  # as the child does itself: whoever comes first
        for end in (pipes[0][1], pipes[1][1], pipes[2][1], pipes[3][0]):
            os.close(end)
        for end in self._ends:
            os.set_blocking(end, False)

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        for end in (*self._ends, self._leash):
            os.close(end)

    def verdict(self, work: Work) -> Verdict:
        """Wait until the child says how loading the next work ended, or ends itself, or is ended."""
        self._output, self._trace, self._printed = b"", b"", 0
        until = time.monotonic() + self._timeout_s + LATE_S
        was_mute = False
        while True:
            is_quiet = not self._take(_LOOK_EVERY_S)
            if self._printed > MOST_OUTPUT:
                self._end()
                return self._explain(work, "floods")
            if b"\n" in self._notes:
                line, _, self._notes = self._notes.partition(b"\n")
                return self._read(line, work)
            if self._status is not None and is_quiet:
                return self._explain(work, "")
            if self._status is None:
                found, status = os.waitpid(self._pid, os.WNOHANG)
                self._status = status if found else None
            if self._is_mute and not was_mute:
                was_mute, until = True, min(until, time.monotonic() + _DYING_S)
            if time.monotonic() > until:
                while self._take(0) and self._printed <= MOST_OUTPUT:  # it may have said so while this was stopped
                    pass
                if b"\n" not in self._notes:
                    self._end()
                    return self._explain(work, "mute" if self._is_mute else "slow")

    def _take(self, timeout_s: float) -> bool:
        """Take what the child has written; False when nothing came in time."""
        import select

        poll = select.poll()
        for end in self._open:
            poll.register(end, select.POLLIN)
        came = False
        ready = poll.poll(0 if self._status is not None else timeout_s * 1_000)
        for end, _event in ready:
            with suppress(BlockingIOError):
                data = os.read(end, 65_536)
                if not data:
                    self._open.discard(end)
                    continue
                came = True
                name = self._ends[end]
                if name == "_output":
                    self._printed += len(data)
                    data = data[: max(0, _SHOWN_OUTPUT - len(self._output))]
                setattr(self, name, getattr(self, name) + data)
        return came

    @property
    def _is_mute(self) -> bool:
        """Nothing can be said any more: the child has ended, has become something else, or has closed its files."""
        return not any(self._ends[end] == "_notes" for end in self._open)

    def _read(self, line: bytes, work: Work) -> Verdict:
        found = json.loads(line)
        while self._take(0):  # what was said before the verdict
            pass
        if b"@copy " in self._trace:
            return self._explain(work, "")
        if "error" not in found:
            return tuple(found["dag_ids"])
        self._show_output()
        kind = getattr(errors, found["error"].pop("class"), DefinitionError)
        error: BfillError = kind(found["error"].pop("message"), **found["error"])
        return error

    def _end(self) -> None:
        """End the child and all of its process group, and reap it."""
        with suppress(OSError):
            os.killpg(self._pid, signal.SIGKILL)
        if self._status is None:
            with suppress(ChildProcessError):
                self._status = os.waitpid(self._pid, 0)[1]

    def _show_output(self) -> None:
        """What a file printed before it failed helps its author; what one that loads prints, its second run prints."""
        with suppress(OSError, ValueError, AttributeError):
            text = self._output.decode(errors="backslashreplace")
            sys.stderr.write(text if text.endswith("\n") or not text else text + "\n")
            sys.stderr.flush()

    def _explain(self, work: Work, why: str) -> DefinitionError:
        self._end()  # what it has started may live on
        if why != "floods":
            self._show_output()
        from backfill_cli.loader.endings import explain_ending

        text = self._trace.decode(errors="replace")
        return explain_ending(work.file, work.folder, why, self._status or 0, text, self._timeout_s)
