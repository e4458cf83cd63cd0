"""What the live board knows and how it draws it: pure state in, lines out. No terminal, no thread, no clock.

Owns `Board`. It keeps one small entry an *open* dag_run and forgets a date when it is finished, so its size follows
`--parallel`, not the length of the backfill. `live.py` feeds it and puts its lines on the terminal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from shlex import quote
from typing import NamedTuple

from rich.text import Text

from backfill_cli.core.listening import ProgressCounts, RunStart, WaveReport
from backfill_cli.core.records import Batch, Control
from backfill_cli.core.states import TaskState
from backfill_cli.core.steering import Steered, paused_reason
from backfill_cli.core.waits import NEXT_TRY
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.pace import Pace
from backfill_cli.render.text import cut, line, pad, wide
from backfill_cli.render.theme import BOLD, COMMAND, DIM, WARN, look
from backfill_cli.render.words import count, duration, span

_FAILURES = 3
_REASONS = 2
"""Reasons to wait that are told, those of most tasks; a number says how many more there are."""
_TASK_WIDTH = 14
_BAR = 36
_STILL_US = 3_000_000


class Failure(NamedTuple):
    """A task instance that failed for good."""

    logical_date: int
    task_id: str
    try_number: int
    reason: str


class Cell(NamedTuple):
    """Where one task of an open date stands."""

    state: TaskState
    since: int | None
    try_number: int
    retry_at: int | None = None
    reason: str | None = None


class Board:
    """The state of a running backfill as far as a person watching wants to know."""

    def __init__(self, start: RunStart) -> None:
        self.start = start
        self.dates = DateFormat(start.timezone, (start.first, start.last))
        self.counts = ProgressCounts(start.total, 0, 0, 0, 0, 0)
        self.open: dict[int, dict[str, Cell]] = {}
        self._last: dict[int, int] = {}
        self.failures: deque[Failure] = deque(maxlen=_FAILURES)
        self.waiting: Mapping[str, int] = {}
        self.stopping = ""
        self.wave: WaveReport | None = None
        self._before_wave = 0
        self.paused = ""
        self._idle_since: int | None = None
        self.pace = Pace()
        self.pace.start(start.started_at, start.total, start.done)

    def note(self, batch: Batch, counts: ProgressCounts, at: int) -> None:
        """Take in what was committed at `at`."""
        self.counts = counts
        if counts.running_tasks:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = at
        self.pace.note(at, counts.completed + counts.failed)
        for run in batch.opened:
            if run.leader == run.logical_date:  # a batch is a line: its tasks are those of its first date
                self.open.setdefault(run.logical_date, {})
                if run.batch is not None:
                    self._last[run.logical_date] = run.batch
        for row in batch.instances:
            if row.state is TaskState.FAILED:
                self.failures.append(Failure(row.logical_date, row.task_id, row.try_number, row.reason or ""))
            cells = self.open.get(row.logical_date)
            if cells is not None:
                cells[row.task_id] = Cell(row.state, row.started_at, row.try_number, row.retry_at, row.reason)
        for done in batch.runs:
            if done.state.is_terminal:
                self.open.pop(done.logical_date, None)
                self._last.pop(done.logical_date, None)
        for outcome in batch.outcomes:
            self.open.pop(outcome.logical_date, None)
            self._last.pop(outcome.logical_date, None)

    def note_wave(self, report: WaveReport) -> None:
        """Take in that a wave has begun, or ended."""
        self.wave = None if report.ended else report
        # What this run had done in all when the wave began with so many done: its own progress is the difference.
        done = self.counts.completed + self.counts.failed
        self._before_wave = done - (report.tally.dates - report.tally.pending)

    def steer(self, news: Steered) -> None:
        """Take in that somebody has steered the run."""
        self.counts = self.counts._replace(total=news.total)
        self.pace.set_total(news.total)
        for date in news.dates:
            self.open.pop(date, None)
            self._last.pop(date, None)
        if self.wave is not None and news.dates:
            self.wave = self.wave._replace(tally=self.wave.tally.without(news.dates))
        if news.action is Control.PAUSE:
            self.paused = paused_reason(news.by, news.at)
        elif not news.is_paused and self.paused:
            self.paused = ""
            self.pace.restart(news.at)

    def lines(self, now: int, width: int, height: int) -> list[Text]:
        """Return the board at `now` (epoch microseconds) in at most `height` lines of `width` cells."""
        tail = [*self._waiting(now, width), *self._failures(width)]
        if self.paused:
            resume = f"bfill resume {quote(self.start.backfill_id)}"
            tail.append(line((" paused   ", WARN), cut(self.paused.removeprefix("paused "), width - 11)))
            tail.append(line("          ", (cut(resume, width - 11), COMMAND)))
        if self.stopping:
            tail.append(line(" ", (cut(self.stopping, width - 2), WARN)))
        head = [self._title(width), self._progress(now, width), *self._wave()]
        room = max(1, height - len(head) - len(tail) - 1)
        made = [*head, *self._open(now, width, room), *tail]
        for one in made:
            # A folded line would push the board off the screen at the next redraw.
            one.truncate(width, overflow="ellipsis")
        return made[:height]

    def _title(self, width: int) -> Text:
        what = line(f"{self.start.dag_id}  {self.dates.span(self.start.first, self.start.last)}")
        resume = line(("resume: ", DIM), (f"bfill run {quote(self.start.backfill_id)}", COMMAND))
        full = line(" ", (self.start.backfill_id, BOLD), "  ", what)
        # The command to resume names the backfill as well: it alone stays where the terminal is narrow.
        for begin in (full, line(" ", what)):
            gap = width - begin.cell_len - resume.cell_len - 1
            if gap >= 2:
                return line(begin, " " * min(gap, 6), resume)
        return full

    def _progress(self, now: int, width: int) -> Text:
        counts = self.counts
        done = counts.completed + counts.failed
        facts = line(f"  {done:,} of {counts.total:,}")
        if counts.failed:
            facts.append_text(line("   ", (f"{counts.failed:,} failed", look("failed").style)))
        rate = None if self.paused else self.pace.per_minute(now)
        if rate is not None:
            facts.append(f"   {rate * 1:.1f}/min" if rate < 600 else f"   {rate / 60:,.0f}/s")
        left = None if self.paused or self._stands_still(now) else self.pace.left(now)
        if left is not None and done < counts.total:
            facts.append(f"   {span(*left)} left")
        bar = max(10, min(_BAR, width - facts.cell_len - 2))
        ok = bar * counts.completed // max(1, counts.total)
        bad = min(bar - ok, -(-bar * counts.failed // max(1, counts.total)))
        made = line(" ", ("━" * ok, "green"), ("━" * bad, "red"), ("─" * (bar - ok - bad), DIM), facts)
        made.truncate(width - 1)
        return made

    def _stands_still(self, now: int) -> bool:
        """Whether nothing has run for a while: what was done before tells no end of what waits."""
        return self._idle_since is not None and now - self._idle_since >= _STILL_US

    def _wave(self) -> list[Text]:
        """The wave that runs, with its own progress: `chunk 3 of 9 · 01-15 … 01-21 · 2 of 7`."""
        if self.wave is None:
            return []
        tally = self.wave.tally
        done = self.counts.completed + self.counts.failed - self._before_wave
        where = "" if tally.first is None or tally.last is None else self.dates.span(*sorted((tally.first, tally.last)))
        facts = (where, f"{min(done, tally.dates):,} of {tally.dates:,}")
        return [line(" ", (self.wave.wave.name, BOLD), *(f" · {one}" for one in facts if one))]

    def _open(self, now: int, width: int, room: int) -> list[Text]:
        dates = sorted(self.open)
        shown = dates if len(dates) <= room else dates[: room - 1]
        label = max((wide(self._label(one)) for one in shown), default=0)
        made = [self._date(one, now, width, label) for one in shown]
        if len(shown) < len(dates):
            made.append(line(("  " + count(len(dates) - len(shown), "more open date"), DIM)))
        return made

    def _label(self, logical_date: int) -> str:
        """An open date, or the first and the last of a batch."""
        last = self._last.get(logical_date)
        return self.dates.short(logical_date) if last is None else self.dates.span(logical_date, last)

    def _date(self, logical_date: int, now: int, width: int, label: int) -> Text:
        cells = self.open[logical_date]
        tasks = self.start.task_ids
        made = line(" ", (pad(self._label(logical_date), label), BOLD), "  ")
        column = max((min(wide(task_id), _TASK_WIDTH) for task_id in tasks), default=0) + 9
        if made.cell_len + len(tasks) * column <= width:
            for task_id in tasks:
                made.append_text(self._task(task_id, cells.get(task_id), now, column))
        else:
            # Too many tasks for their names: a symbol each, and the names of those that run.
            for task_id in tasks[: width // 2]:
                seen = look(cells[task_id].state if task_id in cells else "scheduled")
                made.append_text(line((seen.symbol, seen.style)))
            busy = [task_id for task_id, cell in cells.items() if cell.state is TaskState.RUNNING]
            made.append_text(line("  ", ", ".join(f"{one} {self._since(cells[one], now)}" for one in busy[:4])))
        made.rstrip()
        made.truncate(width - 1, overflow="ellipsis")
        return made

    def _task(self, task_id: str, cell: Cell | None, now: int, column: int) -> Text:
        seen = look(cell.state if cell else "scheduled")
        made = line(f"{cut(task_id, _TASK_WIDTH)} ", (seen.symbol, seen.style))
        if cell is not None and cell.state is TaskState.RUNNING:
            clock = self._since(cell, now)
            # "try 2" behind the seconds only where the next column leaves room.
            room = column - made.cell_len - 2
            made.append_text(line((" " + (clock if len(clock) <= room else clock.split(" try ")[0]), seen.style)))
        made.append(" " * max(1, column - made.cell_len))
        return made

    def _since(self, cell: Cell, now: int) -> str:
        if cell.since is None:
            return ""
        tried = f" try {cell.try_number}" if cell.try_number > 1 else ""
        return duration(max(0, (now - cell.since) // 1_000_000)) + tried

    def _waiting(self, now: int, width: int) -> list[Text]:
        told = sorted(
            ((why, number) for why, number in self.waiting.items() if why != NEXT_TRY), key=lambda one: -one[1]
        )
        whys = [f"{count(number, 'task')} for {why}" for why, number in told[:_REASONS]]
        if rest := [number for _, number in told[_REASONS:]]:
            look_at = f"bfill status {quote(self.start.backfill_id)}"
            whys.append(f"{count(sum(rest), 'task')} for {count(len(rest), 'other reason')}: {look_at}")
        # Not from what was told a moment ago: the cells know who waits for a try, and whose time has come.
        cells = (cell for cells in self.open.values() for cell in cells.values())
        later = [
            (cell.retry_at, cell.reason or "") for cell in cells if cell.retry_at is not None and cell.retry_at > now
        ]
        if later:
            first = "the first " if len(later) > 1 else ""
            at, said = min(later)
            seconds, why = -(-(at - now) // 1_000_000), f" ({said})" if said else ""
            whys.append(f"{count(len(later), 'task')} for {NEXT_TRY}, {first}in {duration(seconds)}{why}")
        return [line((" waiting  ", WARN), cut(why, width - 12)) for why in whys]

    def _failures(self, width: int) -> list[Text]:
        made = []
        seen = look(TaskState.FAILED)
        for failure in self.failures:
            # Tries are counted through all runs of a date, and allowed a run: a date that is repaired has more.
            tries = max(self.start.max_tries.get(failure.task_id, 0), failure.try_number)
            day = self.dates.argument(failure.logical_date)
            logs = f"bfill logs {quote(self.start.backfill_id)} {day} {quote(failure.task_id)}"
            where = f"{self.dates.short(failure.logical_date)} {failure.task_id}, try {failure.try_number} of {tries}: "
            room = width - wide(where) - wide(logs) - 8
            if room >= 16:
                made.append(
                    line(" ", (seen.symbol, seen.style), f" {where}{cut(failure.reason, room)}    ", (logs, COMMAND))
                )
            else:
                # Narrow: the cause matters more than the command, which stands below for the last one only.
                made.append(line(" ", (seen.symbol, seen.style), " ", cut(where + failure.reason, width - 5)))
        if self.failures and made and COMMAND not in {str(one.style) for text in made for one in text.spans}:
            made.append(line("   ", (cut(logs, width - 4), COMMAND)))
        return made
