"""What others have left for a running backfill, looked at between two turns: requests, shared limits, the health of
something it depends on.

Owns when each is looked at. What is found, and what it does to the run, the one who looks knows; the loop knows nobody
by name. Whatever one of them wants to have written it writes itself, in a transaction of its own, before it touches the
machine: so a run that dies in between has done no more than the store says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from backfill_cli.core.ports import Clock
    from backfill_cli.engine.coordinator import Coordinator

POLL_EVERY_S = 0.5
"""Seconds between two looks: whoever asks for something sees it done within a second."""


class Poller(Protocol):
    """Looks at something outside of the run."""

    def poll(self, run: Coordinator) -> float | None:
        """Look, in the coordinator's thread and before it opens or starts anything more; must be quick.

        Returns:
            Seconds until the next look; None leaves it at POLL_EVERY_S.
        """
        ...


class Polling:
    """Several pollers, each with the moment of its next look; the first is at once."""

    def __init__(self, pollers: Sequence[Poller], clock: Clock) -> None:
        self._clock = clock
        self._next = [(one, clock.monotonic()) for one in pollers]

    def look(self, run: Coordinator) -> None:
        """Ask those whose moment has come."""
        for place, (poller, at) in enumerate(self._next):
            if self._clock.monotonic() >= at:
                again_s = poller.poll(run)
                again_at = self._clock.monotonic() + (POLL_EVERY_S if again_s is None else again_s)
                self._next[place] = poller, again_at

    def left_s(self) -> float:
        """Return the seconds until somebody is to be asked."""
        return min(at for _, at in self._next) - self._clock.monotonic()
