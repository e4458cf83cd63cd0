"""A real system outside: a small HTTP server that can do so much at once and says 503 to the rest, and counts.

Owns one toy of the scenarios about load. Tasks find it by its address in the environment: it lives in the story.
"""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


class System:
    """Answers every GET after a while; use it as a context manager.

    Args:
        at_once: How many requests it can bear; one more is refused with 503.
        takes_s: How long an answer takes.

    Attributes:
        answered, refused: How many requests were.
        most: The most that were there at once.
    """

    def __init__(self, *, at_once: int, takes_s: float = 0.1) -> None:
        self.at_once = at_once
        self._takes_s = takes_s
        self._lock = threading.Lock()
        self._here = 0
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        self.answered = self.refused = self.most = 0

    def __enter__(self) -> System:
        system = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code = system._serve()
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """The story tells what there is to tell."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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

    def _serve(self) -> int:
        with self._lock:
            self._here += 1
            self.most = max(self.most, self._here)
            is_over = self._here > self.at_once
        try:
            if not is_over:
                time.sleep(self._takes_s)
        finally:
            with self._lock:
                self._here -= 1
                self.refused += is_over
                self.answered += not is_over
        return 503 if is_over else 200
