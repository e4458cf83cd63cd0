"""The latest earlier success, for the `prev_*_success` macros: of those this backfill made, beside what the store knew.

Owns a small sorted list, one window long. What no open or later run can ask for any more is dropped as it grows, so a
backfill of a million dates keeps a handful.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection

from backfill_cli.core.context import PreviousSuccess

_KEPT = 64
"""Successes kept before the list is looked through for what nobody needs."""


class Successes:
    """The successes of a running backfill, by date.

    Args:
        backwards: Newest first: dates to come are earlier than all that are open.
    """

    def __init__(self, *, backwards: bool) -> None:
        self._backwards = backwards
        self._found: list[PreviousSuccess] = []
        self._look_at = _KEPT

    def note(self, success: PreviousSuccess, open_dates: Collection[int]) -> None:
        """Keep a success, and forget those that none of the open dates, nor one to come, could ask for."""
        insort(self._found, success, key=_date)
        if len(self._found) < self._look_at:
            return
        if self._backwards:
            newest = max(open_dates, default=success.data_interval_start)
            del self._found[bisect_left(self._found, newest, key=_date) :]
        else:
            oldest = min(open_dates, default=success.data_interval_start)
            del self._found[: max(0, bisect_left(self._found, oldest, key=_date) - 1)]
        self._look_at = 2 * len(self._found) + _KEPT

    def before(self, logical_date: int, stored: PreviousSuccess | None) -> PreviousSuccess | None:
        """Return the latest success before a date, of those noted and the `stored` one."""
        place = bisect_left(self._found, logical_date, key=_date)
        if place == 0:
            return stored
        noted = self._found[place - 1]
        return stored if stored is not None and _date(stored) > _date(noted) else noted


def _date(success: PreviousSuccess) -> int:
    return success.data_interval_start
