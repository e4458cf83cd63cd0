"""Which dates another living process still has to finish, and the refusal that names it.

Owns the question, asked of one snapshot or inside the transaction that takes the dates. What a run that is refused does
then is `app/conflicts.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backfill_cli.app.lookup import live_owner
from backfill_cli.core.planning import HELD
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import SCHEDULED, Action
from backfill_cli.core.states import BackfillState
from backfill_cli.core.zones import clock_of
from backfill_cli.errors import ConflictError

if TYPE_CHECKING:
    from backfill_cli.core.ports import Reader, Store
    from backfill_cli.core.records import BackfillRow, PlanRow
    from backfill_cli.core.results import PlanResult


class Overtaken(Exception):
    """The store has changed between the look and the claim: nothing was taken, and the next look sees why."""


class DatesHeld(ConflictError):
    """A living process holds dates that are asked for.

    Args:
        other: The backfill it works on.
        dates: Those it holds of the ones asked for; None where the backfill itself is asked for.
    """

    def __init__(self, message: str, *, hint: str, other: BackfillRow, dates: frozenset[int] | None) -> None:
        super().__init__(message, hint=hint, code="dates-held")
        self.other = other
        self.dates = dates

    def is_over(self, reader: Reader) -> bool:
        """Whether nothing is in the way any more: the dates are finished, or nobody alive works on the backfill."""
        row = reader.backfill(self.other.backfill_id)
        if row is None or live_owner(reader, row) is None:
            return True
        if self.dates is None:
            return False
        return not any(one in self.dates for one in reader.claimed(row.backfill_id, min(self.dates), max(self.dates)))


def refuse_overlap(reader: Reader, dag_id: str, rows: Iterable[PlanRow], *, besides: str | None = None) -> None:
    """Refuse when a living process still has to finish a date that these rows want to run, or owns it now.

    Where several are in the way, a scheduled run is named before a backfill.

    Raises:
        DatesHeld: One does.
    """
    found = list(_holders(reader, dag_id, _wanted(rows), besides))
    if found:
        other, dates = min(found, key=lambda one: one[0].identity != SCHEDULED)
        raise conflict(reader, other, dates[0], dates[-1], frozenset(dates))


def held_by_others(reader: Reader, dag_id: str, first: int, last: int, *, besides: str | None = None) -> dict[int, str]:
    """Return the dates in the range that living processes still have to finish, each with the backfill's id."""
    return {
        date: other.backfill_id
        for other in reader.overlapping(dag_id, first, last, besides=besides)
        for date in reader.claimed(other.backfill_id, first, last)
    }


def told_of_holders(store: Store, plan: PlanResult, choice: str) -> PlanResult:
    """Return a plan that says which of its dates living processes hold: its run would be refused, or wait.

    Args:
        choice: `--on-conflict`; with `skip` those dates stand in the plan as what they are.
    """
    if plan.first is None or plan.last is None or choice == "skip":
        return plan

    def look(reader: Reader) -> list[Problem]:
        dag_id, bounds = plan.dag.dag_id, (plan.first or 0, plan.last or 0)
        if not reader.overlapping(dag_id, *bounds):
            return []
        wanted = _wanted(plan.rows())
        return [_told(other, len(dates), choice) for other, dates in _holders(reader, dag_id, wanted, None)]

    return replace(plan, warnings=[*plan.warnings, *store.read(look)])


def _told(other: BackfillRow, count: int, choice: str) -> Problem:
    hints = {
        "wait": "run waits until they are finished",
        "cancel-other": f"run cancels {other.backfill_id} first",
    }
    refused = "run is refused until they are finished: add --on-conflict wait, or skip"
    dates = "1 date is" if count == 1 else f"{count:,} dates are"
    return Problem("dates-held", f"{dates} being run by {other.backfill_id}", hints.get(choice, refused))


def _wanted(rows: Iterable[PlanRow]) -> frozenset[int]:
    """The dates that rows want to run; one that is open elsewhere is a SKIP in a plan, which only looks."""
    return frozenset(row.logical_date for row in rows if row.action is not Action.SKIP or row.reason == HELD)


def _holders(
    reader: Reader, dag_id: str, wanted: frozenset[int], besides: str | None
) -> Iterator[tuple[BackfillRow, list[int]]]:
    if not wanted:
        return
    first, last = min(wanted), max(wanted)
    for other in reader.overlapping(dag_id, first, last, besides=besides):
        if held := [one for one in reader.claimed(other.backfill_id, first, last) if one in wanted]:
            yield other, held


def conflict(
    reader: Reader, other: BackfillRow, first: int, last: int, dates: frozenset[int] | None = None
) -> DatesHeld:
    """Return the error that names who holds the dates, and since when."""
    owner = reader.owner(other.owner) if other.owner else None
    who = f"pid {owner.pid} on {owner.host}" if owner else "another process"
    since = f" since {datetime.fromtimestamp(owner.started_at / 1e6, UTC):%Y-%m-%d %H:%M} UTC" if owner else ""
    show = clock_of(str(other.request.get("timezone", "UTC"))).show
    asked = show(first) if first == last else f"{show(first)} … {show(last)}"
    is_paused = other.state is BackfillState.PAUSED
    return DatesHeld(
        f"{other.dag_id} {asked} is being run by {who} ({other.backfill_id}){since}"
        + ("; it is paused" if is_paused else ""),
        hint=_hint(other),
        other=other,
        dates=dates,
    )


def _hint(other: BackfillRow) -> str:
    if other.identity == SCHEDULED:  # ended, its dates would be created again
        return (
            f"wait for it (bfill status {other.backfill_id}); run has --on-conflict wait, and skip: leave it its dates"
        )
    if other.state is BackfillState.PAUSED:
        return f"let it go on: bfill resume {other.backfill_id}, or end it: bfill cancel {other.backfill_id}"
    return (
        f"wait for it (bfill status {other.backfill_id}; run has --on-conflict wait),"
        f" or end it: bfill cancel {other.backfill_id}"
    )
