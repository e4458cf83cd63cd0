"""What a deferral means for the others: a system that said wait to one task has said it to all that ask it.

Owns how long is waited and who waits. In a pool of its own name the whole pool waits, since such a pool stands for a
system; in the default pool the same task waits on its other dates, since its neighbours may ask somebody else. A
refusal without a time doubles from 1 s to a minute, while every new start is refused; one with a time is taken at its
word, but a system that says `0` again and again is asked ever more seldom as well. Patience ends: a task that
is refused again an hour after the first time has failed a try.
"""

from __future__ import annotations

from dataclasses import replace

from backfill_cli.core.agreements import Deferral
from backfill_cli.core.changes import Key
from backfill_cli.core.graph import Task
from backfill_cli.core.holds import Hold, Holds, of_pool, of_task
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.pools import DEFAULT_POOL
from backfill_cli.core.states import Outcome

PATIENCE_S = 3_600.0
"""Seconds a task may be refused by a system, from the first time to the last, before that is a failed try."""

_LONGEST_GUESS_S = 60.0
_AT_ITS_WORD = 5
"""Rounds in a row that are waited as long as was said, however short; from then on it doubles here too."""

_SHORTEST_S = 0.05

_SOURCE = "deferral"
_ELSEWHERE = "deferral of another process"
_SHOWN = 60


class Deferrals:
    """The deferrals of one run, and the holds they lead to.

    Attributes:
        told: What the systems behind pools have said to this run since it was passed on; by pool.
    """

    def __init__(self, holds: Holds, patience_s: float = PATIENCE_S) -> None:
        self._holds = holds
        self._patience_s = patience_s
        self._since: dict[Key, int] = {}
        self._told_wait: dict[str, tuple[int, int]] = {}
        self.told: dict[str, Deferral] = {}

    def __bool__(self) -> bool:
        """Whether anything is remembered that a try's end could change."""
        return bool(self._since or self._told_wait)

    def ended(self, report: AttemptReport, task: Task) -> None:
        """Note that a try has ended in another way: its system answers."""
        self._since.pop((report.logical_date, report.task_id), None)
        if report.outcome is Outcome.SUCCESS:
            self._told_wait.pop(scope_of(task), None)

    def deferred(self, report: AttemptReport, task: Task) -> AttemptReport:
        """Hold back who asks the same system, and return the report with the delay it leads to.

        It becomes a failed try when the system has refused the task for longer than patience lasts.
        """
        key, scope = (report.logical_date, report.task_id), scope_of(task)
        since = self._since.setdefault(key, report.started_at)
        times = self._rounds(scope, report)
        least_s = _doubled(1.0, times) if report.delay_s is None else _doubled(_SHORTEST_S, times - _AT_ITS_WORD)
        delay_s = max(report.delay_s or 0.0, least_s)
        until = report.ended_at + int(delay_s * 1_000_000)
        before = self._holds.get(scope, _SOURCE)
        if before is None or before.end < until:
            detail = _short(report.reason)
            self._holds.put(scope, _SOURCE, Hold(f"{scope.replace(':', ' ', 1)}, which said wait", until, detail))
            if scope != of_task(task.task_id):
                self.told[task.pool] = Deferral(task.pool, report.ended_at, until, "", detail)
        if report.is_refusal and report.ended_at - since >= self._patience_s * 1_000_000:
            del self._since[key]
            reason = f"{report.reason}; patience ends after {self._patience_s:g} s"
            return replace(report, outcome=Outcome.RETRY, delay_s=None, reason=reason)
        return replace(report, delay_s=delay_s)

    def hear(self, deferral: Deferral, now: int, *, own: bool) -> None:
        """Wait for a pool as long as another process was told to, or this backfill before it was killed.

        Args:
            now: Epoch microseconds.
            own: It was said to this backfill.
        """
        scope = of_pool(deferral.pool)
        mine = self._holds.get(scope, _SOURCE)
        if deferral.lasts(now) and (mine is None or mine.end < deferral.until):
            reason = f"pool {deferral.pool}, which said wait{'' if own else f' to {deferral.by}'}"
            self._holds.put(scope, _ELSEWHERE, Hold(reason, deferral.until, deferral.reason))
        else:
            self._holds.lift(scope, _ELSEWHERE)

    def _rounds(self, scope: str, report: AttemptReport) -> int:
        """Return how often in a row the system said wait: tries that ran side by side were told once."""
        times, at = self._told_wait.get(scope, (0, 0))
        if report.started_at > at:
            times, at = times + 1, report.ended_at
            self._told_wait[scope] = times, at
        return times


def _doubled(first_s: float, times: int) -> float:
    """Return what doubles from the first time on, up to a minute; before that it is none."""
    # Of a power alone the thousandth would be no float any more, and a weekend of refusals has that many.
    return min(first_s * 2.0 ** min(times - 1, 20), _LONGEST_GUESS_S) if times > 0 else 0.0


def scope_of(task: Task) -> str:
    """Return what a deferral of the task holds back."""
    return of_task(task.task_id) if task.pool == DEFAULT_POOL else of_pool(task.pool)


def _short(reason: str | None) -> str:
    text = reason or "deferred"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
