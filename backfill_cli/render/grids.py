"""Grids of dates: one cell a date, laid out so that a gap or a bad week is seen at once.

Owns the choice of a layout and the layouts: weeks × weekdays for daily data, one line a weekday when there are many
weeks, days × hours for anything finer, years × months for monthly data. A cell that stands for several dates shows the
worst of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from rich.text import Text

from backfill_cli.core.standing import MISSING, RunView
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.text import line
from backfill_cli.render.theme import DIM, look, worst

_WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MANY_WEEKS = 18
"""More weeks than this and the calendar turns on its side: one line a weekday, one column a week."""

Days = dict[date, list[str]]


def shown_state(run: RunView) -> str:
    """Return the state a grid shows: `stale` for a success under another version, `skipped` for what was left out."""
    if run.left_alone and run.state == MISSING:
        return "skipped"
    return "stale" if run.stale and run.state == "success" else run.state


def grid(runs: Sequence[RunView], dates: DateFormat, width: int) -> Iterator[Text]:
    """Return the grid that fits these dates best; nothing for none."""
    if not runs:
        return
    hours: dict[tuple[date, int], list[str]] = defaultdict(list)
    days: Days = defaultdict(list)
    for run in runs:
        local = dates.local(run.logical_date)
        days[local.date()].append(shown_state(run))
        hours[local.date(), local.hour].append(shown_state(run))
    months = {(day.year, day.month) for day in days}
    if len(hours) > len(days):
        yield from _day_by_hour(days, hours)
    elif len(days) > 2 and len(months) == len(days):
        yield from _year_by_month(days)
    else:
        weeks = (_monday(max(days)) - _monday(min(days))).days // 7 + 1
        yield from _sideways(days, width) if weeks > _MANY_WEEKS else _calendar(days)


def _cell(states: list[str] | None, width: int) -> Text:
    if not states:
        return line(" " * width)
    seen = look(worst(states))
    return line(" " * (width - 1), (seen.cell, seen.style))


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _calendar(days: Days) -> Iterator[Text]:
    """Weeks under each other, Monday to Sunday across."""
    first, last = min(days), max(days)
    label_width = 12 if first.year != last.year else 7
    yield line(" " * (label_width + 1), (" ".join(f"{name:>2}" for name in _WEEKDAYS), DIM))
    monday, before = _monday(first), None
    while monday <= last:
        week = [monday + timedelta(days=number) for number in range(7)]
        shown = max(monday, first)
        label = f"{_MONTHS[shown.month - 1]} {shown.day:02d}" if _month(shown) != before else f"    {shown.day:02d}"
        if label_width > 7:
            label = f"{shown.year if before is None or before[0] != shown.year else '    '} {label}"
        row = line(" ", (f"{label:<{label_width}}", DIM))
        for number, day in enumerate(week):
            row.append_text(_cell(days.get(day), 2 if number == 0 else 3))
        row.rstrip()
        yield row
        before = _month(shown)
        monday += timedelta(days=7)


def _month(day: date) -> tuple[int, int]:
    return day.year, day.month


def _sideways(days: Days, width: int) -> Iterator[Text]:
    """A line a weekday, a column a week, as many weeks in a band as the terminal is wide."""
    first, last = min(days), max(days)
    label_width = 11
    columns = max(10, width - label_width - 1)
    monday = _monday(first)
    while monday <= last:
        left = (last - monday).days // 7 + 1
        # A band ends with a year, so that the next begins with January.
        weeks = [monday + timedelta(days=7 * number) for number in range(min(columns, left))]
        weeks = [
            week for week in weeks if (week + timedelta(days=6)).year == (monday + timedelta(days=6)).year
        ] or weeks[:1]
        yield line(" ", (f"{(weeks[0] + timedelta(days=6)).year}", DIM), " " * (label_width - 5), (_months(weeks), DIM))
        for number, name in enumerate(_WEEKDAYS):
            row = line(" " * (label_width - 3), (name, DIM), " ")
            for week in weeks:
                row.append_text(_cell(days.get(week + timedelta(days=number)), 1))
            row.rstrip()
            yield row
        monday = weeks[-1] + timedelta(days=7)


def _months(weeks: Sequence[date]) -> str:
    """Names of months over the week that holds their first day, where there is room."""
    made = ""
    for number, week in enumerate(weeks):
        holds_first = any((week + timedelta(days=day)).day == 1 for day in range(7))
        if (holds_first or number == 0) and len(made) <= number:
            made += " " * (number - len(made)) + _MONTHS[(week + timedelta(days=6)).month - 1] + " "
    return made[: len(weeks) + 3].rstrip()


def _day_by_hour(days: Days, hours: dict[tuple[date, int], list[str]]) -> Iterator[Text]:
    """Days under each other, hours of the day across; only the hours that occur."""
    used = sorted({hour for _, hour in hours})
    label = "%Y-%m-%d" if len({day.year for day in days}) > 1 else "%m-%d"
    label_width = 10 if "Y" in label else 5
    yield line(" " * (label_width + 3), (" ".join(f"{hour:02d}" for hour in used), DIM))
    for day in sorted(days):
        row = line(" ", (day.strftime(label), DIM), "  ")
        for number, hour in enumerate(used):
            row.append_text(_cell(hours.get((day, hour)), 2 if number == 0 else 3))
        row.rstrip()
        yield row


def _year_by_month(days: Days) -> Iterator[Text]:
    """Years under each other, months across: monthly, quarterly and yearly data."""
    by_month: dict[tuple[int, int], list[str]] = {_month(day): states for day, states in days.items()}
    yield line("       ", (" ".join(_MONTHS), DIM))
    for year in range(min(days).year, max(days).year + 1):
        row = line(" ", (str(year), DIM), "  ")
        for month in range(1, 13):
            row.append_text(_cell(by_month.get((year, month)), 3 if month == 1 else 4))
        row.rstrip()
        yield row
