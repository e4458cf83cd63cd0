"""What a schedule is, and how the value in a DAG file becomes one.

Owns the `Schedule` protocol, `compile_schedule` and the two smallest schedules (`@once`, none). The others have files
of their own: `core/ticks.py` (cron), `core/deltas.py` (timedelta, months), `core/custom.py` (a user's object).

A schedule is a pure function from a window of instants to the intervals whose logical date lies in it (R1: the logical
date is the interval's start). It knows nothing of `now`, of the DAG's end_date or of what has run: which of its
intervals are wanted is decided in `core/ranges.py` and `core/catchup.py`. All instants are UTC epoch seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Protocol

from backfill_cli.core.cron import parse_cron
from backfill_cli.core.custom import CustomSchedule, UserSchedule
from backfill_cli.core.deltas import CalendarSchedule, CalendarStep, DeltaSchedule, absolute_step
from backfill_cli.core.intervals import Span
from backfill_cli.core.ticks import CronSchedule
from backfill_cli.core.zones import DAY, ZoneClock, clock_of
from backfill_cli.errors import ScheduleError

__all__ = ["Schedule", "UserSchedule", "compile_schedule"]


class Schedule(Protocol):
    """What every compiled schedule offers. Instants are UTC epoch seconds, intervals half-open."""

    @property
    def kind(self) -> str:
        """`cron`, `delta`, `calendar`, `once`, `none` or `custom`."""

    def spans(self, first: int, last: int) -> Iterator[Span]:
        """Every interval whose logical date L has `first <= L <= last`, ascending, streamed; empty if first > last."""

    def spans_backwards(self, first: int, last: int) -> Iterator[Span]:
        """Exactly the intervals of `spans`, descending: the boundaries do not depend on the direction."""

    def count(self, first: int, last: int) -> int:
        """How many intervals `spans` yields, without making them where that can be avoided."""

    def previous(self, logical_date: int) -> Span | None:
        """The latest interval that starts strictly before an instant (`prev_ds` when it is a logical date)."""

    def next(self, logical_date: int) -> Span | None:
        """The earliest interval that starts strictly after an instant (`next_ds`)."""

    def first_at_or_after(self, instant: int) -> Span | None:
        """The earliest interval that starts at or after an instant (R6)."""

    def manual(self, at: int) -> Span:
        """What a manual run at an instant covers (R5)."""

    def describe(self) -> str:
        """The schedule as its author wrote it, for screens and JSON."""

    def digest_text(self) -> str:
        """Stable text that differs when the dates differ; a part of the DAG's version."""


class OnceSchedule:
    """`@once`: one run at start_date, of zero length (R3)."""

    kind = "once"

    __slots__ = ("at",)

    def __init__(self, at: int) -> None:
        self.at = at

    def spans(self, first: int, last: int) -> Iterator[Span]:
        """The one interval, if its logical date is inside."""
        if first <= self.at <= last:
            yield Span(self.at, self.at)

    def spans_backwards(self, first: int, last: int) -> Iterator[Span]:
        """The same."""
        return self.spans(first, last)

    def count(self, first: int, last: int) -> int:
        """1 or 0."""
        return int(first <= self.at <= last)

    def previous(self, logical_date: int) -> Span | None:
        """The one interval, for instants after it."""
        return Span(self.at, self.at) if self.at < logical_date else None

    def next(self, logical_date: int) -> Span | None:
        """The one interval, for instants before it."""
        return Span(self.at, self.at) if self.at > logical_date else None

    def first_at_or_after(self, instant: int) -> Span | None:
        """The one interval, for instants up to it."""
        return Span(self.at, self.at) if self.at >= instant else None

    def manual(self, at: int) -> Span:
        """`[at, at]`: there is no length to cover."""
        return Span(at, at)

    def describe(self) -> str:
        """`@once`."""
        return "@once"

    def digest_text(self) -> str:
        """The one date."""
        return f"once {self.at}"


