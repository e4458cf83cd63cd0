"""The plan screen: what will happen to each date, why, how long it takes, and what to type next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from backfill_cli.core.records import Action, PlanRow
from backfill_cli.core.results import ActionGroup, PlanResult
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.parts import closing, notes
from backfill_cli.render.run import short_head
from backfill_cli.render.text import cut, line, pad, wide
from backfill_cli.render.theme import ACTIONS, BOLD, DIM
from backfill_cli.render.waves import PILOT_DATES, outline
from backfill_cli.render.words import count, span

if TYPE_CHECKING:
    from backfill_cli.core.merging import MergeTally

_EDGE = 3
"""Dates shown at each end of what will run."""


def render(plan: PlanResult, width: int) -> Iterator[Text]:
    """Return the lines of the plan screen for a terminal of `width` columns."""
    dates = _dates(plan)
    yield line()
    yield _header(plan)
    yield line((" range     ", DIM), f"{plan.asked}: {count(plan.total, 'date')}")
    if plan.total:
        yield line((" order     ", DIM), _order(plan))
        if plan.between:
            yield line((" hours     ", DIM), f"tasks start {'; '.join(plan.between)}, in {plan.dag.timezone}")
        if plan.waves is not None and plan.to_run:
            yield from outline(plan.waves, dates, width)
        if plan.batches is not None and plan.to_run:
            yield line((" batches   ", DIM), _batches(plan.batches))
        if plan.to_run:
            yield line((" estimate  ", DIM), _estimate(plan))
        yield line()
        yield from _groups(plan, dates, width)
    if plan.to_run:
        yield line()
        yield from _edges(plan, dates, width)
    yield line()
    yield from notes(plan.warnings, width)
    yield line(" ", (_sum(plan), BOLD))
    if plan.audit_head:
        yield line((" audit head ", DIM), short_head(plan.audit_head))
    # Over the limit that command is refused; the warning says with what it is not.
    is_refused = any(one.code == "over-max-runs" for one in plan.warnings)
    yield from closing(plan.next_command if plan.to_run and not is_refused else "")


def _header(plan: PlanResult) -> Text:
    dag = plan.dag
    facts = [dag.schedule.describe(), dag.timezone, f"version {dag.version[:7]}" if dag.version else ""]
    return line(" ", (dag.dag_id, BOLD), "   ", " · ".join(one for one in facts if one))


def _dates(plan: PlanResult) -> DateFormat:
    rows = [row.logical_date for row in (*plan.head, *plan.tail)]
    if plan.waves is not None:
        rows += plan.waves.pilot[:PILOT_DATES]
        rows += [end for one in (plan.waves.first, plan.waves.last) if one is not None for end in (one.first, one.last)]
    return DateFormat(
        plan.dag.timezone,
        [plan.first, plan.last, *rows, *(one for group in plan.groups for one in (*group.dates, group.last))],
    )


def _batches(batches: MergeTally) -> str:
    runs = f"{count(batches.dates, 'date')} in {count(batches.runs, 'run')}"
    most = count(batches.largest, "consecutive date")
    return f"{runs}, {most} at most" if batches.largest > 1 else f"{runs}: no two are merged"


def _order(plan: PlanResult) -> str:
    first = "newest first" if plan.backwards else "oldest first"
    if plan.parallel == 1:
        return f"{first}, one at a time"
    limit = plan.dag.max_active_runs
    allowed = f" (the DAG allows {limit})" if limit >= plan.parallel else f" (asked for {plan.parallel})"
    most = min(plan.parallel, limit)
    if plan.parallel_min is None:
        return f"{first}, {most} at a time{allowed}"
    return f"{first}, {min(plan.parallel_min, most)} to {most} at a time, as many as the systems bear{allowed}"


def _estimate(plan: PlanResult) -> str:
    estimate = plan.estimate
    tasks = len(plan.dag.tasks)
    runs = plan.to_run if plan.batches is None else plan.batches.runs
    work = f"{count(runs, 'run')} × {count(tasks, 'task')}"
    if estimate.low_s is None or estimate.high_s is None:
        return f"unknown for {work}: nothing of it has run yet"
    source = count(estimate.based_on, "earlier try", "earlier tries")
    return f"{span(estimate.low_s, estimate.high_s)} for {work} (from {source})"


def _groups(plan: PlanResult, dates: DateFormat, width: int) -> Iterator[Text]:
    number_width = max(len(f"{group.count:,}") for group in plan.groups)
    reason_width = min(max(wide(group.reason) for group in plan.groups), max(24, width // 2 - 10))
    for group in plan.groups:
        yield _group(group, dates, number_width, reason_width, width)


def _group(group: ActionGroup, dates: DateFormat, number_width: int, reason_width: int, width: int) -> Text:
    look = ACTIONS[group.action]
    head = line("   ", (f"{look.symbol} {group.action:<6}", look.style), f"  {group.count:>{number_width},}   ")
    room = width - head.cell_len - reason_width - 3
    listing = dates.listing(group.dates, group.count, group.last, room=room)
    head.append_text(line(pad(cut(group.reason, reason_width), reason_width), "   ", (listing, DIM)))
    head.rstrip()
    return head


def _edges(plan: PlanResult, dates: DateFormat, width: int) -> Iterator[Text]:
    """The first and the last dates that will run; one list when they are all of them."""
    head, tail = list(plan.head), list(plan.tail)
    if plan.to_run <= len(head):
        yield _row(" to run ", head, dates, width)
        return
    first, last = _row(" first", head[:_EDGE], dates, width), _row("last", tail[-_EDGE:], dates, width)
    if first.cell_len + last.cell_len + 8 <= width:
        yield line("  ", first, "        ", last)
    else:
        yield line("  ", first)
        yield line("   ", last)


def _row(label: str, rows: Sequence[PlanRow], dates: DateFormat, width: int) -> Text:
    made = line((label, DIM))
    for row in rows:
        look = ACTIONS[row.action]
        cell = line("  ", (look.symbol, look.style), f" {dates.short(row.logical_date)}")
        if made.cell_len + cell.cell_len > width - 4:
            made.append(" …")
            break
        made.append_text(cell)
    return made


def _sum(plan: PlanResult) -> str:
    skipped = plan.counts[Action.SKIP]
    if not plan.total:
        said = "Nothing to do: no date in this range"
    elif not plan.to_run:
        said = f"Nothing to do, {skipped:,} to skip"
    else:
        said = f"{plan.to_run:,} to run" + (f", {skipped:,} to skip" if skipped else "")
    if plan.dry_run:
        return f"{said}. Dry run: nothing stored."
    return f"{said}. Stored as {plan.backfill_id}." if plan.backfill_id else f"{said}."
