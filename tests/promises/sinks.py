"""Streams as callers leave them: closed, full, with a reader that leaves, or one that only stands there.

Owns what stands at the other end of a command's descriptors 0, 1 and 2, and reading what came through.
"""

from __future__ import annotations

import os
import pty
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import NamedTuple

from blackbox.world import LONGEST_S, Project

STALLED_S = 1.5
"""Seconds in which a `stalled` reader reads nothing: more than bfill waits with its progress."""


class Ended(NamedTuple):
    """How a command ended, and what could be read of its streams."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


class Sink:
    """One end of a stream. `path` is what the command opens; None is closed."""

    def __init__(self, kind: str, path: Path, random: Random) -> None:
        self.kind = kind
        self.got = b""
        self.path: str | None = str(path)
        self._file = path
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()
        self.opened = threading.Event()
        """Set when the command has the stream: to be told by who can see it."""
        match kind:
            case "closed":
                self.path = None
            case "full":
                self.path = "/dev/full"
            case "pipe" | "stalled" | "stuck":
                os.mkfifo(path)
                most = random.choice([0, 1, random.randrange(2_000), 1 << 30]) if kind == "pipe" else 1 << 30
                self._start(self._read_pipe, most)
            case "pty":
                main, other = pty.openpty()
                self.path = os.ttyname(other)
                self._start(self._read_terminal, main, other, random.choice([0, 1, random.randrange(20_000), 1 << 30]))

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)

    def _read_pipe(self, most: int) -> None:
        descriptor = os.open(self._file, os.O_RDONLY)
        try:
            if self.kind != "pipe":
                self._over.wait(STALLED_S if self.kind == "stalled" else LONGEST_S)
            while len(self.got) < most and (piece := os.read(descriptor, min(65_536, most - len(self.got)))):
                self.got += piece
        finally:
            os.close(descriptor)

    def _read_terminal(self, main: int, other: int, most: int) -> None:
        self.opened.wait(LONGEST_S)  # by its name, which is gone when nobody holds the terminal
        os.close(other)
        with suppress(OSError):
            while len(self.got) < most and (piece := os.read(main, 65_536)):
                self.got += piece
        os.close(main)

    def finish(self) -> str:
        """Return what was read, once the command has ended."""
        self._over.set()
        for thread in self._threads:
            thread.join(5)
        if self.kind == "file":
            self.got = self._file.read_bytes()
        return self.got.decode("utf-8", "surrogateescape")


def run_into(
    project: Project, words: tuple[str, ...], kinds: tuple[str, str, str], random: Random, env: Mapping[str, str]
) -> Ended:
    """Run a command with these kinds of stdin, stdout and stderr to its end."""
    project.started += 1
    base = project.streams / str(project.started)
    out, err = (
        Sink(kind, base.with_suffix(end), random) for kind, end in zip(kinds[1:], (".out", ".err"), strict=True)
    )
    pid = project.forker.ask(
        do="spawn",
        argv=words,
        cwd=str(project.folder),
        env={**_inherited(), "HOME": str(project.folder), "LANG": "C.UTF-8", **project.env, **env},
        stdin=None if kinds[0] == "closed" else "/dev/null",
        out=out.path,
        err=err.path,
        uid=0,
        umask=0o022,
        traced=False,
    )
    until = time.monotonic() + LONGEST_S
    for number, sink in ((1, out), (2, err)):
        while sink.kind == "pty" and not _has_opened(pid, number, sink.path) and time.monotonic() < until:
            time.sleep(0.002)
        sink.opened.set()
    while (code := project.forker.ask(do="wait", pid=pid, block=False)) is None:
        if time.monotonic() > until:
            os.kill(pid, 9)
            project.forker.ask(do="wait", pid=pid, block=True)
            raise AssertionError(f"bfill {' '.join(words)} into {kinds} did not end")
        time.sleep(0.005)
    return Ended(code, out.finish(), err.finish())


def _has_opened(pid: int, number: int, path: str | None) -> bool:
    """Return whether a process has a file as this descriptor; true as well when it has ended."""
    try:
        return str(Path(f"/proc/{pid}/fd/{number}").readlink()) == path
    except FileNotFoundError:
        return not Path(f"/proc/{pid}/fd/0").exists() and not Path(f"/proc/{pid}/fd/2").exists()


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
