"""Leaving dates out of a backfill: how they stand in the store, and what becomes of them there.

Owns the reading and the writing, inside somebody's transaction: of the process that runs the backfill (`app/desk.py`),
or of the command itself when it is at rest (`app/at_rest.py`). What may be left out is decided in `core/leaving.py`.

A dag_run that this backfill made and in which nothing has ever begun goes with its date: were it left behind, `queued`,
the dates behind it would wait for it (semantics section 4, rules 3 to 5). Those that it is one run with go with it, and
are opened anew. One that was begun stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from backfill_cli.core.leaving import DateStands, answer, dates_asked, decide, is_left_out, skipped_reason
from backfill_cli.core.planning import INTERRUPTED, is_blocked
from backfill_cli.core.records import Action
from backfill_cli.core.steering import Answer
from backfill_cli.core.zones import clock_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backfill_cli.core.ports import Reader, Writer
    from backfill_cli.core.records import BackfillDateRow, BackfillRow
    from backfill_cli.engine.coordinator import Coordinator


class LeftOut(NamedTuple):
    """What a request to leave dates out has come to.

    Args:
        dates: Those that are left out now.
        removed: The digests of the dag_runs that went with them, for the audit entry.
    """

    answer: Answer
    dates: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()


def leave_out(writer: Writer, row: BackfillRow, args: Mapping[str, Any], by: str, run: Coordinator | None) -> LeftOut:
    """Leave out the dates of a request, all of them or none.

    Args:
        by: Who asks, and why if it was said.
        run: What runs the backfill in this process; None for one at rest.
    """
    asked = dates_asked(args)
    if asked is None:
        return LeftOut(Answer(False, "it names no dates"))
    rows = list(writer.controls().dates(row.backfill_id, asked))
    if len(rows) < len(asked):
        return LeftOut(Answer(False, "it has not all of these dates"))
    whole = _runs_of(writer, row, rows)
    unrun = writer.controls().unrun(row.backfill_id, {date for dates in whole.values() for date in dates})
    is_unrun = {date: unrun.issuperset(dates) for date, dates in whole.items()}
    show = clock_of(str(row.request["timezone"])).show
    decision = decide(_standing(rows, is_unrun, run), show)
    if decision.refused:
        return LeftOut(Answer(False, decision.refused))
    remaining = row.remaining if run is None else run.machine.counts().remaining
    text = answer(decision, show, remaining=remaining - len(decision.leave))
    if not decision.leave:
        return LeftOut(Answer(True, text, changed=False))
    take_out(writer, row, decision.dates, skipped_reason(by), **_fewer(row, rows, decision.dates, is_live=bool(run)))
    gone = {date for one in decision.leave if one.is_unrun for date in whole[one.row.logical_date]}
    return LeftOut(Answer(True, text), decision.dates, tuple(writer.controls().drop_runs(row.backfill_id, gone)))


def take_out(writer: Writer, row: BackfillRow, dates: Collection[int], reason: str, **changes: Any) -> None:
    """Make dates of a backfill that are still to do ones that it leaves alone, and count them so."""
    left = Counter(writer.controls().leave_out(row.backfill_id, dates, reason))
    planned = Counter(row.planned) - left + Counter({Action.SKIP.value: left.total()})
    writer.set_backfill(row.backfill_id, planned=dict(+planned), **changes)


def left_out_dates(reader: Reader, row: BackfillRow) -> dict[int, str]:
    """Return the dates that somebody took out of a backfill, each with the reason; one look where there is none."""
    return dict(reader.controls().left_out(row.backfill_id)) if row.skipped else {}


def first_run(reader: Reader, row: BackfillRow) -> int | None:
    """Return the first date of a backfill, in the order of its run, of those that nobody took out of it."""
    rows = reader.backfill_dates(row.backfill_id, backwards=bool(row.request.get("run_backwards")))
    return next((one.logical_date for one in rows if not _is_out(one)), None)


def _is_out(one: BackfillDateRow) -> bool:
    return one.action is Action.SKIP and is_left_out(one.reason)


def _runs_of(reader: Reader, row: BackfillRow, rows: Collection[BackfillDateRow]) -> dict[int, tuple[int, ...]]:
    """Return for each date those that ran together with it, itself among them: their dag_runs go together, or stay."""
    found: dict[int, tuple[int, ...]] = {one.logical_date: (one.logical_date,) for one in rows}
    if any(one.batch is not None for one in rows):
        from backfill_cli.app.batches import Batches

        batches = Batches(reader, row.dag_id)
        for one in rows:
            run = reader.run(row.dag_id, one.logical_date) if one.batch is not None else None
            if run is not None:
                found[one.logical_date] = tuple(other.logical_date for other in batches.whole(run))
    return found


def _standing(
    rows: Collection[BackfillDateRow], is_unrun: Mapping[int, bool], run: Coordinator | None
) -> Iterator[DateStands]:
    """Yield how dates stand: as they are stored, and in the process that runs their backfill."""
    if run is None:
        yield from (DateStands(one, is_unrun=is_unrun[one.logical_date]) for one in rows)
        return
    asked = {one.logical_date for one in rows}
    to_come = run.to_come(asked)
    is_open = {date: one for one in run.machine.runs.values() for date in one.logical_dates or (one.logical_date,)}
    for one in rows:
        date, found = one.logical_date, is_open.get(one.logical_date)
        if found is None:
            yield DateStands(one, is_unrun=is_unrun[date], has_passed=date not in to_come)
        else:
            is_part = not asked.issuperset(found.logical_dates)
            yield DateStands(one, is_open=True, is_unrun=is_unrun[date] and not found.has_begun, is_part=is_part)


def _fewer(
    row: BackfillRow, rows: Collection[BackfillDateRow], dates: Collection[int], *, is_live: bool
) -> dict[str, int]:
    """Return the counters of a backfill at rest that such dates were among: blocked, and interrupted."""
    if is_live or not (row.blocked or row.interrupted):
        return {}
    out = [one for one in rows if one.logical_date in dates]
    blocked = sum(map(is_blocked, out))
    interrupted = sum(one.run_reason == INTERRUPTED and one.outcome is None for one in out)
    return {"blocked": max(0, row.blocked - blocked), "interrupted": max(0, row.interrupted - interrupted)}
