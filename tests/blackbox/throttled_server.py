"""A real HTTP server that defends itself: so many requests at once or refused for a while, healthy or not.

Its behaviour is set from the test's process; what it was asked is a list of when, and with which answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

CALLS = """\
from urllib.request import urlopen
with DAG("calls", schedule="@daily", start_date=datetime(2020, 1, 1), max_active_runs=100):
    @task(pool="api", retries=int(os.environ.get("RETRIES", 0)), retry_delay=timedelta(0))
    def call():
        urlopen(os.environ["URL"]).read()
    @task
    def free(): ...
    call()
    free()
"""


class Asked(NamedTuple):
    """One request: when it came (epoch seconds), for which path, and the status of its answer."""

    at: float
    path: str
    status: int


class Throttled:
    """The server's behaviour and its memory.

    Args:
        most: Requests at once that are served; above that the answer is 429.
        takes_s: Seconds a request is worked on; and `slows_s` for each that is worked on beside it.
        refusal: The headers of a 429.
    """

    def __init__(self) -> None:
        self.most = 1_000
        self.takes_s = self.slows_s = 0.0
        self.refusal: dict[str, str] = {}
        self.answer: Callable[[str], tuple[int, dict[str, str]]] = lambda _path: (200, {})
        self.asked: list[Asked] = []
        self.url = ""
        self._busy = 0
        self._lock = threading.Lock()

    def serve(self, path: str) -> tuple[int, dict[str, str]]:
        at = time.time()
        with self._lock:
            self._busy += 1
            busy = self._busy
            full = busy > self.most
        try:
            if not full:
                time.sleep(self.takes_s + self.slows_s * busy)
            status, headers = (429, self.refusal) if full else self.answer(path)
        finally:
            with self._lock:
                self._busy -= 1
                self.asked.append(Asked(at, path, status))
        return status, headers

    @property
    def busy(self) -> int:
        """Requests that are worked on at this moment."""
        return self._busy

    def times(self, status: int, path: str = "/") -> list[float]:
        return sorted(one.at for one in self.asked if (one.status, one.path) == (status, path))


@contextmanager
def throttled() -> Iterator[Throttled]:
    """A server on a port of its own while the block lasts."""
    behaviour = Throttled()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers = behaviour.serve(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Its memory is the list."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    behaviour.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield behaviour
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
