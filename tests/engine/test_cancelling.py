"""Ending a Python thread: at its next bytecode, only while its block lasts, and never its next task."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread, get_ident

import pytest
from builders import FIRST, make_dag
from engine.helpers import attempt, make_bench, python, wait_until

from backfill_cli.core.states import Outcome
from backfill_cli.engine import cancelling
from backfill_cli.engine.cancelling import AttemptCancelled, AttemptTimeout, Register, interruptible

KEY = FIRST, "a"


def spin(seconds: float = 5.0) -> None:
    """Python code that gives other threads, and an interruption, their chance."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.001)
    raise AssertionError("nothing interrupted it")


def test_a_timeout_ends_the_block() -> None:
    """Section 6, execution_timeout: an exception at the next bytecode."""
    told: list[int] = []
    with pytest.raises(AttemptTimeout), interruptible(Register(), KEY, 0.03, lambda: told.append(1)):
        spin()
    assert told == [1]


def test_except_exception_does_not_swallow_it(tmp_path: Path) -> None:
    def stubborn() -> None:
        while True:
            try:
                spin()
            except Exception:  # noqa: BLE001
                continue

    report = attempt(python(stubborn, execution_timeout_s=0.05, retries=1), tmp_path).report
    assert (report.outcome, report.reason) == (Outcome.RETRY, "timed out after 0.05 s")


def test_a_block_that_ends_in_time_is_not_disturbed_later() -> None:
    with interruptible(Register(), KEY, 0.02, lambda: None):
        pass
    time.sleep(0.05)


def test_a_call_that_sits_in_c_code_returns_first_and_is_said_to_be_overdue(tmp_path: Path) -> None:
    """Section 6: cooperative; until the thread has returned it shows `timed out, still running`."""
    overdue: list[tuple[tuple[int, str], int]] = []
    told = Event()

    def on_overdue(key: tuple[int, str], number: int) -> None:
        overdue.append((key, number))
        told.set()

    task = python(lambda: told.wait(5), execution_timeout_s=0.03, retries=1)
    bench = make_bench(make_dag(task), on_overdue=on_overdue)
    report = attempt(task, tmp_path, bench=bench, try_number=2).report
    assert overdue == [(KEY, 2)]
    assert report.reason == "timed out after 0.03 s"


def in_thread(register: Register, work: Callable[[], None]) -> tuple[Thread, list[BaseException | None]]:
    """Run the work interruptibly in a thread; what it raised, or None, stands in the list at the end."""
    raised: list[BaseException | None] = []
    begun = Event()

    def target() -> None:
        try:
            with interruptible(register, KEY, None, None):
                begun.set()
                work()
            raised.append(None)
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    thread = Thread(target=target)
    thread.start()
    begun.wait(5)
    return thread, raised


@pytest.mark.parametrize("ask", [lambda register: register.cancel(KEY), Register.cancel_all])
def test_a_cancellation_from_another_thread_ends_the_block(ask: Callable[[Register], None]) -> None:
    register = Register()
    thread, raised = in_thread(register, spin)
    ask(register)
    thread.join(5)
    assert isinstance(raised[0], AttemptCancelled)


def test_another_key_is_not_meant() -> None:
    register = Register()
    done = Event()
    thread, raised = in_thread(register, lambda: done.wait(5) and None)  # type: ignore[arg-type, func-returns-value]
    register.cancel((FIRST, "b"))
    done.set()
    thread.join(5)
    assert raised == [None]


@pytest.mark.parametrize("ask", [lambda register: register.cancel(KEY), Register.cancel_all])
def test_what_begins_after_it_was_cancelled_ends_at_once(ask: Callable[[Register], None]) -> None:
    """Between its submission and its first line a try is nowhere to be found; the cancellation waits for it."""
    register = Register()
    ask(register)
    with pytest.raises(AttemptCancelled), interruptible(register, KEY, None, None):
        spin()


def test_a_cancellation_after_the_end_is_nobodys() -> None:
    register = Register()
    with interruptible(register, KEY, None, None):
        pass
    register.cancel(KEY)
    sum(range(1_000))


def test_an_error_of_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(ValueError, match="mine"), interruptible(Register(), KEY, 5, None):
        raise ValueError("mine")


def test_a_way_to_end_a_block_that_somebody_still_holds_does_not_reach_the_next_task() -> None:
    """A timer may fire in the moment in which its block is left; the thread of a pool is at its next task then."""
    register = Register()
    with interruptible(register, KEY, None, None):
        end = register._endings[KEY]
    end()
    assert sum(range(1_000)) == 499_500


def test_an_interruption_that_arrives_while_the_block_is_being_left_comes_too_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The block has ended, and how it did stands; nothing of it is left in the register either."""
    register, main = Register(), get_ident()
    sending, really_send = Event(), cancelling._set_async

    def send_late(thread: int, exception: type[BaseException]) -> None:
        sending.set()
        wait_until(lambda: sys._current_frames()[main].f_code.co_name == "close")
        really_send(thread, exception)

    monkeypatch.setattr(cancelling, "_set_async", send_late)
    with interruptible(register, KEY, None, None):
        other = Thread(target=register._endings[KEY])
        other.start()
        sending.wait(5)
    other.join(5)
    assert sum(range(1_000)) == 499_500
    assert register._endings == {}


def test_interruptions_that_race_with_the_end_never_reach_the_next_task() -> None:
    """A thread of a pool goes on to its next task: an exception that comes late must not hit that one."""
    register = Register()
    stop = Event()

    def pester() -> None:
        while not stop.is_set():
            with register._lock:
                ends = list(register._endings.values())
            for end in ends:  # as a timer does: without the register's lock, at any moment
                end()

    pest = Thread(target=pester)
    pest.start()
    hits = innocent = 0
    try:
        until = time.monotonic() + 0.25
        while time.monotonic() < until:
            try:
                with interruptible(register, KEY, None, None):
                    sum(range(50))
            except AttemptCancelled:
                hits += 1
            sum(range(50))  # the next task: an exception here ends the test
            innocent += 1
    finally:
        stop.set()
        pest.join(5)
    assert innocent > 10
    assert not register._endings
