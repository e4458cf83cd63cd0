"""A real HTTP server that answers as it is told, and keeps what it got."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Answer = Callable[[int], int]
"""Number of the request, from 0 → status."""


@dataclass
class Inbox:
    """What a server got, and where it is."""

    port: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def names(self) -> list[str]:
        """The types of the events it took, in order."""
        return [event["event"] for event, status in zip(self.events, self.statuses, strict=True) if status < 300]


@contextmanager
def serving(answer: Answer = lambda _number: 204, *, delay_s: float = 0.0, location: str = "") -> Iterator[Inbox]:
    """Serve on a free port while the block runs."""
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(delay_s)
            status = answer(len(inbox.events))
            inbox.events.append(json.loads(body))
            inbox.headers.append(dict(self.headers))
            inbox.paths.append(self.path)
            inbox.statuses.append(status)
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            """Nothing on stderr."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                return  # the client has given up

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    inbox.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield inbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port() -> int:
    """A port nobody listens on."""
    with serving() as inbox:
        return inbox.port
