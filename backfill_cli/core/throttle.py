"""What keeps ready tasks back, besides slots: limits of rate, and systems that asked us to wait.

Owns the answer to "may a task of this pool start now, and if not, until when and why". It gathers the paces
(`core/rates.py`) and the holds (`core/holds.py`) of one run; `core/slots.py` asks it when somebody could start, and
without a limit or a hold it is not asked at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backfill_cli.core.adaptive import Adaptive
from backfill_cli.core.breakers import SOURCE, Breaker, BreakerRule
from backfill_cli.core.changes import Key
from backfill_cli.core.deferrals import Deferrals
from backfill_cli.core.graph import Dag
from backfill_cli.core.holds import EVERYTHING, Hold, Holds, of_pool, of_task
from backfill_cli.core.hours import Hours
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.leases import TURN_US
from backfill_cli.core.listening import PaceChange
from backfill_cli.core.pool_rules import PoolRules
from backfill_cli.core.problems import Problem
from backfill_cli.core.rates import MICROSECONDS, Pace
from backfill_cli.core.steps import Flight


class Throttle:
    """The paces and holds of one run.

    Args:
        paces: By what they lie on, a pool or a task (`holds.of_pool`, `holds.of_task`).
        hours: When tasks may start; None is always.
    """

    def __init__(self, paces: Mapping[str, Pace] | None = None, hours: Hours | None = None) -> None:
        self.holds = Holds()
        self.deferrals = Deferrals(self.holds)
        self._paces = dict(paces or {})
        self.breakers: dict[str, Breaker] = {}
        self.adaptive: Adaptive | None = None
        self._hours = hours
        self._hours_until = 0

    @property
    def is_idle(self) -> bool:
        """Nothing is limited or held: every question is answered by yes."""
        return not self._paces and not self.holds and not self.breakers

    @property
    def has_paces(self) -> bool:
        return bool(self._paces)

    @property
    def watches_ends(self) -> bool:
        """How tries end matters to a breaker, or to the number of dates at once."""
        return bool(self.breakers) or self.adaptive is not None

    @property
    def needs_care(self) -> bool:
        """Somebody has to reserve starts or to ask after a system's health while the run lasts."""
        return bool(self._paces or self.breakers or self.adaptive)

    def hold_on(self, pool: str, apart: str, now: int) -> Hold | None:
        """Return what keeps the tasks of a pool from starting now; None lets them start.

        Args:
            apart: The task, when it is one that waits apart from the others of its pool; else empty.
            now: Epoch microseconds.
        """
        scopes = _scopes(pool, apart)
        held = self.holds.on(*scopes)
        if held is not None and pool in self.breakers and self.breakers[pool].is_unclaimed:
            # What keeps the probe from starting is why: who reads `nobody probes yet` does not know for how long.
            why = self._paced(self.holds.on(*scopes, besides=SOURCE), scopes, now)
            return held if why is None or why.end <= now + 1 else why
        return self._paced(held, scopes, now)

    def _paced(self, held: Hold | None, scopes: tuple[str, ...], now: int) -> Hold | None:
        """Return what lasts longer, a hold or the wait for a limit of rate."""
        for scope in scopes if self._paces else ():
            pace = self._paces.get(scope)
            if pace is not None and (due_at := pace.due_at(now)) > now and (held is None or held.end < due_at):
                held = Hold(f"rate limit {pace.rate.said} of {_named(scope)}", due_at)
        return held

    def may_probe(self, pool: str, apart: str, now: int) -> bool:
        """Whether nothing but the pool's breaker keeps its tasks from starting now (epoch µs).

        A limit of rate that is not due does: who has the probe and may send none for an hour would hold everybody.
        """
        scopes = _scopes(pool, apart)
        return self.holds.on(*scopes, besides=SOURCE) is None and self._are_due(scopes, now)

    def leaves_slots(self, pool: str, apart: str, now: int) -> bool:
        """Whether tasks may not start for longer than a turn lasts, by what holds them and not all of their pool.

        Others may start in the slots they need: the hours of this run, and the rate of one task, are its own affair.
        """
        own = (EVERYTHING, of_task(apart)) if apart else (EVERYTHING,)
        held = self.holds.on(*own)
        if held is not None and held.end > now + TURN_US:
            return True
        pace = self._paces.get(of_task(apart)) if apart else None
        return pace is not None and pace.due_at(now) > now + TURN_US

    def started(self, key: Key, pool: str, apart: str) -> None:
        """Note that a task starts: it uses up one start of every limit it is under, and may be a breaker's probe."""
        if pool in self.breakers:
            self.breakers[pool].on_start(key)
        if self._paces:
            for scope in _scopes(pool, apart):
                pace = self._paces.get(scope)
                if pace is not None:
                    pace.start()

    def lacking(self, waiting: Iterable[tuple[str, str, int]], now: int) -> dict[Pace, int]:
        """Return how many starts are to be reserved of which limit.

        Args:
            waiting: (pool, task apart or empty, how many there are slots for) of tasks that are ready.
            now: Epoch microseconds.
        """
        wanted: dict[str, int] = {}
        for pool, apart, count in waiting:
            scopes = _scopes(pool, apart)
            # Under two limits both are asked at the same moment: a start that waits for another limit is lost.
            if self.holds.on(*scopes) is None and self._are_due(scopes, now):
                for scope in scopes:
                    wanted[scope] = wanted.get(scope, 0) + count
        lacks = {pace: pace.lacks(wanted.get(scope, 0), now) for scope, pace in self._paces.items()}
        return {pace: count for pace, count in lacks.items() if count}

    def _are_due(self, scopes: tuple[str, ...], now: int) -> bool:
        """Whether all limits on these may grant a start now (epoch µs), or as soon as the strictest keeps one."""
        paces = [self._paces[scope] for scope in scopes if scope in self._paces]
        soon = now + max(1, min((pace.rate.ahead_us for pace in paces), default=0))
        return all(pace.due_at(now) <= soon for pace in paces)

    def ended(self, flight: Flight, report: AttemptReport, open_runs: int) -> None:
        """Note how a try has ended, also one that nobody waits for any more, and how many dates are open."""
        if self.adaptive is not None:
            self.adaptive.on_end(report, flight.epoch, open_runs)
        if flight.pool in self.breakers:
            self.breakers[flight.pool].on_end(report, report.ended_at)

    def news(self) -> list[PaceChange]:
        """Return what has changed by itself since this was asked last, in the order it did."""
        tellers: list[Breaker | Adaptive] = [*self.breakers.values()]
        if self.adaptive is not None:
            tellers.append(self.adaptive)
        found = [change for teller in tellers for change in teller.news]
        for teller in tellers:
            teller.news.clear()
        return sorted(found, key=lambda change: change.at)

    def problems(self) -> list[Problem]:
        """Return what a result has to say about what kept tasks back."""
        found = (breaker.problem() for breaker in self.breakers.values())
        return [one for one in found if one is not None]

    def on_time(self, now: int) -> None:
        """Let the holds end that are over at `now`, epoch µs."""
        if self.holds:
            self.holds.expire(now)
        for breaker in self.breakers.values():
            breaker.on_time(now)
        if self._hours is not None and now >= self._hours_until:
            opening = self._hours.at(now // MICROSECONDS)
            self._hours_until = opening.until * MICROSECONDS
            if not opening.is_open:
                self.holds.put(EVERYTHING, "hours", Hold(f"--between {self._hours.said}", self._hours_until))


def throttle_of(dag: Dag, pools: Mapping[str, PoolRules], hours: Hours | None = None) -> Throttle:
    """Return what keeps the tasks of a DAG back: the limits of its own tasks, and of the pools they use, the hours."""
    paces = {
        of_task(task.task_id): Pace(f"task:{dag.dag_id}/{task.task_id}", task.rate_limit)
        for task in dag.tasks.values()
        if task.rate_limit is not None
    }
    for pool in {task.pool for task in dag.tasks.values()} & pools.keys():
        limit = pools[pool].rate_limit
        if limit is not None:
            paces[of_pool(pool)] = Pace(f"pool:{pool}", limit)
    throttle = Throttle(paces, hours)
    for pool in {task.pool for task in dag.tasks.values()} & pools.keys():
        rules = pools[pool]
        if rules.breaker is not None or rules.health is not None:
            rule = rules.breaker or BreakerRule()
            throttle.breakers[pool] = Breaker(pool, rule, throttle.holds, has_health=rules.health is not None)
    return throttle


def _scopes(pool: str, apart: str) -> tuple[str, ...]:
    return (EVERYTHING, of_pool(pool), of_task(apart)) if apart else (EVERYTHING, of_pool(pool))


def _named(scope: str) -> str:
    kind, _, name = scope.partition(":")
    return f"{kind} {name}"
