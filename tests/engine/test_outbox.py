"""The outbox: in order, never in the way, and honest about what did not arrive."""

from __future__ import annotations

import json
import time
from threading import Event, get_ident

import pytest

from backfill_cli.engine.couriers import Undelivered
from backfill_cli.engine.outbox import Outbox

SOON = 5.0


def lines(*names: str) -> str:
    return "".join(json.dumps({"event": name}) + "\n" for name in names)


class Recorder:
    """A courier that notes what it gets; `answers` may hold an error or a thing to wait for, by event."""

    name, hint = "somebody", "look"

    def __init__(self, **answers: Exception | Event) -> None:
        self.answers = answers
        self.got: list[str] = []
        self.threads: set[int] = set()
        self.ended = 0

    def deliver(self, event: str, text: str, hurry: Event) -> None:
        self.threads.add(get_ident())
        self.got.append(event)
        answer = self.answers.get(event)
        if isinstance(answer, Event):
            answer.wait(30)
        elif answer is not None:
            raise answer

    def end(self) -> None:
        self.ended += 1


def test_events_arrive_in_their_order_in_a_thread_of_their_own() -> None:
    courier = Recorder()
    outbox = Outbox(courier)
    names = [f"e{number}" for number in range(200)]
    for name in names:
        outbox.put(lines(name))
    assert outbox.close(SOON) is None
    assert courier.got == names
    assert len(courier.threads) == 1
    assert get_ident() not in courier.threads


def test_nothing_is_started_before_there_is_an_event() -> None:
    """A process that is still loading a DAG may want to fork: no thread may be there yet."""
    courier = Recorder()
    outbox = Outbox(courier)
    assert outbox._thread is None
    assert outbox.close(SOON) is None


def test_what_fails_is_counted_with_its_first_reason_and_the_rest_goes_on() -> None:
    courier = Recorder(b=Undelivered("HTTP 500"), c=Undelivered("HTTP 404"), d=RuntimeError("ours"))
    outbox = Outbox(courier)
    outbox.put(lines("a", "b", "c", "d", "e"))
    assert outbox.close(SOON) == (3, 5, "HTTP 500")
    assert courier.got == ["a", "b", "c", "d", "e"]


def test_a_courier_that_hangs_holds_nobody_and_the_queue_has_an_end() -> None:
    gate = Event()
    courier = Recorder(a=gate)
    outbox = Outbox(courier, most=10)
    outbox.put(lines("a"))
    while not courier.got:
        time.sleep(0.001)
    begun = time.monotonic()
    for _ in range(1_000):
        outbox.put(lines("x"))
    assert time.monotonic() - begun < 1.0
    assert outbox.waiting == 11
    gate.set()
    assert outbox.close(SOON) == (990, 1_001, "more than 10 events were waiting")


def test_when_time_is_short_the_last_event_goes_before_the_rest() -> None:
    """How a run ended matters more than how it went; order still holds."""
    gate = Event()
    courier = Recorder(a=gate)
    courier.end = gate.set  # type: ignore[method-assign]
    outbox = Outbox(courier)
    outbox.put(lines("a", *"bcdefg", "backfill_finished"))
    lost = outbox.close(0.4)
    assert lost == (6, 8, "there was no time left for it when the run had ended")
    assert courier.got == ["a", "backfill_finished"]


def test_the_end_of_a_run_waits_so_long_and_no_longer() -> None:
    gate = Event()
    courier = Recorder(a=gate)
    outbox = Outbox(courier)
    outbox.put(lines("a", "b"))
    begun = time.monotonic()
    lost = outbox.close(0.2)
    assert time.monotonic() - begun < 1.0
    assert lost is not None
    assert (lost.lost, lost.of) == (2, 2)
    assert courier.ended >= 1
    gate.set()  # what comes of it now changes nothing
    time.sleep(0.02)
    assert outbox.close(0.1) == lost


def test_ctrl_c_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Event()
    outbox = Outbox(Recorder(a=gate))
    outbox.put(lines("a"))

    def interrupted(within_s: float) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(outbox, "settle", interrupted)
    lost = outbox.close(60)
    gate.set()
    assert lost is not None
    assert lost.lost == 1
