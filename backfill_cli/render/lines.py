"""Progress without a terminal: a line a fact, no control bytes, fit for a log file and `grep`.

Owns `LineListener` and the wording of its lines. It writes to stderr; a broken stderr never stops a backfill, so a
write that fails silences it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from backfill_cli import clock
from backfill_cli.core.listening import PaceChange, ProgressCounts, RunStart, WaveReport
from backfill_cli.core.records import Batch
from backfill_cli.core.results import BackfillResult
from backfill_cli.core.signatures import signature
from backfill_cli.core.states import TaskState
from backfill_cli.core.steering import Steered
from backfill_cli.core.waits import NEXT_TRY
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.pace import Pace
from backfill_cli.render.safe import safe_text
from backfill_cli.render.words import count, duration, stamp

_EVERY_US = 10_000_000
"""Microseconds between two progress lines, unless a tenth of the dates was finished in between…"""

_AT_LEAST_US = 1_000_000
"""…and even then no more than one a second."""

_CALM_EVERY_US, _CALM_AT_LEAST_US = 600_000_000, 60_000_000
"""The same where nobody waits for it to end: in the journal of a service."""

_LONG_US = 10_000_000
"""Microseconds after which such a journal has a line that says what began."""

_REMIND_US = 600_000_000
"""Microseconds after which what still holds tasks back is told once more."""

_AGAIN_US = 30_000_000
"""Microseconds after which a wait that has ended is told once more when it begins anew, as each refusal of a system
leads to one: silent, a run that is refused again and again looks like one that hangs. One that is longer than the last
is told at once."""

_RATE = "rate limit "
"""How what begins anew with each start begins; it is told as what goes on for ever."""

_STALLED_US = 5_000_000
"""Microseconds without any task running after which a log says what they all wait for: a full pool that moves is no
news, one that does not is what a person looks for."""

_END = re.compile(r", (?:in ([\d.]+) s|until [\d:+ -]+)(?= \(|$)")
"""How `core/wording.py` says the end of what holds tasks back until some moment."""

_FAILURES_A_BATCH = 20
"""Failures written one by one from one batch; when hundreds fail at once the rest is a number."""


class _Told(NamedTuple):
    """When a wait was told, and when it ends by what was said, epoch microseconds; never, without a word of that."""

    at: int
    until: float


class Sink(Protocol):
    """Where lines go: a stream, or somebody who passes them on."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> None: ...


