"""Waves on screens: chunks with their counts, what a pilot has shown, the shape of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from backfill_cli.core.pilots import PilotReport
from backfill_cli.core.wave_tallies import WaveView
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.text import Part, columns, line
from backfill_cli.render.theme import DIM, look
from backfill_cli.render.words import count, duration, span

_SHOWN = 12
"""Chunks shown one by one; of more, those at which something is to be seen."""

_PILOT_DATES = 6
_PILOT_TASKS = 3


def waves(views: Sequence[WaveView], dates: DateFormat, width: int) -> Iterator[Text]:
    """A line a wave: `✓ chunk 3 of 9  01-15 … 01-21  5 of 7 ok, 2 failed  in 12 s`; of many, the telling ones."""
    shown = views if len(views) <= _SHOWN else _telling(views)
    rows: list[list[Part]] = []
    for view in shown:
        tally, seen = view.tally, look(view.tally.state)
        where = "" if tally.first is None or tally.last is None else dates.span(*sorted((tally.first, tally.last)))
        numbers = (
            (tally.failed - tally.repaired, "failed"),
            (tally.repaired, "repaired"),
            (tally.blocked, "blocked"),
        )
        counts = [f"{tally.completed:,} of {tally.dates:,} ok", *(f"{one:,} {word}" for one, word in numbers if one)]
        took = f"in {duration(tally.duration_s)}" if tally.duration_s is not None else ""
        rows.append([(f"{seen.symbol} {view.wave.name}", seen.style), where, ", ".join(counts), (took, DIM)])
    yield from columns(rows, indent=3)
    if len(shown) < len(views):
        yield line("   ", (f"… and {len(views) - len(shown):,} more, as these or not begun: --json has all", DIM))


def _telling(views: Sequence[WaveView]) -> list[WaveView]:
    """The first, the last, and between them those with failures or in the middle of things, as far as there is room."""
    odd = [one for one in views[1:-1] if one.tally.state not in ("success", "remaining")]
    return [views[0], *odd[: _SHOWN - 2], views[-1]]


def pilot(report: PilotReport, dates: DateFormat) -> Iterator[Text]:
    """What a pilot has shown: its dates, its slowest tasks, and how long the rest may take."""
    shown = report.dates if len(report.dates) <= _PILOT_DATES else (*report.dates[: _PILOT_DATES - 1], report.dates[-1])
    rows: list[list[Part]] = []
    for number, one in enumerate(shown):
        seen = look(one.state)
        took = "" if one.duration_s is None else duration(one.duration_s)
        rows.append(
            [
                (" pilot" if not number else "", DIM),
                (f"{seen.symbol} {dates.short(one.logical_date)}", seen.style),
                took,
            ]
        )
    if len(shown) < len(report.dates):
        rows.append([("", DIM), (f"… {count(len(report.dates) - len(shown), 'more date')}", DIM), ""])
    yield from columns(rows)
    tasks = [
        f"{one.task_id} {duration(one.slowest_s)} (mean {duration(one.mean_s)}) on {dates.short(one.logical_date)}"
        for one in report.tasks[:_PILOT_TASKS]
    ]
    for number, text in enumerate(tasks):
        yield line((" slowest   " if not number else "           ", DIM), text)
    if report.left:
        said = "nobody knows how long" if report.estimate_s is None else span(*report.estimate_s)
        at_once = "one at a time" if report.parallel == 1 else f"{report.parallel} at a time"
        yield line((" the rest  ", DIM), f"{count(report.left, 'date')}: {said}, {at_once}")
