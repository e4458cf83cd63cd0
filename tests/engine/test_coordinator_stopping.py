"""The loop being stopped: the first signal drains, the second ends what runs, grace times, threads that stay."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from builders import FIRST, day, make_dag, make_limits, make_task
from engine.helpers import wait_until
from engine.rig import Rig, spin, task

from backfill_cli.core.states import Outcome, RunState, TaskState
from backfill_cli.core.work import ShellWork
from backfill_cli.engine import ending
from backfill_cli.engine.ending import Stopped
from backfill_cli.engine.messages import StopAsked
from backfill_cli.engine.stopping import handling

FLIGHT = frozenset({(FIRST, "a", 1)})


@pytest.fixture
def threads() -> Any:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def run_beside(rig: Rig) -> tuple[Thread, list[Stopped | None]]:
    ended: list[Stopped | None] = []
    thread = Thread(target=lambda: ended.append(rig.run()))
    thread.start()
    return thread, ended


def test_the_first_signal_drains(threads: Executor) -> None:
    """What runs is heard to its end; no date opens, no task starts."""
    rig: Rig
    dag = make_dag(task(lambda: rig.coordinator.ask_to_stop(signal.SIGINT)), make_task("b", after="a"))
    rig = Rig(dag, [day(1), day(2)], executor=threads, limits=make_limits(1))
    assert rig.run() == Stopped(signal.SIGINT, 0)
    assert rig.store.ledger.states(day(1)) == {"a": TaskState.SUCCESS}
    assert rig.store.ledger.runs.keys() == {day(1)}
    assert rig.store.ledger.outcomes == {}
    assert rig.watching.stopping == [(signal.SIGINT, 1)]


def test_the_second_signal_ends_what_runs(threads: Executor) -> None:
    started = Event()

    def long() -> None:
        started.set()
        spin()

    rig = Rig(make_dag(task(long, retries=3)), executor=threads)
    thread, ended = run_beside(rig)
    started.wait(5)
    rig.coordinator.ask_to_stop(signal.SIGINT)
    rig.coordinator.ask_to_stop(signal.SIGINT)
    thread.join(5)
    assert ended == [Stopped(signal.SIGINT, 0, cut_off=FLIGHT)]
    row = rig.store.ledger.instances[FIRST, "a"]
    assert (row.state, row.spent, row.losses) == (TaskState.SCHEDULED, 0, 0)
    assert rig.outcomes == [("a", Outcome.LOST)]


def test_the_second_signal_ends_a_shell_task_with_its_children(threads: Executor, tmp_path: Path) -> None:
    from engine.helpers import is_alive

    dag = make_dag(make_task("a", work=ShellWork(f"sleep 30 & echo $! > {tmp_path}/pid; wait")))
    rig = Rig(dag, executor=threads, logs=str(tmp_path))
    thread, ended = run_beside(rig)
    wait_until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
    for _ in range(2):
        rig.coordinator.ask_to_stop(signal.SIGINT)
    thread.join(5)
    assert ended == [Stopped(signal.SIGINT, 0, cut_off=FLIGHT)]
    wait_until(lambda: not is_alive(int((tmp_path / "pid").read_text())))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_drains_for_the_grace_time_and_then_end_what_runs(threads: Executor, number: int) -> None:
    started = Event()

    def long() -> None:
        started.set()
        spin()

    rig = Rig(make_dag(task(long)), executor=threads, grace_s=0.05)
    thread, ended = run_beside(rig)
    started.wait(5)
    rig.coordinator.ask_to_stop(number)
    thread.join(5)
    assert ended == [Stopped(number, 0, cut_off=FLIGHT)]
    assert rig.outcomes == [("a", Outcome.LOST)]


@pytest.mark.parametrize(("number", "outcome"), [(signal.SIGINT, Outcome.SUCCESS), (signal.SIGTERM, Outcome.LOST)])
def test_where_no_grace_time_is_set_ctrl_c_waits_and_term_does_not(
    threads: Executor, monkeypatch: pytest.MonkeyPatch, number: int, outcome: Outcome
) -> None:
    monkeypatch.setattr(ending, "GRACE_S", 0.05)
    started = Event()

    def lasting() -> None:
        started.set()
        spin(0.4)

    rig = Rig(make_dag(task(lasting)), executor=threads, grace_s=None)
    thread, _ = run_beside(rig)
    started.wait(5)
    rig.coordinator.ask_to_stop(number)
    thread.join(5)
    assert rig.outcomes == [("a", outcome)]


def test_within_the_grace_time_a_task_ends_by_itself(threads: Executor) -> None:
    started = Event()

    def short() -> None:
        started.set()
        time.sleep(0.05)

    rig = Rig(make_dag(task(short)), executor=threads, grace_s=20)
    thread, ended = run_beside(rig)
    started.wait(5)
    rig.coordinator.ask_to_stop(signal.SIGTERM)
    thread.join(5)
    assert ended == [Stopped(signal.SIGTERM, 0)]
    assert rig.outcomes == [("a", Outcome.SUCCESS)]


def test_a_thread_that_does_not_return_is_left_and_counted(threads: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "ABORT_WAIT_S", 0.05)
    started = Event()

    def deaf() -> None:
        started.set()
        time.sleep(0.3)  # in C: the exception comes when it returns

    rig = Rig(make_dag(task(deaf)), executor=threads)
    thread, ended = run_beside(rig)
    started.wait(5)
    for _ in range(2):
        rig.coordinator.ask_to_stop(signal.SIGINT)
    thread.join(5)
    assert ended == [Stopped(signal.SIGINT, 1, cut_off=FLIGHT)]
    assert rig.state() in (TaskState.QUEUED, TaskState.RUNNING)


def test_a_real_signal_stops_a_loop_that_waits(threads: Executor) -> None:
    """The handler runs in the main thread, which sits in the inbox at that moment."""
    started = Event()

    def short() -> None:
        started.set()
        time.sleep(0.1)

    rig = Rig(make_dag(task(short)), [day(1), day(2)], executor=threads, limits=make_limits(1))

    def interrupt() -> None:
        started.wait(5)
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=interrupt).start()
    with handling(rig.coordinator.ask_to_stop):
        assert rig.run() == Stopped(signal.SIGINT, 0)
    assert rig.store.ledger.outcomes == {day(1): RunState.SUCCESS}


def test_a_stop_that_waits_behind_reports_is_heard_in_the_same_turn() -> None:
    rig = Rig(make_dag(make_task("a"), make_task("b", after="a")))
    rig.coordinator.inbox.put(StopAsked(signal.SIGINT))
    assert rig.run() == Stopped(signal.SIGINT, 0)
    assert rig.store.ledger.states(FIRST) == {"a": TaskState.SUCCESS}
