"""Half-open intervals [start, end) and the four questions one asks of them: merge, subtract, split, missing.

Owns `Span` (epoch seconds, what the core passes around by the million) and `DataInterval` (aware datetimes, what
users' schedules and macros see). Which intervals exist is the business of `core/schedules.py`.

The idea: with half-open bounds neither end needs a second added or taken. `[a, b)` and `[b, c)` touch, do not overlap,
and together are `[a, c)`. A zero-length interval covers no time: it merges into nothing and nothing is missing from it.
All functions take either kind of interval and answer in the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar, overload

from backfill_cli.errors import ScheduleError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """One data interval, `[start, end)`, in UTC epoch seconds. `start` is the logical date."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, order=True)
class DataInterval:
    """One data interval as users see it: `[start, end)`, two aware datetimes, kept in UTC.

    UTC because Python compares two datetimes of one zone by their wall clocks, which misorders the repeated hour.

    Raises:
        ScheduleError: A bound is naive, or the end lies before the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            value = getattr(self, name)
            if not isinstance(value, datetime) or value.utcoffset() is None:
                raise ScheduleError(
                    f"the {name} of a data interval is {value!r}, not an aware datetime",
                    hint="give it a zone: datetime(2024, 1, 1, tzinfo=ZoneInfo('Europe/Paris'))",
                    code="naive-interval",
                )
            object.__setattr__(self, name, value.astimezone(UTC))
        if self.end < self.start:
            raise ScheduleError(
                f"a data interval ends before it starts: {self.start.isoformat()} … {self.end.isoformat()}",
                hint="swap start and end",
                code="reversed-interval",
            )

    @classmethod
    def from_span(cls, span: Span) -> DataInterval:
        """The same interval as datetimes."""
        return cls(EPOCH + timedelta(seconds=span.start), EPOCH + timedelta(seconds=span.end))

    def to_span(self) -> Span:
        """The same interval in epoch seconds; parts of a second are cut off."""
        return Span(epoch_seconds(self.start), epoch_seconds(self.end))


I = TypeVar("I", Span, DataInterval)  # noqa: E741 - the kind of interval that came in goes out

# tuple.__new__ through partial makes a Span wholly in C: a million in 0.1 s, against 0.4 s for Span(a, b).
make_span = partial(tuple.__new__, Span)


def epoch_seconds(moment: datetime) -> int:
    """The UTC epoch second in which an aware datetime lies (rounded down, exact for any year)."""
    since = moment - EPOCH
    return since.days * 86_400 + since.seconds


def merge(intervals: Iterable[I]) -> list[I]:
    """The fewest intervals that cover the same time, ascending; what overlaps or touches becomes one."""
    merged: list[I] = []
    for interval in sorted(each for each in intervals if each.start < each.end):
        if merged and interval.start <= merged[-1].end:
            if interval.end > merged[-1].end:
                merged[-1] = _like(interval, merged[-1].start, interval.end)
        else:
            merged.append(interval)
    return merged


def subtract(whole: I, taken: Iterable[I]) -> list[I]:
    """What remains of `whole` once `taken` is removed: ascending, disjoint, none of zero length."""
    rest: list[I] = []
    start = whole.start
    for gone in merge(taken):
        if gone.end <= start:
            continue
        if gone.start >= whole.end:
            break
        if gone.start > start:
            rest.append(_like(whole, start, gone.start))
        start = gone.end
    if start < whole.end:
        rest.append(_like(whole, start, whole.end))
    return rest


@overload
def split(whole: Span, at: Iterable[int]) -> list[Span]: ...
@overload
def split(whole: DataInterval, at: Iterable[datetime]) -> list[DataInterval]: ...
def split(whole: Any, at: Iterable[Any]) -> list[Any]:
    """`whole` cut at the instants that lie strictly inside it; pieces ascend and touch, and add up to `whole`."""
    inside = {cut for cut in at if whole.start < cut < whole.end}
    bounds = [whole.start, *sorted(inside), whole.end]
    return [_like(whole, start, end) for start, end in pairwise(bounds)]


def missing(expected: Iterable[I], existing: Iterable[I]) -> list[I]:
    """The time `expected` covers and `existing` does not, ascending, touching pieces merged into one."""
    present = merge(existing)
    return [piece for whole in merge(expected) for piece in subtract(whole, present)]


def overlaps(intervals: Iterable[I]) -> Iterator[tuple[I, I]]:
    """Neighbouring pairs, in order of their starts, that share some time."""
    return ((a, b) for a, b in pairwise(sorted(intervals)) if b.start < a.end)


def _like(model: I, start: Any, end: Any) -> I:
    return type(model)(start, end)
