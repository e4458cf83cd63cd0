"""The screens of `scheduler` and of `dags pause|unpause`."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from backfill_cli.core.listings import PauseResult
from backfill_cli.core.results import BackfillResult
from backfill_cli.core.scheduling import ScheduleResult, Standing
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.parts import closing
from backfill_cli.render.text import line
from backfill_cli.render.theme import BOLD, DIM, look
from backfill_cli.render.words import count, near_path


def render(result: ScheduleResult, width: int) -> Iterator[Text]:
    """Return what ran of each DAG, why no more, and when the next interval is due."""
    for one in result.dags:
        yield from _dag(one, stayed=bool(result.why))
    if not result.dags:
        yield line(" no DAG to look at")
    left = next((ran.next_command for one in result.dags for ran in one.results if ran.next_command), "")
    yield from closing("bfill scheduler" if result.why and left.startswith("bfill scheduler") else left)


def errors(result: ScheduleResult) -> Iterator[tuple[str, str]]:
    """Yield why DAGs could not be looked at or run, each with its hint: all that is said with -q."""
    for one in result.dags:
        if one.error is not None:
            yield ": ".join(_named(one)), one.hint


def _named(one: Standing) -> tuple[str, str]:
    """Return what could not be looked at or run, and why: a file that does not load is named by the error itself."""
    of, error = near_path(one.dag_id), one.error or ""
    if error.startswith(of):
        place, _, why = error.partition(": ")
        return (place, why) if why else (of, error)
    return of, error


def _dag(one: Standing, *, stayed: bool) -> Iterator[Text]:
    if one.error is not None:
        bad, (of, error) = look("failed"), _named(one)
        yield line(" ", (f"{bad.symbol} {of}", bad.style), f": {error}")
        if one.hint:
            yield line(("   hint: ", DIM), one.hint)
        return
    if stayed and one.results:
        shifts = one.earlier.shifts + len(one.results)
        state = "failed" if one.failed else one.results[-1].state
        yield _counted(one.dag_id, state, one, f"{count(shifts, 'shift')}, the last {one.results[-1].backfill_id}")
    else:
        for ran in one.results:
            yield _counted(one.dag_id, ran.state, ran, ran.backfill_id or "")
    if not one.results:
        yield line("   ", (one.dag_id, BOLD), "   nothing is due" if not stayed else "   nothing was due")
    dates = DateFormat(one.timezone, [one.next_at])
    following = "" if one.next_at is None else f"; next due {dates.full(one.next_at)}"
    yield line(("     ", DIM), (f"{one.why}{following}", DIM))


def _counted(dag_id: str, state: str, counts: Standing | BackfillResult, where: str) -> Text:
    """Return one line about dates that ran."""
    seen = look(state)
    rest = (("failed", counts.failed), ("blocked", counts.blocked), ("remaining", counts.remaining))
    facts = [f"{counts.completed:,} ok", *(f"{number:,} {word}" for word, number in rest if number)]
    total = counts.completed + sum(number for _, number in rest)
    return line(
        " ", (seen.symbol, seen.style), " ", (dag_id, BOLD), f"   {count(total, 'date')}: ",
        "   ".join(facts), (f"   {where}", DIM),
    )  # fmt: skip


def render_pause(result: PauseResult, width: int) -> Iterator[Text]:
    """Return what holds from now on."""
    state = "paused" if result.paused else "not paused"
    was = "" if result.changed else ": it was so already"
    yield line(" ", (result.dag_id, BOLD), f" is {state}{was}")
    yield from closing(f"bfill dags {'unpause' if result.paused else 'pause'} {result.dag_id}")
