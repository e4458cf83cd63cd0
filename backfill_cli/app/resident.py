"""`bfill scheduler`: it stays, wakes at the moment the next interval of any DAG is complete, and runs it.

Owns the loop: when to look at files and store, whom to send for what, when to leave. What is to be done when says
`core/agenda.py`; it is done by children (`app/crew.py`, `app/looking_after.py`), each in a process of its own, so that
this one never runs a line of a user's file, holds nothing open in the store, and stays as small as it began.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from signal import Signals

from backfill_cli.app.context import AppContext
from backfill_cli.app.crew import Crew, Gone, Member, Refused
from backfill_cli.app.ledger_watch import LedgerWatch
from backfill_cli.app.looking_after import Survey, Work, Worked
from backfill_cli.app.scheduler import Said, check_asked, second_of, vanished
from backfill_cli.app.settings_watch import AT_REST_S, SettingsWatch
from backfill_cli.app.tallies import Tallies
from backfill_cli.app.troubles import Troubles
from backfill_cli.app.warming import LOADING, RUNNING, warm
from backfill_cli.core.agenda import FIRST_PAUSE_S, Agenda, Facts, Trouble
from backfill_cli.core.scheduling import ScheduleOptions, ScheduleResult, Watcher
from backfill_cli.errors import BfillError, UsageProblem
from backfill_cli.interrupts import remember, stop_if_asked
from backfill_cli.loader.changes import Signature, signature
from backfill_cli.store.presence import present

LOOK_EVERY_S = 2.0
"""Seconds between two looks at files and store: whoever changes something sees what comes of it soon."""

TICK_S = 1.0
"""Seconds between two words to somebody who watches a terminal."""

_SURVEY = ""
"""The name of the child that looks at all DAGs: no DAG has it."""


def stay(
    ctx: AppContext,
    options: ScheduleOptions,
    watcher: Watcher,
    *,
    settings: SettingsWatch,
    is_watched: bool = False,
) -> ScheduleResult:
    """Create and run what is due of the DAGs as it comes due, until a signal, `options.until`, or the end of all DAGs.

    Args:
        settings: Says what holds when the settings file has changed.
        is_watched: Somebody looks at what waits, from second to second.

    Raises:
        UsageProblem: The end is over already, or this process may not have children: a guest calls `schedule` instead;
            or nothing could be run so.
    """
    check_asked(options)
    if not (ctx.own_process and Crew.is_possible()):
        raise UsageProblem(
            "a scheduler that stays needs a process of its own",
            hint="start it from a shell: bfill scheduler; or call schedule() now and then",
            code="needs-process",
        )
    until = None if options.until is None else second_of(options.until, ctx.settings.timezone)
    if until is not None and until * 1_000_000 < ctx.clock.now_us():
        raise UsageProblem("--until is over already", hint="name a later moment", code="reversed-stretch")
    with present(ctx.settings.store):
        return _Resident(ctx, options, watcher, settings, until, TICK_S if is_watched else LOOK_EVERY_S).run()


class _Resident:
    """One scheduler, from its first look to its last: `until` epoch seconds; it never waits more than `longest_s`."""

    def __init__(
        self,
        ctx: AppContext,
        options: ScheduleOptions,
        watcher: Watcher,
        settings: SettingsWatch,
        until: int | None,
        longest_s: float,
    ) -> None:
        self._ctx, self._options, self._watcher, self._settings = ctx, options, watcher, settings
        self._until, self._longest_s = until, longest_s
        self._agenda = Agenda()
        self._work = Work(ctx, options, watcher, until)
        self._ledger = LedgerWatch(ctx)
        self._tallies = Tallies()
        self._stops: list[int] = []
        self._files: Signature | None = None
        self._recovered: frozenset[str] = frozenset()
        self._look_at = 0.0
        self._ended: dict[Member, Worked | Trouble] = {}
        self._troubles = Troubles(self._agenda, watcher)
        self._was_sound = False  # a DAG that was asked for and is gone for a moment is waited for

    def run(self) -> ScheduleResult:
        """Loop until there is a reason to leave."""
        warm(RUNNING, LOADING)
        with Crew(self._stops.append) as crew:
            stop_if_asked()
            was_told = False
            while (why := self._why_leave(crew)) is None:
                if not self._stops:
                    self._look(crew)
                    self._begin(crew)
                elif not was_told:
                    was_told = True
                    self._watcher.on_stopping(self._stops[0], len(crew))
                for member, said in crew.hear(self._pause_s()):
                    self._hear(member, said)
                if not self._stops:
                    self._watcher.on_waiting(self._agenda, self._now())
        if self._stops:
            remember(self._stops[0])
        stopped_by = self._stops[0] if self._stops else None
        return replace(self._tallies.result(self._agenda, stopped_by, why), problems=tuple(self._settings.problems()))

    # looking

    def _look(self, crew: Crew) -> None:
        """Look at files and store when it is time to, and send somebody to look at all DAGs where that is needed."""
        if self._ctx.clock.monotonic() < self._look_at:
            return
        self._look_at = self._ctx.clock.monotonic() + LOOK_EVERY_S
        self._look_at_settings()
        now = self._now()
        files, dead = signature(self._places()), self._note_ledger(now)
        is_new = files != self._files or not dead <= self._recovered or self._agenda.needs_survey(now)
        if is_new and not any(member.name == _SURVEY for member in crew):
            # What the dead have left is given back once: what cannot be given back is not asked for again and again.
            self._files, self._recovered = files, dead
            crew.start(_SURVEY, self._work.survey)

    def _look_at_settings(self) -> None:
        """Go by what the settings file says by now; the shifts that run keep what they began with."""
        news = self._settings.look()
        if self._settings.is_moving:
            self._look_at = self._ctx.clock.monotonic() + AT_REST_S
        if news is None:
            return
        if news.changed:
            self._ctx = replace(self._ctx, settings=self._settings.settings)
            self._work = replace(self._work, ctx=self._ctx)
            self._files = None  # all DAGs are looked at again: which there are, their zones, whether they can be run
        self._watcher.on_settings(news)

    def _places(self) -> Iterator[Path]:
        yield from self._ctx.settings.dags
        yield from (Path(one.facts.path) for one in self._agenda.entries.values() if one.facts.path is not None)

    def _note_ledger(self, now: int) -> frozenset[str]:
        """Take what the store says; returns the owners that have vanished."""
        try:
            word = self._ledger.look(self._agenda.entries.values())
        except BfillError:
            return frozenset()  # whoever has something to do in the store will say what is wrong with it
        self._agenda.note(word.paused, word.marks, now)
        return word.dead

    # doing

    def _begin(self, crew: Crew) -> None:
        """Send somebody to each DAG that is due, as far as there is room."""
        for name in list(self._agenda.ready(self._now())):
            if sum(member.name != _SURVEY for member in crew) >= self._options.parallel:
                return
            self._agenda.begun(name)
            crew.start(name, partial(self._work.shift, name))

    def _hear(self, member: Member, said: object) -> None:
        now = self._now()
        match said:
            case Said():
                self._watcher.heard(*said)
            case Facts():
                self._agenda.learned(member.name, said, now)
            case Survey():
                self._agenda.survey(said.found, now)
                self._was_sound |= any(isinstance(one, Facts) for one in said.found)
                self._watcher.on_survey(self._agenda)
                self._troubles.of_survey = said.trouble
                self._troubles.tell()
            case Worked():
                self._ended[member] = said
            case Refused():
                self._ended[member] = Trouble(*said)
            case Gone():
                self._leave(member, said.status, now)

    def _leave(self, member: Member, status: int, now: int) -> None:
        """A child has ended: take what came of it."""
        came = self._ended.pop(member, None)
        if member.name == _SURVEY:
            if status and not self._stops:
                self._files = None  # it could not look, or was killed: somebody looks again, soon
                self._look_at = self._ctx.clock.monotonic() + FIRST_PAUSE_S
                self._troubles.of_survey = came if isinstance(came, Trouble) else Trouble(*vanished(status))
                self._troubles.tell()
            return
        if isinstance(came, Worked):
            self._agenda.ended(member.name, now, came.facts)
            self._tallies.add(came.standing)
            if came.standing.results:
                self._watcher.on_shift(came.standing)
            if came.facts.why:
                self._look_at = 0.0  # the store is as it left it: what changes from now on is news
        else:
            trouble = came or (None if self._stops else Trouble(*vanished(status)))
            self._agenda.ended(member.name, now, trouble=trouble)
        self._troubles.tell()

    # leaving and waiting

    def _why_leave(self, crew: Crew) -> str | None:
        """Return why it leaves, in words; None while it stays."""
        if len(crew):
            return None
        if self._stops:
            return f"stopped by {Signals(self._stops[0]).name}"
        if not self._agenda.is_known:
            return None
        if self._options.dags and not self._was_sound:
            return "none of the DAGs can be run"
        if any(self._agenda.ready(self._now())):
            return None
        if self._agenda.is_over:
            return "every DAG is over: no interval will follow"
        if self._until is not None and self._now() >= self._until:
            return "--until is reached"
        return None

    def _pause_s(self) -> float | None:
        if self._stops:
            return None
        wake_at = self._agenda.wake_at()
        moments = [one for one in (wake_at, self._until) if one is not None]
        wait_s = [one - self._ctx.clock.now_us() / 1_000_000 for one in moments]
        look_s = max(0.0, self._look_at - self._ctx.clock.monotonic())
        return max(0.0, min([look_s, self._longest_s, *(one for one in wait_s if one > 0)]))

    def _now(self) -> int:
        now = self._ctx.clock.now_us() // 1_000_000
        return now if self._until is None else min(now, self._until)
