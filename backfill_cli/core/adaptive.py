"""How many dates at once, found out while they run: additive increase, multiplicative decrease.

Owns the number between a least and a most, and what moves it. A round is as many tries that ended well as there are
dates at once. After a round it goes up by one; until the first sign of too much it doubles, and then goes back. A later
sign takes a quarter off: a try that failed or was refused (HTTP 429), latency above its target, a probe that says no.

One burst is one sign, as TCP decreases once a round trip. A decrease has taken effect when no more dates are at work
than it says; tries that were submitted before say nothing about the number since. So ten that were refused together are
one sign, however late a busy machine lets each of them begin, and however soon they are tried again.

The idea: where refusals begin is the capacity of the system behind the tasks. Steps of one beyond it are small, a
quarter is room enough for it to recover, and the number settles between three quarters of the capacity and one above.

Source: Chiu and Jain, Analysis of the Increase and Decrease Algorithms for Congestion Avoidance (1989).
"""

from __future__ import annotations

from statistics import median

from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.listening import PaceChange
from backfill_cli.core.states import Outcome

_KEPT = 0.75
"""What a decrease leaves: half, as TCP takes, is for a network; here the number is small, and each step is a second."""

_UNDOUBLED = 0.5
"""What the first one leaves: the number before it doubled, which was well."""

_COMFORT = 0.9
"""Of the target latency; above it there is no increase."""

_TOO_MUCH = {Outcome.DEFERRED: "a try was refused", Outcome.RETRY: "a try failed", Outcome.FAILED: "a try failed"}
_SHOWN = 80

_BEFORE = -1
"""The epoch of tries that are submitted while a decrease has not taken effect."""


class Adaptive:
    """The number of dates at once of one run.

    Args:
        least, most: Its bounds, both included; it begins with the least.
        target_latency_s: Seconds that half of the tries shall stay below; None: latency says nothing.
    """

    def __init__(self, least: int, most: int, *, target_latency_s: float | None = None) -> None:
        self.least = least
        self.most = most
        self.parallel = least
        self.why = ""
        self.news: list[PaceChange] = []
        self._target_s = target_latency_s
        self._doubles = True
        self._epoch = 0
        self._begin_round()

    def _begin_round(self) -> None:
        self._round: list[float] = []
        self._most_open = 0

    def bound(self, most: int) -> None:
        """Go no higher than this from now on; a least that is above it comes down with it."""
        self.most, self.least, self.parallel = most, min(self.least, most), min(self.parallel, most)

    def on_submit(self, at_work: int) -> int:
        """Return which number a try that is submitted now will say something about, its epoch.

        Args:
            at_work: Dates that may have a try under way, that of this one included.
        """
        return self._epoch if at_work <= self.parallel else _BEFORE

    def on_end(self, report: AttemptReport, epoch: int, open_runs: int) -> None:
        """Take how a try has ended.

        Args:
            epoch: What `on_submit` has said of it.
            open_runs: Dates that are open: a number that is not used up in a round is not tried, and does not grow. Of
                tries that end together the first alone sees all of them.
        """
        if epoch < self._epoch:
            return
        self._most_open = max(self._most_open, open_runs)
        if report.outcome in _TOO_MUCH:
            told = report.reason or _TOO_MUCH[report.outcome]
            self._decrease(told if len(told) <= _SHOWN else told[: _SHOWN - 1] + "…", report.ended_at)
        elif report.outcome is Outcome.SUCCESS:
            self._round.append((report.ended_at - report.started_at) / 1_000_000)
            if len(self._round) >= max(self.parallel, 1):
                self._end_round(report.ended_at)

    def on_probe(self, *, is_well: bool, told: str, now: int) -> None:
        """Take the answer of a probe, at `now` (epoch µs)."""
        if not is_well:
            self._decrease(f"the probe: {told}", now)

    def _end_round(self, now: int) -> None:
        latency_s, is_used_up = median(self._round), self._most_open >= self.parallel
        self._begin_round()
        if self._target_s is not None and latency_s > self._target_s:
            self._decrease(f"half of the tries took more than {latency_s:.3g} s", now)
        elif is_used_up and (self._target_s is None or latency_s <= self._target_s * _COMFORT):
            self._change(min(self.most, self.parallel * 2 if self._doubles else self.parallel + 1), now, "all is well")

    def _decrease(self, why: str, now: int) -> None:
        kept = _UNDOUBLED if self._doubles else _KEPT
        self._doubles = False
        self._begin_round()
        self._epoch += 1
        self._change(max(self.least, min(self.parallel - 1, int(self.parallel * kept))), now, why)

    def _change(self, parallel: int, now: int, why: str) -> None:
        if parallel == self.parallel:
            return
        details = {"parallel": parallel, "before": self.parallel, "least": self.least, "most": self.most}
        self.news.append(PaceChange("parallel_changed", now, why, details))
        self.parallel, self.why = parallel, why
        self._begin_round()
