"""The status screens: one backfill or range with its grid, or the list of the latest backfills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from shlex import quote

from rich.text import Text

from backfill_cli.core.standing import BackfillView, StatusResult
from backfill_cli.core.states import GOING, BackfillState
from backfill_cli.core.waits import NEXT_TRY, Waits
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.grids import grid
from backfill_cli.render.parts import closing, failures, folded, ran_again, tally
from backfill_cli.render.task_tables import task_table
from backfill_cli.render.text import Part, columns, cut, line, wide
from backfill_cli.render.theme import BOLD, COMMAND, DIM, WARN, look
from backfill_cli.render.waves import ends, waves
from backfill_cli.render.words import count, duration, moment
from backfill_cli.render.words import span as spell

_FEW_GAPS = 4
_FEW_TASKS = 5
_FEW_DATES = 15
"""Up to this many dates of one backfill are shown task by task; more become a grid."""


def render(result: StatusResult, width: int) -> Iterator[Text]:
    """Return the lines of the status screen."""
    if result.dag_id is None:
        for pid, since in result.schedulers:
            yield line(" ", ("scheduler", BOLD), f"   pid {pid}", (f"   since {moment(since)}", DIM))
        yield from latest(result.backfills, width)
        return
    dates = DateFormat(
        result.timezone,
        [result.first, result.last, *(run.logical_date for run in result.runs[:500]), *ends(result.chunks)],
    )
    yield from _head(result, dates, width)
    if result.gaps_only:
        yield from _gaps(result, dates, width, len(result.gaps))
        yield from closing(result.next_command)
        return
    if 0 < len(result.runs) <= _FEW_DATES and result.task_ids:
        yield line()
        yield from task_table(result.runs, result.task_ids, dates, width)
    elif result.runs:
        yield line()
        yield from grid(result.runs, dates, width)
    if result.more and result.after is not None:
        yield line(("   … more dates: --after ", DIM), (dates.argument(result.after), COMMAND))
    facts = list(_facts(result, dates, width))
    if facts:
        yield line()
        yield from facts
    yield from closing(result.next_command)


def _head(result: StatusResult, dates: DateFormat, width: int) -> Iterator[Text]:
    span = ""
    if result.first is not None and result.last is not None:
        span = f"{dates.full(result.first)} … {dates.full(result.last)}"
    facts = " · ".join(one for one in (result.schedule, result.timezone) if one)
    yield line(" ", (result.dag_id or "", BOLD), "   ", span or "no date", "   ", (facts, DIM))
    view = result.backfill
    if view is not None:
        seen = look(view.state)
        made = line(" ", (view.row.backfill_id, BOLD), "   ", (f"{seen.symbol} {view.state}", seen.style))
        for extra in _progress(view):
            made.append(f"  {extra}")
        yield made
        if view.row.reason:
            yield from folded(view.row.reason, width, first=("   ", DIM), rest="   ")
        if view.repaired_by:
            yield line((" repaired by ", DIM), ", ".join(view.repaired_by))
    counts = tally(result.counts, ("success", "failed", "blocked", "running", "queued", "stale", "missing"))
    yield line(" ", counts if counts.plain else ("no date in this range", DIM))


def _progress(view: BackfillView) -> Iterator[str]:
    row = view.row
    to_do = row.total - row.skipped
    done = row.completed + row.failed + row.blocked
    if view.state in GOING:
        yield f"{done:,} of {to_do:,}"
        if view.rate_per_min:
            yield f"{view.rate_per_min:.1f}/min"
        if view.eta_s is not None:
            yield f"{spell(view.eta_s, view.eta_s)} left"
        if view.pid is not None:
            yield f"pid {view.pid}" + (f" on {view.host}" if view.host else "")
    else:
        yield f"{done:,} of {to_do:,}"
        yield moment(row.ended_at or row.started_at or row.created_at)


def _facts(result: StatusResult, dates: DateFormat, width: int) -> Iterator[Text]:
    if result.waits is not None:
        yield from _waiting(result.waits, _first_try(result), dates, width)
    if len(result.chunks) > 1:
        yield from waves(result.chunks, dates, width)
    failed = failures(result.failures, dates, width)
    if failed:
        yield line((" failures", DIM))
        yield from failed
    for number, slow in enumerate(result.slowest[:3]):
        # The slowest task is always of interest, the next ones only where they stand out.
        if number and (slow.seconds < 1 or slow.seconds < 2 * slow.median_s):
            continue
        took = f"{duration(slow.seconds)} (median {duration(slow.median_s)})"
        yield line((" slowest   ", DIM), f"{slow.task_id} {took} on {dates.short(slow.logical_date)}")
    if result.reexecuted:
        yield ran_again(len(result.reexecuted))
    yield from _gaps(result, dates, width, _FEW_GAPS)
    for because, stale in result.stale_because.items():
        if stale:
            text = f"{dates.listing(list(stale), len(stale), stale[-1], room=width // 2)}: {because}"
            yield line((" stale     ", DIM), text, "   ", ("--reprocess stale", COMMAND))


def _first_try(result: StatusResult) -> str:
    """When the first of the next tries is due, and why there has to be one; nothing where the page shows none."""
    tasks = (task for run in result.runs for task in run.tasks.values())
    due = min((one for one in tasks if one.waits_for and one.retry_at), key=lambda one: one.retry_at or 0, default=None)
    return "" if due is None else (due.waits_for or "").partition(", ")[2]


def _waiting(waits: Waits, first_try: str, dates: DateFormat, width: int) -> Iterator[Text]:
    """Each reason with the number of its tasks, and below it which, as far as they are told."""
    head = " waiting   "
    for why, number in sorted(waits.reasons.items(), key=lambda one: -one[1]):
        when = (", the first " if number > 1 else ", ") + first_try if why == NEXT_TRY and first_try else ""
        yield from folded(f"{count(number, 'task')} for {why}{when}", width, first=(head, WARN), rest=" " * len(head))
        head = " " * len(head)
        found: dict[str, list[int]] = {}
        for one in waits.tasks:
            if one.why == why:
                found.setdefault(one.task_id, []).append(one.logical_date)
        for task_id, days in list(found.items())[:_FEW_TASKS]:
            room = max(20, width - len(head) - wide(task_id) - 7)
            yield line(head, (f"  {task_id}  {dates.listing(days, len(days), days[-1], room=room)}", DIM))
        if len(found) > _FEW_TASKS:
            yield line(head, (f"  … and {count(len(found) - _FEW_TASKS, 'more task')}; --json lists all", DIM))


def _gaps(result: StatusResult, dates: DateFormat, width: int, limit: int) -> Iterator[Text]:
    rows: list[list[Part]] = []
    for first, last, number in result.gaps[:limit]:
        start, end = dates.argument(first), dates.argument(last)
        fill = f"bfill run --dag {quote(result.dag_id or '')} --start {start} --end {end}"
        rows.append([("missing ", DIM), f"{dates.span(first, last)}: {count(number, 'date')}", (fill, COMMAND)])
    lines = columns(rows)
    if max((one.cell_len for one in lines), default=0) <= width:
        yield from lines
    else:
        # Side by side they would be folded by the terminal, and hard to copy.
        for row, text in zip(rows, columns([row[:2] for row in rows]), strict=True):
            yield text
            yield line("             ", row[2])
    if len(result.gaps) > limit:
        yield line(("          ", DIM), (f"… and {count(len(result.gaps) - limit, 'more gap')}; --gaps lists all", DIM))


# What is least missed goes first when the terminal is narrow: (cells of the name, of the bar, time, owner).
_FORMS = (
    (18, 12, True, True),
    (18, 8, True, True),
    (18, 8, True, False),
    (18, 8, False, False),
    (18, 0, False, False),
    (12, 0, False, False),
)


_STANDS_STILL = frozenset({BackfillState.INTERRUPTED, BackfillState.PAUSED, BackfillState.CANCELLED})


def latest(views: Sequence[BackfillView], width: int) -> Iterator[Text]:
    """The latest backfills, newest first: id, DAG, range, state, when, who runs it, why one stands still."""
    if not views:
        yield line(" no backfill in this store yet")
        yield from closing("bfill plan --dag DAG --start DATE --end DATE --dry-run")
        return
    for form in _FORMS:
        lines = columns([_summary(view, *form) for view in views])
        if max(one.cell_len for one in lines) <= width:
            break
    for view, summary in zip(views, lines, strict=True):
        yield summary
        if view.row.reason and view.state in _STANDS_STILL:
            yield line("   ", (cut(view.row.reason, width - 4), DIM))
    yield from closing(_next(views))


def _summary(view: BackfillView, name: int, bar: int, with_time: bool, with_owner: bool) -> list[Part]:
    row = view.row
    seen = look(view.state)
    cells: list[Part] = [
        (row.backfill_id, BOLD),
        cut(row.dag_id, name),
        _span(view),
        _bar(view, bar),
        (f"{seen.symbol} {view.state}", seen.style),
    ]
    if with_time:
        cells.append((moment(row.started_at or row.created_at)[5:], DIM))
    if with_owner:
        is_running = view.pid is not None and view.state in GOING
        cells.append((f"pid {view.pid}" if is_running else "", DIM))
    return cells


def _span(view: BackfillView) -> str:
    """The range, with its year unless it is the year the backfill was made in: the id beside it begins with that."""
    row = view.row
    if row.first is None or row.last is None:
        return "–"
    dates = DateFormat(view.timezone or "UTC", [row.first, row.last])
    if dates.with_year or moment(row.created_at)[:4] == str(dates.local(row.first).year):
        return dates.span(row.first, row.last)
    return f"{dates.full(row.first)} … {dates.short(row.last)}"


def _next(views: Sequence[BackfillView]) -> str:
    """The first command that is offered; what somebody cancelled is over, unless one asks for it by its id."""
    return next((one.next_command for one in views if one.state != BackfillState.CANCELLED and one.next_command), "")


def _bar(view: BackfillView, cells: int) -> Text:
    row = view.row
    to_do = row.total - row.skipped
    done = row.completed + row.failed + row.blocked
    bad = 0 if view.state == BackfillState.SUCCESS else row.failed + row.blocked  # of a success all is repaired
    numbers = f"{done:,}/{to_do:,}"
    if not cells:
        return line(numbers)
    # One failure among thousands still gets its cell.
    red = min(cells, max(1, round(cells * bad / to_do))) if bad else 0
    green = min(cells - red, round(cells * (done - bad) / to_do) if to_do else cells)
    return line(
        ("━" * green, look("success").style),
        ("╳" * red, look("failed").style),
        ("─" * (cells - red - green), DIM),
        f" {numbers}",
    )
