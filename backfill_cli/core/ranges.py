"""Ranges: from what was asked for to the logical dates that are taken, and the one enumerator of them.

Owns contract section 4 and the rows of semantics section 8 about ranges: both ends included, a date-only end is the
whole day, what is not over or outside the DAG's own bounds is left out with a note and a count, an empty selection is
no error.
What happens to each date (create, resume, skip …) is `core/planning.py`.

The idea: every form of a request becomes two inclusive bounds on the logical date, so that plan, run, rerun-failed,
reset, status and the scheduler all walk through `Selection.spans` and cannot disagree about which dates there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from backfill_cli.core.intervals import Span
from backfill_cli.core.problems import Problem
from backfill_cli.core.range_notes import Setting, empty_note, left_out_note, limit_note
from backfill_cli.core.schedules import Schedule
from backfill_cli.core.when import When, first_second, is_whole_day, last_second, parse_when, seconds_meant
from backfill_cli.core.zones import EARLIEST, LATEST, clock_of
from backfill_cli.errors import NotFoundError, UsageProblem

__all__ = ["RangeRequest", "Selection", "When", "last_complete", "parse_when", "resolve_range"]


@dataclass(frozen=True, slots=True)
class RangeRequest:
    """The range a user asked for, as given.

    Attributes:
        start, end: Bounds on the logical date, both included.
        last: `30d`, `2w` (whole days) or `6h`, `90m` (back from now).
        dates: Single dates; excludes start, end and last.
        include_incomplete: Take intervals that are not over as well.
        ignore_dag_bounds: Take dates outside the DAG's start_date and end_date as well.
        limit: At most so many dates, the first in the order of the run.
        backwards: Latest first.
    """

    start: When | None = None
    end: When | None = None
    last: str | None = None
    dates: tuple[When, ...] = ()
    include_incomplete: bool = False
    ignore_dag_bounds: bool = False
    limit: int | None = None
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """The logical dates that are taken.

    Attributes:
        first, last: Inclusive bounds on the logical date, epoch seconds; `first > last` when nothing is taken.
        dates: The logical dates one by one, ascending, when single dates were asked for; else None.
        notes: What was left out and why, and why nothing is taken.
        left_out: Problem code → how many dates.
    """

    first: int
    last: int
    dates: tuple[int, ...] | None = None
    notes: tuple[Problem, ...] = ()
    limit: int | None = None
    backwards: bool = False
    left_out: dict[str, int] = field(default_factory=dict)

    def spans(self, schedule: Schedule) -> Iterator[Span]:
        """The intervals that are taken, in the order of the run: ascending, or descending when `backwards`."""
        found: Iterator[Span]
        if self.dates is not None:
            dates = reversed(self.dates) if self.backwards else iter(self.dates)
            found = (_span_of(date, schedule) for date in dates)
        elif self.backwards:
            found = schedule.spans_backwards(self.first, self.last)
        else:
            found = schedule.spans(self.first, self.last)
        return islice(found, self.limit)

    def count(self, schedule: Schedule) -> int:
        """How many intervals `spans` yields, without walking through them where that can be avoided."""
        total = schedule.count(self.first, self.last) if self.dates is None else len(self.dates)
        return total if self.limit is None else min(total, self.limit)


def resolve_range(
    request: RangeRequest,
    *,
    schedule: Schedule,
    zone: ZoneInfo | str,
    dag_start: int | None,
    dag_end: int | None,
    now: int,
) -> Selection:
    """The selection a request means (contract section 4).

    Args:
        request: What was asked for; at least one of start, end, last, dates.
        schedule: The DAG's schedule.
        zone: The DAG's zone, in which dates and naive datetimes are read.
        dag_start, dag_end: The DAG's own bounds on the logical date, both included (R6); None: unbounded.
        now: The instant that decides which intervals are over. All of them epoch seconds.

    Raises:
        UsageProblem: Options that exclude each other, a start after its end, an end alone on a DAG without start_date,
            a range on a DAG without schedule.
        NotFoundError: A given date has no logical date; the hint names its neighbours.
    """
    _check_combination(request, schedule)
    setting = Setting(schedule, clock_of(zone), dag_start, dag_end, now)
    if request.dates:
        return _single_dates(request, setting)
    first, last = _bounds(request, setting)
    return _trimmed(request, setting, max(first, EARLIEST), min(last, LATEST))


def last_complete(schedule: Schedule, now: int) -> Span | None:
    """The latest interval that is over at an instant (`end <= now`), None before the first."""
    span = schedule.previous(now + 1)
    while span is not None and span.end > now:
        span = schedule.previous(span.start)
    return span


def _check_combination(request: RangeRequest, schedule: Schedule) -> None:
    ranged = [
        flag
        for flag, given in (("--start", request.start), ("--end", request.end), ("--last", request.last))
        if given is not None
    ]
    if request.dates and ranged:
        raise UsageProblem(
            f"--dates and {ranged[0]} exclude each other", hint="give single dates or a range", code="range-conflict"
        )
    if request.start is not None and request.last is not None:
        raise UsageProblem(
            "--start and --last exclude each other", hint="use --start with --end, or --last", code="range-conflict"
        )
    if request.limit is not None and request.limit < 1:
        raise UsageProblem(f"--limit {request.limit} takes nothing", hint="use 1 or more", code="bad-limit")
    if not request.dates and schedule.kind == "none":
        raise UsageProblem(
            "the DAG has no schedule, so a range holds no dates",
            hint="name the dates: --dates 2024-01-31,2024-02-29",
            code="no-schedule",
        )
    if not request.dates and not ranged:
        raise UsageProblem(
            "no dates are selected", hint="give --start and --end, --last 30d, or --dates", code="no-range"
        )


def _bounds(request: RangeRequest, setting: Setting) -> tuple[int, int]:
    """The inclusive bounds as asked for, before anything is left out."""
    clock, now = setting.clock, setting.now
    if request.last is not None:
        return _last_bounds(request.last, request.end, setting)
    if request.end is None:
        assert request.start is not None  # _check_combination
        # An open end reaches the last complete interval; what lies behind it was not asked for, so it needs no note.
        complete = last_complete(setting.schedule, now)
        open_end = now if request.include_incomplete or complete is None else complete.start
        return first_second(request.start, clock), open_end
    last = last_second(request.end, clock)
    if request.start is None:
        if setting.dag_start is None:
            raise UsageProblem(
                "--end alone counts from the DAG's start_date, and the DAG has none",
                hint="add --start",
                code="no-start",
            )
        return setting.dag_start, last
    first = first_second(request.start, clock)
    # A day that the zone skipped is empty rather than reversed, so the end is compared by its own first second.
    if first > last and first > first_second(request.end, clock):
        raise UsageProblem(
            f"--start {request.start} lies after --end {request.end}", hint="swap them", code="reversed-range"
        )
    return first, last


_LAST = re.compile(r"(?P<count>\d{1,6})(?P<unit>[mhdw])", re.ASCII)
_UNIT_S = {"m": 60, "h": 3600}


def _last_bounds(text: str, end: When | None, setting: Setting) -> tuple[int, int]:
    """`--last`: whole days that are over at the end, or hours and minutes back from it; the end is now, or `--end`."""
    match = _LAST.fullmatch(text.strip().lower())
    if match is None or not int(match["count"]):
        raise UsageProblem(
            f"--last {text!r} is not a length of time", hint="write 30d, 2w, 6h or 90m", code="bad-length"
        )
    clock, count, unit = setting.clock, int(match["count"]), match["unit"]
    last = setting.now if end is None else last_second(end, clock)
    if unit in _UNIT_S:
        back = count * _UNIT_S[unit]
        # A whole day ends where the next begins: six hours of it are from 18:00 on.
        return (last + 1 - back if end is not None and is_whole_day(end) else last - back), last
    days = count * (7 if unit == "w" else 1)
    # Today is not over, so it is no whole day; of `--end 2024-01-31` the 31st itself is the last one.
    final_day = end if end is not None and is_whole_day(end) else clock.date_at(last) - timedelta(days=1)
    try:
        first_day = final_day - timedelta(days=days - 1)
    except OverflowError:
        return EARLIEST, clock.day_bounds(final_day)[1] - 1
    return clock.day_bounds(first_day)[0], clock.day_bounds(final_day)[1] - 1


def _trimmed(request: RangeRequest, setting: Setting, first: int, last: int) -> Selection:
    """Leave out what lies outside the DAG's bounds and what is not over, and say so."""
    schedule = setting.schedule
    taken_first, taken_last = first, last
    left_out: dict[str, int] = {}
    if not request.ignore_dag_bounds:
        low = EARLIEST if setting.dag_start is None else setting.dag_start
        high = LATEST if setting.dag_end is None else setting.dag_end
        taken_first, taken_last = max(first, low), min(last, high)
        outside = schedule.count(first, min(last, low - 1)) + schedule.count(max(first, high + 1), last)
        left_out["outside-dag-bounds"] = outside
    if not request.include_incomplete:
        complete = last_complete(schedule, setting.now)
        over = EARLIEST - 1 if complete is None else complete.start
        left_out["incomplete"] = schedule.count(max(taken_first, over + 1), taken_last)
        taken_last = min(taken_last, over)
    return _finished(request, setting, Selection(taken_first, taken_last), left_out, (first, last))


