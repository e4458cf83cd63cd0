"""Bringing one event to whoever asked for it: a POST to a webhook, or a shell command with the event on its stdin.

Owns one delivery with its time limit, and what is said of one that failed. Order, waiting and counting are the outbox's
(`outbox.py`). Nothing here ever shows more of a URL than its host.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Protocol

from backfill_cli.core.links import scheme_of, shown_link

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER_S = 5.0
"""Seconds a webhook has to take the connection, and again for each part of its answer."""

COMMAND_S = 30.0
"""Seconds a command has for one event; then its process group is killed."""

TRIES = 4
"""Tries of one POST, as long as the server may only be busy or away."""

_TAIL = 2_000
"""Bytes kept of what a command writes: enough for its last line."""

_SHOWN = 200


class Undelivered(Exception):
    """An event did not arrive; the text says why, without secrets."""


class Busy(Undelivered):
    """It may arrive when it is sent again: no connection, no answer, or a server that says so (5xx, 408, 429)."""


class Courier(Protocol):
    """One way to deliver. `name` and `hint` are for people."""

    name: str
    hint: str

    def deliver(self, event: str, text: str, hurry: Event) -> None:
        """Deliver one event, or raise Undelivered. When `hurry` is set, nothing is tried twice."""

    def end(self) -> None:
        """Give up the delivery that is under way, from another thread, as far as that is possible."""


def courier_for(target: str, folder: Path) -> Courier:
    """Return who delivers to a target: an http(s) URL, or a shell command that runs in `folder`."""
    return Webhook(target) if scheme_of(target) in ("http", "https") else HookCommand(target, folder)


class Webhook:
    """POSTs events as JSON. A webhook that was down for one event gets no second try of the next until it is back."""

    hint = "check the address and its server; --events FILE keeps every event whoever listens"

    def __init__(self, url: str) -> None:
        self.name = shown_link(url)
        self._url = url
        self._is_down = False
        self._send: Callable[[bytes], None] | None = None

    def deliver(self, _event: str, text: str, hurry: Event) -> None:
        from tenacity import (
            Retrying,
            retry_if_exception_type,
            sleep_using_event,
            stop_after_attempt,
            stop_when_event_set,
            wait_exponential,
        )

        self._send = self._send or _sender(self._url)
        retrying = Retrying(
            retry=retry_if_exception_type(Busy),
            stop=stop_after_attempt(1 if self._is_down else TRIES) | stop_when_event_set(hurry),
            wait=wait_exponential(multiplier=0.2, max=2.0),
            sleep=sleep_using_event(hurry),
            reraise=True,
        )
        try:
            retrying(self._send, text.encode())
        except Busy:
            self._is_down = True
            raise
        self._is_down = False

    def end(self) -> None:
        """Nothing can end a POST; it ends by itself, or with the process."""


def _sender(url: str) -> Callable[[bytes], None]:
    """Return a function that POSTs one body to a URL; user and password in it become an Authorization header."""
    from http import HTTPStatus
    from http.client import HTTPException
    from urllib import request
    from urllib.error import HTTPError, URLError
    from urllib.parse import unquote, urlsplit, urlunsplit

    headers = {"Content-Type": "application/json", "User-Agent": "bfill"}
    parts = urlsplit(url)
    credentials, _, place = parts.netloc.rpartition("@")
    if credentials:
        from base64 import b64encode

        headers["Authorization"] = "Basic " + b64encode(unquote(credentials).encode()).decode()
    bare = urlunsplit((parts.scheme, place, parts.path, parts.query, ""))
    # Made by hand: urllib's usual opener reads file: and ftp: too, and follows a redirect by a GET without the event.
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPErrorProcessor(),
        request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)

    def send(body: bytes) -> None:
        asked = request.Request(bare, data=body, headers=headers, method="POST")
        try:
            with opener.open(asked, timeout=ANSWER_S):
                return
        except HTTPError as error:
            error.close()
            known = error.code in {status.value for status in HTTPStatus}
            said = f"HTTP {error.code} {HTTPStatus(error.code).phrase}" if known else f"HTTP {error.code}"
            if 300 <= error.code < 400:
                raise Undelivered(f"{said}: a redirect, which a POST does not follow") from None
            raise (Busy if error.code >= 500 or error.code in (408, 429) else Undelivered)(said) from None
        except URLError as error:
            raise Busy(_network_words(error.reason)) from None
        except (OSError, HTTPException) as error:
            raise Busy(_network_words(error)) from None
        except ValueError:
            raise Undelivered("the URL cannot be one") from None

    return send


def _network_words(reason: Any) -> str:
    if isinstance(reason, TimeoutError):
        return f"no answer in {ANSWER_S:g} s"
    if isinstance(reason, OSError):
        return (reason.strerror or type(reason).__name__)[:_SHOWN]
    return f"no HTTP answer ({type(reason).__name__})" if isinstance(reason, Exception) else str(reason)[:_SHOWN]


class HookCommand:
    """Starts a shell command for each event: the JSON on stdin, its type in BFILL_EVENT.

    The command is in a session of its own, so that Ctrl-C is not for it; what it leaves behind in its process group
    ends with it. What it writes is read and dropped, but for its last line, which says why it failed.
    """

    name = "the command of on_event"
    hint = "it gets an event on stdin and its type in BFILL_EVENT; try it with a line of --events FILE"

    def __init__(self, command: str, folder: Path) -> None:
        self._command = command
        self._folder = folder
        self._lock = Lock()
        self._pid: int | None = None

    def deliver(self, event: str, text: str, hurry: Event) -> None:
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "BFILL_EVENT": event},
                cwd=self._folder,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise Undelivered(f"it cannot be started: {getattr(error, 'strerror', None) or error}") from None
        with self._lock:
            self._pid = process.pid
        try:
            tail, in_time = _feed(process, text.encode() + b"\n", COMMAND_S)
        finally:
            with self._lock:
                self._pid = None
                _kill(process.pid)
            status = process.wait()
        if not in_time:
            raise Undelivered(f"it had not ended after {COMMAND_S:g} s and was killed")
        if status == -signal.SIGKILL and hurry.is_set():
            raise Undelivered("it was still at work on an event when the run had ended")
        if status:
            how = f"signal {-status}" if status < 0 else f"exit code {status}"
            last = tail.decode(errors="backslashreplace").strip().rpartition("\n")[2][:_SHOWN]
            raise Undelivered(f"{how}: {last}" if last else how)

    def end(self) -> None:
        with self._lock:
            if self._pid is not None:
                _kill(self._pid)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _feed(process: subprocess.Popen[bytes], body: bytes, limit_s: float) -> tuple[bytes, bool]:
    """Write to a command and read from it until it ends; return the end of what it wrote, and whether it was in time.

    A background child that keeps the pipe open does not hold it.
    """
    assert process.stdin is not None and process.stdout is not None
    until, tail, rest = time.monotonic() + limit_s, b"", memoryview(body)
    with selectors.DefaultSelector() as selector, process.stdout as out, process.stdin as into:
        for pipe, kind in ((into, selectors.EVENT_WRITE), (out, selectors.EVENT_READ)):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, kind)
        pause = 0.001
        while True:
            has_ended = process.poll() is not None
            ready = selector.select(0 if has_ended else pause)
            pause = 0.001 if ready else min(0.05, pause * 2)
            for key, _ in ready:
                if key.fileobj is out:
                    data = os.read(out.fileno(), 65_536)
                    tail = (tail + data)[-_TAIL:]
                    if not data:
                        selector.unregister(out)
                    continue
                try:
                    rest = rest[os.write(into.fileno(), rest) :]
                except BrokenPipeError:
                    rest = rest[:0]  # it does not want to know: its exit code says whether that is fine
                if not rest:
                    selector.unregister(into)
                    into.close()
            if has_ended or time.monotonic() >= until:
                return tail, has_ended