class LineListener:
    """Writes what happens as lines: start, progress, failures at once, stopping.

    Args:
        of: Stands behind the moment of each line that says itself of no DAG: where several run side by side.
        is_calm: How it ended is enough, told by somebody else, and what goes wrong or takes long.
    """

    def __init__(self, file: Sink, *, of: str = "", is_calm: bool = False) -> None:
        self._file: Sink | None = file
        self._is_calm = is_calm
        self._every_us = _CALM_EVERY_US if is_calm else _EVERY_US
        self._at_least_us = _CALM_AT_LEAST_US if is_calm else _AT_LEAST_US
        self._is_begun = False
        self._of = f"{of} " if of else ""
        self._start: RunStart | None = None
        self._dates = DateFormat("UTC", ())
        self._pace = Pace()
        self._last_at = 0
        self._last_tenth = 0
        self._last_done = -1
        self._held: dict[str, _Told] = {}
        self._waiting: Mapping[str, int] = {}
        self._idle_since: int | None = None
        self._is_paused = False
        self._tried = ""

    def on_start(self, start: RunStart) -> None:
        self._start = start
        self._dates = DateFormat(start.timezone, (start.first, start.last))
        self._last_at = self._idle_since = start.started_at
        self._pace.start(start.started_at, start.total, start.done)
        if not self._is_calm:
            self._begin(start)

    def on_batch(self, batch: Batch, counts: ProgressCounts, at: int) -> None:
        if self._start is None or self._file is None:
            return
        self._failures(batch, at)
        for row in batch.instances:
            if row.state == TaskState.UP_FOR_RETRY:
                self._tried = row.reason or ""
        if counts.running_tasks:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = at
        done = counts.completed + counts.failed
        self._pace.note(at, done)
        tenth = 10 * done // max(1, counts.total)
        waited = at - self._last_at
        due = waited >= self._every_us or (tenth > self._last_tenth and waited >= self._at_least_us)
        if due and done != self._last_done and done < counts.total:
            self._last_at, self._last_tenth, self._last_done = at, tenth, done
            left = self._pace.left(at)
            eta = f" eta {left[1]:.0f}s" if left else ""
            progress = f"progress {done}/{counts.total} failed {counts.failed}"
            self._say(at, f"{progress} running {counts.running_tasks}{eta}{self._most_wait()}")

    def on_waiting(self, waiting: Mapping[str, int], next_retry_at: int | None) -> None:
        """Tell once what holds tasks back until some moment, and what keeps all of them from running."""
        self._waiting = {reason: number for reason, number in waiting.items() if reason != NEXT_TRY}
        now = clock.now_us()
        if self._start is not None and not self._is_begun and now - self._start.started_at >= _LONG_US:
            self._begin(self._start)
        idle_us = 0 if self._idle_since is None or self._is_paused else now - self._idle_since
        for reason, number in self._waiting.items():
            stem = _END.sub("", reason)
            if (idle_us >= _STALLED_US or stem != reason) and self._is_news(stem, reason, now):
                self._say(now, f"waiting {count(number, 'task')} for {reason}")
        if idle_us >= _STALLED_US and next_retry_at is not None and next_retry_at > now:
            self._wait_to_try(waiting.get(NEXT_TRY, 0), next_retry_at, now)

    def _wait_to_try(self, number: int, at: int, now: int) -> None:
        """Tell when nothing runs because all that is left has been tried before: what the last one said, and when."""
        stem = f"{NEXT_TRY} {signature(self._tried)}"
        if number and self._is_news(stem, "", now):
            first = "the first " if number > 1 else ""
            why = f" ({self._tried})" if self._tried else ""
            soon = duration(-(-(at - now) // 1_000_000))
            self._say(now, f"waiting {count(number, 'task')} for {NEXT_TRY}, {first}in {soon}{why}")

    def _is_news(self, stem: str, reason: str, now: int) -> bool:
        """Whether a wait is to be told now; it counts as told then."""
        found = _END.search(reason)
        lasts_us = float(found[1]) * 1_000_000 if found and found[1] else float("inf")
        told = self._held.get(stem)
        if told is not None and now - told.at < _REMIND_US:
            is_another = now >= told.until and lasts_us > _STALLED_US and not reason.startswith(_RATE)
            is_longer = lasts_us > told.until - told.at
            if not is_another or not (is_longer or now - told.at >= _AGAIN_US):
                return False
        self._held[stem] = _Told(now, now + lasts_us)
        return True

    def _begin(self, start: RunStart) -> None:
        self._is_begun = True
        told = f"backfill {start.backfill_id} {start.dag_id} {start.total} dates parallel {start.parallel}"
        self._write(start.started_at, told)

    def _most_wait(self) -> str:
        """Say what most tasks wait for: the end of a progress line."""
        reason = max(self._waiting, key=self._waiting.__getitem__, default=None)
        return "" if reason is None else f" waiting {count(self._waiting[reason], 'task')} for {reason}"

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
        why = f"signal {signal}" if signal is not None else f"because {reason};"
        self._say(clock.now_us(), f"stopping {why} running {running}: nothing new starts{again}")

    def on_steered(self, news: Steered) -> None:
        if self._is_paused and not news.is_paused:
            self._pace.restart(news.at)
        self._is_paused = news.is_paused
        self._idle_since = news.at
        self._pace.set_total(news.total)
        why = f" because {news.reason}" if news.reason else ""
        self._say(news.at, f"{news.action} by {news.actor}{why}: {news.text}")

    def on_end(self) -> None:
        """The closing line needs the result: `finished` writes it."""

    def finished(self, result: BackfillResult, at: int) -> None:
        """Write the last line, all counts of the result in it."""
        seconds = f" seconds {result.took_s:.0f}" if result.took_s is not None else ""
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

    def _say(self, at: int, text: str) -> None:
        self._write(at, self._of + text)

    def _write(self, at: int, text: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(f"{stamp(at)} {safe_text(text)}\n")
            self._file.flush()
        except (OSError, ValueError):
            self._file = None
