"""What `reset` cleared."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from backfill_cli.core.instants import EPOCH
from backfill_cli.core.results import ResetResult
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.parts import closing
from backfill_cli.render.run import short_head
from backfill_cli.render.text import line
from backfill_cli.render.theme import BOLD, DIM
from backfill_cli.render.words import count


def render(result: ResetResult, width: int) -> Iterator[Text]:
    """Return the lines that say what went, what stays, and what to type next."""
    if not result.dates:
        yield line(" ", ("nothing to reset", BOLD), f"   {result.dag_id}: no task instance of these dates has run")
        return
    seconds = [int((one - EPOCH).total_seconds()) for one in result.dates]
    dates = DateFormat(result.timezone, seconds)
    cleared = f"{count(result.task_instances, 'task instance')} of {count(len(seconds), 'date')}"
    yield line(" ", (f"cleared {cleared}", BOLD), f"   {result.dag_id}")
    yield line((" dates      ", DIM), dates.listing(seconds, len(seconds), seconds[-1], room=width - 14))
    yield line((" xcoms      ", DIM), f"{result.xcoms:,} removed; the history of earlier tries is kept")
    if result.audit_head:
        yield line((" audit head ", DIM), short_head(result.audit_head))
    yield from closing(result.next_command)
