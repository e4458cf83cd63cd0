"""The world of a simulated story: its clock, its events, the system behind the pool, and who is alive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from heapq import heappop, heappush
from random import Random
from unittest.mock import patch

from builders import SECOND, START, Ledger

from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.states import Outcome
from backfill_cli.engine.health import Answer
from backfill_cli.store.opening import memory_store
from simulated.processes import Process
from simulated.stories import Deed, Story
from simulated.watching import Watch

HANGS_S = 10.0
"""Seconds after which a health check that hangs is answered for."""


class Sim:
    """Plays one story to its end.

    Attributes:
        now: Virtual time, epoch microseconds.
        back: Given by a process when it gives way.
        on_probe: Called with the first process that sends a probe, at that moment.
    """

    def __init__(self, story: Story) -> None:
        self.story = story
        self.random = Random(story.seed)
        self.now = START
        self.store = memory_store()
        self.back = threading.Semaphore(0)
        self.ledgers = [Ledger() for _ in story.jobs]
        self.alive: dict[int, Process] = {}
        self.lives = 0
        self.on_probe: Callable[[Process], None] | None = None
        self.watch = Watch(self)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._event = 0
        self._phases: list[tuple[int, str]] = []
        ends = START
        for phase in story.phases:
            ends += int(phase.seconds * SECOND)
            self._phases.append((ends, phase.answer))
        self.quiet_at = max([ends, *(START + int((one.at_s + one.for_s) * SECOND) for one in story.deeds)])

    def at(self, when: int, what: Callable[[], None]) -> None:
        self._event += 1
        heappush(self._events, (when, self._event, what))

    # the system behind the pool

    def answer(self) -> str:
        return next((answer for ends, answer in self._phases if self.now < ends), "well")

    def report(self, key: tuple[int, str, int], began: int, ended: int, *, asks: bool) -> AttemptReport:
        said = self.answer() if asks else "well"
        if said == "well":
            return AttemptReport(*key, Outcome.SUCCESS, began, ended)
        if said == "broken":
            return AttemptReport(*key, Outcome.RETRY, began, ended, "HTTP 500")
        if said == "lost":
            return AttemptReport(*key, Outcome.LOST, began, ended, "its worker vanished")
        _, _, seconds = said.partition(" ")
        delay = float(seconds) if seconds else None
        return AttemptReport(*key, Outcome.DEFERRED, began, ended, "HTTP 429", delay_s=delay, is_refusal=True)

    def asked(self, answered: Callable[[Answer], None]) -> None:
        """A health check, as a process asks it."""
        is_well = self.answer() != "broken"
        takes_s = HANGS_S if self.story.health == "hangs" and not is_well else 0.05
        self.at(self.now + int(takes_s * SECOND), lambda: answered(Answer(is_well, "HTTP 200" if is_well else "no")))

    # playing

    @contextmanager
    def playing(self) -> Iterator[Sim]:
        """End every process behind the block, whatever came of it."""
        with patch("backfill_cli.engine.pacing.ask_beside", lambda _check, _environ, tell: self.asked(tell)):
            try:
                yield self
            finally:
                for one in self.alive.values():
                    if one.error is None:
                        one.end(killed=True)
                self.store.close()

    def play(self, longest_s: float) -> int:
        """Play until all jobs that can end have ended; returns when (virtual µs). Raises AssertionError if not."""
        for number, job in enumerate(self.story.jobs):
            self.at(START + int(job.starts_s * SECOND), partial(self._begin, number))
        for deed in self.story.deeds:
            self.at(START + int(deed.at_s * SECOND), partial(self.do, deed))
        patience_us = self.story.patience_us
        while (self._events or self.alive) and not (self.now > self.quiet_at and self._is_over()):
            self._step()
            if not any(one.is_frozen for one in self.alive.values()):
                assert self.watch.waited_us() < patience_us, f"nobody starts: {self.watch.describe()}"
            assert self.now < START + longest_s * SECOND, f"it hangs: {self.watch.describe()}"
        assert self._is_over(), self.watch.describe()
        return self.now

    def _step(self) -> None:
        """Let the next thing happen: an event, or the turn of a process."""
        awake = [one for one in self.alive.values() if not one.is_frozen]
        first = min((one.wake_at for one in awake), default=None)
        if first is None or (self._events and self._events[0][0] <= first):
            when, _, what = heappop(self._events)
            self.now = max(self.now, when)
            what()
            return
        self.now = max(self.now, first)
        one = self.random.choice([one for one in awake if one.wake_at <= self.now])
        one.go()
        if one.is_over:
            del self.alive[one.number]
            one.end(killed=False)

    def _is_over(self) -> bool:
        """Whether all have ended, but for those that cannot by a fault of their own."""
        frozen = {number for number, one in self.alive.items() if one.is_frozen}
        odd = {number for number, job in enumerate(self.story.jobs) if job.is_odd}
        return all(self._is_done(number) for number in set(range(len(self.ledgers))) - frozen - odd)

    def _is_done(self, number: int) -> bool:
        return len(self.ledgers[number].outcomes) == self.story.jobs[number].dates

    def _begin(self, number: int) -> None:
        if number not in self.alive and not self._is_done(number):
            self.lives += 1
            self.alive[number] = Process(self, number)

    def do(self, deed: Deed) -> None:
        """Do something to the process of a job, if it has one."""
        again = self.now + int(deed.for_s * SECOND)
        self.quiet_at = max(self.quiet_at, again)
        process = self.alive.get(deed.job)
        if process is None:
            return
        match deed.what:
            case "pause":
                process.is_paused = True
                self.at(again, lambda: setattr(process, "is_paused", process.job.paused))
            case "freeze":
                process.is_frozen = True
                self.at(again, lambda: setattr(process, "is_frozen", False))
            case "kill":
                del self.alive[deed.job]
                process.end(killed=True)
                self.at(again, partial(self._again, deed.job))
            case _:
                process.stop()
                self.at(again, partial(self._again, deed.job))

    def _again(self, number: int) -> None:
        if number in self.alive:  # it drains yet
            self.at(self.now + SECOND, partial(self._again, number))
        else:
            self._begin(number)
