"""What a request to a running backfill came to."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from backfill_cli.core.steering import SteeringResult
from backfill_cli.render.parts import closing, folded
from backfill_cli.render.run import short_head
from backfill_cli.render.text import line
from backfill_cli.render.theme import BOLD, DIM, look


def render(result: SteeringResult, width: int) -> Iterator[Text]:
    """Return the lines that say what is so now, who did it, and what to type next."""
    seen = look(result.state)
    yield line(" ", (result.backfill_id, BOLD), f"   {result.dag_id}   ", (f"{seen.symbol} {result.state}", seen.style))
    yield from folded(result.answer, width - 1, first=("   ", ""), rest="   ")
    if result.audit_head:
        yield line((" audit head ", DIM), short_head(result.audit_head))
    yield from closing(result.next_command)
