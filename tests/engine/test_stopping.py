"""Signals and backends: handlers only put a word into the inbox, and are put back; executors come from a table."""

from __future__ import annotations

import os
import signal
from threading import Thread

import pytest

from backfill_cli.engine.stopping import SIGNALS, handling


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_handed_on_and_does_nothing_else(number: signal.Signals) -> None:
    heard: list[int] = []
    with handling(heard.append):
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    assert heard == [number, number]


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(one) for one in SIGNALS]
    with handling(lambda _: None):
        assert [signal.getsignal(one) for one in SIGNALS] != before
    assert [signal.getsignal(one) for one in SIGNALS] == before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """Under nohup a closing terminal must not stop the run."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        heard: list[int] = []
        with handling(heard.append):
            os.kill(os.getpid(), signal.SIGHUP)
        assert heard == []
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_nothing_is_installed() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with handling(lambda _: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
