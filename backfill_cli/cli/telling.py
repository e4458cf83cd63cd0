"""`--on-event`: the outbox behind the flag or the setting, and what is said when events did not arrive.

Owns the choice between flag and setting. The run is over when the outbox is closed: whatever went wrong there is one
warning, and never an exit code. A scheduler's way is `keeping_told.py`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from backfill_cli.cli import streams
from backfill_cli.core.problems import Problem
from backfill_cli.errors import UsageProblem

if TYPE_CHECKING:
    from backfill_cli.engine.couriers import Courier
    from backfill_cli.engine.outbox import Losses, Outbox
    from backfill_cli.engine.outpost import Outpost
    from backfill_cli.loader.event_targets import EventTarget
    from backfill_cli.loader.settings import Settings

CLOSE_S = 10.0
"""Seconds at the end in which what is on its way may still arrive."""

_SILENT_S = 0.7
"""Seconds of waiting that nobody is told about."""


class Telling:
    """The way of events to whoever asked for them.

    Raises:
        UsageProblem: The flag's value is no target.
        InputError: It refers to a variable that is not set, or that holds no URL.
    """

    def __init__(self, flag: str | None, settings: Settings, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._outbox: Outbox | None = None
        courier = courier_of(flag, settings)
        if courier is not None:
            from backfill_cli.engine.outbox import Outbox

            self._courier = courier
            self._outbox = Outbox(courier)

    @property
    def is_on(self) -> bool:
        return self._outbox is not None

    def write(self, text: str) -> None:
        """Take whole lines of events. Never waits, never raises."""
        if self._outbox is not None:
            self._outbox.put(text)

    def close(self, *, within_s: float = CLOSE_S) -> Problem | None:
        """Wait a moment for what is on its way; return what was lost, as a warning. Again does nothing."""
        outbox, self._outbox = self._outbox, None
        if outbox is None:
            return None
        if not self._quiet:
            tell_of_waiting(outbox, within_s)
        lost = outbox.close(within_s)
        return None if lost is None else undelivered(self._courier, lost)


def courier_of(flag: str | None, settings: Settings) -> Courier | None:
    """Return who brings events to the target of the flag, or else of the setting; None when nobody is to be told.

    Raises:
        UsageProblem: The flag's value is no target.
        InputError: It refers to a variable that is not set, or that holds no URL.
    """
    target = settings.on_event if flag is None else _target_of(flag)
    if target is None:
        return None
    from backfill_cli.core.links import scheme_of, shown_link
    from backfill_cli.core.masking import SECRETS
    from backfill_cli.engine.couriers import courier_for
    from backfill_cli.loader.event_targets import revealed

    target = revealed(target, os.environ)
    if scheme_of(target.text) and shown_link(target.text) != target.text:
        SECRETS.add(target.text)  # what stands behind the host may be a token
    return courier_for(*target)


def tell_of_waiting(outbox: Outbox | Outpost, within_s: float) -> None:
    """Say on a terminal what is waited for, unless it arrives at once."""
    from backfill_cli.render.words import count

    if streams.is_terminal(sys.stderr) and not outbox.settle(_SILENT_S):
        events = count(outbox.waiting, "event")
        message = f" waiting up to {within_s:g} s for {events} to be delivered; Ctrl-C leaves them\n"
        streams.write_quietly(sys.stderr, message)


def undelivered(courier: Courier, lost: Losses) -> Problem:
    """Return the warning of events that did not arrive."""
    from backfill_cli.render.words import count

    which = f"{lost.lost:,} of {count(lost.of, 'event')}"
    message = f"{which} could not be delivered to {courier.name}: {lost.first_error}"
    return Problem("on-event-failed", message, courier.hint)


def _target_of(flag: str) -> EventTarget | None:
    from backfill_cli.loader.event_targets import TAKES, event_target

    try:
        return event_target(flag, Path.cwd())
    except ValueError as error:
        raise UsageProblem(f"--on-event: {error}", hint=f"it takes {TAKES}", code="bad-value") from None
