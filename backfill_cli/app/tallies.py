"""What a scheduler that stays has run by now: numbers for good, and the latest shifts of each DAG.

Owns the sums. It may stay for months: what it remembers of a DAG is bounded.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from backfill_cli.core.scheduling import Earlier, ScheduleResult, Standing

if TYPE_CHECKING:
    from backfill_cli.core.agenda import Agenda, Entry
    from backfill_cli.core.results import BackfillResult

KEPT_SHIFTS = 10
"""Shifts of a DAG that are remembered one by one…"""

KEPT_DATES = 100
"""…and dates of each of them, the last ones."""


@dataclass(slots=True)
class _Tally:
    """The shifts of one DAG."""

    latest: deque[BackfillResult] = field(default_factory=deque)
    earlier: Earlier = Earlier()  # noqa: RUF009  (a tuple: it cannot change)


class Tallies:
    """The shifts of every DAG, by dag_id."""

    def __init__(self) -> None:
        self._tallies: dict[str, _Tally] = {}

    def add(self, standing: Standing) -> None:
        """Take what one shift has run."""
        if not standing.results:
            return
        tally = self._tallies.setdefault(standing.dag_id, _Tally())
        tally.latest.extend(replace(one, results=one.results[-KEPT_DATES:]) for one in standing.results)
        while len(tally.latest) > KEPT_SHIFTS:
            old, before = tally.latest.popleft(), tally.earlier
            tally.earlier = Earlier(
                before.shifts + 1, before.completed + old.completed, before.failed + old.failed - old.repaired
            )

    def result(self, agenda: Agenda, stopped_by: int | None, why: str) -> ScheduleResult:
        """Return what came of it all; a DAG whose file was removed meanwhile is there when it has run."""
        entries = agenda.entries.values()
        standings = [self._standing(entry) for entry in entries]
        gone = self._tallies.keys() - {entry.facts.dag_id for entry in entries}
        for dag_id in sorted(gone):
            tally = self._tallies[dag_id]
            removed = Standing(dag_id, "its file was removed", results=tuple(tally.latest), earlier=tally.earlier)
            standings.append(removed)
        return ScheduleResult(standings, stopped_by, why=why)

    def _standing(self, entry: Entry) -> Standing:
        facts, trouble = entry.facts, entry.trouble
        tally = self._tallies.get(facts.dag_id, _Tally())
        return Standing(
            facts.dag_id,
            facts.why,
            facts.timezone,
            facts.next_at,
            tuple(tally.latest),
            trouble and trouble.message,
            trouble.hint if trouble else "",
            trouble.exit_code if trouble else 0,
            tally.earlier,
        )
