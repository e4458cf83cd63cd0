"""`status --watch`: the same screen again and again until nothing runs; a line a change where nothing can be redrawn.

Owns the loop and when it ends. What a state looks like is `status.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import IO

from rich.console import Console, Group
from rich.live import Live

from backfill_cli import clock
from backfill_cli.core.standing import BackfillView, StatusResult
from backfill_cli.core.states import GOING
from backfill_cli.render.safe import safe_text
from backfill_cli.render.status import render
from backfill_cli.render.words import stamp

Ask = Callable[[], StatusResult]


def is_over(result: StatusResult) -> bool:
    """Return whether nothing of what is shown is running any more."""
    if result.backfill is not None:
        return result.backfill.state not in GOING
    if result.dag_id is None:
        return all(view.state not in GOING for view in result.backfills)
    return not result.counts.get("running")


def watch_screen(ask: Ask, file: IO[str], *, colour: bool, every_s: float) -> StatusResult:
    """Redraw until it is over, or until Ctrl-C, and return the last state; the screen is left clean."""
    console = Console(file=file, highlight=False, markup=False, emoji=False, no_color=not colour)
    result = ask()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        try:
            while not is_over(result):
                size = console.size
                lines = list(render(result, size.width))[: size.height - 1]
                live.update(Group(*lines), refresh=True)
                time.sleep(every_s)
                result = ask()
        except KeyboardInterrupt:
            pass
    return result


def watch_lines(ask: Ask, file: IO[str], *, every_s: float, quiet: bool = False) -> StatusResult:
    """Write a line whenever something changed until it is over, or until Ctrl-C; return the last state."""
    result = ask()
    told = ""
    try:
        while True:
            line = _line(result)
            if line != told and not quiet:
                file.write(f"{stamp(clock.now_us())} {safe_text(line)}\n")
                file.flush()
            told = line
            if is_over(result):
                return result
            time.sleep(every_s)
            result = ask()
    except KeyboardInterrupt:
        return result


def _line(result: StatusResult) -> str:
    if result.dag_id is not None and result.backfill is None:
        return f"{result.dag_id} " + " ".join(f"{state} {number}" for state, number in result.counts.items() if number)
    running = [view for view in result.backfills if view.state in GOING]
    return "; ".join(_progress(view) for view in ([result.backfill] if result.backfill is not None else running))


def _progress(view: BackfillView) -> str:
    row = view.row
    done, to_do = row.completed + row.failed, row.total - row.skipped
    return f"{row.backfill_id} {view.state} {done}/{to_do} failed {row.failed}"
