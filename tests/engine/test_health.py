"""Asking after health beside the loop: an answer always comes, whatever the system does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue

import pytest

from backfill_cli.engine import health
from backfill_cli.engine.health import Answer, ask_beside


@contextmanager
def dripping() -> Iterator[str]:
    """A server that sends a byte of its answer now and then, and never the last one."""
    is_over = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):
            while not is_over.wait(0.05):
                client.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=drip, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/health"
        is_over.set()
        listening.shutdown(socket.SHUT_RDWR)


def test_a_system_that_never_ends_its_answer_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte is in time; a second question joins the first, or each would leave a thread behind."""
    monkeypatch.setattr(health, "LONGEST_S", 0.2)
    told: SimpleQueue[Answer] = SimpleQueue()
    with dripping() as url:
        for _ in range(3):
            ask_beside(url, {}, told.put)
        assert {told.get(timeout=5) for _ in range(3)} == {Answer(False, "no answer within 0.2 s")}
        assert [one.name for one in threading.enumerate()].count("bfill-health") == 1
    until = time.monotonic() + 5
    while health._open and time.monotonic() < until:
        time.sleep(0.01)
    assert not health._open, "asked anew, once it has come back"


def test_an_answer_is_told_once_it_is_there() -> None:
    told: SimpleQueue[Answer] = SimpleQueue()
    ask_beside("exit 3", {"PATH": "/bin:/usr/bin"}, told.put)
    assert told.get(timeout=10) == Answer(False, "exit status 3")
