"""Who watches a scheduler: lines on stderr, events for machines, and on a terminal what it waits for.

Owns the two halves of listening. A shift's listeners make text, in the process that runs it; here it is written, whole
lines at a time, so that shifts side by side never write into each other.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from backfill_cli import clock
from backfill_cli.cli import streams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backfill_cli.cli.keeping_told import KeepingTold
    from backfill_cli.cli.shared import Shared
    from backfill_cli.core.agenda import Agenda, Facts, Trouble
    from backfill_cli.core.listening import Listener
    from backfill_cli.core.scheduling import Say, ScheduleResult, Standing
    from backfill_cli.core.settings_news import SettingsNews
    from backfill_cli.errors import BfillError
    from backfill_cli.render.scheduler_events import Stream

LINES, EVENTS = "lines", "events"

_ERASE = "\r\x1b[K"


class Watching:
    """A `Watcher`.

    Args:
        stays: The scheduler stays: a shift is told of when it has ended, and what it waits for on a terminal.
        events: Takes events for a file; None when nobody wants one.
        told: Who else is told of them.
    """

    def __init__(
        self,
        shared: Shared,
        *,
        stays: bool,
        events: Callable[[str], None] | None = None,
        told: KeepingTold | None = None,
    ) -> None:
        from backfill_cli.render.events import EventListener
        from backfill_cli.render.lines import LineListener
        from backfill_cli.render.scheduler_events import SchedulerEvents, Stream

        self._of_lines, self._of_events = LineListener, EventListener
        self._of_file = None if events is None else Stream(events, is_whole=True)
        self._told = told
        self._events = SchedulerEvents(self._streams)
        self._stays = stays
        self._shared = shared
        # Of its own: while tasks run, what they and their children write to descriptor 2 is made harmless on its way.
        self._stream = None if shared.quiet else streams.progress(sys.stderr)
        self.is_live = stays and self._stream is not None and streams.is_live(sys.stderr)
        self._shown = ""
        self._known: dict[str, Facts] | None = None

    def _streams(self) -> list[Stream]:
        """Return where events go at this moment."""
        of_target = None if self._told is None else self._told.stream
        return [one for one in (self._of_file, of_target) if one is not None]

    # what shifts have to say

    def listeners(self, dag_id: str, say: Say) -> Sequence[Listener]:
        """Return who listens to a shift, in the process that runs it."""
        found: list[Listener] = []
        if self._stream is not None:
            found.append(self._of_lines(_Sayer(say, LINES), of=dag_id, is_calm=self._stays))
        if self._streams():
            found.append(self._of_events(_Sayer(say, EVENTS).write, of_many=True))
        return found

    def heard(self, whom: str, text: str) -> None:
        """Write what one of those has said."""
        if whom == LINES:
            self._write(text)
        else:
            self._events.heard(text)

    # what the scheduler has to say

    def on_survey(self, agenda: Agenda) -> None:
        from backfill_cli.render import scheduler_lines

        self._events.opened()
        if self._known is None:
            self._say(scheduler_lines.started(agenda))
        else:
            for text in scheduler_lines.changed(self._known, agenda):
                self._say(text)
        self._known = {name: one.facts for name, one in agenda.entries.items() if not one.is_unknown}

    def on_shift(self, standing: Standing) -> None:
        from backfill_cli.render import scheduler_lines

        for result in standing.results:
            self._events.finished(result)
            if self._stays:
                self._say(scheduler_lines.shift(standing, result))

    def on_trouble(self, name: str, trouble: Trouble | None) -> None:
        from backfill_cli.render import scheduler_lines

        self._say(scheduler_lines.trouble(name, trouble), is_error=trouble is not None)
        self._events.trouble(name, trouble)

    def on_settings(self, news: SettingsNews) -> None:
        from backfill_cli.render import scheduler_lines

        for text in scheduler_lines.settings(news):
            self._say(text, is_error=news.trouble is not None)
        self._events.settings(news)

    def on_stopping(self, signal: int, shifts: int) -> None:
        from backfill_cli.render import scheduler_lines

        self._say(scheduler_lines.stopping(signal, shifts))
        self._events.stopping(signal, shifts)

    def on_waiting(self, agenda: Agenda, now: int) -> None:
        if self._told is not None:
            for text, is_error in self._told.look():
                self._say(text, is_error=is_error)
        if not self.is_live or self._stream is None:
            return
        from backfill_cli.render import scheduler_lines

        text = scheduler_lines.waiting(agenda, now)[: streams.width_of(sys.stderr) - 2]
        if text != self._shown:
            streams.write_quietly(self._stream, f"{_ERASE} {text}")
            self._shown = text

    def finished(self, result: ScheduleResult) -> None:
        """Say why it leaves, and end the streams of events; with -q, what went wrong in one pass."""
        self.close()
        if result.why:
            self._say(f"scheduler leaves: {result.why}")
        if self._shared.quiet and not self._shared.json and not self._stays:  # one that stays has told it meanwhile
            self._complain(result)
        if not self._stays:
            self._events.broken(result)
        self._events.stopped(result)

    def aborted(self, error: BfillError) -> None:
        """Take the error that came in place of a result."""
        self._events.aborted(error)

    def _complain(self, result: ScheduleResult) -> None:
        from backfill_cli.render.errors import two_lines
        from backfill_cli.render.scheduler import errors

        colour = streams.wants_colour(sys.stderr, no_color=self._shared.no_color)
        text = "".join(two_lines(message, hint, colour=colour) for message, hint in errors(result))
        streams.write_quietly(sys.stderr, text)

    def close(self) -> None:
        """Take what is redrawn off the terminal: what follows stands in its place."""
        self._write("")
        self.is_live = False

    def _say(self, text: str, *, is_error: bool = False) -> None:
        from backfill_cli.render.safe import safe_text
        from backfill_cli.render.words import stamp

        line = f"{stamp(clock.now_us())} {safe_text(text)}\n"
        if self._stream is None and is_error:  # -q is nothing but errors
            streams.write_quietly(sys.stderr, line)
        self._write(line)

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        erase, self._shown = (_ERASE if self._shown else ""), ""
        if erase or text:
            streams.write_quietly(self._stream, erase + text)


class _Sayer:
    """A stream whose text is said."""

    def __init__(self, say: Say, whom: str) -> None:
        self._say = say
        self._whom = whom

    def write(self, text: str, /) -> None:
        self._say(self._whom, text)

    def flush(self) -> None:
        """Nothing is kept back."""
