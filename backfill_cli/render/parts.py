"""Pieces that several screens share: notes, failure groups, the closing `next:` line, counts with symbols."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.text import Text

from backfill_cli.core.problems import Problem
from backfill_cli.core.results import FailureGroup
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.safe import safe_text
from backfill_cli.render.text import columns, cut, line, wide
from backfill_cli.render.theme import COMMAND, DIM, WARN, look
from backfill_cli.render.words import count


def notes(problems: Sequence[Problem], width: int) -> Iterator[Text]:
    """Each warning as `! …`, folded at words, its hint below; an empty line behind the last."""
    for problem in problems:
        yield from folded(problem.message, width, first=(" ! ", WARN), rest="   ")
        if problem.hint:
            yield from folded(problem.hint, width, first=("   → ", DIM), rest="     ")
    if problems:
        yield line()


def folded(text: str, width: int, *, first: tuple[str, str], rest: str) -> Iterator[Text]:
    """The text in lines of at most `width` cells, broken at spaces; a longer word stays whole."""
    head: tuple[str, str] = first
    words: list[str] = []
    room = max(20, width - wide(rest))
    used = 0
    for word in safe_text(text).split(" "):
        size = wide(word) + bool(words)
        if words and used + size > room:
            yield line(head, " ".join(words))
            head, words, used, size = (rest, ""), [], 0, wide(word)
        words.append(word)
        used += size
    yield line(head, " ".join(words))


def ran_again(tries: int) -> Text:
    """Says that interrupted tries ran a second time; JSON and the audit trail name them."""
    return line("   ", (f"{count(tries, 'task')} ran again after an interruption", DIM))


def closing(next_command: str) -> Iterator[Text]:
    """The line that says what to type next, or nothing."""
    if next_command:
        yield line((" next: ", DIM), (next_command, COMMAND))


def failures(groups: Sequence[FailureGroup], dates: DateFormat, width: int) -> list[Text]:
    """Failures by cause: `2 dates  load: HTTP 503 from warehouse-7 (+1 alike)   03-11, 03-12`."""
    if not groups:
        return []
    number = max(wide(count(group.count, "date")) for group in groups)
    listings = [dates.listing(one.dates, one.count, one.dates[-1] if one.dates else 0, room=24) for one in groups]
    room = max(30, width - number - max(wide(one) for one in listings) - 8)
    rows = []
    for group, listing in zip(groups, listings, strict=True):
        alike = f" (+{group.variants - 1:,} alike)" if group.variants > 1 else ""
        said = f"{group.task_id}: {group.reason}" if group.task_id else group.reason
        cause = cut(said, room - wide(alike)) + alike
        rows.append((count(group.count, "date").rjust(number), cause, (listing, DIM)))
    return columns(rows, indent=3)


def tally(counts: Mapping[str, int], order: Iterable[str] = ()) -> Text:
    """Counts of dates by state with their cells: `■ success 54   ✗ failed 2`; zeros are left out."""
    known = [*order, *(state for state in counts if state not in set(order))]
    made = line()
    for state in known:
        if counts.get(state):
            seen = look(state)
            made.append_text(
                line("   " if made.plain else "", (f"{seen.cell} {state}", seen.style), f" {counts[state]:,}")
            )
    return made
