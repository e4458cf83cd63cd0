"""`bfill skip ID DATE…`: from dates as people give them to the dates that the backfill holds.

Owns which dates are meant: of a day every one that the backfill holds, in the zone it was planned in, and of an instant
that one. Nothing of the DAG is loaded: its file may be broken, and that may be why somebody skips. How the request
reaches the process that runs the backfill is `app/steering.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from backfill_cli.app.lookup import find_steered
from backfill_cli.app.steering import steer
from backfill_cli.core.leaving import MOST, dates_text
from backfill_cli.core.records import SCHEDULED, Control
from backfill_cli.core.when import first_second, last_second, seconds_meant
from backfill_cli.core.zones import clock_of
from backfill_cli.errors import NotFoundError, RefusedError, UsageProblem

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.ports import Reader
    from backfill_cli.core.records import BackfillRow
    from backfill_cli.core.steering import SteeringResult
    from backfill_cli.core.when import When
    from backfill_cli.core.zones import ZoneClock


def skip(ctx: AppContext, backfill_id: str, dates: Sequence[When], *, reason: str | None) -> SteeringResult:
    """Leave dates out of a backfill, running or at rest: all of them, or none.

    Raises:
        UsageProblem: No date is named.
        NotFoundError: No backfill of that id, or it does not hold one of the dates; the hint names its neighbours.
        RefusedError: One of them has begun or is done, or there are too many of them; nothing was changed.
        ConflictError: The process that runs it did not answer.
    """
    if not dates:
        raise UsageProblem("no date is named", hint=f"bfill skip {backfill_id} 2024-03-04 2024-03-11", code="no-dates")
    with ctx.store(write=False) as store:
        row = find_steered(store, backfill_id)
        if row.identity == SCHEDULED:
            raise RefusedError(
                f"{row.backfill_id} is what the scheduler works through: it would create a date again at its next pass",
                hint=f"let it create nothing for a while: bfill dags pause {row.dag_id}",
                code="scheduled",
            )
        meant = store.read(lambda reader: sorted({one for when in dates for one in _meant(reader, row, when)}))
    if len(meant) > MOST:
        raise RefusedError(
            f"{len(meant):,} dates are more than one request leaves out ({MOST:,})",
            hint=f"name fewer at once, or plan another range and: bfill cancel {row.backfill_id}",
            code="too-many-dates",
        )
    return steer(ctx, row.backfill_id, Control.SKIP, {"dates": dates_text(meant)}, reason=reason)


def _meant(reader: Reader, row: BackfillRow, when: When) -> list[int]:
    """Return the dates of a backfill that a day or an instant means. Raises NotFoundError when it holds none."""
    clock = clock_of(str(row.request["timezone"]))
    found = list(_held(reader, row, when, clock))
    if found:
        return found
    first, last = first_second(when, clock), last_second(when, clock)
    near = [
        clock.show(one.logical_date)
        for rows in (
            reader.backfill_dates(row.backfill_id, after=first, limit=1, backwards=True),
            reader.backfill_dates(row.backfill_id, after=last, limit=1),
        )
        for one in rows
    ]
    raise NotFoundError(
        f"{row.backfill_id} has no date {when}",
        hint=f"the nearest it has {'are' if len(near) > 1 else 'is'} {' and '.join(near)}" if near else "it has none",
        code="no-such-date",
    )


def _held(reader: Reader, row: BackfillRow, when: When, clock: ZoneClock) -> Iterable[int]:
    if isinstance(when, datetime):
        for second in seconds_meant(when, clock):
            for one in reader.controls().dates(row.backfill_id, [second]):
                yield one.logical_date
        return
    first, last = first_second(when, clock), last_second(when, clock)
    for one in reader.backfill_dates(row.backfill_id, after=first - 1):
        if one.logical_date > last:
            return
        # Where midnight itself is repeated, the first and last second of a day embrace some of the next.
        if clock.date_at(one.logical_date) == when:
            yield one.logical_date
