"""Asking whether a system is well: an HTTP address or a command, in a thread of its own, never longer than its time.

Owns the question; when it is asked, and what follows from the answer, is decided in `core/breakers.py` and
`core/adaptive.py`. An answer there always is: a library's timeout is one of each read, and a system that drips a byte
now and then would keep whoever asks waiting for ever.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from backfill_cli.engine.shell import shell_path

LONGEST_S = 10.0
"""Seconds an answer may take; a system that takes longer is not well."""


_GRACE_S = 0.5
"""Seconds more for a command that is ended when its time is over."""


class Answer(NamedTuple):
    """What a check said: whether the system is well, and in words."""

    is_well: bool
    told: str


def ask(check: str, environ: Mapping[str, str]) -> Answer:
    """Return what an `http://…` address or a shell command says; never raises."""
    try:
        return _ask_url(check) if check.startswith(("http://", "https://")) else _ask_command(check, environ)
    except Exception as error:  # noqa: BLE001  (whatever keeps it from an answer is the answer)
        return Answer(False, f"{type(error).__name__}: {error}")


def ask_beside(check: str, environ: Mapping[str, str], tell: Callable[[Answer], None]) -> None:
    """Ask without waiting; `tell` is called once, from another thread, in little more than LONGEST_S at the latest.

    Whoever has not come back by then is not asked again before: it would be one more thread each time.
    """
    with _lock:
        question = _open.get(check)
        if question is None:
            question = _open[check] = _Question()
            threading.Thread(target=_put, args=(question, check, environ), name="bfill-health", daemon=True).start()
    threading.Thread(target=lambda: tell(question.answer()), name="bfill-health-wait", daemon=True).start()


class _Question:
    """A question on its way."""

    def __init__(self) -> None:
        self._said = Answer(False, f"no answer within {LONGEST_S:g} s")
        self._is_answered = threading.Event()

    def say(self, answer: Answer) -> None:
        self._said = answer
        self._is_answered.set()

    def answer(self) -> Answer:
        self._is_answered.wait(LONGEST_S + _GRACE_S)
        return self._said


_lock = threading.Lock()
_open: dict[str, _Question] = {}
"""The questions that nobody has answered yet, by check."""


def _put(question: _Question, check: str, environ: Mapping[str, str]) -> None:
    answer = ask(check, environ)
    with _lock:
        del _open[check]
    question.say(answer)


def _ask_url(url: str) -> Answer:
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(url, headers={"User-Agent": "bfill"}), timeout=LONGEST_S) as answer:
            return Answer(True, f"HTTP {answer.status}")
    except HTTPError as error:
        with error:
            return Answer(False, f"HTTP {error.code}")


def _ask_command(command: str, environ: Mapping[str, str]) -> Answer:
    process = subprocess.Popen(
        [shell_path(), "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(environ),
        process_group=0,
    )
    try:
        status = process.wait(LONGEST_S)
    except subprocess.TimeoutExpired:
        import os
        import signal

        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return Answer(False, f"no answer within {LONGEST_S:g} s")
    return Answer(status == 0, f"exit status {status}")
