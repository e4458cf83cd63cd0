"""A coordinator over a recording store, with dates from a list and a listener that keeps what it is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from builders import FIRST, InlineExecutor, make_claim, make_limits, make_spec, make_task
from engine.helpers import REF, RecordingStore, make_bench

from backfill_cli.core.graph import Dag
from backfill_cli.core.invocations import AttemptReport, Invocation
from backfill_cli.core.listening import PaceChange, ProgressCounts, RunStart, WaveReport
from backfill_cli.core.machine import BackfillMachine, Limits
from backfill_cli.core.progress import RunSpec
from backfill_cli.core.records import Batch
from backfill_cli.core.states import Outcome, TaskState
from backfill_cli.core.steering import Steered
from backfill_cli.core.work import PythonWork
from backfill_cli.engine.attempt import run_attempt
from backfill_cli.engine.backends import Elsewhere
from backfill_cli.engine.coordinator import Coordinator
from backfill_cli.engine.ending import Stopped
from backfill_cli.engine.logs import captured
from backfill_cli.engine.messages import Started
from backfill_cli.engine.polling import Poller


class WallClock:
    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        return time.monotonic()


class ListFeed:
    def __init__(self, dates: Sequence[int]) -> None:
        self._dates = list(dates)

    def take(self, most: int) -> Sequence[RunSpec] | None:
        taken, self._dates = self._dates[:most], self._dates[most:]
        return [make_spec(date) for date in taken]


class Storied(Executor):
    """Notes each submission in the store's story, then hands it on."""

    def __init__(self, inner: Executor, story: list[str]) -> None:
        self.inner, self.story = inner, story

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.story.append(f"submit {args[0].task_id}")
        return self.inner.submit(fn, *args, **kwargs)


class Watching:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.counts: list[ProgressCounts] = []
        self.waiting: list[tuple[Mapping[str, int], int | None]] = []
        self.stopping: list[tuple[int, int]] = []
        self.steered: list[Steered] = []

    def on_start(self, start: RunStart) -> None: ...
    def on_batch(self, batch: Batch, counts: ProgressCounts, at: int) -> None:
        self.batches.append(batch)
        self.counts.append(counts)

    def on_waiting(self, waiting: Mapping[str, int], next_retry_at: int | None) -> None:
        self.waiting.append((waiting, next_retry_at))

    def on_wave(self, report: WaveReport) -> None: ...
    def on_pace(self, change: PaceChange) -> None: ...
    def on_stopping(self, signal: int | None, running: int, reason: str) -> None:
        self.stopping.append((signal, running))

    def on_steered(self, news: Steered) -> None:
        self.steered.append(news)

    def on_end(self) -> None: ...


class Rig:
    """A coordinator over a recording store; `run` plays it to its end in this thread."""

    def __init__(
        self,
        dag: Dag,
        dates: Sequence[int] = (FIRST,),
        *,
        executor: Executor | None = None,
        limits: Limits | None = None,
        grace_s: float | None = 30,
        logs: str = "",
        feed: ListFeed | None = None,
        pollers: Sequence[Poller] = (),
    ) -> None:
        self.store = RecordingStore()
        self.watching = Watching()
        self.machine = BackfillMachine(
            dag, limits or make_limits(max(1, len(dates))), backfill_id="bf-1", owner="owner-1", total=len(dates)
        )
        self.coordinator = Coordinator(
            self.machine,
            store=self.store,  # type: ignore[arg-type]
            claim=make_claim(),
            feed=feed or ListFeed(dates),
            backend_of=lambda _task: Elsewhere(Storied(executor or InlineExecutor(), self.store.story), self._work),
            bench=make_bench(dag),
            dag_ref=REF,
            logs=logs,
            clock=WallClock(),
            grace_s=grace_s,
            listeners=[self.watching],
            pollers=pollers,
        )

    def _work(self, invocation: Invocation) -> AttemptReport:
        key = invocation.logical_date, invocation.task_id
        self.coordinator.inbox.put(Started(key, invocation.try_number, time.time_ns() // 1_000))
        return run_attempt(invocation, self.coordinator.bench)

    def run(self) -> Stopped | None:
        with captured(own_process=False):
            return self.coordinator.run()

    def state(self, task_id: str = "a", date: int = FIRST) -> TaskState:
        return self.store.ledger.instances[date, task_id].state

    @property
    def outcomes(self) -> list[tuple[str, Outcome]]:
        return [(one.task_id, one.outcome) for one in self.store.ledger.attempts.values()]


def task(function: Callable[..., Any], task_id: str = "a", **changes: Any) -> Any:
    work = {name: changes.pop(name) for name in PythonWork.__dataclass_fields__ if name in changes}
    return make_task(task_id, work=PythonWork(function, **work), **changes)


def spin(seconds: float = 10) -> None:
    """Python code that runs until it is interrupted, or its time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.002)
