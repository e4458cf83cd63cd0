"""How a run ends before its work does: by a signal, by its own limits, or because somebody has cancelled it.

Owns the steps of a stop and their deadlines: nothing new starts, what runs may end within a grace, then it is ended,
and at last the process leaves without those that do not return. The coordinator asks between two turns; the machine
does what is said here.
"""

from __future__ import annotations

from collections.abc import Sequence
from signal import SIGINT
from typing import NamedTuple

from backfill_cli.core.halting import Halt
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.listening import Listener
from backfill_cli.core.machine import BackfillMachine
from backfill_cli.core.ports import Clock
from backfill_cli.engine.cancelling import Register

GRACE_S = 30.0
"""Seconds that running tasks have after TERM or HUP, unless something else is set."""

ABORT_WAIT_S = 7.0
"""Seconds a stop at once waits for tries to end: process groups get SIGKILL within 5, threads may never return."""

LAST_WAIT_S = 1.0
"""Seconds it waits when it is asked for once more, and process groups get SIGKILL at once."""


class Stopped(NamedTuple):
    """Why a run ended early.

    Args:
        signal: The first one; None when the run halted by itself.
        left_running: Tries whose threads had not returned.
        cut_off: Tries, as (logical_date, task_id, try_number), that a stop at once ended or that died of its signal.
        halted: Why it halted by itself, in words.
        is_cancelled: Somebody has cancelled it: what is left is not meant to be gone on with.
    """

    signal: int | None
    left_running: int
    cut_off: frozenset[tuple[int, str, int]] = frozenset()
    halted: str = ""
    is_cancelled: bool = False

    @property
    def reason(self) -> str:
        if self.signal is None or self.is_cancelled:
            return self.halted
        return f"stopped by signal {self.signal}"


class Ending:
    """What has been asked of a run about its end, and how far that is.

    Args:
        machine: Told to start nothing more.
        register: Of the tries that can be ended.
        grace_s: As the coordinator's.
        halt: When the run ends itself.
        listeners: Told once, when it begins to stop.
    """

    def __init__(
        self,
        machine: BackfillMachine,
        register: Register,
        clock: Clock,
        grace_s: float | None,
        halt: Halt,
        listeners: Sequence[Listener],
    ) -> None:
        self._machine = machine
        self._register = register
        self._clock = clock
        self._grace_s = grace_s
        self._halt = halt
        self._listeners = listeners
        self._signal: int | None = None
        self._halted: str | None = None
        self._is_halt_to_tell = False
        self._is_cancelled = False
        self._abort_at: float | None = None
        self._leave_at: float | None = None
        self._cut_off: set[tuple[int, str, int]] = set()
        self._failed_before = machine.failed
        self._began_at = clock.monotonic()

    @property
    def is_leaving(self) -> bool:
        """Whether a stop at once has begun."""
        return self._leave_at is not None

    @property
    def is_time_to_leave(self) -> bool:
        """Whether a stop at once has waited long enough for those that do not return."""
        return self._leave_at is not None and self._clock.monotonic() >= self._leave_at

    @property
    def cancelled(self) -> str | None:
        """Who has cancelled the run, in words; None when nobody has."""
        return self._halted if self._is_cancelled else None

    def stopped(self) -> Stopped | None:
        """Return why the run ended early; None when nothing but its work ended it."""
        if self._signal is None and not self._halted:
            return None
        left = len(self._machine.flights)
        return Stopped(self._signal, left, frozenset(self._cut_off), self._halted or "", self._is_cancelled)

    def pauses(self) -> list[float]:
        """Return the seconds to each moment at which something has to happen here; one that is past is below 0."""
        now = self._clock.monotonic()
        pauses = [at - now for at in (self._abort_at, self._leave_at) if at is not None]
        if self._halted is None and (left_s := self._halt.left_s(self._running_s(), self._clock.now_us())) is not None:
            pauses.append(left_s)
        return pauses

    def on_stop(self, signal: int) -> None:
        """Somebody asks to stop: the first time what runs may end by itself, the second time it is ended."""
        if self._signal is not None:
            self._abort()
            return
        self._signal = signal
        self._machine.stop()
        grace_s = GRACE_S if self._grace_s is None and signal != SIGINT else self._grace_s
        if grace_s is not None:
            self._abort_at = self._clock.monotonic() + grace_s
        self._tell(signal, f"stopped by signal {signal}")

    def cancel(self, why: str, *, drain: bool) -> None:
        """Somebody has cancelled it: with `drain` what runs may end by itself. The first of several is the reason."""
        if not self._is_cancelled:
            self._is_cancelled, self._halted = True, why
        self._machine.stop()
        if not drain:
            self._abort()

    def mind_the_halt(self, now: int) -> None:
        """Stop when a limit the run was given is reached; `now` in epoch microseconds. `tell_the_halt` says so."""
        if self._machine.stopping:
            return
        self._halted = self._halt.why(self._machine.failed - self._failed_before, self._running_s(), now)
        if self._halted is not None:
            self._machine.stop()
            self._is_halt_to_tell = True

    def tell_the_halt(self) -> None:
        """Tell of a limit that has been reached, behind what it was reached with: failures are told of first."""
        if self._is_halt_to_tell and self._halted is not None:
            self._is_halt_to_tell = False
            self._tell(None, self._halted)

    def mind_the_stop(self) -> None:
        """Go on to a stop at once when the grace is over."""
        if self._abort_at is not None and self._clock.monotonic() >= self._abort_at:
            self._abort()

    def note_lost(self, report: AttemptReport) -> None:
        """A try was lost: while stopping that is the stop's doing, and not the task's."""
        if self._machine.stopping:
            self._cut_off.add((report.logical_date, report.task_id, report.try_number))

    def _abort(self) -> None:
        self._abort_at = None
        now = self._clock.monotonic()
        if self._leave_at is not None:
            self._leave_at = min(self._leave_at, now + LAST_WAIT_S)
        else:
            self._leave_at = now + ABORT_WAIT_S
            self._cut_off |= {(*key, flight.try_number) for key, flight in self._machine.flights.items()}
            self._machine.stop(abort=True)
        # Asked again, what runs ends without any grace: whoever presses a third time has waited long enough.
        self._register.cancel_all()

    def _tell(self, signal: int | None, why: str) -> None:
        for listener in self._listeners:
            listener.on_stopping(signal, len(self._machine.flights), why)

    def _running_s(self) -> float:
        return self._clock.monotonic() - self._began_at
