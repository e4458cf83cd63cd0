"""Dates that somebody takes out of a backfill, by `bfill skip`: which may be, and what is said of it.

Owns the words and the decision, date by date and all or nothing. A date is left out as long as nothing has begun in it:
what has an outcome keeps it (contract section 1), and what is running is waited for or cancelled. Who reads how a date
stands, and what becomes of its dag_run, is `app/leaving.py`.

A date that is left out is like one that was never asked for: the dates behind it wait for the one before it (semantics
section 4, rule 3: gaps allowed). It keeps its place among the waves, so that all others stay in theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from backfill_cli.core.instants import iso
from backfill_cli.core.records import Action, BackfillDateRow, PlanRow
from backfill_cli.core.states import RunState

MOST = 10_000
"""Dates that one request leaves out, at most: they are decided in one transaction, and stand in its audit entry."""

SKIPPED_BY = "skipped by "
_SHOWN = 4


def skipped_reason(by: str) -> str:
    """Return the reason of a date that somebody took out.

    Args:
        by: Who, and why if it was said.
    """
    return SKIPPED_BY + by


def is_left_out(reason: str | None) -> bool:
    """Whether a date that a backfill leaves alone is one that somebody took out of it."""
    return reason is not None and reason.startswith(SKIPPED_BY)


def has_place(row: BackfillDateRow) -> bool:
    """Whether a date counts where waves are cut: those to do, and those taken out of them."""
    return row.action is not Action.SKIP or is_left_out(row.reason)


def leave_out(rows: Iterable[PlanRow], left_out: Mapping[int, str]) -> Iterator[PlanRow]:
    """Yield a plan's rows without those that somebody took out of it (date → reason)."""
    for row in rows:
        reason = left_out.get(row.logical_date) if row.action is not Action.SKIP else None
        yield row if reason is None else row._replace(action=Action.SKIP, reason=reason)


def dates_text(dates: Iterable[int]) -> list[str]:
    """Return dates as a request and its audit entry hold them."""
    return [str(iso(date)) for date in dates]


def dates_asked(args: Mapping[str, Any]) -> list[int] | None:
    """Return the dates of a request, ascending; None when it names none: anybody may have written into the store."""
    try:
        return sorted({int(datetime.fromisoformat(one).timestamp()) for one in args["dates"]}) or None
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


class DateStands(NamedTuple):
    """How one date of a backfill stands when somebody wants it left out.

    Args:
        row: As it is stored.
        is_open: The process that runs the backfill has opened it.
        is_unrun: Nothing has ever begun in its dag_run, which this backfill made: it can be as if it had never been.
        is_part: It is one run with dates that were not named (`core/merging.py`), and open.
        has_passed: That process has had it, and it is not open any more.
    """

    row: BackfillDateRow
    is_open: bool = False
    is_unrun: bool = False
    is_part: bool = False
    has_passed: bool = False

    @property
    def why_not(self) -> tuple[str, str] | None:
        """Why it cannot be left out, of one date and of several; None when it can."""
        if self.row.outcome is RunState.SUCCESS:
            return "has succeeded", "have succeeded"
        if self.row.outcome is not None:
            return "has failed", "have failed"
        if self.is_open and not self.is_unrun:
            return "has begun", "have begun"
        if self.is_part:
            return "is one run with dates that were not named", "are one run with dates that were not named"
        if self.has_passed:  # its outcome may be about to be written
            return "is blocked, or has just ended", "are blocked, or have just ended"
        return None


class Decision(NamedTuple):
    """What a request to leave dates out comes to.

    Args:
        leave: The dates to leave out, ascending; none where any of them is refused.
        already: Those that are left alone as it is.
        refused: Why none is left out, in words; empty when nothing stands against it.
    """

    leave: tuple[DateStands, ...]
    already: tuple[BackfillDateRow, ...]
    refused: str = ""

    @property
    def dates(self) -> tuple[int, ...]:
        return tuple(one.row.logical_date for one in self.leave)


def decide(asked: Iterable[DateStands], show: Callable[[int], str]) -> Decision:
    """Decide about dates that a backfill holds: all that are still to do are left out, or none.

    Args:
        show: Writes a logical date for people.
    """
    leave: list[DateStands] = []
    already: list[BackfillDateRow] = []
    refused: dict[tuple[str, str], list[int]] = {}
    for one in asked:
        if one.row.action is Action.SKIP:
            already.append(one.row)
        elif (why := one.why_not) is not None:
            refused.setdefault(why, []).append(one.row.logical_date)
        else:
            leave.append(one)
    if not refused:
        return Decision(tuple(leave), tuple(already))
    said = [f"{named(dates, show)} {words[len(dates) > 1]}" for words, dates in refused.items()]
    return Decision((), tuple(already), f"{', '.join(said)}: nothing was left out")


def answer(decision: Decision, show: Callable[[int], str], *, remaining: int) -> str:
    """Return what is so now, for one whose request was done.

    Args:
        remaining: Dates that are still to do.
    """
    already = [one.logical_date for one in decision.already]
    if not decision.leave:
        whys = {one.reason for one in decision.already}
        why = f" ({whys.pop()})" if len(whys) == 1 else ""
        return f"{named(already, show)} {_is(already)} left alone already{why}"
    said = [f"{named(decision.dates, show)} {_is(decision.dates)} left out"]
    if already:
        said.append(f"{named(already, show)} {_is(already)} left alone already")
    kept = [one.row for one in decision.leave if one.row.run_state is not None and not one.is_unrun]
    for words, rows in (
        ("failed", [one for one in kept if one.run_state is RunState.FAILED]),
        ("unfinished", [one for one in kept if one.run_state not in (RunState.FAILED, RunState.SUCCESS)]),
    ):
        if rows:
            dates = [one.logical_date for one in rows]
            said.append(f"{named(dates, show)} {'stays' if len(rows) == 1 else 'stay'} {words} in the store")
    said.append(f"{remaining:,} {'date remains' if remaining == 1 else 'dates remain'}")
    return "; ".join(said)


def named(dates: Sequence[int], show: Callable[[int], str]) -> str:
    """Return dates in a sentence: the first few by name."""
    shown = [show(date) for date in (dates if len(dates) <= _SHOWN else dates[: _SHOWN - 1])]
    if len(shown) < len(dates):
        return f"{', '.join(shown)} and {len(dates) - len(shown):,} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _is(dates: Sequence[int]) -> str:
    return "is" if len(dates) == 1 else "are"
