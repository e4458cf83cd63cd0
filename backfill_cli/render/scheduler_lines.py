"""What a scheduler that stays says while it does: a line a fact, and one line that is redrawn for who watches.

Owns the words; where they are written is `cli/watching.py`. A shift that went well is one line, at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backfill_cli.core.agenda import Agenda, Facts, Trouble
from backfill_cli.core.results import BackfillResult
from backfill_cli.core.scheduling import Standing
from backfill_cli.core.settings_news import SettingsNews
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.safe import safe_text
from backfill_cli.render.words import count, duration, near_path

_NAMED = 3
"""DAGs that are named one by one on the line that is redrawn."""


def started(agenda: Agenda) -> str:
    """Return what it begins with: `scheduler looks after 12 DAGs, next daily_sales 2024-03-07`."""
    broken = sum(one.trouble is not None for one in agenda.entries.values())
    parts = [f"scheduler looks after {count(len(agenda.entries) - broken, 'DAG')}"]
    if broken:
        parts.append(f"{broken} broken")
    return ", ".join([*parts, *_next(agenda.next_due())])


def changed(before: dict[str, Facts], agenda: Agenda) -> list[str]:
    """Return what is new since the last look at all DAGs."""
    now = {name: one.facts for name, one in agenda.entries.items() if one.trouble is None}
    added = [", ".join([f"{one.dag_id} added", *_due(one)]) for name, one in now.items() if name not in before]
    # A file that does not load any more has an entry of its own, and is told of as an error.
    gone = [one for name, one in before.items() if name not in agenda.entries and one.path not in agenda.entries]
    return added + [f"{one.dag_id} removed" for one in gone]


def shift(standing: Standing, result: BackfillResult) -> str:
    """Return how a shift ended: `daily_sales 2024-03-06 ok 1 sc-20240307-7k2m, next due 2024-03-08`."""
    dates = [int(one.logical_date.timestamp()) for one in result.results]
    shown = DateFormat(standing.timezone, [*dates, standing.next_at])
    which = "" if not dates else f" {shown.full(dates[0])}"
    if len(dates) > 1:
        which += f" … {shown.full(dates[-1])}"
    rest = (("failed", result.failed), ("blocked", result.blocked), ("remaining", result.remaining))
    counts = "".join(f" {word} {number}" for word, number in rest if number)
    took = "" if result.took_s is None else f" in {duration(result.took_s)}"
    head = f"{standing.dag_id}{which} ok {result.completed}{counts}{took} {result.backfill_id}"
    again = f", {result.next_command}" if result.failed and result.next_command else ""
    return head + "".join(f", {one}" for one in _soon(standing.next_at, result.ended_at, shown)) + again


def trouble(name: str, found: Trouble | None) -> str:
    """Return what is wrong with a DAG, or that nothing is any more."""
    shown = near_path(name)
    if found is None:
        return f"{shown} is well again"
    of = f"{shown} " if shown and not found.message.startswith(shown) else ""
    return f"{of}{_error(found)}"


def settings(news: SettingsNews) -> Iterator[str]:
    """Yield what is new about the settings: `settings changed in bfill.toml: workers 8 → 16; from the next shift on`"""
    if news.trouble is not None:
        yield f"settings {_error(news.trouble)}; what was read before holds"
    if news.is_mended:
        yield "settings are well again"
    where = f" in {news.file}" if news.file else ", there is no file any more"
    if news.changed:
        yield f"settings changed{where}: {', '.join(map(str, news.changed))}; from the next shift on"
    if news.restart:
        yield f"settings changed{where}: {', '.join(news.restart)}; that needs a restart of the scheduler"


def stopping(signal: int, shifts: int) -> str:
    """Return what a first signal means."""
    again = ", signal again to stop at once" if shifts else ""
    return f"scheduler stopping signal {signal} running {shifts}: nothing new starts{again}"


def waiting(agenda: Agenda, now: int) -> str:
    """Return what it does at this moment: `waiting: next daily_sales 2024-03-07 00:00 in 3 h`."""
    running = [one.facts.dag_id for one in agenda.entries.values() if one.shifts]
    parts = [f"running {_names(running)}"] if running else ["waiting"] if agenda.is_known else ["looking at the DAGs"]
    facts = agenda.next_due()
    if facts is not None and facts.next_at is not None:
        moment = DateFormat(facts.timezone, [facts.next_at]).full(facts.next_at)
        parts.append(f"next {facts.dag_id} {moment} in {_roughly(facts.next_at - now)}")
    broken = sum(one.trouble is not None for one in agenda.entries.values())
    if broken:
        parts.append(f"{broken} broken")
    return safe_text(f"{parts[0]}: {', '.join(parts[1:])}" if len(parts) > 1 else parts[0])


def _error(found: Trouble) -> str:
    return f"error: {found.message}" + (f" (hint: {found.hint})" if found.hint else "")


def _names(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _roughly(seconds: int) -> str:
    """Return how long it takes yet, in one unit: seconds tick only in the last minute."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{max(0, seconds)} s"


def _next(facts: Facts | None) -> list[str]:
    if facts is None or facts.next_at is None:
        return []
    return [f"next {facts.dag_id} {DateFormat(facts.timezone, [facts.next_at]).full(facts.next_at)}"]


def _due(facts: Facts) -> list[str]:
    return _when(facts.next_at, DateFormat(facts.timezone, [facts.next_at])) or [facts.why]


def _soon(next_at: int | None, ended_at: int | None, dates: DateFormat) -> list[str]:
    """Return when it is due next: the time alone when that is the same day."""
    if next_at is None or ended_at is None or dates.local(next_at).date() != dates.local(ended_at // 1_000_000).date():
        return _when(next_at, dates)
    return [f"next due {dates.full(next_at).partition(' ')[2] or dates.full(next_at)}"]


def _when(next_at: int | None, dates: DateFormat) -> list[str]:
    return [] if next_at is None else [f"next due {dates.full(next_at)}"]
