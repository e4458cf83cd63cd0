"""The tries of merged dates, told to every date they were of.

Owns the way from the tries of a batch, which stand under its first date, to those of each of its dates. The ledger says
which these are: the dates that the backfill of a try worked on, from that date on and before the next one that has
tries of that backfill. So it stays true when some of them, or the first, have run again since, alone or otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from backfill_cli.core.records import AttemptRow
from backfill_cli.core.repairs import BAD, Told

WorkedOn = Callable[[str, int, int], Collection[int]]
"""The dates that a backfill worked on behind a date and up to another one, included."""


def told_to_each(rows: Iterable[AttemptRow], ends: Mapping[int, int], worked_on: WorkedOn) -> Iterable[AttemptRow]:
    """Return tries by date and task, in the order of their starts, each batch's at all of its dates.

    Where no try of a batch failed nothing is told: there is nothing to repair, and a batch costs what one date does.

    Args:
        rows: By date and task, as the store keeps them.
        ends: First date of a batch → its last one, or a later date.
    """
    return _told(rows, ends, worked_on) if ends else rows


def _told(rows: Iterable[AttemptRow], ends: Mapping[int, int], worked_on: WorkedOn) -> Iterator[AttemptRow]:
    together: list[AttemptRow] = []
    last: int | None = None
    for row in rows:
        date = row.logical_date
        if last is not None and date > last:
            yield from _spread(together, ends, worked_on)
            together, last = [], None
        if date in ends:
            last = ends[date] if last is None else max(last, ends[date])
        if last is None:
            yield row
        else:
            together.append(row)
    yield from _spread(together, ends, worked_on)


def _spread(rows: list[AttemptRow], ends: Mapping[int, int], worked_on: WorkedOn) -> list[AttemptRow]:
    """Return the tries of one stretch of dates, of batches that may overlap, with those told to other dates."""
    if not any(row.outcome in BAD for row in rows):
        return rows
    tried: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        dates = tried[row.backfill_id or ""]
        if not dates or dates[-1] != row.logical_date:
            dates.append(row.logical_date)
    told: list[AttemptRow] = []
    others: dict[tuple[str, int], Collection[int]] = {}
    for row in rows:
        date, by = row.logical_date, row.backfill_id
        if by is None or date not in ends:
            continue
        if (by, date) not in others:
            last = min([ends[date], *(one - 1 for one in tried[by] if one > date)])
            others[by, date] = worked_on(by, date, last)
        told += (Told(*row)._replace(logical_date=one) for one in others[by, date])
    return sorted([*rows, *told], key=lambda one: (one.logical_date, one.task_id, one.started_at, one.try_number))
