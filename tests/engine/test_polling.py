"""What others leave for a run is looked at between two turns, as often as it was promised and no oftener."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from builders import DAY, FIRST, make_dag, make_limits
from engine.rig import Rig, task

from backfill_cli.engine import polling
from backfill_cli.engine.coordinator import Coordinator
from backfill_cli.engine.polling import Polling
from backfill_cli.engine.threads import InThreads

DATES = [FIRST + day * DAY for day in range(4)]


class Played:
    """A poller that does what a list says, a look at a time, and keeps when it was asked."""

    def __init__(self, *moves: object, again_s: float | None = None) -> None:
        self.moves = list(moves)
        self.again_s = again_s
        self.asked: list[float] = []

    def poll(self, run: Coordinator) -> float | None:
        self.asked.append(time.monotonic())
        if self.moves:
            move = self.moves.pop(0)
            if move is not None:
                move(run)  # type: ignore[operator]
        return self.again_s


NewRig = Callable[..., Rig]


@pytest.fixture
def rig() -> Iterator[NewRig]:
    """A function (pollers, seconds a task takes) → a run of four dates, whose threads end with the test."""
    backends: list[InThreads] = []

    def make(*pollers: Played, seconds: float = 0.0) -> Rig:
        made = Rig(make_dag(task(lambda: time.sleep(seconds))), DATES, limits=make_limits(1), pollers=pollers)
        backend = InThreads(4)
        backends.append(backend)
        made.coordinator._backend_of = lambda _task: backend
        return made

    yield make
    for one in backends:
        one.shutdown(wait=True)


class Frozen:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def now_us(self) -> int:
        return 0


def test_each_poller_has_its_own_moment() -> None:
    clock, often, seldom = Frozen(), Played(again_s=0.125), Played()
    polls = Polling([often, seldom], clock)
    for step in range(9):
        clock.now = step / 8
        polls.look(None)  # type: ignore[arg-type]
        assert polls.left_s() <= 0.125
    assert (len(often.asked), len(seldom.asked)) == (9, 3)


def test_a_run_is_looked_at_while_it_waits_for_its_tasks(rig: NewRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "POLL_EVERY_S", 0.02)
    poller = Played()
    rig(poller, seconds=0.1).run()
    gaps = [after - before for before, after in zip(poller.asked, poller.asked[1:], strict=False)]
    assert len(gaps) >= 10
    assert min(gaps) >= 0.02


def test_a_paused_run_starts_nothing_and_is_not_over(rig: NewRig) -> None:
    """It has no task in flight, and dates left: that is no end."""
    seen: list[int] = []

    def pause(run: Coordinator) -> None:
        run.machine.pause()

    def look(run: Coordinator) -> None:
        seen.append(len(run.machine.flights) + len(run.machine.runs))

    def resume(run: Coordinator) -> None:
        look(run)
        run.machine.resume()

    made = rig(Played(pause, look, look, resume, again_s=0.02))
    assert made.run() is None
    assert seen == [0, 0, 0]
    assert made.machine.completed == len(DATES)


def test_a_signal_ends_a_paused_run(rig: NewRig) -> None:
    import signal

    made = rig(Played(lambda run: run.machine.pause(), lambda run: run.ask_to_stop(signal.SIGINT), again_s=0.02))
    stopped = made.run()
    assert stopped is not None
    assert (stopped.signal, made.machine.completed) == (signal.SIGINT, 0)


def test_cancelling_ends_at_once_or_lets_tries_end(rig: NewRig) -> None:
    for drain, completed in ((True, 1), (False, 0)):
        began = time.monotonic()
        made = rig(
            Played(None, lambda run, drain=drain: run.cancel("cancelled by ana", drain=drain), again_s=0.05),
            seconds=0.4,
        )
        stopped = made.run()
        assert stopped is not None
        assert (stopped.is_cancelled, stopped.reason, stopped.signal) == (True, "cancelled by ana", None)
        assert made.machine.completed == completed
        assert bool(stopped.cut_off) is not drain
        assert time.monotonic() - began < 3