def _single_dates(request: RangeRequest, setting: Setting) -> Selection:
    """`--dates`: every logical date of each given day, or exactly the given instants."""
    found = sorted({date for when in request.dates for date in _dates_of(when, setting)})
    left_out = {"outside-dag-bounds": 0, "incomplete": 0}
    taken: list[int] = []
    for date in found:
        if not request.ignore_dag_bounds and not _within(date, setting):
            left_out["outside-dag-bounds"] += 1
        elif not request.include_incomplete and _span_of(date, setting.schedule).end > setting.now:
            left_out["incomplete"] += 1
        else:
            taken.append(date)
    first, last = (taken[0], taken[-1]) if taken else (found[0], found[0] - 1)
    return _finished(request, setting, Selection(first, last, tuple(taken)), left_out, (found[0], found[-1]))


def _dates_of(when: When, setting: Setting) -> list[int]:
    schedule, clock = setting.schedule, setting.clock
    first, last = first_second(when, clock), last_second(when, clock)
    if schedule.kind == "none":
        return [first]
    if isinstance(when, datetime):
        meant = seconds_meant(when, clock)
        found = [span.start for second in meant for span in schedule.spans(second, second)]
    else:
        # Where midnight itself is repeated, the first and last second of a day embrace some of the next.
        found = [span.start for span in schedule.spans(first, last) if clock.date_at(span.start) == when]
    if found:
        return found
    near = [clock.show(span.start) for span in (schedule.previous(first), schedule.next(last)) if span is not None]
    raise NotFoundError(
        f"{when} has no logical date of {schedule.describe()}",
        hint=f"the nearest are {' and '.join(near)}" if near else "",
        code="no-such-date",
    )


def _within(date: int, setting: Setting) -> bool:
    after_start = setting.dag_start is None or setting.dag_start <= date
    return after_start and (setting.dag_end is None or date <= setting.dag_end)


def _span_of(date: int, schedule: Schedule) -> Span:
    """The interval that starts at a logical date; of a date on no schedule, what a manual run means: `[T, T]`."""
    return next(schedule.spans(date, date), Span(date, date))


def _finished(
    request: RangeRequest,
    setting: Setting,
    selection: Selection,
    left_out: dict[str, int],
    asked: tuple[int, int],
) -> Selection:
    """The selection with its order, its limit, and a note on everything that is not as asked."""
    left_out = {code: count for code, count in left_out.items() if count}
    notes = [left_out_note(code, count, setting) for code, count in left_out.items()]
    total = selection.count(setting.schedule)
    if not total:
        notes.append(empty_note(left_out, asked, setting, open_end=request.end is None and not request.dates))
    elif request.limit is not None and request.limit < total:
        notes.append(limit_note(request.limit, total, backwards=request.backwards))
    return replace(selection, notes=tuple(notes), limit=request.limit, backwards=request.backwards, left_out=left_out)
