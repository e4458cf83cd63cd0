"""Commands as processes of their own: run to the end, at a terminal with somebody who answers, or beside the story.

Owns the three ways to run one and what it left behind. Which command, where and with which environment says
`stage.py`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

LIMIT_S = 120.0
"""A command that takes longer hangs; a whole scenario takes seconds."""

_QUESTION = re.compile(rb"\[[^\]\n]*\] $")
"""How a question ends that waits for its answer: `[y/N] `."""


@dataclass(frozen=True)
class Ran:
    """What one command left behind.

    Args:
        command: As a person would type it.
        code: Its exit code; negative is the signal that ended it.
        out: What it printed; at a terminal all there is to see, the answer included.
        seconds: Wall time, the start of Python included.
    """

    command: str
    code: int
    out: str
    err: str
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document of a command with `--json`."""
        import json

        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def data(self) -> dict[str, Any]:
        """Its `data`: the result."""
        found: dict[str, Any] = self.document["data"]
        return found


def run(command: str, words: Sequence[str], environ: Mapping[str, str]) -> Ran:
    """Run a command to its end; nobody is there to answer. Raises TimeoutError when it does not end."""
    began = time.monotonic()
    try:
        ended = subprocess.run(
            words,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{command} did not end within {LIMIT_S:.0f} s") from error
    return Ran(command, ended.returncode, ended.stdout, ended.stderr, time.monotonic() - began)


def run_at_terminal(command: str, words: Sequence[str], environ: Mapping[str, str], answer: str, columns: int) -> Ran:
    """Run a command at a pseudo-terminal, and type the answer when it asks.

    A command that never asks gets no answer. What is seen is in `out`: a terminal has no stderr.

    Raises:
        TimeoutError: It did not end, or asked more than once.
    """
    began = time.monotonic()
    ours, its = os.openpty()
    try:
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(words, env=environ, stdin=its, stdout=its, stderr=its, start_new_session=True)
    finally:
        os.close(its)
    seen, answered = b"", False
    try:
        while piece := _read(ours, began + LIMIT_S - time.monotonic()):
            seen += piece
            if not answered and _QUESTION.search(seen):
                os.write(ours, f"{answer}\n".encode())
                answered = True
    except TimeoutError as error:
        process.kill()
        raise TimeoutError(f"{command} did not end within {LIMIT_S:.0f} s") from error
    finally:
        os.close(ours)
        code = process.wait()
    return Ran(command, code, seen.decode().replace("\r\n", "\n"), "", time.monotonic() - began)


class Background:
    """A command that works on while the story goes on.

    Args:
        command: As a person would type it.
    """

    def __init__(self, command: str, words: Sequence[str], environ: Mapping[str, str]) -> None:
        self.command = command
        self._began = time.monotonic()
        # Files rather than pipes: a pipe that nobody reads fills up, and then the command waits for the story.
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            words, env=environ, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err, start_new_session=True
        )
        self._ran: Ran | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def err(self) -> str:
        """What it has said on stderr so far."""
        # pread: the process writes through the same file position, which must not move.
        return os.pread(self._err.fileno(), 1_000_000, 0).decode("utf-8", errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it, and not to what it started; one that has ended gets none."""
        if self.is_running:
            self._process.send_signal(number)

    def wait(self) -> Ran:
        """Return what it left behind, as soon as it has ended. Raises TimeoutError when it does not end."""
        if self._ran is None:
            try:
                code = self._process.wait(LIMIT_S)
            except subprocess.TimeoutExpired as error:
                raise TimeoutError(f"{self.command} did not end within {LIMIT_S:.0f} s") from error
            self._ran = Ran(self.command, code, _text(self._out), _text(self._err), time.monotonic() - self._began)
        return self._ran

    def close(self) -> None:
        """End it, if a story broke off before it had ended: with its tasks, which are process groups of their own."""
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):  # the second one ends what the first waits for
            self.send(number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(3)
                break
        self._process.wait()
        self._out.close()
        self._err.close()


def wait_until(condition: Callable[[], bool], what: str, limit_s: float = 30.0) -> None:
    """Wait for a condition, asked every 20 ms. Raises TimeoutError, naming it, when it does not come true."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit_s:.0f} s in vain: {what}")
        time.sleep(0.02)


def _read(terminal: int, seconds: float) -> bytes:
    """The next piece a terminal shows; empty when nothing holds its other end any more."""
    if not select.select([terminal], [], [], max(seconds, 0))[0]:
        raise TimeoutError
    try:
        return os.read(terminal, 65_536)
    except OSError as error:
        if error.errno == errno.EIO:  # how Linux says that it was closed
            return b""
        raise


def _text(file: Any) -> str:
    file.seek(0)
    text: str = file.read().decode("utf-8")
    return text
