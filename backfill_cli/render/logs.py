"""Logs of tries: a headline a try, then its lines, made harmless."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from backfill_cli.core.listings import LogEntry, LogsResult
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.safe import safe_text
from backfill_cli.render.text import line, wide
from backfill_cli.render.theme import BOLD, DIM, look
from backfill_cli.render.words import duration, near_path


def render(result: LogsResult, width: int) -> Iterator[Text]:
    """Return the tries one after the other; lines stream, however long the log."""
    dates = DateFormat(result.timezone, [one.logical_date for one in result.entries])
    if not result.entries:
        yield line(" nothing has run for this date yet")
    for number, entry in enumerate(result.entries):
        if number:
            yield line()
        yield from _headline(entry, dates, width)
        if entry.reason:
            yield line("   ", (entry.reason, DIM))
        yield from _lines(entry)


def _headline(entry: LogEntry, dates: DateFormat, width: int) -> Iterator[Text]:
    """What was tried and how it ended, and the file: behind it where there is room, else below, whole."""
    seen = look(
        {"retry": "up_for_retry", "deferred": "up_for_retry", "lost": "interrupted"}.get(
            entry.outcome or "", entry.outcome or "running"
        )
    )
    took = ""
    if entry.started_at is not None and entry.ended_at is not None:
        took = duration((entry.ended_at - entry.started_at) / 1_000_000)
    head = line(
        " ",
        (f"{dates.full(entry.logical_date)} {entry.task_id}", BOLD),
        f" try {entry.try_number}  ",
        (f"{seen.symbol} {entry.outcome or 'running'}", seen.style),
        f"  {took}" if took else "",
    )
    path = near_path(entry.path)
    if head.cell_len + wide(path) + 2 <= width:
        yield line(head, "  ", (path, DIM))
    else:
        yield head
        yield Text.assemble("   ", (safe_text(path), DIM), no_wrap=True)


def _lines(entry: LogEntry) -> Iterator[Text]:
    if entry.lines is None:
        yield line(("   (wrote nothing)", DIM))
        return
    for one in entry.lines():
        # Tabs are layout in a log; everything else that drives a terminal is shown as an escape.
        yield Text("   " + safe_text(one, keep="\t"), no_wrap=True)
