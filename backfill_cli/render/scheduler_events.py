"""`bfill scheduler --events`: one stream for all of its shifts, each event with the DAG and the backfill it is about.

Owns what the scheduler itself has to tell: `scheduler_started`, which opens the stream, `dag_broken`, `dag_mended`,
`settings_changed`, `settings_broken`, `settings_mended`, `scheduler_stopping`, and `scheduler_stopped`, or where an
error ended it `scheduler_aborted`. What happens in a shift is told as in any backfill (`render/events.py`), by a
listener in the process that runs it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from json import JSONEncoder
from typing import Any

from backfill_cli import clock
from backfill_cli.core.agenda import Trouble
from backfill_cli.core.instants import iso_us
from backfill_cli.core.masking import SECRETS
from backfill_cli.core.results import BackfillResult
from backfill_cli.core.scheduling import ScheduleResult
from backfill_cli.core.settings_news import SettingsNews
from backfill_cli.errors import BfillError
from backfill_cli.render.events import SCHEMA, EventListener, error_data

_encode = JSONEncoder(ensure_ascii=True, allow_nan=False, default=str).encode


class Stream:
    """One of the ways that the events of a scheduler go.

    Args:
        write: Takes whole lines. It never raises.
        is_whole: It has a first and a last line also when nothing has happened between them.
    """

    def __init__(self, write: Callable[[str], None], *, is_whole: bool = False) -> None:
        self.write = write
        self.is_whole = is_whole
        self.is_open = False


class SchedulerEvents:
    """Writes the events of a scheduler; each stream is opened by the first one that it gets.

    Args:
        streams: Returns those there are at this moment.
    """

    def __init__(self, streams: Callable[[], Sequence[Stream]]) -> None:
        self._streams = streams

    def opened(self) -> None:
        """Open the streams that have told nothing yet."""
        self._write("", self._streams())

    def heard(self, text: str) -> None:
        """Take events that a shift has told."""
        self._write(text, self._streams())

    def finished(self, result: BackfillResult) -> None:
        """Write the end of a shift."""
        if self._streams():
            EventListener(self.heard, of_many=True).finished(result)

    def trouble(self, name: str, found: Trouble | None) -> None:
        """A DAG cannot be looked at or run, or can be again."""
        if found is None:
            self._say("dag_mended", name=name)
        else:
            self._say("dag_broken", name=name, message=found.message, hint=found.hint, exit_code=found.exit_code)

    def settings(self, news: SettingsNews) -> None:
        """The settings file is broken, is sound again, or says something else."""
        if news.trouble is not None:
            self._say("settings_broken", **news.trouble._asdict())
        if news.is_mended:
            self._say("settings_mended", file=news.file or None)
        if news.changed or news.restart:
            changed = [one.name for one in news.changed]
            self._say("settings_changed", file=news.file or None, changed=changed, needs_restart=list(news.restart))

    def stopping(self, signal: int, shifts: int) -> None:
        """A first signal came."""
        self._say("scheduler_stopping", signal=signal, running_shifts=shifts)

    def stopped(self, result: ScheduleResult) -> None:
        """Write the last line: the totals, and why it leaves."""
        data = {key: value for key, value in result.data().items() if key != "dags"}
        told = _event("scheduler_stopped", exit_code=result.exit_code, signal=result.stopped_by, **data)
        self._write(told, [one for one in self._streams() if one.is_open or one.is_whole])

    def broken(self, result: ScheduleResult) -> None:
        """Write what one pass has found broken: it is looked at once, and told of when all is over."""
        for one in result.dags:
            if one.error is not None:
                self.trouble(one.dag_id, Trouble(one.error, one.hint, one.error_code))

    def aborted(self, error: BfillError) -> None:
        """Write the error that came in place of a result."""
        self._say("scheduler_aborted", exit_code=error.exit_code, error=error_data(error))

    def _say(self, event: str, **more: Any) -> None:
        self._write(_event(event, **more), self._streams())

    @staticmethod
    def _write(text: str, streams: Sequence[Stream]) -> None:
        opening = "" if all(one.is_open for one in streams) else _event("scheduler_started", pid=os.getpid())
        for one in streams:
            if text or not one.is_open:
                one.write(text if one.is_open else opening + text)
            one.is_open = True


def _event(event: str, **more: Any) -> str:
    schema = {"schema": SCHEMA} if event == "scheduler_started" else {}
    at = iso_us(clock.now_us())
    return _encode(SECRETS.value({**schema, "event": event, "at": at, **more})) + "\n"
