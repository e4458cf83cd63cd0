"""Waves on screens: chunks with their counts, what a pilot has shown, the shape of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from backfill_cli.core.outlines import Outline, WaveSpan
from backfill_cli.core.pilots import PilotReport
from backfill_cli.core.shapes import AUTO, AUTO_S
from backfill_cli.core.wave_tallies import WaveView
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.parts import folded
from backfill_cli.render.text import Part, columns, line
from backfill_cli.render.theme import DIM, look
from backfill_cli.render.words import count, duration, span

_SHOWN = 12
"""Chunks shown one by one; of more, those at which something is to be seen."""

PILOT_DATES = 6
_PILOT_TASKS = 3


def waves(views: Sequence[WaveView], dates: DateFormat, width: int) -> Iterator[Text]:
    """A line a wave: `✓ chunk 3 of 9  01-15 … 01-21  5 of 7 ok, 2 failed  in 12 s`; of many, the telling ones."""
    shown = views if len(views) <= _SHOWN else _telling(views)
    rows: list[list[Part]] = []
    for view in shown:
        tally, seen = view.tally, look(view.state)
        where = "" if tally.first is None or tally.last is None else dates.span(*sorted((tally.first, tally.last)))
        numbers = (
            (tally.failed - tally.repaired, "failed"),
            (tally.repaired, "repaired"),
            (tally.blocked, "blocked"),
            (tally.skipped, "skipped"),
        )
        counts = [f"{tally.completed:,} of {tally.dates:,} ok", *(f"{one:,} {word}" for one, word in numbers if one)]
        took = f"in {duration(tally.duration_s)}" if tally.duration_s is not None else ""
        rows.append([(f"{seen.symbol} {view.wave.name}", seen.style), where, ", ".join(counts), (took, DIM)])
    lines = columns(rows, indent=3)
    if any(one.cell_len > width for one in lines):  # narrow: the times go first
        lines = columns([row[:-1] for row in rows], indent=3)
    yield from lines
    if len(shown) < len(views):
        yield line("   ", (f"… and {len(views) - len(shown):,} more in --json", DIM))


def ends(views: Sequence[WaveView]) -> list[int | None]:
    """Dates at which waves begin and end, as far as they say how dates are to be written: of the first few."""
    return [one for view in views[:_SHOWN] for one in (view.tally.first, view.tally.last)]


def _telling(views: Sequence[WaveView]) -> list[WaveView]:
    """The first, the last, and between them those with failures or in the middle of things, as far as there is room."""
    odd = [one for one in views[1:-1] if one.state not in ("success", "remaining")]
    return [views[0], *odd[: _SHOWN - 2], views[-1]]


def pilot(report: PilotReport, dates: DateFormat) -> Iterator[Text]:
    """What a pilot has shown: its dates, its slowest tasks, and how long the rest may take."""
    cells: list[list[Part]] = []
    for one in report.dates:
        seen = look(one.state)
        took = "" if one.duration_s is None else duration(one.duration_s)
        cells.append([(f"{seen.symbol} {dates.short(one.logical_date)}", seen.style), took])
    if len(cells) > PILOT_DATES:
        left_out = count(len(cells) - PILOT_DATES + 1, "more date")
        cells[PILOT_DATES - 1 : -1] = [[(f"… {left_out}", DIM), ""]]
    yield from columns([[("" if number else "pilot   ", DIM), *cell] for number, cell in enumerate(cells)])
    tasks = [
        f"{one.task_id} {duration(one.slowest_s)} (mean {duration(one.mean_s)}) on {dates.short(one.logical_date)}"
        for one in report.tasks[:_PILOT_TASKS]
    ]
    for number, text in enumerate(tasks):
        yield line((" slowest   " if not number else "           ", DIM), text)
    if report.left:
        said = "nobody knows how long" if report.estimate_s is None else span(*report.estimate_s)
        at_once = "one at a time" if report.parallel == 1 else f"{report.parallel} at a time"
        runs = "" if report.merged is None else f" in {count(report.merged.runs, 'run')}"
        yield line((" the rest  ", DIM), f"{count(report.left, 'date')}{runs}: {said}, {at_once}")


def outline(plan: Outline, dates: DateFormat, width: int) -> Iterator[Text]:
    """The shape of a plan: which dates are the pilot, and how the rest is cut."""
    shape, first, last = plan.shape, plan.first, plan.last
    if plan.pilot:
        shown = [dates.short(one) for one in plan.pilot[: PILOT_DATES - 1]]
        more = f" and {len(plan.pilot) - len(shown):,} more" if len(plan.pilot) > len(shown) else ""
        more += "" if shape.spread else " (the first: tasks depend on the past)"
        then = "" if not plan.waves else "; then waves that grow" if shape.ramp else "; then it stops"
        yield from folded(f"{', '.join(shown)}{more}{then}", width, first=(" pilot     ", DIM), rest=_UNDER)
    if first is None or last is None:
        return
    if shape.ramp:
        sizes = [f"{one:,}" for one in shape.sizes[: plan.waves - 1]]
        said = f"{', '.join([*sizes, f'{last.dates:,}'])} dates, each wave while the one before was healthy"
        yield from folded(said, width, first=(" ramp      ", DIM), rest=_UNDER)
    elif shape.chunk is not None:
        yield from folded(_chunks(plan, first, last, dates), width, first=(" chunks    ", DIM), rest=_UNDER)
        said = _FAILURES.get(shape.failures, f"up to {shape.failures} of the dates of a chunk are borne")
        yield line((" failures  ", DIM), said)


_UNDER = " " * 11
_FAILURES = {"stop": "one in a chunk keeps the next from beginning", "skip": "chunks go on over them"}


def _chunks(plan: Outline, first: WaveSpan, last: WaveSpan, dates: DateFormat) -> str:
    shape = plan.shape
    if shape.is_open:
        return f"first {count(first.dates, 'date')}; what they take says how many make {duration(AUTO_S)}"
    size = count(shape.sizes[-1], "date") if shape.days is None else count(shape.days, "day")
    if shape.chunk == AUTO:
        only = f"{count(first.dates, 'date')}, which take no longer than {duration(AUTO_S)}"
        size = f"{size}, about {duration(AUTO_S)} each" if plan.waves > 1 else only
    ends = [dates.span(*sorted((one.first, one.last))) for one in (first, last)]
    return f"{plan.waves:,} of {size}: " + (f"first {ends[0]}, last {ends[1]}" if plan.waves > 1 else ends[0])
