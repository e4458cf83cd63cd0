"""The remark about days of 23 or 25 hours."""

from __future__ import annotations

from itertools import islice
from zoneinfo import ZoneInfo

from backfill_cli.core.problems import Problem
from backfill_cli.core.zones import clock_of, odd_days

_NAMED = 4  # more clock changes than this are a number, not a list


def clock_change_notes(first: int, last: int, zone: ZoneInfo | str) -> list[Problem]:
    """A `dst-change` note for each local day between two instants, both included, that does not have 24 hours.

    The first few are named; what is left becomes one note with the count. Meant for cron and calendar schedules, whose
    days then have another length or another number of runs; a timedelta does not care.
    """
    name = clock_of(zone).name
    days = odd_days(first, last, zone)
    notes = [
        Problem("dst-change", f"{each.day} {_length(each.seconds)}: clocks change in {name}")
        for each in islice(days, _NAMED)
    ]
    if more := sum(1 for _ in days):
        notes.append(Problem("dst-change", f"{more} more {'day' if more == 1 else 'days'} without 24 hours in {name}"))
    return notes


def _length(seconds: int) -> str:
    if not seconds:
        return "does not exist"
    if seconds % 60:
        return f"has {seconds} seconds"
    hours, rest = divmod(seconds, 3600)
    return f"has {hours} hours" + (f" {rest // 60} min" if rest else "")
