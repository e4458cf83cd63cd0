"""The loop: commit before submit, everything that waits in one commit, workers that vanish, time limits."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from builders import FIRST, InlineExecutor, day, make_dag, make_limits, make_task
from engine.rig import ListFeed, Rig, Watching, spin, task

from backfill_cli.core.invocations import Invocation
from backfill_cli.core.listening import ProgressCounts
from backfill_cli.core.progress import RunSpec
from backfill_cli.core.records import Batch
from backfill_cli.core.retries import RetryPolicy
from backfill_cli.core.states import Outcome, RunState, TaskState
from backfill_cli.core.work import XComRef
from backfill_cli.engine import coordinator as loop
from backfill_cli.errors import ConflictError


@pytest.fixture
def threads() -> Any:
    with ThreadPoolExecutor(8) as pool:
        yield pool


# the order of things


def test_a_backfill_runs_to_its_end(threads: Executor) -> None:
    dates = [day(n) for n in range(1, 8)]
    rig = Rig(make_dag(make_task("a"), make_task("b", after="a")), dates, executor=threads, limits=make_limits(3))
    assert rig.run() is None
    assert rig.store.ledger.outcomes == dict.fromkeys(dates, RunState.SUCCESS)
    assert rig.store.ledger.counts == (7, 0)
    assert max(counts.open_runs for counts in rig.watching.counts) <= 3


def test_every_try_is_committed_as_queued_before_it_leaves(threads: Executor) -> None:
    """Style section 5: whatever a worker may be doing, the store already says so."""
    dag = make_dag(make_task("a"), make_task("b", after="a"), make_task("c", after="a"))
    rig = Rig(dag, executor=threads)
    rig.run()
    story = rig.store.story
    for task_id in dag.tasks:
        assert story.index(f"commit {task_id} queued") < story.index(f"submit {task_id}")


def test_a_commit_that_fails_submits_nothing() -> None:
    rig = Rig(make_dag(make_task("a"), make_task("b", after="a")))
    rig.store.fails_at = 1
    with pytest.raises(ConflictError):
        rig.run()
    assert [line for line in rig.store.story if line.startswith("submit")] == ["submit a"]


def test_all_that_waits_in_the_inbox_is_one_commit() -> None:
    """Performance 1, group commit: eight tries that ended meanwhile cost one transaction."""
    rig = Rig(make_dag(), [day(n) for n in range(1, 9)])
    rig.run()
    assert len(rig.store.batches) == 2
    assert [len(batch.attempts) for batch in rig.store.batches] == [0, 8]


def test_a_try_that_ends_soon_is_never_written_as_running(threads: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row less a task; the attempt has both its times all the same."""
    monkeypatch.setattr(loop, "BEGUN_AFTER_S", 5.0)
    rig = Rig(make_dag(task(lambda: time.sleep(0.02))), [day(n) for n in range(1, 9)], executor=threads)
    rig.run()
    written = {row.state for batch in rig.store.batches for row in batch.instances}
    assert written == {TaskState.QUEUED, TaskState.SUCCESS}


def test_a_try_that_lasts_is_shown_as_running_since_it_began(threads: Executor) -> None:
    rig = Rig(make_dag(task(lambda: time.sleep(3 * loop.BEGUN_AFTER_S))), executor=threads)
    rig.run()
    (running,) = {row for batch in rig.store.batches for row in batch.instances if row.state is TaskState.RUNNING}
    (ended,) = rig.store.ledger.attempts.values()
    assert running.started_at is not None
    assert 0 <= ended.started_at - running.started_at < 1_000_000


def test_more_messages_than_a_turn_takes_are_all_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "TURN", 3)
    rig = Rig(make_dag(), [day(n) for n in range(1, 9)])
    assert rig.run() is None
    assert rig.store.ledger.counts == (8, 0)


def test_listeners_hear_of_a_batch_after_its_commit() -> None:
    rig = Rig(make_dag())
    rig.run()
    assert rig.watching.batches == rig.store.batches


def test_an_empty_feed_ends_at_once() -> None:
    rig = Rig(make_dag(), [])
    assert rig.run() is None
    assert rig.store.batches == []


