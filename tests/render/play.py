"""A backfill played to a listener: what a coordinator would tell it, without one.

`python tests/render/play.py [DATES] [SECONDS_A_TASK]` shows the live board (or, piped, the lines) of such a run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from backfill_cli.core.listening import Listener, ProgressCounts, RunStart
from backfill_cli.core.records import Batch, InstanceRow, OutcomeRow, RunRow, RunType
from backfill_cli.core.states import RunState, TaskState
from render.samples import ID, PARIS, TASKS, days


def run_row(date: int, state: RunState) -> RunRow:
    return RunRow(date, date + 86_400, RunType.BACKFILL, state, "v", "{}", 1, None, None, ID)


def instance(
    date: int, task: str, state: TaskState, at: int, *, tries: int = 1, reason: str | None = None
) -> InstanceRow:
    return InstanceRow(date, task, state, tries, tries, 0, at, at + 1 if state.is_terminal else None, None, reason)


def start_of(dates: list[int], at: int, *, parallel: int = 4, tasks: tuple[str, ...] = TASKS) -> RunStart:
    return RunStart(
        ID, "daily_sales", tasks, PARIS, dates[0], dates[-1], len(dates), parallel, at, dict.fromkeys(tasks, 3)
    )


def play(
    listener: Listener,
    dates: list[int],
    *,
    parallel: int = 4,
    tasks: tuple[str, ...] = TASKS,
    fails: frozenset[int] = frozenset(),
    pause: Callable[[], None] = lambda: None,
    now: Callable[[], int] = lambda: time.time_ns() // 1000,
) -> None:
    """Run dates in waves of `parallel`, one task after the other; those in `fails` fail in their last but one task."""
    listener.on_start(start_of(dates, now(), parallel=parallel, tasks=tasks))
    done = failed = 0
    for begin in range(0, len(dates), parallel):
        wave = dates[begin : begin + parallel]
        opened = Batch(opened=[run_row(one, RunState.RUNNING) for one in wave])
        listener.on_batch(opened, ProgressCounts(len(dates), done, failed, 0, len(wave), 0), now())
        listener.on_waiting({"pool warehouse: needs 1, 0 of 2 free": len(wave) - 2} if len(wave) > 2 else {}, None)
        for number, task in enumerate(tasks):
            running = Batch(instances=[instance(one, task, TaskState.RUNNING, now()) for one in wave])
            listener.on_batch(running, ProgressCounts(len(dates), done, failed, 0, len(wave), len(wave)), now())
            pause()
            ended = Batch()
            for one in wave:
                bad = one in fails and number == len(tasks) - 2
                state = TaskState.FAILED if bad else TaskState.SUCCESS
                reason = "HTTP 503 from warehouse" if bad else None
                ended.instances.append(instance(one, task, state, now(), tries=3 if bad else 1, reason=reason))
            listener.on_batch(ended, ProgressCounts(len(dates), done, failed, 0, len(wave), 0), now())
        closing = Batch()
        for one in wave:
            state = RunState.FAILED if one in fails else RunState.SUCCESS
            closing.runs.append(run_row(one, state))
            closing.outcomes.append(OutcomeRow(one, state))
            done, failed = done + (state is RunState.SUCCESS), failed + (state is RunState.FAILED)
        listener.on_batch(closing, ProgressCounts(len(dates), done, failed, 0, 0, 0), now())
    listener.on_end()


def main() -> None:
    from backfill_cli.render.lines import LineListener
    from backfill_cli.render.live import LiveListener

    number = int(sys.argv[1]) if len(sys.argv) > 1 else 31
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 0.5
    listener = LiveListener(sys.stderr, colour=True) if sys.stderr.isatty() else LineListener(sys.stderr)
    dates = days("2024-03-01", "2024-12-31")[:number]
    play(listener, dates, fails=frozenset(dates[1:3]), pause=lambda: time.sleep(seconds))


if __name__ == "__main__":
    main()
