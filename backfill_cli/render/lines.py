"""Progress without a terminal: a line a fact, no control bytes, fit for a log file and `grep`.

Owns `LineListener` and the wording of its lines. It writes to stderr; a broken stderr never stops a backfill, so a
write that fails silences it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import IO

from backfill_cli import clock
from backfill_cli.core.listening import PaceChange, ProgressCounts, RunStart, WaveReport
from backfill_cli.core.records import Batch
from backfill_cli.core.results import BackfillResult
from backfill_cli.core.states import TaskState
from backfill_cli.core.steering import Steered
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.pace import Pace
from backfill_cli.render.safe import safe_text
from backfill_cli.render.words import stamp

_EVERY_US = 10_000_000
"""Microseconds between two progress lines, unless a tenth of the dates was finished in between…"""

_AT_LEAST_US = 1_000_000
"""…and even then no more than one a second."""

_REMIND_US = 600_000_000
"""Microseconds after which what still holds tasks back is told once more."""

_END = re.compile(r", (?:in [\d.]+ s|until [\d: -]+)(?= \(|$)")
"""How `core/wording.py` says the end of what holds tasks back until some moment."""

_FAILURES_A_BATCH = 20
"""Failures written one by one from one batch; when hundreds fail at once the rest is a number."""


class LineListener:
    """Writes what happens as lines: start, progress, failures at once, stopping."""

    def __init__(self, file: IO[str]) -> None:
        self._file: IO[str] | None = file
        self._start: RunStart | None = None
        self._dates = DateFormat("UTC", ())
        self._pace = Pace()
        self._last_at = 0
        self._last_tenth = 0
        self._last_done = -1
        self._held: dict[str, int] = {}

    def on_start(self, start: RunStart) -> None:
        self._start = start
        self._dates = DateFormat(start.timezone, (start.first, start.last))
        self._last_at = start.started_at
        self._pace.start(start.started_at, start.total)
        self._say(
            start.started_at,
            f"backfill {start.backfill_id} {start.dag_id} {start.total} dates parallel {start.parallel}",
        )

    def on_batch(self, batch: Batch, counts: ProgressCounts, at: int) -> None:
        if self._start is None or self._file is None:
            return
        self._failures(batch, at)
        done = counts.completed + counts.failed
        self._pace.note(at, done)
        tenth = 10 * done // max(1, counts.total)
        waited = at - self._last_at
        due = waited >= _EVERY_US or (tenth > self._last_tenth and waited >= _AT_LEAST_US)
        if due and done != self._last_done and done < counts.total:
            self._last_at, self._last_tenth, self._last_done = at, tenth, done
            left = self._pace.left(at)
            eta = f" eta {left[1]:.0f}s" if left else ""
            progress = f"progress {done}/{counts.total} failed {counts.failed}"
            self._say(at, f"{progress} running {counts.running_tasks}{eta}")

    def on_waiting(self, waiting: Mapping[str, int], next_retry_at: int | None) -> None:
        """Waiting is the board's business, but for what holds tasks back until some moment: each is told once."""
        now = clock.now_us()
        for reason, count in waiting.items():
            stem = _END.sub("", reason)
            if stem != reason and now - self._held.get(stem, 0) >= _REMIND_US:
                self._held[stem] = now
                self._say(now, f"waiting {count} {'task' if count == 1 else 'tasks'} for {reason}")

    def on_wave(self, report: WaveReport) -> None:
        """`chunk 3 of 9 begins …`, `chunk 3 of 9 ended ok 5 failed 2 …`: waves are few, each is a line."""
        tally = report.tally
        ends = [self._dates.argument(one) for one in (tally.first, tally.last) if one is not None]
        where = " … ".join(dict.fromkeys(ends))
        if not report.ended:
            done = f" done {tally.dates - tally.pending}" if tally.pending < tally.dates else ""
            self._say(report.at, f"{report.wave.name} begins {where} {tally.dates} dates{done}")
            return
        seconds = f" seconds {tally.duration_s:.0f}" if tally.duration_s is not None else ""
        counts = f"ok {tally.completed} failed {tally.failed} blocked {tally.blocked}"
        self._say(report.at, f"{report.wave.name} ended {counts} total {tally.dates}{seconds}")
        if report.reason:
            self._say(report.at, f"stopping because {report.reason}: nothing new starts")

    def on_pace(self, change: PaceChange) -> None:
        """`breaker_opened pool=api cooldown_s=30.0 5 × HTTP 503`: rare, and each a line."""
        told = " ".join(f"{name}={value}" for name, value in change.details.items())
        self._say(change.at, f"{change.what} {told} {change.reason}")

    def on_stopping(self, signal: int | None, running: int, reason: str) -> None:
        again = "" if signal is None else ", signal again to stop at once"
        why = f"signal {signal}" if signal is not None else f"because {reason}"
        self._say(None, f"stopping {why} running {running}: nothing new starts{again}")

    def on_steered(self, news: Steered) -> None:
        why = f" because {news.reason}" if news.reason else ""
        self._say(news.at, f"{news.action} by {news.actor}: {news.text}{why}")

    def on_end(self) -> None:
        """The closing line needs the result: `finished` writes it."""

    def finished(self, result: BackfillResult, at: int) -> None:
        """Write the last line, all counts of the result in it."""
        seconds = f" seconds {result.duration_s:.0f}" if result.duration_s is not None else ""
        rest = f" remaining {result.remaining}" if result.remaining else ""
        self._say(
            at,
            f"finished {result.state} ok {result.completed} failed {result.failed} blocked {result.blocked}"
            f" skipped {result.skipped}{rest} total {result.total_dates}{seconds}",
        )

    def _failures(self, batch: Batch, at: int) -> None:
        failed = [row for row in batch.instances if row.state == TaskState.FAILED]
        for row in failed[:_FAILURES_A_BATCH]:
            tries = self._start.max_tries.get(row.task_id, 0) if self._start else 0
            of = f"/{max(tries, row.try_number)}" if tries else ""
            day = self._dates.argument(row.logical_date)
            self._say(at, f"failed {day} {row.task_id} try {row.try_number}{of} {row.reason or ''}".rstrip())
        if len(failed) > _FAILURES_A_BATCH:
            self._say(at, f"failed {len(failed) - _FAILURES_A_BATCH} more at the same moment")

    def _say(self, at: int | None, text: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(f"{stamp(at) if at is not None else '-'} {safe_text(text)}\n")
            self._file.flush()
        except (OSError, ValueError):
            self._file = None
