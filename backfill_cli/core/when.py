"""Dates as users give them: text, date or datetime, and the instants they mean in the DAG's zone.

Owns `parse_when` for command-line text and the edges of section 4: a date without a time is a whole day in the DAG's
zone, a naive datetime is wall time there, an aware one is exact; an ambiguous time as a start is the first, as an end
the second; a nonexistent one moves forward. Choosing a range from them is `core/ranges.py`.
"""

from __future__ import annotations

import re
from datetime import date, datetime

from backfill_cli.core.intervals import epoch_seconds
from backfill_cli.core.zones import ZoneClock, wall_seconds
from backfill_cli.errors import UsageProblem

When = date | datetime

_FORM = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](?P<time>\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?) ?(?P<zone>[Zz]|[+-]\d{2}(?::?\d{2})?)?)?",
    re.ASCII,
)
_FORMS = "write 2024-01-31, 2024-01-31T05:00, 2024-01-31T05:00Z or 2024-01-31T05:00+01:00"


def parse_when(text: str) -> When:
    """The date or datetime a command-line argument means. A bare date stays a date: it means the whole day.

    Raises:
        UsageProblem: Another form, or a day that no calendar has (code `bad-date`).
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UsageProblem(f"{text!r} is not a date", hint=_FORMS, code="bad-date")
    try:
        if match["time"] is None:
            return date.fromisoformat(match["date"])
        zone = (match["zone"] or "").upper()
        return datetime.fromisoformat(f"{match['date']}T{match['time']}{zone}")
    except ValueError as problem:
        raise UsageProblem(f"{text!r} is not a date: {problem}", hint=_FORMS, code="bad-date") from None


def is_whole_day(when: When) -> bool:
    """A date without a time."""
    return not isinstance(when, datetime)


def first_second(when: When, clock: ZoneClock) -> int:
    """The first whole epoch second a start includes."""
    if not isinstance(when, datetime):
        return clock.day_bounds(when)[0]
    start = _instant(when, clock, second=False)
    return start + 1 if when.microsecond else start


def last_second(when: When, clock: ZoneClock) -> int:
    """The last whole epoch second an end includes: of a date, the last second of that day."""
    if not isinstance(when, datetime):
        return clock.day_bounds(when)[1] - 1
    return _instant(when, clock, second=True)


def seconds_meant(when: datetime, clock: ZoneClock) -> tuple[int, ...]:
    """The epoch seconds a single datetime may mean, ascending: two if it is ambiguous, none between two seconds."""
    if when.microsecond:
        return ()
    return tuple(sorted({_instant(when, clock, second=False), _instant(when, clock, second=True)}))


def _instant(when: datetime, clock: ZoneClock, *, second: bool) -> int:
    if when.utcoffset() is not None:
        return epoch_seconds(when)
    return clock.resolve(wall_seconds(when), second=second)
