"""Who watches a run: the live board on a terminal, lines where stderr is a file or a pipe, nobody with `-q`."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from backfill_cli.cli import streams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from backfill_cli.cli.shared import Shared
    from backfill_cli.core.listening import Listener, PaceChange, ProgressCounts, RunStart, WaveReport
    from backfill_cli.core.records import Batch
    from backfill_cli.core.results import BackfillResult
    from backfill_cli.core.steering import Steered
    from backfill_cli.render.lines import LineListener
    from backfill_cli.render.live import LiveListener


class Several:
    """Listeners as one, told in order."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    def on_start(self, start: RunStart) -> None:
        for one in self._listeners:
            one.on_start(start)

    def on_batch(self, batch: Batch, counts: ProgressCounts, at: int) -> None:
        for one in self._listeners:
            one.on_batch(batch, counts, at)

    def on_waiting(self, waiting: Mapping[str, int], next_retry_at: int | None) -> None:
        for one in self._listeners:
            one.on_waiting(waiting, next_retry_at)

    def on_wave(self, report: WaveReport) -> None:
        for one in self._listeners:
            one.on_wave(report)

    def on_pace(self, change: PaceChange) -> None:
        for one in self._listeners:
            one.on_pace(change)

    def on_stopping(self, signal: int | None, running: int, reason: str) -> None:
        for one in self._listeners:
            one.on_stopping(signal, running, reason)

    def on_steered(self, news: Steered) -> None:
        for one in self._listeners:
            one.on_steered(news)

    def on_end(self) -> None:
        for one in self._listeners:
            one.on_end()


class Watching:
    """A context around one run: `listener` goes to the service, `finished` takes what came of it.

    Args:
        others: Who else listens, after the person.
    """

    def __init__(self, shared: Shared, *others: Listener) -> None:
        self._others = others
        self._board: LiveListener | None = None
        self._lines: LineListener | None = None
        self._stream: IO[str] | None = None
        if shared.quiet:
            return
        # Of its own: while tasks run, what they and their children write to descriptor 2 is made harmless on its way.
        self._stream = streams.progress(sys.stderr)
        if streams.is_live(sys.stderr):
            from backfill_cli.render.live import LiveListener

            colour = streams.wants_colour(sys.stderr, no_color=shared.no_color)
            self._board = LiveListener(self._stream, colour=colour)
        else:
            from backfill_cli.render.lines import LineListener

            self._lines = LineListener(self._stream)

    @property
    def listener(self) -> Listener | None:
        """What the service tells what happens; None with -q and nobody else."""
        mine = self._board or self._lines
        all_of_them = [one for one in (mine, *self._others) if one is not None]
        return Several(all_of_them) if len(all_of_them) > 1 else next(iter(all_of_them), None)

    def finished(self, result: BackfillResult) -> None:
        """Close the account: a log gets its last line; on a terminal the closing screen follows."""
        if self._lines is not None and result.ended_at is not None:
            self._lines.finished(result, result.ended_at)
        self._close()

    def __enter__(self) -> Watching:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Whatever happened, the terminal gets its cursor back before anything else is printed.
        if self._board is not None:
            self._board.close()
        if error is not None:
            self._close()

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None and stream is not sys.stderr:
            with suppress(OSError, ValueError):
                stream.close()