class NoSchedule:
    """`None`: no scheduled runs; dates must be given, and a given date is itself a run `[T, T]` (R3)."""

    kind = "none"

    __slots__ = ()

    def spans(self, first: int, last: int) -> Iterator[Span]:
        """Nothing."""
        return iter(())

    def spans_backwards(self, first: int, last: int) -> Iterator[Span]:
        """Nothing."""
        return iter(())

    def count(self, first: int, last: int) -> int:
        """0."""
        return 0

    def previous(self, logical_date: int) -> Span | None:
        """Nothing."""
        return None

    def next(self, logical_date: int) -> Span | None:
        """Nothing."""
        return None

    def first_at_or_after(self, instant: int) -> Span | None:
        """Nothing."""
        return None

    def manual(self, at: int) -> Span:
        """`[at, at]`."""
        return Span(at, at)

    def describe(self) -> str:
        """`None`, as it is written in a DAG file."""
        return "None"

    def digest_text(self) -> str:
        """Always the same."""
        return "none"


def compile_schedule(value: object, *, zone: str, anchor: int | None) -> Schedule:
    """The schedule that a value in a DAG file means.

    Args:
        value: A cron expression or preset (R3, R4), `@once`, None, a timedelta, a pendulum Duration or dateutil
            relativedelta (R2), or an object with `UserSchedule`'s method.
        zone: The DAG's IANA zone; cron and calendar deltas step on its wall.
        anchor: The DAG's start_date, an epoch second. Deltas start their grid there; without it, at local midnight of
            1970-01-01, so that a grid is at least the same for everybody.

    Raises:
        ScheduleError: The value is no schedule, never fires, or names an unknown zone; the hint says what to write.
    """
    clock = clock_of(zone)
    if value is None:
        return NoSchedule()
    if isinstance(value, str):
        return _from_text(value, clock, anchor)
    start = clock.resolve(0, second=False) if anchor is None else anchor
    if (step := _calendar_step(value)) is not None:
        if step.months or step.days:
            return CalendarSchedule(_whole(step, value), start, clock)
        value = timedelta(seconds=step.seconds)
    if isinstance(value, timedelta):
        return DeltaSchedule(absolute_step(value), start)
    if isinstance(value, UserSchedule) and not isinstance(value, type):
        return CustomSchedule(value)
    raise ScheduleError(
        f"schedule {value!r} is a {type(value).__name__}, not a schedule",
        hint="use cron text such as '0 6 * * *' or '@daily', a timedelta, '@once', None, "
        "or an object with intervals(start, end)",
        code="bad-schedule",
    )


def _from_text(text: str, clock: ZoneClock, anchor: int | None) -> Schedule:
    written = text.strip()
    if written.lower() == "@once":
        if anchor is None:
            raise ScheduleError(
                "schedule '@once' runs at the start_date, and the DAG has none",
                hint="give the DAG a start_date, or schedule=None and --dates",
                code="once-without-start",
            )
        return OnceSchedule(anchor)
    return CronSchedule(written, parse_cron(written), clock)


def _calendar_step(value: Any) -> CalendarStep | None:
    """The step of a pendulum Duration with months or years, or of a relativedelta; None for anything else.

    Told by their attributes: importing pendulum or dateutil to ask costs more than most commands take.
    """
    if isinstance(value, timedelta):
        # A Duration of weeks, days and hours is a plain timedelta: only months have no fixed length.
        months = _field(value, "years") * 12 + _field(value, "months")
        if not months:
            return None
        days = _field(value, "weeks") * 7 + _field(value, "remaining_days")
        return CalendarStep(months, days, _field(value, "remaining_seconds"))
    if type(value).__name__ != "relativedelta":
        return None
    absolute = [name for name in _ABSOLUTE if getattr(value, name, None) is not None]
    if absolute or value.leapdays or value.microseconds:
        raise ScheduleError(
            f"schedule {value!r} sets {', '.join(absolute) or 'leapdays or microseconds'}, so it is no step",
            hint="use the plural arguments: relativedelta(months=1)",
            code="bad-delta",
        )
    seconds = value.hours * 3600 + value.minutes * 60 + value.seconds
    return CalendarStep(value.years * 12 + value.months, value.days, seconds)


_ABSOLUTE = ("year", "month", "day", "weekday", "hour", "minute", "second", "microsecond")


def _field(value: timedelta, name: str) -> int:
    return int(getattr(value, name, 0))


def _whole(step: CalendarStep, value: object) -> CalendarStep:
    """The step, if it goes forward in each of its parts: mixed signs could stand still or turn back."""
    if min(step) < 0 or step.seconds >= 366 * DAY:
        raise ScheduleError(
            f"a schedule cannot step by {value!r}",
            hint="use positive parts, as in relativedelta(months=1)",
            code="bad-delta",
        )
    return step
