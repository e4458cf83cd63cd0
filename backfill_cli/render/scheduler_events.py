"""`bfill scheduler --events`: one stream for all of its shifts, each event with the DAG and the backfill it is about.

Owns what the scheduler itself has to tell: `scheduler_started`, which opens the stream, `dag_broken`, `dag_mended`,
`settings_changed`, `settings_broken`, `settings_mended`, `scheduler_stopping` and `scheduler_stopped`. What happens in
a shift is told as in any backfill (`render/events.py`), by a listener in the process that runs it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from json import JSONEncoder
from typing import Any

from backfill_cli import clock
from backfill_cli.core.agenda import Trouble
from backfill_cli.core.instants import iso_us
from backfill_cli.core.masking import SECRETS
from backfill_cli.core.results import BackfillResult
from backfill_cli.core.scheduling import ScheduleResult
from backfill_cli.core.settings_news import SettingsNews
from backfill_cli.render.events import SCHEMA, EventListener

_encode = JSONEncoder(ensure_ascii=True, allow_nan=False, default=str).encode


class SchedulerEvents:
    """Writes the events of a scheduler; the first one opens the stream, whoever tells it.

    Args:
        write: Takes whole lines. It never raises.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._is_open = False

    def heard(self, text: str) -> None:
        """Take events that a shift has told."""
        self._open()
        self._write(text)

    def finished(self, result: BackfillResult) -> None:
        """Write the end of a shift."""
        self._open()
        EventListener(self._write, of_many=True).finished(result)

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
        self._say("scheduler_stopped", exit_code=result.exit_code, signal=result.stopped_by, **data)

    def _open(self) -> None:
        if not self._is_open:
            self._is_open = True
            self._put({"schema": SCHEMA, "event": "scheduler_started", "at": _now(), "pid": os.getpid()})

    def _say(self, event: str, **more: Any) -> None:
        self._open()
        self._put({"event": event, "at": _now(), **more})

    def _put(self, event: dict[str, Any]) -> None:
        self._write(_encode(SECRETS.value(event)) + "\n")


def _now() -> str | None:
    return iso_us(clock.now_us())
