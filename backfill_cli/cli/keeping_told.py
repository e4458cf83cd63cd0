"""`--on-event` of a scheduler, which may stay for months: a target that changes, or that is out of reach for a while.

Owns which target has what happens now, and when somebody is told that it does not arrive. Events leave from a process
of their own (`engine/outpost.py`), so that nothing holds the scheduler or its shifts back; the end is as for a run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Self

from backfill_cli.cli.telling import CLOSE_S, courier_of, tell_of_waiting, undelivered

if TYPE_CHECKING:
    from backfill_cli.core.problems import Problem
    from backfill_cli.engine.couriers import Courier
    from backfill_cli.engine.outpost import Outpost
    from backfill_cli.loader.settings import Settings
    from backfill_cli.render.scheduler_events import Stream

_CALM_S = 60.0
"""Seconds between two words about a target: one that takes every other event would fill a journal."""


class _Way(NamedTuple):
    """The way to one target; each has a stream of its own. Of a pass in which nothing happens nobody is told."""

    courier: Courier
    outpost: Outpost
    stream: Stream


class KeepingTold:
    """The way of a scheduler's events to whoever asked for them.

    Args:
        flag: `--on-event`; None is what the settings say by now.

    Raises:
        UsageProblem: The flag's value is no target.
        InputError: It refers to a variable that is not set, or that holds no URL.
    """

    def __init__(self, flag: str | None, settings: Settings, *, quiet: bool = False) -> None:
        self._flag = flag
        self._quiet = quiet
        self._target = settings.on_event
        self._way = self._way_of(settings)
        self._left: list[_Way] = []
        self._said = ""
        self._said_at = -_CALM_S

    @property
    def stream(self) -> Stream | None:
        """Takes what is to be told; None while nobody is."""
        return None if self._way is None else self._way.stream

    def go_by(self, settings: Settings) -> None:
        """Tell whom the settings name by now; what is on its way to another one may still arrive.

        Raises:
            InputError: They name nobody who can be told; all stays as it was.
        """
        if self._flag is not None or settings.on_event == self._target:
            return
        way = self._way_of(settings)
        if self._way is not None:
            self._way.outpost.leave(CLOSE_S)
            self._left.append(self._way)
        self._way, self._target = way, settings.on_event

    def look(self) -> Iterator[tuple[str, bool]]:
        """Send what waits, and yield what is new about how it arrives: a line, and whether it is an error."""
        for one in (*self._left, self._way):
            if one is not None:
                one.outpost.look()
        for one in [one for one in self._left if one.outpost.is_gone]:
            self._left.remove(one)
            if (lost := one.outpost.losses) is not None:
                yield undelivered(one.courier, lost).message, True
        failing = "" if self._way is None else self._way.outpost.failing
        if self._way is None or bool(failing) == bool(self._said) or time.monotonic() < self._said_at + _CALM_S:
            return
        self._said, self._said_at = failing, time.monotonic()
        courier = self._way.courier
        if failing:
            yield f"on_event error: {courier.name}: {failing} (hint: {courier.hint})", True
        else:
            lost = self._way.outpost.losses
            missed = "" if lost is None else f", {lost.lost:,} of {lost.of:,} events could not be delivered"
            yield f"on_event is well again{missed}", False

    def close(self, *, within_s: float = CLOSE_S) -> list[Problem]:
        """Wait a moment for what is on its way; return what was lost, as warnings. Again does nothing."""
        ways = [*self._left, *([] if self._way is None else [self._way])]
        self._left, self._way = [], None
        until = time.monotonic() + within_s
        found = []
        for one in ways:
            left_s = max(0.0, until - time.monotonic())
            if not self._quiet:
                tell_of_waiting(one.outpost, left_s)
            lost = one.outpost.close(left_s)
            if lost is not None:
                found.append(undelivered(one.courier, lost))
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close(within_s=1.0)  # an error has broken off what should have closed it

    def _way_of(self, settings: Settings) -> _Way | None:
        courier = courier_of(self._flag, settings)
        if courier is None:
            return None
        from backfill_cli.engine.outpost import Outpost
        from backfill_cli.render.scheduler_events import Stream

        outpost = Outpost(courier)
        return _Way(courier, outpost, Stream(outpost.put))
