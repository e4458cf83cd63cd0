"""Feeding a run wave by wave: the dates of the current one, and nothing of the next before all of it is committed.

Owns the passage from one wave to the next: how the wave went is read from the store, `core/wave_tallies.py` decides,
listeners are told. The coordinator knows of no waves: it is told "nothing yet", or that there is no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from backfill_cli.app.feed import StoreFeed
from backfill_cli.core.ports import (
    Clock,
    Listener,
    PaceChange,
    ProgressCounts,
    Reader,
    RunStart,
    Store,
    WaveReport,
    Writer,
)
from backfill_cli.core.progress import RunSpec
from backfill_cli.core.records import Action, BackfillDateRow, BackfillRow, Batch
from backfill_cli.core.shapes import ALL, Shape, auto_size
from backfill_cli.core.wave_tallies import Tally, WaveView, views_of, why_not_on
from backfill_cli.core.waves import PILOT, Cutter, Survey, Wave, survey, wave_of, waves_in

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag


def rows_to_do(
    reader: Reader,
    row: BackfillRow,
    *,
    after: int | None = None,
    only: int | None = None,
    from_the_end: bool = False,
) -> Iterator[BackfillDateRow]:
    """Stream the dates a backfill works on, done or not, in the order of its run; or the one that is named."""
    backwards = bool(row.request.get("run_backwards")) != from_the_end
    if only is not None:
        after = only + 1 if backwards else only - 1
    limit = None if only is None else 1
    rows = reader.backfill_dates(row.backfill_id, after=after, limit=limit, backwards=backwards)
    return (one for one in rows if one.action is not Action.SKIP)


def waves_of(reader: Reader, row: BackfillRow, shape: Shape, *, is_live: bool = False) -> list[WaveView]:
    """Return all waves of a backfill and how they stand; `is_live` when a process works on it."""
    rows = rows_to_do(reader, row)
    return views_of(shape, row.total - row.skipped, str(row.request["timezone"]), rows, is_live=is_live)


class WaveFeed:
    """The dates of a backfill in waves. It listens as well: a wave has ended when its last date is committed.

    Args:
        shape: What the waves are.
        owner: Who runs the backfill; the size that `--chunk auto` chooses is stored in its name.
        again: A pilot that is done was asked for once more: it stops behind it once more.
    """

    def __init__(
        self,
        store: Store,
        dag: Dag,
        row: BackfillRow,
        shape: Shape,
        *,
        owner: str,
        parallel: int,
        clock: Clock,
        listeners: Sequence[Listener],
        again: bool = False,
    ) -> None:
        self.shape = shape
        self.stopped = ""
        self.is_as_asked = False
        self._source = StoreFeed(store, dag, row)
        self._store = store
        self._row = row
        self._owner = owner
        self._parallel = parallel
        self._clock = clock
        self._listeners = listeners
        self._again = again
        self._total = row.total - row.skipped
        self._timezone = str(row.request["timezone"])
        self._cutter = Cutter(shape, self._total, self._timezone)
        self._survey: Survey | None = None
        self._pilot: Tally | None = None
        self._after: int | None = None
        self._wave: Wave | None = None
        self._tally = Tally()
        self._from: int | None = None
        self._behind = Tally()
        self._begun_s = 0.0
        self._counts: ProgressCounts | None = None
        self._is_committed = True

    @property
    def pilot(self) -> tuple[int, ...]:
        """The pilot's dates, in the order of the run."""
        return self._surveyed.pilot

    @property
    def stopped_at_pilot(self) -> bool:
        """Whether it stopped behind the pilot, and not further on."""
        return bool(self.stopped) and self._cutter.number == PILOT

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
    def on_end(self) -> None: ...

    # from one wave to the next

    def _begin_next(self) -> bool:
        """Begin the next wave that has something to do; False at the end, or where a failed chunk bars the way."""
        while (found := self._store.read(self._next)) is not None:
            wave, tally = found
            if tally.pending:
                break
            self._pass(wave, tally)
            if wave.kind == "chunk" or (wave.kind == "pilot" and self._again):
                self._mind(wave, tally)
            if self.stopped:
                self._tell(wave, tally, ended=True)
                return False
        else:
            return False
        self._wave, self._tally = wave, tally
        self._begun_s = self._clock.monotonic()
        if wave.kind == "pilot":
            self._source.only(self._surveyed.pilot)
        else:
            is_open = wave.kind == "rest" or self._is_rest(wave.number)
            self._source.up_to(None if is_open else tally.last, after=self._from)
        self._tell(wave, tally, ended=False)
        return True

    def _end(self, wave: Wave) -> None:
        begun, tally = self._tally, self._store.read(lambda reader: self._again_of(reader, wave))
        if tally.began is None:  # counted by its counters: this run's part of it
            now = self._clock.now_us()
            tally.began, tally.ended = now - int((self._clock.monotonic() - self._begun_s) * 1_000_000), now
        self._wave = None
        self._pass(wave, tally)
        if self.shape.is_open:
            self._choose(begun.pending)
        self._mind(wave, tally)
        self._tell(wave, tally, ended=True)

    def _pass(self, wave: Wave, tally: Tally) -> None:
        """A wave lies behind."""
        if wave.kind == "pilot":
            self._pilot = tally
        self._behind.dates += tally.dates
        self._behind.completed += tally.completed
        self._behind.failed += tally.failed

    def _mind(self, wave: Wave, tally: Tally) -> None:
        """Stop behind a wave where that is to be done, and something is left to stop before."""
        reason = why_not_on(self.shape, wave, tally, self._pilot, self._total)
        if reason is not None and self._store.read(self._is_something_left):
            self.stopped = reason
            self.is_as_asked = wave.kind == "pilot" and not tally.bad

    def _is_something_left(self, reader: Reader) -> bool:
        pilot = self._surveyed.pilot
        rows = reader.pending(
            self._row.backfill_id, after=self._after, limit=len(pilot) + 1, backwards=self._is_backwards
        )
        return any(one.logical_date not in pilot for one in rows)

    @property
    def _is_backwards(self) -> bool:
        return bool(self._row.request.get("run_backwards"))

    @property
    def _surveyed(self) -> Survey:
        assert self._survey is not None
        return self._survey

    def _choose(self, dates: int) -> None:
        """Choose the size of the chunks of `auto` from what the first one took, and store it: `status` cuts by it."""
        size = auto_size(dates, self._clock.monotonic() - self._begun_s, self._parallel)
        self.shape = self._cutter.shape = self.shape.chosen(size)
        pilot = self._surveyed.pilot
        self._survey = Survey(pilot, waves_in(self.shape, self._total - len(pilot)))

        def work(writer: Writer) -> None:
            now = writer.backfill(self._row.backfill_id)
            if now is not None and now.owner == self._owner:
                writer.set_backfill(now.backfill_id, request={**now.request, "shape": self.shape.data()})

        self._store.write(work)

    # which dates, and how they stand

    def _next(self, reader: Reader) -> tuple[Wave, Tally] | None:
        if self._survey is None:
            dates = reader.worked_on(self._row.backfill_id, backwards=self._is_backwards)
            self._survey = survey(self.shape, self._total, self._timezone, dates)
            if self._survey.pilot:
                wave = wave_of(self.shape, PILOT, self._survey.waves)
                return wave, self._again_of(reader, wave)
        self._from = self._after
        number = self._cutter.number + 1
        wave = wave_of(self.shape, number, self._surveyed.waves)
        if self._is_rest(number):
            tally = self._rest(reader)
            self._cutter.number = number
            return (wave, tally) if tally.pending > 0 else None
        tally = Tally()
        for row in rows_to_do(reader, self._row, after=self._after):
            if tally.dates and self._cutter.opens(row.logical_date):
                break
            self._after = row.logical_date
            if self._cutter.take(row.logical_date) != PILOT:
                tally.add(row)
        return (wave, tally) if tally.dates else None

    def _is_rest(self, number: int) -> bool:
        return self.shape.days is None and self.shape.size_of(number) == ALL

    def _rest(self, reader: Reader) -> Tally:
        """What is left behind all other waves, by the counters: it may be a million dates."""
        counts, behind = self._counts or self._row, self._behind
        pilot = self._surveyed.pilot
        first, last = (
            next((one.logical_date for one in rows if one.logical_date not in pilot), None)
            for rows in (
                rows_to_do(reader, self._row, after=self._from),
                rows_to_do(reader, self._row, from_the_end=True),
            )
        )
        return Tally(
            first,
            last,
            self._total - behind.dates,
            counts.completed - behind.completed,
            counts.failed - behind.failed,
            blocked=counts.blocked if self._counts else 0,
        )

    def _again_of(self, reader: Reader, wave: Wave) -> Tally:
        """Count a wave from the store."""
        if wave.kind != "pilot" and self._is_rest(wave.number):
            return self._rest(reader)
        tally = Tally()
        if wave.kind == "pilot":
            for date in self._surveyed.pilot:
                for row in rows_to_do(reader, self._row, only=date):
                    tally.add(row)
            return tally
        pilot = self._surveyed.pilot
        for row in rows_to_do(reader, self._row, after=self._from):
            if row.logical_date not in pilot:
                tally.add(row)
            if row.logical_date == self._tally.last:
                break
        return tally

    def _tell(self, wave: Wave, tally: Tally, *, ended: bool) -> None:
        report = WaveReport(wave, tally, self._clock.now_us(), ended, self.stopped)
        for listener in self._listeners:
            listener.on_wave(report)
