"""Which dates the next wave of a backfill has, and how a wave stands: read from the store, wave by wave.

Owns the reading. A wave is walked when it begins and when it has ended; the last one behind a pilot or a ramp has no
end to wait for and may be a million dates, so it is what the counters say is left. When the next wave may begin is
`app/waves.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from backfill_cli.app.leaving import left_out_dates
from backfill_cli.core.leaving import has_place
from backfill_cli.core.listening import ProgressCounts
from backfill_cli.core.ports import Reader
from backfill_cli.core.records import BackfillDateRow, BackfillRow
from backfill_cli.core.shapes import ALL, Shape
from backfill_cli.core.wave_tallies import Tally, WaveView, views_of
from backfill_cli.core.waves import PILOT, Cutter, Survey, Wave, survey, wave_of, waves_in


def rows_to_do(
    reader: Reader,
    row: BackfillRow,
    *,
    after: int | None = None,
    only: int | None = None,
    from_the_end: bool = False,
) -> Iterator[BackfillDateRow]:
    """Stream the dates that have a place in the waves of a backfill, in the order of its run; or the one that is named.

    Those that it works on, done or not, and those that somebody took out of it.
    """
    backwards = bool(row.request.get("run_backwards")) != from_the_end
    if only is not None:
        after = only + 1 if backwards else only - 1
    limit = None if only is None else 1
    rows = reader.backfill_dates(row.backfill_id, after=after, limit=limit, backwards=backwards)
    return (one for one in rows if has_place(one))


def waves_of(reader: Reader, row: BackfillRow, shape: Shape, *, is_live: bool = False) -> list[WaveView]:
    """Return all waves of a backfill and how they stand; `is_live` when a process works on it."""
    rows = rows_to_do(reader, row)
    return views_of(shape, places_of(reader, row), str(row.request["timezone"]), rows, is_live=is_live)


def places_of(reader: Reader, row: BackfillRow) -> int:
    """Return how many dates have a place in the waves of a backfill."""
    return row.total - row.skipped + len(left_out_dates(reader, row))


class WaveWalk:
    """The way through the waves of one backfill, in the order of its run.

    `after` is the last date before the current wave, None at the beginning; in the order of the run, as all dates here.

    Args:
        places: How many dates have a place in its waves.

    Attributes:
        total: How many dates there are to do.
    """

    def __init__(self, row: BackfillRow, shape: Shape, places: int) -> None:
        self.shape = shape
        self.total = row.total - row.skipped
        self._places = places
        self.after: int | None = None
        self.last: int | None = None
        self._row = row
        self._backwards = bool(row.request.get("run_backwards"))
        self._timezone = str(row.request["timezone"])
        self._cutter = Cutter(shape, places, self._timezone)
        self._survey: Survey | None = None
        self._seen: int | None = None
        self._behind = Tally()

    @property
    def pilot(self) -> tuple[int, ...]:
        """The pilot's dates; known from the first wave on."""
        return () if self._survey is None else self._survey.pilot

    @property
    def is_at_pilot(self) -> bool:
        """Whether nothing behind the pilot has been looked at."""
        return self._cutter.number == PILOT

    def next(self, reader: Reader, counts: ProgressCounts | None) -> tuple[Wave, Tally] | None:
        """Return the next wave and how it stands; None behind the last.

        Args:
            counts: Where the backfill stands by now; None when nothing was committed since it was read.
        """
        if self._survey is None:
            dates = reader.worked_on(self._row.backfill_id, backwards=self._backwards)
            self._survey = survey(self.shape, self._places, self._timezone, dates)
            if self._survey.pilot:
                return wave_of(self.shape, PILOT, self._survey.waves), self._pilot_now(reader)
        self.after, self.last = self._seen, None
        number = self._cutter.number + 1
        wave = wave_of(self.shape, number, self._survey.waves)
        if self._is_rest(number):
            self._cutter.number = number
            tally = self._rest(reader, counts)
            return (wave, tally) if tally.pending > 0 else None
        tally = Tally()
        for row in rows_to_do(reader, self._row, after=self.after):
            if tally.places and self._cutter.opens(row.logical_date):
                break
            self._seen = row.logical_date
            if self._cutter.take(row.logical_date) != PILOT:
                tally.add(row)
        self.last = tally.last
        return (wave, tally) if tally.places else None

    def again(self, reader: Reader, wave: Wave, counts: ProgressCounts | None) -> Tally:
        """Return how the current wave stands now."""
        if wave.number == PILOT:
            return self._pilot_now(reader)
        if self.last is None:
            return self._rest(reader, counts)
        tally = Tally()
        for row in rows_to_do(reader, self._row, after=self.after):
            if row.logical_date not in self.pilot:
                tally.add(row)
            if row.logical_date == self.last:
                break
        return tally

    def passed(self, tally: Tally) -> None:
        """The current wave lies behind."""
        self._behind.dates += tally.dates
        self._behind.completed += tally.completed
        self._behind.failed += tally.failed

    def is_something_left(self, reader: Reader) -> bool:
        """Return whether any date behind the current wave is still to be done."""
        limit = len(self.pilot) + 1
        rows = reader.pending(self._row.backfill_id, after=self._seen, limit=limit, backwards=self._backwards)
        return any(one.logical_date not in self.pilot for one in rows)

    def choose(self, size: int) -> None:
        """Cut what is left into chunks of this size."""
        self.shape = self._cutter.shape = self.shape.chosen(size)
        self._survey = Survey(self.pilot, waves_in(self.shape, self._places - len(self.pilot)))

    def _is_rest(self, number: int) -> bool:
        return self.shape.days is None and self.shape.size_of(number) == ALL

    def _pilot_now(self, reader: Reader) -> Tally:
        tally = Tally()
        for date in self.pilot:
            for row in rows_to_do(reader, self._row, only=date):
                tally.add(row)
        return tally

    def _rest(self, reader: Reader, counts: ProgressCounts | None) -> Tally:
        now, behind = counts or self._row, self._behind
        first, last = (
            next((one.logical_date for one in rows if one.logical_date not in self.pilot), None)
            for rows in (
                rows_to_do(reader, self._row, after=self.after),
                rows_to_do(reader, self._row, from_the_end=True),
            )
        )
        return Tally(
            first,
            last,
            dates=self.total - behind.dates,
            completed=now.completed - behind.completed,
            failed=now.failed - behind.failed,
            blocked=0 if counts is None else counts.blocked,
        )
