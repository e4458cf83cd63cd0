"""A real system outside: a small HTTP server that bears so much, refuses the rest, breaks, and counts.

Owns one toy of the scenarios about load. Tasks find it by its address in the environment: it lives in the story.
"""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple


class Asked(NamedTuple):
    """One request: when it came, in epoch seconds, and the status of its answer."""

    at: float
    status: int


class System:
    """Answers every GET after a while; use it as a context manager.

    Args:
        at_once: How many requests it can bear; one more is refused with 503, or as `wait_s` says.
        takes_s: How long an answer takes; a refusal takes no time.
        in_a_second: How many it answers in any second; one more is refused with 429.
        wait_s: It says how long to wait: every refusal is a 429 with this Retry-After.

    Attributes:
        answered, refused: How many requests were.
        most: The most that were there at once.
        asked: Every request, as it came.
        health: The statuses that `/health` was answered with; these are no requests.
        breaks_at: From this request on it is broken, until `mend`: it answers 500, and so does `/health`.
    """

    def __init__(
        self, *, at_once: int = 1_000, takes_s: float = 0.1, in_a_second: int | None = None, wait_s: int | None = None
    ) -> None:
        self.at_once = at_once
        self.in_a_second = in_a_second
        self.breaks_at: int | None = None
        self._takes_s = takes_s
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._here = 0
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        self.answered = self.refused = self.most = 0
        self.asked: list[Asked] = []
        self.health: list[int] = []

    def mend(self) -> None:
        """It works again."""
        self.breaks_at = None

    def __enter__(self) -> System:
        system = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code = system._healthy() if self.path == "/health" else system._serve()
                self.send_response(code)
                if code == 429:
                    self.send_header("Retry-After", str(system._wait_s or 0))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """The story tells what there is to tell."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 128  # of the five by default, a sixth connection at once would come a second later

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    @property
    def _is_broken(self) -> bool:
        return self.breaks_at is not None and len(self.asked) >= self.breaks_at

    def _healthy(self) -> int:
        with self._lock:
            self.health.append(500 if self._is_broken else 200)
            return self.health[-1]

    def _serve(self) -> int:
        with self._lock:
            self._here += 1
            self.most = max(self.most, self._here)
            status = self._decided(now := time.time())
            self.asked.append(Asked(now, status))
        try:
            if status == 200:
                time.sleep(self._takes_s)
        finally:
            with self._lock:
                self._here -= 1
                self.refused += status in (429, 503)
                self.answered += status == 200
        return status

    def _decided(self, now: float) -> int:
        if self._is_broken:
            return 500
        lately = sum(one.status == 200 and one.at > now - 1 for one in self.asked)
        if self.in_a_second is not None and lately >= self.in_a_second:
            return 429
        if self._here > self.at_once:
            return 503 if self._wait_s is None else 429
        return 200
