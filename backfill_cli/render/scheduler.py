"""The screens of `scheduler` and of `dags pause|unpause`."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from backfill_cli.core.listings import PauseResult
from backfill_cli.core.scheduling import ScheduleResult, Standing
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.parts import closing
from backfill_cli.render.text import line
from backfill_cli.render.theme import BOLD, DIM, look
from backfill_cli.render.words import count


def render(result: ScheduleResult, width: int) -> Iterator[Text]:
    """Return what ran of each DAG, why no more, and when the next interval is due."""
    for one in result.dags:
        yield from _dag(one)
    if not result.dags:
        yield line(" no DAG to look at")
    left = next((ran.next_command for one in result.dags for ran in one.results if ran.next_command), "")
    yield from closing(left)


def _dag(one: Standing) -> Iterator[Text]:
    if one.error is not None:
        bad = look("failed")
        yield line(" ", (f"{bad.symbol} {one.dag_id}", bad.style), f": {one.error}")
        if one.hint:
            yield line(("   hint: ", DIM), one.hint)
        return
    for ran in one.results:
        seen = look(ran.state)
        facts = [f"{ran.completed:,} ok"]
        facts += [f"{number:,} {word}" for word, number in _rest(ran.failed, ran.blocked, ran.remaining) if number]
        yield line(
            " ", (seen.symbol, seen.style), " ", (one.dag_id, BOLD), f"   {count(ran.total_dates, 'date')}: ",
            "   ".join(facts), (f"   {ran.backfill_id}", DIM),
        )  # fmt: skip
    if not one.results:
        yield line("   ", (one.dag_id, BOLD), "   nothing is due")
    dates = DateFormat(one.timezone, [one.next_at])
    following = "" if one.next_at is None else f"; next due {dates.full(one.next_at)}"
    yield line(("     ", DIM), (f"{one.why}{following}", DIM))


def _rest(failed: int, blocked: int, remaining: int) -> tuple[tuple[str, int], ...]:
    return ("failed", failed), ("blocked", blocked), ("remaining", remaining)


def render_pause(result: PauseResult, width: int) -> Iterator[Text]:
    """Return what holds from now on."""
    state = "paused" if result.paused else "not paused"
    was = "" if result.changed else ": it was so already"
    yield line(" ", (result.dag_id, BOLD), f" is {state}{was}")
    yield from closing(f"bfill dags {'unpause' if result.paused else 'pause'} {result.dag_id}")
