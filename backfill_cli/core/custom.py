"""Schedules that users write: any object with `intervals(start, end)`.

Owns the `UserSchedule` protocol and the wrapper that makes such an object answer as every other schedule does. What it
returns is checked as it streams by, since everything behind it relies on order: a wrong interval is a `ScheduleError`
that names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from backfill_cli.core.intervals import EPOCH, DataInterval, Span, epoch_seconds
from backfill_cli.core.zones import DAY, EARLIEST, LATEST
from backfill_cli.errors import BfillError, ScheduleError

# Neighbours are looked for in windows that grow up to this far; a schedule that is silent for longer has none.
_HORIZON = 100 * 366 * DAY


@runtime_checkable
class UserSchedule(Protocol):
    """What a user's own schedule offers."""

    def intervals(self, start: datetime, end: datetime) -> Iterable[DataInterval]:
        """Every interval whose logical date is in `[start, end]`, both included (aware, UTC), ascending, no overlap."""


class CustomSchedule:
    """A `UserSchedule` behind the protocol of `core/schedules.py`. Intervals need not touch: holes stay holes."""

    kind = "custom"

    __slots__ = ("name", "user")

    def __init__(self, user: UserSchedule) -> None:
        self.user = user
        self.name = type(user).__qualname__

    def spans(self, first: int, last: int) -> Iterator[Span]:
        """Every interval whose logical date L has `first <= L <= last`, ascending, each checked.

        Raises:
            ScheduleError: The object raised, or returned bounds that are naive, finer than a second or out of order.
        """
        low, high = max(first, EARLIEST), min(last, LATEST)
        before: Span | None = None
        for item in self._ask(low, high):
            span = self._checked(item)
            if before is not None and not before.start < span.start >= before.end:
                verb = "overlaps" if span.start > before.start else "comes after"
                raise self._error(
                    f"{_show(span)}, which {verb} {_show(before)}", "return them ascending, without overlap"
                )
            before = span
            if span.start > high:
                return  # an object may ignore the end and go on for ever
            if span.start >= low:
                yield span

    def spans_backwards(self, first: int, last: int) -> Iterator[Span]:
        """The same intervals, the latest first; held in memory, as the object only walks forwards."""
        yield from reversed(list(self.spans(first, last)))

    def previous(self, logical_date: int) -> Span | None:
        """The latest interval that starts before an instant, at most a century before it."""
        size, stop = DAY, logical_date - 1
        while stop > logical_date - _HORIZON and stop >= EARLIEST:
            found: Span | None = None
            for found in self.spans(stop - size + 1, stop):  # noqa: B007 - the last one is wanted
                pass
            if found is not None:
                return found
            stop, size = stop - size, size * 4
        return None

    def next(self, logical_date: int) -> Span | None:
        """The earliest interval that starts after an instant, at most a century after it."""
        size, start = DAY, logical_date + 1
        while start < logical_date + _HORIZON and start <= LATEST:
            found = next(self.spans(start, start + size - 1), None)
            if found is not None:
                return found
            start, size = start + size, size * 4
        return None

    def first_at_or_after(self, instant: int) -> Span | None:
        """The earliest interval that starts at or after an instant (R6)."""
        return self.next(instant - 1)

    def manual(self, at: int) -> Span:
        """The last complete interval at an instant (R5), else `[at, at]`."""
        span = self.previous(at + 1)
        while span is not None and span.end > at:
            span = self.previous(span.start)
        return span or Span(at, at)

    def count(self, first: int, last: int) -> int:
        """How many intervals `spans(first, last)` yields, by asking for them."""
        return sum(1 for _ in self.spans(first, last))

    def describe(self) -> str:
        """The object's own `description`, else the name of its class."""
        return str(getattr(self.user, "description", "") or self.name)

    def digest_text(self) -> str:
        """The class, and what the object says of itself in `digest`: nothing else of it is known to be stable."""
        return f"custom {type(self.user).__module__}.{self.name} {getattr(self.user, 'digest', '')}"

    def _ask(self, first: int, last: int) -> Iterator[Any]:
        if first > last:
            return
        try:
            yield from self.user.intervals(EPOCH + timedelta(seconds=first), EPOCH + timedelta(seconds=last))
        except BfillError:
            raise
        except Exception as problem:  # it is the user's code: anything may come out of it
            raise self._raised(problem) from problem

    def _checked(self, item: Any) -> Span:
        try:
            interval = DataInterval(item.start, item.end)
        except AttributeError:
            raise self._error(repr(item), "return DataInterval(start, end) with aware datetimes") from None
        except ScheduleError as problem:
            raise self._error(problem.message, problem.hint) from None
        if interval.start.microsecond or interval.end.microsecond:
            raise self._error(f"{interval.start.isoformat()} … {interval.end.isoformat()}", "bounds are whole seconds")
        return Span(epoch_seconds(interval.start), epoch_seconds(interval.end))

    def _raised(self, problem: Exception) -> ScheduleError:
        """Say what came out of the object, and at which line of the user's file."""
        from traceback import extract_tb

        place = extract_tb(problem.__traceback__)[-1]
        return ScheduleError(
            f"schedule {self.name} raised {type(problem).__name__}: {problem}",
            hint="mend its intervals(start, end)",
            code="bad-intervals",
            where=f"{place.filename.rpartition('/')[2]}:{place.lineno}",
        )

    def _error(self, what: str, hint: str) -> ScheduleError:
        return ScheduleError(f"schedule {self.name} returned {what}", hint=hint, code="bad-intervals")


def _show(span: Span) -> str:
    interval = DataInterval.from_span(span)
    return f"[{interval.start.isoformat()}, {interval.end.isoformat()})"
