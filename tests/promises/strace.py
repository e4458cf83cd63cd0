"""Watching a command's system calls, and failing some of them: Debian's strace on a process that waits for it.

Owns the attaching, the log as parsed calls, and the reason to skip where strace is missing. What the calls mean for a
disk is `power_cut.py`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from blackbox.world import LONGEST_S, Project, Ran

WRITING = (
    "open,openat,creat,mkdir,mkdirat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,"
    "unlink,unlinkat,rmdir,rename,renameat,renameat2,link,linkat,fsync,fdatasync,sync,syncfs,msync"
)
"""Every call that changes a file or a folder, or waits until a change is on the disk."""


class Call(NamedTuple):
    """One system call. `began` and `ended` are its places in the log: of two calls, neither need be over first."""

    thread: int
    name: str
    arguments: tuple[str | bytes, ...]
    result: int
    began: int
    ended: int
    injected: bool


@cache
def why_not() -> str:
    """Return why no process can be traced here; empty when one can."""
    if shutil.which("strace") is None:
        return "strace is not installed (Debian: apt-get install strace)"
    probe = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return f"strace may not trace here: {probe.stderr.strip()}" if probe.returncode else ""


needs_strace = pytest.mark.skipif(bool(why_not()), reason=why_not() or "strace is there")


@dataclass(frozen=True)
class Traced:
    """How a command ended, and the log of its calls."""

    ran: Ran
    log: Path

    def calls(self) -> Iterator[Call]:
        return parse(self.log)


def trace(project: Project, *words: str, options: tuple[str, ...], timeout_s: float = LONGEST_S, **how: Any) -> Traced:
    """Run a command under strace with these options, children and threads included, to its end."""
    going = project.start(*words, traced=True, **how)
    log = going.streams.with_suffix(".strace")
    command = ["strace", "-f", "-qq", "-y", "-xx", "-s", "4194304", *options, "-o", str(log), "-p", str(going.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        ran = going.wait(timeout_s)
        _, said = strace.communicate(timeout=LONGEST_S)
    assert strace.returncode == 0, said
    return Traced(ran, log)


_LINE = re.compile(r"(\d+) +(?:(\w+)\((.*)|<\.\.\. (\w+) resumed>(.*))", re.DOTALL)
_RESULT = re.compile(r"\) += (-?\d+)")
_HEX = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(?:\.\.\.)?')
_PATH = re.compile(r"<((?:\\x[0-9a-f]{2})+)>")


def parse(log: Path) -> Iterator[Call]:
    """Yield the calls in the order they began. A string is bytes; a descriptor is the path it leads to."""
    calls: list[Call] = []
    open_calls: dict[int, tuple[int, str]] = {}
    with log.open(encoding="ascii", errors="replace") as lines:
        for place, line in enumerate(lines):
            found = _LINE.match(line)
            if found is None:
                continue
            thread, name, text, resumed, rest = int(found[1]), found[2], found[3], found[4], found[5]
            began = place
            if resumed is not None:
                if thread not in open_calls:
                    continue
                began, text = open_calls.pop(thread)
                name, text = resumed, text + rest
            elif text.rstrip().endswith("<unfinished ...>"):
                open_calls[thread] = place, text.rstrip().removesuffix("<unfinished ...>")
                continue
            ends = list(_RESULT.finditer(text))
            if not ends:
                continue
            arguments = _arguments(text[: ends[-1].start()])
            calls.append(Call(thread, name, arguments, int(ends[-1][1]), began, place, "(INJECTED)" in text))
    yield from sorted(calls, key=lambda call: call.began)


def _arguments(text: str) -> tuple[str | bytes, ...]:
    # Hex throughout (-xx): a comma in a string cannot be taken for one between arguments.
    found: list[str | bytes] = []
    for part in text.split(", "):
        quoted = _HEX.fullmatch(part.strip())
        path = _PATH.search(part)
        if quoted is not None:
            found.append(_bytes(quoted[1]))
        elif path is not None:
            found.append(_bytes(path[1]).decode())
        else:
            found.append(part.strip())
    return tuple(found)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
