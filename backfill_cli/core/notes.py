"""Remarks that go with a result and change nothing: code, message, hint. And the one about days of 23 or 25 hours."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from zoneinfo import ZoneInfo

from backfill_cli.core.zones import clock_of, odd_days

_NAMED = 4  # more clock changes than this are a number, not a list


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know. `code` is a stable slug, `hint` the next command or edit (may be empty)."""

    code: str
    message: str
    hint: str = ""


def clock_change_notes(first: int, last: int, zone: ZoneInfo | str) -> list[Note]:
    """A `dst-change` note for each local day between two instants, both included, that does not have 24 hours.

    The first few are named; what is left becomes one note with the count. Meant for cron and calendar schedules, whose
    days then have another length or another number of runs; a timedelta does not care.
    """
    name = clock_of(zone).name
    days = odd_days(first, last, zone)
    notes = [
        Note("dst-change", f"{each.day} {_length(each.seconds)}: clocks change in {name}")
        for each in islice(days, _NAMED)
    ]
    if more := sum(1 for _ in days):
        notes.append(Note("dst-change", f"{more} more days without 24 hours in {name}"))
    return notes


def _length(seconds: int) -> str:
    if not seconds:
        return "does not exist"
    if seconds % 60:
        return f"has {seconds} seconds"
    hours, rest = divmod(seconds, 3600)
    return f"has {hours} hours" + (f" {rest // 60} min" if rest else "")
