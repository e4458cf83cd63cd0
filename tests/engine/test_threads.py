"""Tries in threads: workers on demand, never more than asked for, and a report whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest
from builders import FIRST, make_dag, make_task
from engine.helpers import make_bench, make_invocation, python

from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.states import Outcome
from backfill_cli.engine import threads
from backfill_cli.engine.messages import Message, Started
from backfill_cli.engine.threads import InThreads

WAIT_S = 10


class Play:
    """A backend with an inbox; `go` submits a try of a task that does what is given."""

    def __init__(self, workers: int) -> None:
        self.backend = InThreads(workers)
        self.inbox: SimpleQueue[Message] = SimpleQueue()

    def go(self, function: Any = lambda: None, number: int = 1) -> None:
        task = python(function)
        bench = make_bench(make_dag(task))
        self.backend.submit(make_invocation(try_number=number), task, bench, self.inbox.put)

    def report(self) -> AttemptReport:
        while not isinstance(message := self.inbox.get(timeout=WAIT_S), AttemptReport):
            pass
        return message

    @property
    def threads(self) -> int:
        return len(self.backend._threads)


@pytest.fixture
def play() -> Iterator[Play]:
    play = Play(2)
    yield play
    play.backend.shutdown(wait=True)


def test_a_try_is_told_when_it_begins_and_when_it_has_ended(play: Play) -> None:
    play.go()
    begun, ended = play.inbox.get(timeout=WAIT_S), play.inbox.get(timeout=WAIT_S)
    assert isinstance(begun, Started)
    assert isinstance(ended, AttemptReport)
    assert (begun.key, ended.outcome) == ((FIRST, "a"), Outcome.SUCCESS)
    assert begun.at <= ended.started_at <= ended.ended_at


def test_never_more_tries_at_once_than_workers(play: Play) -> None:
    go_on, running, most = Event(), [], []
    for number in range(1, 6):

        def work() -> None:
            running.append(1)
            most.append(len(running))
            go_on.wait(WAIT_S)
            running.pop()

        play.go(work, number)
    go_on.set()
    assert {play.report().try_number for _ in range(5)} == {1, 2, 3, 4, 5}
    assert max(most) <= 2
    assert play.threads == 2


def test_a_free_worker_is_used_before_another_is_started() -> None:
    play = Play(8)
    for number in range(1, 20):
        play.go(number=number)
        play.report()
        while not play.backend._free:  # it says so a moment after its report
            pass
    assert play.threads == 1
    play.backend.shutdown(wait=True)


def test_a_worker_that_fails_itself_is_a_lost_try_and_works_on(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the report would never come, and the coordinator would wait for it for ever."""
    whole = threads.run_attempt

    def broken(*_: Any) -> AttemptReport:
        monkeypatch.setattr(threads, "run_attempt", whole)
        raise SystemExit("out of here")

    monkeypatch.setattr(threads, "run_attempt", broken)
    play.go(number=1)
    assert (first := play.report()).outcome is Outcome.LOST
    assert first.reason == "lost: out of here"
    play.go(number=2)
    assert play.report().outcome is Outcome.SUCCESS


def test_shutdown_begins_nothing_more_and_waits_for_what_runs() -> None:
    play = Play(1)
    begun, go_on, ran = Event(), Event(), []

    def slow() -> None:
        begun.set()
        go_on.wait(WAIT_S)

    play.go(slow, 1)
    begun.wait(WAIT_S)
    play.go(lambda: ran.append(2), 2)
    play.backend.shutdown(wait=False)
    go_on.set()
    play.backend.shutdown(wait=True)
    assert play.report().try_number == 1
    assert not ran
    assert not any(one.name.startswith("bfill_") for one in threading.enumerate())


def test_after_shutdown_a_try_is_refused() -> None:
    play = Play(1)
    play.backend.shutdown(wait=True)
    with pytest.raises(RuntimeError, match="after shutdown"):
        play.backend.submit(make_invocation(), make_task("a"), make_bench(make_dag()), play.inbox.put)
