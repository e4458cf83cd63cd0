"""How waves went, and whether the next one may begin.

Owns the counts of a wave, made from the dates of a backfill as they are stored, and the decision between two waves:
on, or a stop with its reason in words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from backfill_cli.core.instants import iso
from backfill_cli.core.planning import is_blocked
from backfill_cli.core.records import Action, BackfillDateRow
from backfill_cli.core.shapes import SKIP, STOP, Shape, percentage
from backfill_cli.core.states import RunState
from backfill_cli.core.waves import PILOT, Cutter, Wave, wave_of

SLOWER = 2.0
SLOWER_BY_S = 0.5
"""A wave of a ramp is slow when a date takes more than twice as long as in the pilot, and by more than this."""


@dataclass(slots=True)
class Tally:
    """How the dates of a wave stand. `first` and `last` are in the order of the run.

    Args:
        dates: All of its dates; `pending` of them have no outcome.
        skipped: Those that somebody took out of it, which are not among `dates`.
        failed: Dates that failed; `repaired` of them have succeeded since.
        blocked: Dates without outcome that wait for an earlier one.
        began, ended: The first start and the last end of its dag_runs, epoch microseconds.
        run_s, timed: What the dag_runs that ended took in all, and how many of them there are.
    """

    first: int | None = None
    last: int | None = None
    dates: int = 0
    completed: int = 0
    failed: int = 0
    repaired: int = 0
    blocked: int = 0
    skipped: int = 0
    began: int | None = None
    ended: int | None = None
    run_s: float = 0.0
    timed: int = 0

    def add(self, row: BackfillDateRow) -> None:
        """Count one date."""
        self.first = row.logical_date if self.first is None else self.first
        self.last = row.logical_date
        if row.action is Action.SKIP:
            self.skipped += 1
            return
        self.dates += 1
        if row.outcome is RunState.SUCCESS:
            self.completed += 1
        elif row.outcome is RunState.FAILED:
            self.failed += 1
            if row.run_state is RunState.SUCCESS:
                self.repaired += 1
                return  # its dag_run tells the time of the repair
        else:
            self.blocked += is_blocked(row)
            return
        if row.run_started_at is not None and row.run_ended_at is not None:
            self.began = min(row.run_started_at, self.began or row.run_started_at)
            self.ended = max(row.run_ended_at, self.ended or row.run_ended_at)
            self.run_s += (row.run_ended_at - row.run_started_at) / 1_000_000
            self.timed += 1

    def without(self, dates: Iterable[int]) -> Tally:
        """Return it without such dates as lie between its first and its last: of a wave that has all in between."""
        ends = sorted(one for one in (self.first, self.last) if one is not None)
        out = sum(ends[0] <= date <= ends[-1] for date in dates) if ends else 0
        return replace(self, dates=max(0, self.dates - out), skipped=self.skipped + out)

    @property
    def places(self) -> int:
        """All of its dates, and those that were taken out of it."""
        return self.dates + self.skipped

    @property
    def pending(self) -> int:
        return self.dates - self.completed - self.failed

    @property
    def bad(self) -> int:
        """Dates that are failed or blocked now."""
        return self.failed - self.repaired + self.blocked

    @property
    def state(self) -> str:
        """`success`, `failed` (all have ended, or wait for one that failed), `interrupted`, `remaining`, `skipped`."""
        if not self.dates and self.skipped:
            return "skipped"
        if self.pending > self.blocked:
            return "interrupted" if self.pending < self.dates else "remaining"
        return "failed" if self.bad else "success"

    @property
    def duration_s(self) -> float | None:
        """Seconds from the first start to the last end of its dag_runs, pauses between two commands included."""
        return None if self.began is None or self.ended is None else round((self.ended - self.began) / 1_000_000, 3)

    @property
    def mean_s(self) -> float | None:
        """What one of its dag_runs took, on average."""
        return self.run_s / self.timed if self.timed else None

    def in_words(self) -> str:
        """Return `2 failed dates`, `1 failed and 5 blocked dates`."""
        numbers = [(self.failed - self.repaired, "failed"), (self.blocked, "blocked")]
        said = " and ".join(f"{number:,} {word}" for number, word in numbers if number)
        return f"{said} {'date' if self.bad == 1 else 'dates'}"


@dataclass(frozen=True, slots=True)
class WaveView:
    """One wave of a backfill and how it stands: what results and `status` show."""

    wave: Wave
    tally: Tally
    is_running: bool = False

    @property
    def state(self) -> str:
        return "running" if self.is_running else self.tally.state

    def data(self) -> dict[str, Any]:
        tally = self.tally
        ends = sorted(one for one in (tally.first, tally.last) if one is not None)
        return {
            "number": self.wave.number,
            "kind": self.wave.kind,
            "first": iso(ends[0]) if ends else None,
            "last": iso(ends[-1]) if ends else None,
            "dates": tally.dates,
            "completed": tally.completed,
            "failed": tally.failed,
            "repaired": tally.repaired,
            "blocked": tally.blocked,
            "skipped": tally.skipped,
            "duration_s": tally.duration_s,
            "state": self.state,
        }


def views_of(
    shape: Shape, total: int, timezone: str, rows: Iterable[BackfillDateRow], *, is_live: bool = False
) -> list[WaveView]:
    """Return all waves of a backfill, the pilot first.

    Args:
        is_live: A process works on it: the first wave that has not ended is `running`.
        total: The dates to do, done ones included, and those taken out: as many as there are rows.
        rows: Those dates in the order of the run.
    """
    cutter = Cutter(shape, total, timezone)
    tallies: dict[int, Tally] = {PILOT: Tally()} if cutter.places else {}
    for row in rows:
        number = cutter.take(row.logical_date)
        tally = tallies.get(number)
        if tally is None:
            tally = tallies[number] = Tally()
        tally.add(row)
    views = [WaveView(wave_of(shape, number, cutter.number), tally) for number, tally in tallies.items()]
    for place, view in enumerate(views):
        if is_live and view.tally.pending > view.tally.blocked:
            views[place] = replace(view, is_running=True)
            break
    return views


def why_not_on(shape: Shape, wave: Wave, tally: Tally, pilot: Tally | None, total: int) -> str | None:
    """Return why nothing behind a wave that has ended may begin, in words; None when it may.

    Args:
        pilot: How the pilot went; None without one.
        total: All dates there are to do.
    """
    if wave.kind == "pilot":
        if tally.bad:
            return f"the pilot ended with {tally.in_words()}"
        return None if shape.ramp else f"pilot done: {tally.dates:,} of {total:,} dates"
    if wave.kind == "ramp":
        return _why_no_ramp(wave, tally, pilot)
    return _why_no_chunk(shape, wave, tally) if wave.kind == "chunk" else None


def _why_no_chunk(shape: Shape, wave: Wave, tally: Tally) -> str | None:
    """With `stop` a failed chunk bars the way until it is repaired, whichever command comes by."""
    share = percentage(shape.failures)
    allowed = (
        tally.dates if shape.failures == SKIP else 0 if shape.failures == STOP else tally.dates * (share or 0) / 100
    )
    return (
        f"{wave.name} ended with {tally.in_words()} (--chunk-failures {shape.failures})"
        if tally.bad > allowed
        else None
    )


def _why_no_ramp(wave: Wave, tally: Tally, pilot: Tally | None) -> str | None:
    if tally.bad:
        return f"{wave.name} ended with {tally.in_words()} (--ramp)"
    took, before = tally.mean_s, pilot.mean_s if pilot else None
    if took is None or before is None or took <= max(before * SLOWER, before + SLOWER_BY_S):
        return None
    return f"{wave.name} was slow: {took:.1f} s a date, {before:.1f} s in the pilot (--ramp)"
