"""The table of a few dates and their tasks, as `status` shows it: a line a date, a column a task.

Owns the layout; more dates than fit into it are a grid (`grids.py`). The tasks of a batch stand with the first of its
dates that is shown, for they are those of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from backfill_cli.core.standing import RunView, TaskView
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.grids import shown_state
from backfill_cli.render.text import Part, columns, cut, line, wide
from backfill_cli.render.theme import DIM, look
from backfill_cli.render.words import duration


def task_table(runs: Sequence[RunView], task_ids: Sequence[str], dates: DateFormat, width: int) -> Iterator[Text]:
    """Dates × tasks with symbols and durations; symbols alone when the terminal is too narrow."""
    # The tasks of a batch stand once, with the first of its dates that is shown.
    firsts = {run.batch: run.logical_date for run in reversed(runs) if run.batch is not None and run.tasks}
    rows = [
        _with_others(run, run.batch, task_ids, dates)
        if run.batch is not None and firsts.get(run.batch) != run.logical_date
        else _row(run, task_ids, dates, True)
        for run in runs
    ]
    full = columns([["", *((one, DIM) for one in task_ids)], *rows])
    if max(one.cell_len for one in full) <= width:
        yield from full
    else:
        yield from columns([_row(run, task_ids, dates, False) for run in runs])
        names = ", ".join(f"{number} {task_id}" for number, task_id in enumerate(task_ids, 1))
        yield line((f"   tasks in order: {cut(names, width - 20)}", DIM))
    told: set[tuple[int | None, str]] = set()
    for run in runs:
        if run.batch is not None and (run.batch, run.reason or "") in told:
            continue  # of a batch, which says its dates, once
        told.add((run.batch, run.reason or ""))
        if run.reason and run.state != "success":
            seen = look(shown_state(run))
            reason = cut(run.reason, max(20, width - 14 - wide(dates.short(run.logical_date))))
            yield line("   ", (seen.symbol, seen.style), f" {dates.short(run.logical_date)}  {reason}")


def _row(run: RunView, task_ids: Sequence[str], dates: DateFormat, seconds: bool) -> list[Part]:
    cells: list[Part] = [_date(run, dates)]
    if seconds:
        return [*cells, *(_task(run.tasks.get(task_id)) for task_id in task_ids)]
    symbols = line()
    for task_id in task_ids:
        view = run.tasks.get(task_id)
        task_look = look(view.state if view else "scheduled")
        symbols.append_text(line((task_look.symbol, task_look.style)))
    return [*cells, symbols]


def _with_others(run: RunView, batch: int, task_ids: Sequence[str], dates: DateFormat) -> list[Part]:
    return [_date(run, dates), (f"with {dates.short(batch)}", DIM), *("" for _ in task_ids[1:])]


def _date(run: RunView, dates: DateFormat) -> Text:
    seen = look(shown_state(run))
    return line((f"{seen.symbol} ", seen.style), dates.short(run.logical_date))


def _task(view: TaskView | None) -> Text:
    if view is None:
        return line((look("scheduled").symbol, DIM))
    seen = look(view.state)
    made = line((seen.symbol, seen.style))
    if view.started_at is not None and view.ended_at is not None:
        made.append_text(line(f" {duration((view.ended_at - view.started_at) / 1_000_000)}"))
    if view.try_number > 1:
        made.append_text(line((f" try {view.try_number}", DIM)))
    return made
