"""Folding tries into failures, what repaired them, and what ran again after an interruption.

Owns the rule of what a repair is: the first try of the same task on the same date that succeeded or skipped after the
cause was last met. So the dates of a cause are those that something repaired and those that nothing did. The tries
come by date, task and try number, as the store keeps them: one pass sees a task's whole life on a date in one stretch,
and memory grows with causes and lost tries, not with tries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from backfill_cli.core.records import AttemptRow
from backfill_cli.core.report_facts import FailureFacts, Repair, Rerun
from backfill_cli.core.reports import ReportScope
from backfill_cli.core.states import Outcome

SHOWN_DATES = 1_000
"""Dates of a cause that are listed; its count is exact."""

GOOD = frozenset({Outcome.SUCCESS, Outcome.SKIPPED})
BAD = frozenset({Outcome.FAILED, Outcome.RETRY})
RETRIED = "retry"
NO_REASON = "no reason given"

Who = str | None


class Told(AttemptRow):
    """A try of merged dates, at another one of them than the first: it failed or mended that one too."""

    __slots__ = ()


@dataclass(slots=True)
class _Open:
    """One task on one date, failed for one cause: how often, when, in whose name last, and what made it good since."""

    first_at: int
    last_at: int
    backfill_id: Who
    tries: int = 0
    good: AttemptRow | None = None


@dataclass(slots=True)
class _Cause:
    """What is known so far of one cause."""

    first_at: int
    last_at: int
    tries: int = 0
    dates: int = 0
    shown: list[int] = field(default_factory=list)
    repairs: dict[tuple[Who, str], tuple[int, int]] = field(default_factory=dict)
    unrepaired: int = 0


class AttemptFold:
    """Takes tries a DAG at a time; afterwards `failures()`, `reruns` and `tries` hold what they come to.

    Args:
        backfills: Whose failures and losses are reported. Tries of others repair them all the same.
        scope: Failures and losses outside its period are left out; a repair counts whenever it came.
        command_of: The command a backfill was started with, by its id.

    Attributes:
        tries: (backfill id, version, outcome) → tries of the backfills that are reported.
    """

    def __init__(self, backfills: Collection[str], scope: ReportScope, command_of: Callable[[Who], str]) -> None:
        self._backfills = backfills
        self._scope = scope
        self._command_of = command_of
        self._causes: dict[tuple[str, str, str], _Cause] = {}
        self.reruns: list[Rerun] = []
        self.tries: Counter[tuple[str, str, Outcome]] = Counter()

    def add(self, dag_id: str, rows: Iterable[AttemptRow]) -> None:
        """Fold in tries of one DAG, by date, task and try; a date must not come in two calls.

        Tries of merged dates are told to each of them (`core/batch_tries.py`), and counted once.
        """
        place: tuple[int, str] = (0, "")
        failed: dict[str, _Open] = {}
        lost: list[AttemptRow] = []
        for row in rows:
            # A report that came too late changed nothing: it neither failed a date nor mended one.
            if row.outcome is Outcome.LATE:
                continue
            is_ours = row.backfill_id in self._backfills
            is_told = type(row) is Told
            if is_ours and not is_told:
                self.tries[row.backfill_id or "", row.version, row.outcome] += 1
            if failed or lost:
                if place != (row.logical_date, row.task_id):
                    self._leave(dag_id, place, failed, lost)
                self.reruns += (_redone(dag_id, one, row) for one in lost)
                lost.clear()
            if row.outcome in GOOD:
                for one in failed.values():
                    one.good = one.good or row
            elif is_ours and self._scope.holds(row.ended_at):
                place = (row.logical_date, row.task_id)
                if row.outcome in BAD:
                    _note_failure(failed, row)
                elif row.outcome is Outcome.LOST and not is_told:
                    lost.append(row)
        self._leave(dag_id, place, failed, lost)

    def failures(self) -> list[FailureFacts]:
        """Return the causes: those with unrepaired dates first, then by dates."""
        found = [
            FailureFacts(
                *key,
                cause.tries,
                cause.dates,
                tuple(cause.shown),
                cause.first_at,
                cause.last_at,
                tuple(Repair(*who, *said) for who, said in cause.repairs.items()),
                cause.unrepaired,
            )
            for key, cause in self._causes.items()
        ]
        return sorted(found, key=lambda one: (-one.unrepaired, -one.dates, one.dag_id, one.task_id, one.reason))

    def _leave(self, dag_id: str, place: tuple[int, str], failed: dict[str, _Open], lost: list[AttemptRow]) -> None:
        """Close the account of a task on a date: no try of it comes after these."""
        logical_date, task_id = place
        for reason, one in failed.items():
            self._settle((dag_id, task_id, reason), logical_date, one)
        self.reruns += (_redone(dag_id, one, None) for one in lost)
        failed.clear()
        lost.clear()

    def _settle(self, key: tuple[str, str, str], logical_date: int, one: _Open) -> None:
        """Count one date towards its cause, and what made it good."""
        cause = self._causes.get(key)
        if cause is None:
            cause = self._causes[key] = _Cause(one.first_at, one.last_at)
        cause.first_at, cause.last_at = min(cause.first_at, one.first_at), max(cause.last_at, one.last_at)
        cause.tries += one.tries
        cause.dates += 1
        if len(cause.shown) < SHOWN_DATES:
            cause.shown.append(logical_date)
        if one.good is None:
            cause.unrepaired += 1
            return
        by = one.good.backfill_id
        how = RETRIED if by == one.backfill_id else self._command_of(by)
        dates, last_at = cause.repairs.get((by, how), (0, 0))
        cause.repairs[by, how] = (dates + 1, max(last_at, one.good.ended_at))


def _note_failure(failed: dict[str, _Open], row: AttemptRow) -> None:
    reason = row.reason or NO_REASON
    one = failed.get(reason)
    if one is None:
        one = failed[reason] = _Open(row.ended_at, row.ended_at, row.backfill_id)
    one.tries += type(row) is not Told  # one try, however many dates it was of
    one.last_at = max(one.last_at, row.ended_at)
    # It failed again: what made it good before no longer counts.
    one.backfill_id, one.good = row.backfill_id, None


def _redone(dag_id: str, lost: AttemptRow, again: AttemptRow | None) -> Rerun:
    one = Rerun(
        dag_id,
        lost.logical_date,
        lost.task_id,
        lost.backfill_id,
        lost.try_number,
        lost.ended_at,
        lost.reason or NO_REASON,
    )
    if again is None:
        return one
    return one._replace(redone_by=again.backfill_id, redone_at=again.started_at, outcome=str(again.outcome))