class OneByOne(ListFeed):
    """Answers "nothing yet" until the date before has ended; counts how often it is asked."""

    def __init__(self, dates: list[int]) -> None:
        super().__init__(dates)
        self.asked = 0
        self.is_idle: Callable[[], bool] = lambda: True

    def take(self, most: int) -> Sequence[RunSpec] | None:
        self.asked += 1
        return super().take(1) if self.is_idle() else None


def test_a_feed_that_has_nothing_yet_is_waited_for_without_asking_all_the_time(threads: Executor) -> None:
    """The machine has room for all of them: what holds them back is the feed alone."""
    dates = [day(n) for n in range(1, 4)]
    feed = OneByOne(dates)
    rig = Rig(make_dag(task(lambda: time.sleep(0.2))), dates, executor=threads, limits=make_limits(8), feed=feed)
    feed.is_idle = lambda: not rig.machine.runs
    assert rig.run() is None
    assert rig.store.ledger.outcomes == dict.fromkeys(dates, RunState.SUCCESS)
    assert max(counts.open_runs for counts in rig.watching.counts) == 1
    assert feed.asked < 40


def test_dates_open_in_bounded_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DAG whose tasks are all empty finishes dates as fast as they open: a transaction must not grow for ever."""
    from backfill_cli.core.work import EmptyWork

    monkeypatch.setattr(loop, "OPENED_A_TURN", 4)
    rig = Rig(make_dag(make_task(work=EmptyWork())), [day(n) for n in range(1, 11)], limits=make_limits(1))
    rig.run()
    assert [len(batch.opened) for batch in rig.store.batches] == [4, 4, 2]


# what workers get and give


def test_results_reach_the_tasks_behind_in_dag_order(threads: Executor, tmp_path: Path) -> None:
    """`xcom_pull(task_ids=None)` takes the last task in the DAG's order, not the last one that happened to end."""
    seen: list[Any] = []
    first_done = Event()

    def late() -> str:
        first_done.wait(5)
        return "late"

    def early() -> str:
        first_done.set()
        return "early"

    def read(given: str, context: Any) -> None:
        seen.append((given, context["ti"].xcom_pull()))

    dag = make_dag(
        task(late, "x"),
        task(early, "y"),
        task(read, "z", args=(XComRef("x"),), macros=("context",), after="x y"),
    )
    rig = Rig(dag, executor=threads)
    rig.run()
    assert seen == [("late", "early")]
    assert rig.store.ledger.xcoms[FIRST, "x"] == {"return_value": '"late"'}


