"""Plans and results in waves, as the screens and the board's tests show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backfill_cli.core.listening import WaveReport
from backfill_cli.core.outlines import outline
from backfill_cli.core.pilots import PilotDate, PilotReport, PilotTask
from backfill_cli.core.records import Action, BackfillDateRow
from backfill_cli.core.results import BackfillResult, PlanResult
from backfill_cli.core.shapes import Shape, ramp_sizes
from backfill_cli.core.states import BackfillState, RunState
from backfill_cli.core.wave_tallies import WaveView, views_of
from render import samples

MARCH = samples.days("2024-03-01", "2024-03-31")
FAILED = frozenset(samples.days("2024-03-11", "2024-03-12"))
HOUR = 3_600


def row(date: int, outcome: RunState | None) -> BackfillDateRow:
    began = None if outcome is None else samples.NOW_US + (date - MARCH[0]) * 1_000
    ended = None if began is None else began + 41_000_000
    return BackfillDateRow(date, date + 86_400, Action.CREATE, outcome, "", outcome, began, ended, None)


def views(shape: Shape, dates: list[int], done: int) -> list[WaveView]:
    """The waves of these dates when the first so many have run."""
    states = [RunState.FAILED if one in FAILED else RunState.SUCCESS for one in dates[:done]]
    outcomes = [*states, *[None] * (len(dates) - done)]
    rows = [row(one, outcome) for one, outcome in zip(dates, outcomes, strict=True)]
    return views_of(shape, len(dates), samples.PARIS, rows)


def plan(shape: Shape, dates: list[int] = MARCH) -> PlanResult:
    made = samples.plan(warnings=[])
    return replace(made, waves=outline(shape, len(dates), samples.PARIS, dates, parallel=4))


def stopped(**changes: Any) -> BackfillResult:
    values = {"state": BackfillState.INTERRUPTED, "stopped_by": None, "interrupted": 0, **changes}
    return replace(samples.run_interrupted(), **values)


def chunks_stopped() -> BackfillResult:
    return stopped(
        completed=12,
        failed=2,
        skipped=0,
        remaining=17,
        reason="chunk 2 of 5 ended with 2 failed dates (--chunk-failures stop)",
        chunks=tuple(views(Shape("7d", ()), MARCH, 14)),
        failures=samples.run_failed().failures,
        next_command=f"bfill rerun-failed {samples.ID} && bfill run {samples.ID}",
    )


def many_chunks() -> BackfillResult:
    """Hours, with times in their dates, in chunks of four: more than a screen shows, and each line long."""
    hours = [MARCH[0] + HOUR * hour for hour in range(200)]
    chunks = tuple(views(Shape("4", (4,)), hours, 150))
    return stopped(completed=150, skipped=0, remaining=50, total_dates=200, chunks=chunks)


def pilot_done() -> BackfillResult:
    dates = (MARCH[0], *MARCH[4:24:4], MARCH[15], MARCH[-1])
    took = [PilotDate(one, RunState.SUCCESS, 41.2 + number) for number, one in enumerate(dates)]
    tasks = (PilotTask("load", 31.5, 38.0, MARCH[4]), PilotTask("extract", 8.0, 9.1, MARCH[0]))
    return stopped(
        completed=8,
        skipped=0,
        remaining=23,
        stopped_as_asked=True,
        reason="pilot done: 8 of 31 dates",
        pilot=PilotReport(tuple(took), tasks, 23, 4),
    )


def begins() -> WaveReport:
    """The second chunk, with two of its dates done by an earlier command."""
    view = views(Shape("7d", ()), MARCH, 9)[1]
    return WaveReport(view.wave, view.tally, samples.NOW_US, ended=False)


SAMPLES: dict[str, tuple[str, Callable[[], Any]]] = {
    "plan-chunks": ("plan", lambda: plan(Shape("7d", (), "10%"))),
    "plan-auto": ("plan", lambda: plan(Shape("auto", (4, 0)))),
    "plan-pilot-ramp": ("plan", lambda: plan(Shape(pilot=3, ramp=True, sizes=ramp_sizes(3, 4)))),
    "run-chunks-stopped": ("run", chunks_stopped),
    "run-many-chunks": ("run", many_chunks),
    "run-pilot": ("run", pilot_done),
}
