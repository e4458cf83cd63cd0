"""What is said about a range: which dates were left out and why, why nothing is taken, and the next date there is.

Words only: which dates are left out is decided in `core/ranges.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from backfill_cli.core.problems import Problem
from backfill_cli.core.schedules import Schedule
from backfill_cli.core.zones import ZoneClock


@dataclass(frozen=True, slots=True)
class Setting:
    """What a request is resolved against: the DAG's schedule, wall and inclusive bounds, and the instant it is."""

    schedule: Schedule
    clock: ZoneClock
    dag_start: int | None
    dag_end: int | None
    now: int


def left_out_note(code: str, count: int, setting: Setting) -> Problem:
    """The note for dates left out: `incomplete` (not over) or `outside-dag-bounds`."""
    dates = "1 date is left out" if count == 1 else f"{count:,} dates are left out"
    if code == "incomplete":
        now = setting.clock.show(setting.now)
        return Problem(code, f"{dates}: not over at {now}", "--include-incomplete takes what is not over")
    return Problem(code, f"{dates}: the DAG {_bounds(setting)}", "--ignore-dag-bounds takes them as well")


def limit_note(limit: int, total: int, *, backwards: bool) -> Problem:
    """The note for a selection that its limit cuts short."""
    return Problem("limited", f"the {'last' if backwards else 'first'} {limit:,} of {total:,} dates are taken")


def empty_note(left_out: dict[str, int], asked: tuple[int, int], setting: Setting, *, open_end: bool) -> Problem:
    """Why nothing is taken, and the next date there is.

    Args:
        left_out: Problem code → how many dates were left out.
        asked: The bounds before anything was left out, both included, epoch seconds.
        setting: What they were resolved against.
        open_end: No end was given, so it was the last complete interval.
    """
    show, schedule = setting.clock.show, setting.schedule
    first, last = asked
    if "incomplete" in left_out:
        why = f"nothing of it is over at {show(setting.now)}"
    elif "outside-dag-bounds" in left_out:
        why = f"the DAG {_bounds(setting)}"
    elif open_end and schedule.first_at_or_after(first) is not None:
        why = f"nothing from {show(first)} on is over at {show(setting.now)}"
    elif setting.dag_start is not None and last < setting.dag_start:
        why = f"it ends before the DAG {_bounds(setting)}"
    else:
        why = f"{schedule.describe()} has no logical date in it"
    return Problem("empty", f"nothing is selected: {why}", _next_date(first, last, setting))


def _next_date(first: int, last: int, setting: Setting) -> str:
    schedule, show = setting.schedule, setting.clock.show
    following = schedule.first_at_or_after(first if setting.dag_start is None else max(first, setting.dag_start))
    if following is not None and (setting.dag_end is None or following.start <= setting.dag_end):
        return f"the next date is {show(following.start)}, over at {show(following.end)}"
    before = schedule.previous(1 + (last if setting.dag_end is None else min(last, setting.dag_end)))
    return f"there is none behind it; the last date is {show(before.start)}" if before is not None else ""


def _bounds(setting: Setting) -> str:
    named = (("starts", setting.dag_start), ("ends", setting.dag_end))
    return " and ".join(f"{word} {setting.clock.show(bound)}" for word, bound in named if bound is not None)
