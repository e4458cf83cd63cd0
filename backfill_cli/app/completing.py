"""What may stand at the cursor: the candidates behind a TAB, by kind, from DAG files and the store.

Owns the kinds that only this machine knows (`DYNAMIC`); words that never change stand in the shell files themselves
(`cli/completions/`). Everything here is quick and silent: no user code runs, nothing is written, and a broken setting
or store gives fewer candidates rather than an error. A test pins the modules this may import.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.errors import BfillError
from backfill_cli.loader.scanning import scan_dag_ids, scan_tags, scan_task_ids
from backfill_cli.loader.settings import load_settings
from backfill_cli.store.peeking import Peek

if TYPE_CHECKING:
    from backfill_cli.loader.settings import Settings

_ID = re.compile(r"bf-\d{8}-\w+")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\S*")
_SAFE = re.compile(r"\+?[A-Za-z0-9][A-Za-z0-9_.:/+@%=,-]*")
"""What completion offers: a name with a blank or a `$` in it would have to be quoted in three shells' ways."""


_GOING = ("running", "paused")
_WAITING = ("planned", "interrupted")
_MAKES_SENSE: Mapping[str, tuple[str, ...]] = {
    "pause": ("running",),
    "resume": ("paused", "interrupted"),
    "cancel": (*_GOING, *_WAITING),
    "set": (*_GOING, *_WAITING),
    "skip": (*_GOING, *_WAITING),
    "run": (*_WAITING, "cancelled"),
    "rerun-failed": ("failed", "interrupted", "cancelled"),
}
"""Command → the states of the backfills it does something with; the others take any."""


class Candidate(NamedTuple):
    """A word that may stand here, and a note that says what it is."""

    word: str
    note: str = ""


class Line:
    """The command line so far.

    Args:
        words: All complete words behind `bfill`, in order.
        begun: The word at the cursor, as far as it is typed.
    """

    def __init__(self, words: Sequence[str], begun: str) -> None:
        self.words = words
        self.begun = begun

    def value(self, flag: str) -> str | None:
        """The value of a flag, as `--flag value` or `--flag=value`; the last one wins."""
        found = None
        for number, word in enumerate(self.words):
            if word == flag and number + 1 < len(self.words):
                found = self.words[number + 1]
            elif word.startswith(f"{flag}="):
                found = word[len(flag) + 1 :]
        return found

    @property
    def backfill_id(self) -> str | None:
        return next((word for word in self.words if _ID.fullmatch(word)), None)

    @property
    def has_date(self) -> bool:
        return any(_DAY.fullmatch(word) for word in self.words)