def test_an_invocation_names_the_run_the_try_and_the_log() -> None:
    seen: list[Invocation] = []

    class Spying(InlineExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            seen.append(args[0])
            return super().submit(fn, *args, **kwargs)

    flaky = iter([ValueError(), None])

    def function() -> None:
        error = next(flaky)
        if error:
            raise error

    rig = Rig(make_dag(task(function, retry=RetryPolicy(1, delay_s=0))), executor=Spying())
    rig.coordinator._invocations._logs = ""
    rig.run()
    run_id = "backfill__2024-01-01T00:00:00+00:00"
    assert [(one.run_id, one.try_number, one.spent, one.log_path) for one in seen] == [
        (run_id, 1, 0, f"/toy/{run_id}/a.1.log"),
        (run_id, 2, 1, f"/toy/{run_id}/a.2.log"),
    ]


def test_a_retry_starts_when_its_time_has_come(threads: Executor) -> None:
    times: list[float] = []

    def flaky() -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            raise ValueError("not yet")

    rig = Rig(make_dag(task(flaky, retry=RetryPolicy(1, delay_s=0.05))), executor=threads)
    rig.run()
    assert rig.outcomes == [("a", Outcome.RETRY), ("a", Outcome.SUCCESS)]
    assert times[1] - times[0] >= 0.05


def test_listeners_hear_what_waits_and_until_when(threads: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LOOK_EVERY_S", 0.01)
    tries: list[int] = []

    def flaky() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError

    rig = Rig(make_dag(task(flaky, retry=RetryPolicy(1, delay_s=0.1)), dagrun_timeout_s=60), executor=threads)
    rig.run()
    told = [(waiting, at) for waiting, at in rig.watching.waiting if waiting]
    (retry_at,) = {row.retry_at for batch in rig.store.batches for row in batch.instances if row.retry_at}
    assert told and set(map(repr, told)) == {repr(({"the next try": 1}, retry_at))}
    assert all(at is None for waiting, at in rig.watching.waiting if not waiting), "a dagrun_timeout is no retry"


# workers that vanish


class Dying(Executor):
    """Its first workers vanish, as a killed process does: the future holds the exception."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if not self.errors:
            return InlineExecutor().submit(fn, *args, **kwargs)
        future: Future[Any] = Future()
        future.set_exception(self.errors.pop(0))
        return future


@pytest.mark.parametrize("error", [RuntimeError("worker died"), BrokenExecutor("gone"), SystemExit(9)])
def test_a_worker_that_vanishes_is_a_lost_try_and_the_task_runs_again(error: BaseException) -> None:
    """Style section 5: it surfaces as the future's exception, whatever that is."""
    rig = Rig(make_dag(), executor=Dying(error))
    assert rig.run() is None
    assert rig.outcomes == [("a", Outcome.LOST), ("a", Outcome.SUCCESS)]


def test_a_base_exception_in_a_worker_thread_does_not_hang_the_loop(threads: Executor) -> None:
    """Raised again in the done-callback it would kill the worker thread, and the report would never come."""
    died: list[int] = []

    class Once(Executor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            def work() -> Any:
                if not died:
                    died.append(1)
                    raise SystemExit("out of here")
                return fn(*args, **kwargs)

            return threads.submit(work)

    rig = Rig(make_dag(), executor=Once())
    rig.run()
    assert rig.outcomes == [("a", Outcome.LOST), ("a", Outcome.SUCCESS)]


def test_an_executor_that_takes_nothing_more_loses_three_tries_and_fails_the_task() -> None:
    class Broken(Executor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            raise RuntimeError("cannot schedule new futures after shutdown")

    rig = Rig(make_dag(), executor=Broken())
    assert rig.run() is None
    assert rig.outcomes == [("a", Outcome.LOST)] * 3
    assert rig.state() is TaskState.FAILED


def test_a_future_that_was_cancelled_is_a_lost_try() -> None:
    class Cancelling(Dying):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future = Future[Any]() if self.errors else super().submit(fn, *args, **kwargs)
            if self.errors:
                self.errors.clear()
                future.cancel()
            return future

    rig = Rig(make_dag(), executor=Cancelling(RuntimeError()))
    rig.run()
    assert rig.outcomes == [("a", Outcome.LOST), ("a", Outcome.SUCCESS)]


# time limits


def test_a_dagrun_timeout_ends_what_runs_and_takes_its_report_as_late(threads: Executor) -> None:
    """Section 6, dagrun_timeout: run failed, unfinished tasks skipped."""
    rig = Rig(make_dag(task(spin), make_task("b", after="a"), dagrun_timeout_s=0.1), executor=threads)
    begun = time.monotonic()
    assert rig.run() is None
    assert time.monotonic() - begun < 5
    assert rig.store.ledger.outcomes == {FIRST: RunState.FAILED}
    assert rig.store.ledger.states(FIRST) == dict.fromkeys("ab", TaskState.SKIPPED)
    assert rig.outcomes == [("a", Outcome.LATE)]


def test_a_python_task_past_its_time_is_shown_until_its_thread_returns(threads: Executor) -> None:
    """Section 6, execution_timeout: `timed out, still running`; the retry starts only then."""
    shown = Event()

    class Seeing(Watching):
        def on_batch(self, batch: Batch, counts: ProgressCounts, at: int) -> None:
            super().on_batch(batch, counts, at)
            if any(row.reason == "timed out, still running" for row in batch.instances):
                shown.set()

    slow = task(lambda: shown.is_set() or shown.wait(5), execution_timeout_s=0.05, retry=RetryPolicy(1, delay_s=0))
    rig = Rig(make_dag(slow), executor=threads)
    rig.coordinator._listeners = [Seeing()]
    rig.run()
    assert shown.is_set()
    first = rig.store.ledger.attempts[FIRST, "a", 1]
    assert (first.outcome, first.reason) == (Outcome.RETRY, "timed out after 0.05 s")
    assert rig.state() is TaskState.SUCCESS


def test_stdout_of_the_loop_itself_is_untouched() -> None:
    before = sys.stdout
    Rig(make_dag()).run()
    assert sys.stdout is before
