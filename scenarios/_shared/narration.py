"""The voice of a scenario: headings, paragraphs, commands with what they answered, tables, timelines, checks.

Owns how it looks, in 80 columns and in bfill's own colours and symbols. It prints as things happen and decides nothing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from _shared.evidence import Span
from _shared.processes import Ran

if TYPE_CHECKING:
    from rich.text import Text  # noqa: TID251  (a name for the type checker)

    from backfill_cli.core.scenarios import Check, Scenario
    from backfill_cli.render.text import Part

_PROGRESS = re.compile(r"\d{4}-\d\d-\d\dT\S+Z ")
"""A line of progress on stderr: the story does not need it."""

_WIDEST = 100
_BARS = 44
"""Cells of a timeline."""


class Narrator:
    """Prints to stdout, in colour when somebody looks.

    Args:
        silent: Print nothing at all.
    """

    def __init__(self, *, silent: bool = False) -> None:
        from backfill_cli.cli import streams

        self._silent = silent
        self._steps = 0
        self._was_empty = False
        if not silent:
            streams.prepare()
        # Asked now: on the stage NO_COLOR is set, for the commands.
        self._colour = streams.wants_colour(sys.stdout, no_color=False)
        self.width = min(_WIDEST, streams.width_of(sys.stdout) if streams.is_terminal(sys.stdout) else _asked_width())

    def title(self, scenario: Scenario) -> None:
        """What it is about."""
        from backfill_cli.render.scenario import about

        self._print([])
        self._write(about(scenario, self.width))

    def step(self, title: str, text: str = "") -> None:
        """A numbered heading."""
        self._steps += 1
        self._print([], [f" {self._steps}  ", (title, "bold")])
        if text:
            self.say(text)

    def say(self, text: str) -> None:
        """A paragraph, folded."""
        from backfill_cli.render.parts import folded

        self._write(folded(" ".join(text.split()), self.width, first=("    ", ""), rest="    "))

    def command(self, ran: Ran) -> None:
        """A command, what it printed, and its exit code when it is not 0."""
        from backfill_cli.render.parts import folded

        self._typed(ran.command)
        screen, told = _shown(ran)
        # A line that is too long goes on in the next one, as at a terminal.
        room = self.width - 6
        pieces = (one[at : at + room] for one in screen for at in range(0, max(len(one), 1), room))
        self._write(["    ", ("│ ", "dim"), one] for one in pieces)
        for one in told:
            self._write(folded(one, self.width, first=("    │ ", "dim"), rest="    │   "))
        if ran.code:
            self._print(["    exit ", (str(ran.code), "bold yellow")])
        self._print([])

    def started(self, command: str) -> None:
        """A command that works on in the background."""
        self._typed(f"{command} &")
        self._print([])

    def file(self, name: str, lines: Sequence[str]) -> None:
        """A file as it stands."""
        self._print([], ["    ", (name, "bold")])
        self._write(["    ", ("│ ", "dim"), one] for one in lines)
        self._print([])

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows under headings; numbers stand right."""
        from backfill_cli.render.text import columns, line, wide

        body = [[_cell(value) for value in row] for row in rows]
        widths = [max(map(wide, column)) for column in zip(headings, *body, strict=True)]
        right = [bool(body) and all(_is_number(row[at]) for row in body) for at in range(len(headings))]

        def put(row: Sequence[str], style: str) -> list[Part]:
            cells = zip(row, widths, right, strict=True)
            return [line((text.rjust(width) if is_right else text, style)) for text, width, is_right in cells]

        self._print([])
        self._write(columns([put(headings, "dim"), *(put(row, "") for row in body)], indent=4))
        self._print([])

    def timeline(self, spans: Mapping[str, Span]) -> None:
        """A bar for each name over a common axis of time: what ran beside what."""
        from backfill_cli.render.words import duration

        if not spans:
            return
        first, last = min(one.start for one in spans.values()), max(one.end for one in spans.values())
        scale = _BARS / max(last - first, 1e-6)
        names = max(map(len, spans))
        self._print([])
        for name, span in spans.items():
            start = min(_BARS - 1, round((span.start - first) * scale))
            size = max(1, round((span.end - first) * scale) - start)
            bar = ("━" * size, "cyan")
            gap = " " * max(0, _BARS - start - size)
            took = (duration(span.end - span.start), "dim")
            self._print([f"    {name:<{names}}  {' ' * start}", bar, f"{gap}  ", took])
        self._print([])

    def check(self, check: Check) -> None:
        """A claim with its symbol, the evidence behind it, or below where there is no room."""
        from backfill_cli.render.parts import folded
        from backfill_cli.render.text import wide
        from backfill_cli.render.theme import look

        seen = look("success" if check.passed else "failed")
        claim: list[Part] = ["    ", (f"{seen.symbol} {check.name}", seen.style)]
        if wide(check.name) + wide(check.evidence) + 9 <= self.width:
            self._print([*claim, "   ", (check.evidence, "dim")])
            return
        self._print(claim)
        self._write(folded(check.evidence, self.width, first=("      ", ""), rest="      "))

    def change(self, name: str, before: Sequence[str], after: Sequence[str]) -> None:
        """An edit of a file: the lines that went, and those that came."""
        self._print([], ["    ", (name, "bold")])
        for sign, style, lines in (("-", "red", before), ("+", "green", after)):
            self._write(["    ", (f"{sign} {one}", style)] for one in lines)
        self._print([])

    def end(self, checks: Sequence[Check], seconds: float, kept: str | None) -> None:
        """How many checks held, and where the folder is if it was kept."""
        from backfill_cli.render.scenario import verdict

        self._print([])
        self._write(verdict(checks, seconds, self.width))
        if kept:
            self._print([(" folder ", "dim"), kept])

    def _typed(self, command: str) -> None:
        first, *more = _command_lines(command, self.width - 8)
        self._print([], ["    $ ", (first, "cyan")])
        self._write(["        ", (one, "cyan")] for one in more)

    def _print(self, *lines: Sequence[Part]) -> None:
        self._write(lines)

    def _write(self, lines: Iterable[Text | Sequence[Part]]) -> None:
        if self._silent:
            return
        from backfill_cli.render.text import line, write

        for one in lines:
            made = line(*one) if isinstance(one, Sequence) else one
            # Each part of a story sets itself apart; two empty lines in a row are one too many.
            if made.plain or not self._was_empty:
                write([made], sys.stdout, colour=self._colour, width=self.width)
            self._was_empty = not made.plain
        sys.stdout.flush()


def _command_lines(command: str, width: int) -> list[str]:
    """The command in lines that can be pasted as they stand, broken before a flag where it is too long."""
    lines = [""]
    for part in re.split(r" (?=--)", command):
        line = f"{lines[-1]} {part}".lstrip()
        in_quotes = bool(lines[-1].count("'") % 2 or lines[-1].count('"') % 2)
        if lines[-1] and len(line) > width - 2 and not in_quotes:
            lines[-1] += " \\"
            lines.append(part)
        else:
            lines[-1] = line
    return lines


def _shown(ran: Ran) -> tuple[list[str], list[str]]:
    """What belongs into the story: the screen of a command, and its errors and warnings without the progress."""
    told = [one for one in ran.err.splitlines() if not _PROGRESS.match(one)]
    if "--json" in ran.command.split():
        return [f"one JSON document, {len(ran.out.encode()):,} bytes"], told
    return ran.out.strip("\n").splitlines(), told


def _asked_width() -> int:
    asked = os.environ.get("COLUMNS", "")
    return int(asked) if asked.isdecimal() and int(asked) >= 60 else 80


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"-?[\d,]+(\.\d+)?( ?(s|ms|%|KiB|MiB))?", text))