class Completer:
    """Answers for one working directory."""

    def __init__(self, line: Line, *, cwd: Path, environ: Mapping[str, str], now: datetime) -> None:
        self._line = line
        self._cwd = cwd
        self._now = now
        self._settings = _settings(cwd, environ, line.value("--store"))
        self._store = Peek(self._settings.store if self._settings else "")

    def candidates(self, kind: str) -> list[Candidate]:
        """Return what begins as the word at the cursor does; best first, each once; nothing for an unknown kind."""
        found: dict[str, Candidate] = {}
        for one in DYNAMIC.get(kind, _nothing)(self):
            if one.word.startswith(self._line.begun) and _SAFE.fullmatch(one.word):
                found.setdefault(one.word, one)
        return list(found.values())

    def dags(self) -> Iterator[Candidate]:
        """dag_ids of the dags folders and of the store; scenarios once a digit is typed."""
        begun = self._line.begun
        if begun[:1].isdigit():
            yield from self.scenarios()
            return
        path, colon, _ = begun.rpartition(":")
        if colon and path.endswith(".py"):
            yield from (Candidate(f"{path}:{dag_id}", "") for dag_id in scan_dag_ids([self._cwd / path]))
            return
        for dag_id, file in sorted(self._dag_files().items()):
            yield Candidate(dag_id, os.path.relpath(file, self._cwd))
        for dag_id in self._store.dag_ids():
            yield Candidate(dag_id, "has run before")

    def targets(self) -> Iterator[Candidate]:
        """What an audit entry may be about."""
        yield from self.dags()
        yield from self.backfills()

    def backfills(self) -> Iterator[Candidate]:
        """Ids of what the command on the line does something with, newest first."""
        fits = _MAKES_SENSE.get(self._line.words[0]) if self._line.words else None
        for one in self._store.backfills():
            if fits is not None and one.state not in fits:
                continue
            bounds = [_day(at, one.timezone) for at in (one.first, one.last) if at is not None]
            yield Candidate(one.backfill_id, " ".join([one.dag_id, one.state, " … ".join(dict.fromkeys(bounds))]))

    def set_words(self) -> Iterator[Candidate]:
        """`set ID parallel=N`: whichever comes next."""
        if self._line.backfill_id is None:
            yield from self.backfills()
        elif not any(word.startswith("parallel=") for word in self._line.words):
            yield from (Candidate(f"parallel={number}", "dates open together") for number in (1, 2, 4, 8, 16))

    def tasks(self) -> Iterator[Candidate]:
        """Task ids of the DAG on the line: as it last ran, else as its file seems to say; `+load` as well as `load`."""
        dag_id = self._dag_id()
        if dag_id is None:
            return
        path = self._dag_files().get(dag_id)
        plus = "+" if self._line.begun.startswith("+") else ""
        for task_id in [*self._store.task_ids(dag_id), *(scan_task_ids(path) if path else ())]:
            yield Candidate(plus + task_id, dag_id)

    def dates(self) -> Iterator[Candidate]:
        """Days people start and end at; once a year is typed its months, once a month is typed its days."""
        begun = self._line.begun
        if re.fullmatch(r"\d{4}-[01]?", begun):
            yield from (Candidate(f"{begun[:4]}-{month:02}-01", "") for month in range(1, 13))
        elif re.fullmatch(r"\d{4}-\d{2}-[0-3]?\d?", begun):
            yield from (Candidate(day.isoformat(), f"{day:%A}") for day in _days_of(begun[:7]))
        else:
            today = self._now.date()
            month = today.replace(day=1)
            yield Candidate(today.isoformat(), "today")
            yield Candidate((today - timedelta(days=1)).isoformat(), "yesterday")
            yield Candidate(month.isoformat(), "this month")
            yield Candidate((month - timedelta(days=1)).replace(day=1).isoformat(), "the month before")
            yield Candidate(today.replace(month=1, day=1).isoformat(), "this year")
            yield from self.run_dates()

    def run_dates(self) -> Iterator[Candidate]:
        """Logical dates of the DAG on the line that have run, failed ones first, then newest first."""
        dag_id = self._dag_id()
        if dag_id is None:
            return
        zone = self._store.timezone(dag_id)
        runs = self._store.runs(dag_id)
        for at, state in sorted(runs, key=lambda run: run[1] != "failed"):
            yield Candidate(_day(at, zone), state)

    def log_words(self) -> Iterator[Candidate]:
        """`logs [ID] DATE [TASK]`: whichever comes next."""
        if self._line.backfill_id is None and self._line.value("--dag") is None:
            return self.backfills()
        return self.tasks() if self._line.has_date else self.run_dates()

    def date_words(self) -> Iterator[Candidate]:
        """`explain [ID] DATE`: whichever comes next; of the dates, those that have a dag_run first."""
        if self._line.backfill_id is None and self._line.value("--dag") is None:
            yield from self.backfills()
        elif not self._line.has_date:
            yield from self.run_dates()
            yield from self.dates()

    def skip_words(self) -> Iterator[Candidate]:
        """`skip ID DATE…`: a backfill, then its dates that are still to do, each once."""
        named = self._line.backfill_id or next(
            (word for word in self._line.words[1:] if not word.startswith("-")), None
        )
        if named is None:
            yield from self.backfills()
            return
        for at, zone in self._store.to_do(named):
            if (day := _day(at, zone)) not in self._line.words:
                yield Candidate(day, "to do")

    def scenarios(self) -> Iterator[Candidate]:
        """Numbers of scenarios, and of their groups."""
        from backfill_cli.loader.scenarios import scenario_files, short_number

        for number, file in scenario_files().items():
            yield Candidate(short_number(number), file.stem[9:].replace("_", " "))

    def pools(self) -> Iterator[Candidate]:
        """Pools of the store and of the settings; nothing behind a name, where a size is typed."""
        if self._line.words[-1:] not in (["set"], ["delete"]):
            return
        for name, slots in {**(self._settings.pools if self._settings else {}), **self._store.pools()}.items():
            yield Candidate(name, "no limit" if slots < 0 else f"{slots} slots")

    def tags(self) -> Iterator[Candidate]:
        """Tags of scenarios."""
        from backfill_cli.loader.scenarios import scenario_files

        yield from (Candidate(tag) for tag in scan_tags(scenario_files().values()))

    def zones(self) -> Iterator[Candidate]:
        """IANA zones."""
        from zoneinfo import available_timezones

        yield from (Candidate(name) for name in sorted(available_timezones()))

    def _dag_id(self) -> str | None:
        """The DAG the line speaks of: by `--dag`, or by the backfill's id."""
        target = self._line.value("--dag")
        if target is not None:
            path, separator, dag_id = target.rpartition(":")
            return dag_id if separator and path.endswith(".py") else target
        backfill_id = self._line.backfill_id
        return self._store.dag_of(backfill_id) if backfill_id else None

    def _dag_files(self) -> dict[str, Path]:
        return scan_dag_ids(self._settings.dags) if self._settings else {}


def _nothing(_completer: Completer) -> Iterable[Candidate]:
    return ()


DYNAMIC: Mapping[str, Callable[[Completer], Iterable[Candidate]]] = {
    "dags": Completer.dags,
    "backfills": Completer.backfills,
    "set-words": Completer.set_words,
    "tasks": Completer.tasks,
    "dates": Completer.dates,
    "date-list": Completer.dates,
    "targets": Completer.targets,
    "log-words": Completer.log_words,
    "date-words": Completer.date_words,
    "skip-words": Completer.skip_words,
    "scenarios": Completer.scenarios,
    "pools": Completer.pools,
    "tags": Completer.tags,
    "zones": Completer.zones,
}
"""Kinds of values that are asked for, by the name the shell files use."""


def _settings(cwd: Path, environ: Mapping[str, str], store: str | None) -> Settings | None:
    try:
        return load_settings(cwd, environ, {"store": store})
    except (BfillError, OSError):
        return None


def _day(at: int, zone: str) -> str:
    """A logical date as one types it: the day in the DAG's zone, with the time where it does not begin one."""
    moment = datetime.fromtimestamp(at, _zone(zone))
    return f"{moment:%Y-%m-%d}" if (moment.hour, moment.minute) == (0, 0) else f"{moment:%Y-%m-%dT%H:%M}"


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # KeyError: there is no such zone
        return UTC


def _days_of(month: str) -> Iterator[date]:
    try:
        day = date.fromisoformat(f"{month}-01")
    except ValueError:
        return
    this = day.month
    while day.month == this:
        yield day
        day += timedelta(days=1)
