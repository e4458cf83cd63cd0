"""A command on a terminal: all its streams lead to a pty, whose other end is read, or goes away.

Owns the pty. The command is a process of its own: a fork of the warm one keeps the streams it was given as files.
"""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from blackbox.world import LONGEST_S, Project


class Shown(NamedTuple):
    """How a command ended, and what its terminal received."""

    code: int
    shown: str


def on_terminal(
    project: Project, *words: str, leave: Callable[[bytes], bool] = lambda _: False, columns: int = 100
) -> Shown:
    """Run a command on a terminal of its own to its end.

    Args:
        leave: Asked after each piece with all that has come so far; True closes the terminal under the command.
    """
    main, other = pty.openpty()
    env = {
        **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        **{"HOME": str(project.folder), "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "30"},
        **project.env,
    }
    command = [sys.executable, "-m", "backfill_cli", *words]
    received = b""
    until = time.monotonic() + LONGEST_S
    with subprocess.Popen(
        command, stdin=other, stdout=other, stderr=other, cwd=project.folder, env=env, start_new_session=True
    ) as process:
        os.close(other)
        # A terminal that nobody holds as its own sends no HUP: what is left is the error of every write.
        while time.monotonic() < until:
            if not select.select([main], [], [], 0.1)[0]:
                if process.poll() is not None:
                    break
                continue
            try:
                piece = os.read(main, 65_536)
            except OSError:
                break
            received += piece
            if not piece or leave(received):
                break
        os.close(main)
        try:
            code = process.wait(max(1.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                process.kill()
            raise AssertionError(f"bfill {' '.join(words)} did not end: {received[-2000:]!r}") from None
    return Shown(code, received.decode("utf-8", "surrogateescape"))
