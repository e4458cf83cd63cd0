"""Logical dates as people read them: in the DAG's zone, with a time only where one matters, the year only once.

Owns `DateFormat`, made once a screen from the dates it will show. Everything here is local wall time of the DAG's zone;
JSON shows the same dates in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import pairwise

# A step may be longer than the shortest one by this factor and still count as "the next date": 25 hours after 23,
# 31 days after 28.
_STRETCH = 1.12


class DateFormat:
    """How one screen writes its logical dates.

    Args:
        timezone: The DAG's zone, an IANA name.
        sample: Epoch seconds of dates the screen shows. One that is not local midnight makes all of them carry a time;
            two years make all of them carry the year; the smallest step says what "consecutive" means.
    """

    def __init__(self, timezone: str, sample: Iterable[int | None]) -> None:
        self._zone = _zone(timezone)
        dates = sorted({one for one in sample if one is not None})
        local = [self.local(one) for one in dates]
        self.with_time = any((one.hour, one.minute, one.second) != (0, 0, 0) for one in local)
        self.with_year = len({one.year for one in local}) > 1
        steps = [after - before for before, after in pairwise(dates)]
        self._step = min(steps, default=0)

    def local(self, seconds: int) -> datetime:
        """Return the date in the DAG's zone."""
        return datetime.fromtimestamp(seconds, self._zone)

    def full(self, seconds: int) -> str:
        """Return `2024-03-05`, or `2024-03-05 14:00` on a screen that needs times."""
        return self.local(seconds).strftime("%Y-%m-%d") + self._time(seconds, " ")

    def short(self, seconds: int) -> str:
        """Return `03-05`, with the year where the screen spans several, with the time where it needs one."""
        return self.full(seconds) if self.with_year else self.full(seconds)[5:]

    def argument(self, seconds: int) -> str:
        """Return the date as a command line takes it: `2024-03-05` or `2024-03-05T14:00`, wall time in the zone."""
        return self.local(seconds).strftime("%Y-%m-%d") + self._time(seconds, "T")

    def span(self, first: int, last: int) -> str:
        """Return `03-01 … 03-03`, or one date when both are the same."""
        return self.short(first) if first == last else f"{self.short(first)} … {self.short(last)}"

    def listing(self, dates: Sequence[int], count: int, last: int, *, room: int) -> str:
        """Return dates as `03-01 … 03-03, 03-11, 03-12` in at most `room` columns.

        Args:
            dates: The first few, ascending.
            count: How many there are in all; more than given, or more than fit, shows as the bounds.
            last: The last of all.
        """
        if not dates:
            return ""
        if count <= len(dates):
            full = ", ".join(self._spans(dates))
            if len(full) <= room:
                return full
        return self.span(dates[0], last)

    def _spans(self, dates: Sequence[int]) -> list[str]:
        spans: list[list[int]] = []
        for one in dates:
            if spans and 0 < one - spans[-1][-1] <= self._step * _STRETCH:
                spans[-1].append(one)
            else:
                spans.append([one])
        texts: list[str] = []
        for run in spans:
            texts.extend([self.span(run[0], run[-1])] if len(run) > 2 else [self.short(one) for one in run])
        return texts

    def _time(self, seconds: int, separator: str) -> str:
        if not self.with_time:
            return ""
        local = self.local(seconds)
        text = separator + local.strftime("%H:%M:%S" if local.second else "%H:%M")
        # The second pass of a repeated hour looks like the first: its offset tells them apart.
        twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
        return text + local.strftime("%z")[:3] + ":" + local.strftime("%z")[3:] if twice else text


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # A stored zone this machine does not know (yet): UTC shows the truth, if not the wall clock.
        return UTC
