"""The end of a run: how it ended, what failed and why, where the audit chain stands, what to type next."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from backfill_cli.core.instants import EPOCH
from backfill_cli.core.results import BackfillResult, DateResult
from backfill_cli.core.states import BackfillState
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.parts import closing, failures, folded, ran_again
from backfill_cli.render.text import columns, cut, line
from backfill_cli.render.theme import DIM, look
from backfill_cli.render.waves import ends, pilot, waves
from backfill_cli.render.words import duration

_SHOWN = 8
"""Blocked or interrupted dates listed one by one; the rest is a number."""


def render(result: BackfillResult, width: int) -> Iterator[Text]:
    """Return the lines of the closing screen of run and rerun-failed."""
    dates = _dates(result)
    yield from _headline(result, width)
    yield from failures(result.failures, dates, width)
    yield from _unfinished(result, dates, width)
    if result.pilot is not None:
        yield from pilot(result.pilot, dates)
    elif len(result.chunks) > 1:
        yield from waves(result.chunks, dates, width)
    if result.reexecuted:
        yield ran_again(len(result.reexecuted))
    if result.reason:
        yield from folded(result.reason, width, first=("   ", DIM), rest="   ")
    if result.backfill_id:
        parent = f", repeats {result.parent_id}" if result.parent_id else ""
        yield line((" backfill ", DIM), result.backfill_id + parent)
    if result.audit_head:
        yield line((" audit head ", DIM), short_head(result.audit_head))
    yield from closing(result.next_command)


def short_head(head: str) -> str:
    """Return `1042:9f3c81d2`: enough of the hash to compare by eye; JSON has all of it."""
    seq, _, digest = head.partition(":")
    return f"{seq}:{digest[:8]}"


def _headline(result: BackfillResult, width: int) -> Iterator[Text]:
    """How it ended and the counts, on one line where they fit."""
    state, style = _verdict(result)
    took = f" in {duration(result.took_s)}" if result.took_s is not None else ""
    if result.resumed_at is not None and result.duration_s is not None:
        took += f", {duration(result.duration_s)} since it began"
    counts = [
        (result.completed, "ok", "success"),
        (result.failed - result.repaired, "failed", "failed"),
        (result.blocked, "blocked", "blocked"),
        (result.skipped, "skipped", "skipped"),
    ]
    if result.repaired:
        counts.insert(1, (result.repaired, "repaired", "success"))
    if result.remaining:
        counts.append((result.remaining, "remaining", "remaining"))
    head = line(" ", (state + took, f"{style} bold"))
    numbers = line()
    for number, word, key in counts:
        numbers.append_text(line((f"{number:,} {word}", look(key).style if number else DIM), "   "))
    numbers.append(f"{result.total_dates:,} total")
    if head.cell_len + numbers.cell_len + 5 <= width:
        yield line(head, "     ", numbers)
    else:
        yield head
        yield line("   ", numbers)


def _verdict(result: BackfillResult) -> tuple[str, str]:
    if not result.total_dates:
        return "nothing to do", "green"
    if result.stopped_by is not None:
        return "interrupted", "yellow"
    if result.state == BackfillState.CANCELLED:
        return "cancelled", "yellow"
    if result.stopped_as_asked and result.exit_code == 0:
        return "pilot done", "green"
    if result.exit_code == 0:
        if result.skipped == result.total_dates:
            return "nothing to do", "green"
        return "finished", "green"
    if result.remaining:
        return "stopped early", "yellow"
    if result.failed:
        return "finished with failures", "red"
    return ("finished, some dates blocked", "magenta") if result.blocked else ("finished, failures left alone", "red")


def _dates(result: BackfillResult) -> DateFormat:
    bounds = [result.results[0], result.results[-1]] if result.results else []
    failed = [one for group in result.failures for one in group.dates]
    piloted = [one.logical_date for one in result.pilot.dates] if result.pilot else []
    return DateFormat(result.timezone, [*map(_seconds, bounds), *failed, *ends(result.chunks), *piloted])


def _unfinished(result: BackfillResult, dates: DateFormat, width: int) -> Iterator[Text]:
    """Dates that wait, and failures the filter left alone, each with its reason: they are why the exit code is 1."""
    blocked = [one for one in result.results if one.state == "blocked"]
    # The failure groups already name what failed in this backfill; failures that were left alone show only here.
    left = [one for one in result.results if one.state == "failed"] if result.left_failed and not result.failed else []
    for word, state, rows in (("blocked", "blocked", blocked), ("left alone", "failed", left)):
        seen = look(state)
        shown = [
            (
                (f"{seen.symbol} {word}", seen.style),
                dates.short(_seconds(one)),
                cut(one.reason or "", max(20, width - 32)),
            )
            for one in rows[:_SHOWN]
        ]
        yield from columns(shown, indent=3)
        if len(rows) > _SHOWN:
            yield line("   ", (f"… and {len(rows) - _SHOWN:,} more {word}", DIM))


def _seconds(one: DateResult) -> int:
    return int((one.logical_date - EPOCH).total_seconds())
