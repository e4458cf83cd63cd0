"""Feeding a run wave by wave: the dates of the current one, and nothing of the next before all of it is committed.

Owns the passage from one wave to the next: how the wave went is read from the store (`app/wave_walk.py`),
`core/wave_tallies.py` decides, listeners are told. The coordinator knows of no waves: it hears "nothing yet", or that
there is no more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from backfill_cli.app.feed import StoreFeed
from backfill_cli.app.wave_walk import WaveWalk, places_of
from backfill_cli.core.listening import Listener, PaceChange, ProgressCounts, RunStart, WaveReport
from backfill_cli.core.ports import Clock, Store, Writer
from backfill_cli.core.progress import RunSpec
from backfill_cli.core.records import BackfillRow, Batch
from backfill_cli.core.shapes import Shape, auto_size
from backfill_cli.core.wave_tallies import Tally, why_not_on
from backfill_cli.core.waves import Wave

if TYPE_CHECKING:
    from backfill_cli.core.steering import Steered


class WaveFeed:
    """The dates of a backfill in waves. It listens as well: a wave has ended when its last date is committed.

    Args:
        source: The dates of the backfill, merged or not.
        shape: What the waves are.
        owner: Who runs the backfill; the size that `--chunk auto` chooses is stored in its name.
        again: A pilot that is done was asked for once more: it stops behind it once more.
    """

    def __init__(
        self,
        store: Store,
        source: StoreFeed,
        row: BackfillRow,
        shape: Shape,
        *,
        owner: str,
        parallel: int,
        clock: Clock,
        listeners: Sequence[Listener],
        again: bool = False,
    ) -> None:
        self.stopped = ""
        self.is_as_asked = False
        self._source = source
        self._store = store
        self._row = row
        self._owner = owner
        self._parallel = parallel
        self._clock = clock
        self._listeners = listeners
        self._again = again
        self._walk = WaveWalk(row, shape, store.read(lambda reader: places_of(reader, row)))
        self._pilot: Tally | None = None
        self._wave: Wave | None = None
        self._ended_before = 0
        self._begun_s = 0.0
        self._counts: ProgressCounts | None = None
        self._is_committed = True

    @property
    def shape(self) -> Shape:
        """What the waves are, the size that was chosen included."""
        return self._walk.shape

    @property
    def pilot(self) -> tuple[int, ...]:
        """The pilot's dates, in the order of the run."""
        return self._walk.pilot

    @property
    def stopped_at_pilot(self) -> bool:
        """Whether it stopped behind the pilot, and not further on."""
        return bool(self.stopped) and self._walk.is_at_pilot

    # what the coordinator asks

    def take(self, most: int) -> Sequence[RunSpec] | None:
        """Return dates of the current wave; None until all of it has ended; nothing at the end, or at a stop."""
        while not self.stopped:
            if self._wave is None:
                if not self._begin_next():
                    break
                continue
            specs = self._source.take(most)
            if specs:
                self._is_committed = False
                return specs
            if not self._is_committed or (self._counts is not None and self._counts.open_runs):
                return None
            self._end(self._wave)
        return ()

    def to_come(self, dates: Collection[int]) -> frozenset[int]:
        """Return those of these dates, which have no outcome, that have not been given yet."""
        found = self._source.to_come(dates)
        is_pilot = self._wave is not None and self._wave.kind == "pilot"
        return found.union(date for date in dates if date not in self.pilot) if is_pilot else found

    def leave_out(self, dates: Collection[int], counts: ProgressCounts) -> None:
        """Do without these dates; the wave they were in may have ended with that."""
        self._source.leave_out(dates, counts)
        self._counts = counts
        self._walk.total = counts.total

    # what it hears

    def on_batch(self, batch: Batch, counts: ProgressCounts, at: int) -> None:
        """Note what is committed by now."""
        self._counts = counts
        self._is_committed = True

    def on_start(self, start: RunStart) -> None: ...
    def on_waiting(self, waiting: Mapping[str, int], next_retry_at: int | None) -> None: ...
    def on_wave(self, report: WaveReport) -> None: ...
    def on_pace(self, change: PaceChange) -> None: ...
    def on_stopping(self, signal: int | None, running: int, reason: str) -> None: ...
    def on_steered(self, news: Steered) -> None: ...
    def on_end(self) -> None: ...

    # from one wave to the next

    def _begin_next(self) -> bool:
        """Begin the next wave that has something to do; False at the end, or where a failed chunk bars the way."""
        while (found := self._store.read(lambda reader: self._walk.next(reader, self._counts))) is not None:
            wave, tally = found
            if tally.pending:
                break
            self._pass(wave, tally)
            if not tally.dates:
                self._measure(wave, 0, 0.0)
            if wave.kind == "chunk" or (wave.kind == "pilot" and self._again):
                self._mind(wave, tally)
            if self.stopped:
                self._tell(wave, tally, ended=True)
                return False
        else:
            return False
        self._wave, self._begun_s = wave, self._clock.monotonic()
        self._ended_before = tally.completed + tally.failed
        if wave.kind == "pilot":
            self._source.only(self.pilot)
        else:
            self._source.up_to(self._walk.last, after=self._walk.after)
        self._tell(wave, tally, ended=False)
        return True

    def _end(self, wave: Wave) -> None:
        tally = self._store.read(lambda reader: self._walk.again(reader, wave, self._counts))
        seconds = self._clock.monotonic() - self._begun_s
        if tally.began is None:  # from counters, which know no times: this run's part of it
            now = self._clock.now_us()
            tally.began, tally.ended = now - int(seconds * 1_000_000), now
        self._wave = None
        self._pass(wave, tally)
        self._measure(wave, tally.completed + tally.failed - self._ended_before, seconds)
        self._mind(wave, tally)
        self._tell(wave, tally, ended=True)

    def _pass(self, wave: Wave, tally: Tally) -> None:
        """A wave lies behind."""
        if wave.kind == "pilot":
            self._pilot = tally
        self._walk.passed(tally)

    def _mind(self, wave: Wave, tally: Tally) -> None:
        """Stop behind a wave where that is to be done, and something is left to stop before."""
        reason = why_not_on(self.shape, wave, tally, self._pilot, self._walk.total)
        if reason is not None and self._store.read(self._walk.is_something_left):
            self.stopped = reason
            self.is_as_asked = wave.kind == "pilot" and not tally.bad

    def _measure(self, wave: Wave, ended: int, seconds: float) -> None:
        """Let the first chunk of `auto` say how large the others are; where nothing ended in it, as large as it was."""
        if wave.kind == "chunk" and self.shape.is_open:
            size = auto_size(ended, seconds, self._parallel) if ended > 0 else self.shape.size_of(wave.number)
            self._choose(size)

    def _choose(self, size: int) -> None:
        """Go on with chunks of the size that the first one speaks for, and store it: `status` cuts by it."""
        self._walk.choose(size)

        def work(writer: Writer) -> None:
            now = writer.backfill(self._row.backfill_id)
            if now is not None and now.owner == self._owner:
                writer.set_backfill(now.backfill_id, request={**now.request, "shape": self.shape.data()})

        self._store.write(work)

    def _tell(self, wave: Wave, tally: Tally, *, ended: bool) -> None:
        report = WaveReport(wave, tally, self._clock.now_us(), ended, self.stopped)
        for listener in self._listeners:
            listener.on_wave(report)
