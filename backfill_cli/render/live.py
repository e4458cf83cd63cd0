"""The live board on a terminal: a `Listener` that draws on a timer, at most a few times a second, never per event.

Owns the terminal side alone: Rich's `Live` on stderr, a lock between the coordinator's thread and the drawing one.
What is drawn is `board.py`. Drawing never stops a backfill: a terminal that goes away silences the board.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from typing import IO, Any, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live

from backfill_cli import clock
from backfill_cli.core.listening import PaceChange, ProgressCounts, RunStart, WaveReport
from backfill_cli.core.records import Batch
from backfill_cli.core.steering import Steered
from backfill_cli.render.board import Board
from backfill_cli.render.text import line
from backfill_cli.render.words import count

_A_SECOND = 5
"""Redraws a second: clocks tick smoothly, and a thousand events in between cost nothing."""


class _Unbreakable:
    """A stream whose writes never fail: what a closed terminal cannot show is lost, the backfill is not."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class LiveListener:
    """Draws the board while a backfill runs; it is gone when the run ends, and the closing screen takes its place."""

    def __init__(self, file: IO[str], *, colour: bool) -> None:
        self._console = Console(
            file=cast(IO[str], _Unbreakable(file)),
            highlight=False,
            markup=False,
            emoji=False,
            no_color=not colour,
            force_terminal=True,
        )
        self._lock = Lock()
        self._board: Board | None = None
        self._live: Live | None = None

    def on_start(self, start: RunStart) -> None:
        if not start.total:
            return  # nothing will happen: a board would flash up and be gone
        self._board = Board(start)
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=_A_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def on_batch(self, batch: Batch, counts: ProgressCounts, at: int) -> None:
        with self._lock:
            if self._board is not None:
                self._board.note(batch, counts, at)

    def on_waiting(self, waiting: Mapping[str, int], next_retry_at: int | None) -> None:
        with self._lock:
            if self._board is not None:
                self._board.waiting = dict(waiting)

    def on_wave(self, report: WaveReport) -> None:
        with self._lock:
            if self._board is not None:
                self._board.note_wave(report)

    def on_pace(self, change: PaceChange) -> None:
        """The board says what waits, and for what; a breaker that is open is among that."""

    def on_stopping(self, signal: int | None, running: int, reason: str) -> None:
        with self._lock:
            if self._board is not None:
                tasks = count(running, "running task")
                why, again = (f"{reason}: ", "") if signal is None else ("", "; press again to stop them")
                self._board.stopping = f"{why}finishing {tasks}, nothing new starts{again}"

    def on_steered(self, news: Steered) -> None:
        with self._lock:
            if self._board is not None:
                self._board.steer(news)

    def on_end(self) -> None:
        self.close()

    def close(self) -> None:
        """Take the board off the terminal and give the cursor back; again does nothing."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _draw(self) -> RenderableType:
        with self._lock:
            if self._board is None:
                return line()
            size = self._console.size
            lines = self._board.lines(clock.now_us(), size.width, size.height)
        return Group(*lines)
