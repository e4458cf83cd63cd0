"""How the dates of a backfill stand, and what failed on them: from rows to values, for its end and for `status`.

Owns `blocked` and `remaining`, which are derived here and stored nowhere, and the grouping of failures by cause.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from backfill_cli.core.instants import instant, run_id
from backfill_cli.core.leaving import is_left_out
from backfill_cli.core.planning import is_blocked, is_left_to_another
from backfill_cli.core.records import Action, BackfillDateRow, BackfillRow, RunType, leader_of
from backfill_cli.core.results import DateResult, FailureGroup
from backfill_cli.core.standing import REMAINING
from backfill_cli.core.states import BackfillState, RunState, TaskState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backfill_cli.core.ports import Reader

_ENDED = (BackfillState.SUCCESS, BackfillState.FAILED)
_ENDED_EARLY = (BackfillState.INTERRUPTED, BackfillState.CANCELLED)

SHOWN_DATES = 1_000
"""Dates of a failure group that are listed; its count is exact."""


def date_result(one: BackfillDateRow, row: BackfillRow, *, is_live: bool = False) -> DateResult:
    """Return how one date of a backfill stands; `blocked` and `remaining` are derived, never stored.

    While a living process works on the backfill (`is_live`), what it has open shows its dag_run's state.
    """
    if one.outcome is not None:
        state: str = one.outcome
    elif one.action is Action.SKIP:
        state = one.run_state or "missing"
    elif row.state in _ENDED and one.run_state is RunState.QUEUED:
        state = "blocked"
    elif row.state in _ENDED_EARLY and row.blocked and is_blocked(one):
        state = "blocked"  # stopped, or cancelled, when it already waited for a date that failed
    elif is_live and one.run_state is not None and not one.run_state.is_terminal:
        state = one.run_state
    else:
        state = REMAINING
    done = one.action is not Action.SKIP and one.run_started_at is not None and one.run_ended_at is not None
    duration = round((one.run_ended_at - one.run_started_at) / 1_000_000, 3) if done else None  # type: ignore[operator]
    reason = one.reason if one.action is Action.SKIP else one.run_reason
    name = run_id(RunType.BACKFILL, one.logical_date)
    batch = None if one.batch is None else leader_of(one.logical_date, one.batch)
    return DateResult(instant(one.logical_date), name, state, duration, reason, one.action is Action.SKIP, batch)


def is_left_failed(one: BackfillDateRow) -> bool:
    """Whether a date was left alone though it is no success: the backfill then is none either.

    One that was left to another backfill is that one's, and one that somebody took out was not asked for any more,
    unless it has failed by now.
    """
    if one.action is not Action.SKIP or one.run_state is RunState.SUCCESS:
        return False
    return one.run_state is RunState.FAILED or not (is_left_to_another(one.reason) or is_left_out(one.reason))


def is_repaired(one: BackfillDateRow) -> bool:
    """Whether a date that failed in a backfill has succeeded since, in another one."""
    return one.outcome is RunState.FAILED and one.run_state is RunState.SUCCESS


def is_unrepaired(one: BackfillDateRow) -> bool:
    """Whether a date that failed in a backfill, or was blocked at its end, is still no success."""
    if one.outcome is RunState.FAILED:
        return one.run_state is not RunState.SUCCESS
    is_open = one.outcome is None and one.action is not Action.SKIP
    return is_open and (one.run_state is RunState.RUNNING or is_blocked(one))


def repaired_dates(reader: Reader, row: BackfillRow) -> int:
    """Return how many dates failed in this backfill and have succeeded since, in another; a walk where any failed."""
    if not row.failed:
        return 0
    return sum(map(is_repaired, reader.backfill_dates(row.backfill_id)))


def leaves_failures(reader: Reader, row: BackfillRow) -> bool:
    """Whether the backfill left a date alone that is no success; one count answers where the whole range is."""
    if not row.skipped or row.first is None or row.last is None:
        return False
    if set(reader.count_runs(row.dag_id, row.first, row.last)) <= {RunState.SUCCESS}:
        return False
    return any(is_left_failed(one) for one in reader.backfill_dates(row.backfill_id))


def failure_groups(
    reader: Reader,
    dag_id: str,
    first: int | None,
    last: int | None,
    results: Sequence[DateResult],
    *,
    began_at: int | None = None,
) -> tuple[FailureGroup, ...]:
    """Group the failed task instances of the dates that were worked on, by task and cause; most dates first.

    Texts that differ in values alone (`core/signatures.py`) are one cause.

    Args:
        began_at: Of a backfill, epoch microseconds: dates that it still has to do may have failed before it.
    """
    if first is None or last is None:
        return ()
    # Of a batch all dates failed, and the first of them, which may lie before these, has the task instances.
    low = min((one.batch for one in results if one.batch is not None), default=first)
    failed = list(reader.instances(dag_id, min(first, low), last, states=[TaskState.FAILED]))
    if not failed:
        return ()
    places = {one.logical_date for one in failed}
    before = {one.logical_date for one in failed if began_at is not None and (one.ended_at or 0) < began_at}
    dates: dict[int, list[int]] = defaultdict(list)
    for result in results:
        date = int(result.logical_date.timestamp())
        if result.state == REMAINING and (date if result.batch is None else result.batch) in before:
            continue
        place = date if result.batch is None or result.state == RunState.SUCCESS else result.batch
        if place in places:
            dates[place].append(date)
    from backfill_cli.core.signatures import signature  # its pattern takes longer to make than most answers of `status`

    groups: dict[tuple[str, str], _Alike] = defaultdict(_Alike)
    for one in failed:
        reason = one.reason or "no reason given"
        for date in dates[one.logical_date]:
            groups[one.task_id, signature(reason)].add(date, reason)
    return tuple(
        FailureGroup(task_id, found.reasons[0], tuple(found.dates), found.count, found.texts())
        for (task_id, _), found in sorted(groups.items(), key=lambda item: -item[1].count)
    )


class _Alike:
    """Failures of one cause: their number, and the dates and texts of the first."""

    __slots__ = ("count", "dates", "reasons")

    def __init__(self) -> None:
        self.count = 0
        self.dates: list[int] = []
        self.reasons: list[str] = []

    def add(self, logical_date: int, reason: str) -> None:
        self.count += 1
        if len(self.dates) < SHOWN_DATES:
            self.dates.append(logical_date)
            self.reasons.append(reason)

    def texts(self) -> tuple[str, ...]:
        """The text of each date, unless all are the same."""
        return tuple(self.reasons) if len(set(self.reasons)) > 1 else ()
