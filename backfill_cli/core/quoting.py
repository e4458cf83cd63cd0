"""Values in shell commands: each is data, put in with the quoting of the place it stands in (contract section 3).

Owns the quoters and the way from a rendering's items to the command. Which place a value stands in is read by
`core/shellscan.py`; which commands would run their arguments as code is the table of `core/shellrules.py`.

The idea: the command is scanned as the shell will read it, after `{% %}` blocks have been decided, with one mark for
each value. So a value's place is never guessed from the template, and no block, loop or `set` can move it. What the
scanner does not understand refuses every value behind it. Dates and identifiers of the run (`Trust.MACRO`) go in as
they are, if they consist of characters no shell takes notice of; otherwise they are data too.

The promise ends where the command's author takes over: `x={{ conf.x }}; eval "$x"` and `$((x))` evaluate a variable
that the template only filled, as they would with one from the environment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from backfill_cli.core.holes import UNDEFINED, Hole, Item, Trust, words
from backfill_cli.core.shellrules import DYNAMIC
from backfill_cli.core.shellscan import DATA, SAFE, Quote, Refusal, Spot, spots_of
from backfill_cli.errors import MacroError

if TYPE_CHECKING:
    from backfill_cli.core.templates import Field

# What a date, a number or an identifier consists of: means nothing to a shell or to SQL, wherever it stands.
SAFE_TEXT: Final = re.compile(r"[A-Za-z0-9_:+./ -]*")
_MARKS: Final = re.compile(f"([{DATA}{SAFE}])")
# Readable without quotes when it is a whole word of its own, and not the command's name.
_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:@%+,-]*")
_CONF_KEY: Final = re.compile(r"""(?:dag_run\.)?conf(?:\.(\w+)|\[(['"])(\w+)\2\])(?![\w.\[])""")
_RESERVED: Final = words("if then else elif fi do done case esac while until for in select function time coproc")


def quote(value: str, spot: Spot) -> str:
    """`value` so that the shell, at this spot, reads exactly its characters and no code.

    Raises:
        MacroError: It holds a NUL, which no shell word can carry, or text that cannot be encoded.
    """
    if "\0" in value:
        raise MacroError(
            "a value holds a NUL character, which no shell command can carry", hint="remove it, or pass a file"
        )
    if not value.isascii():
        try:
            value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise MacroError(
                f"a value holds text that is not Unicode: {error.reason}", hint="mend the value"
            ) from error
    return _QUOTERS[spot.quote](value, spot)


def _word(value: str, spot: Spot) -> str:
    if spot.alone and _PLAIN_WORD.fullmatch(value) and value not in _RESERVED:
        return value
    return "'" + value.replace("'", "'\\''") + "'"


def _in_single(value: str, _: Spot) -> str:
    return value.replace("'", "'\\''")


def _in_double(value: str, _: Spot) -> str:
    # "!" cannot be escaped inside double quotes (the backslash would stay), so it leaves them for a moment
    return re.sub(r'([\\"$`])', r"\\\1", value).replace("!", "\"'!'\"")


def _in_here_document(value: str, spot: Spot) -> str:
    lines = re.sub(r"([\\$`])", r"\\\1", value).split("\n")
    return "\n".join(f"$(){line}" if _needs_guard(line, spot) else line for line in lines)


def _needs_guard(line: str, spot: Spot) -> bool:
    """Whether the line could, with what stands around it, become the end mark or lose its tabs.

    It then starts with `$()`, an expansion of nothing. Non-ASCII is guarded too: dash loses such a byte behind the
    beginning of an end mark.
    """
    first = line[:1]
    return first in spot.delimiter or not first.isascii() or (spot.strips_tabs and first == "\t")


_QUOTERS: Final = {
    Quote.BARE: _word,
    Quote.SINGLE: _in_single,
    Quote.DOUBLE: _in_double,
    Quote.HERE_DOCUMENT: _in_here_document,
}


class Put(NamedTuple):
    """A value that is put in: the number of its hole, its text, and itself."""

    number: int
    text: str
    value: Any


def assemble(holes: Sequence[Hole], items: Sequence[Item]) -> str:
    """The command: literal text as it is, dates and identifiers as they are, everything else quoted for its place.

    Raises:
        MacroError: A value stands where no quoting is safe.
    """
    skeleton, puts = skeleton_of(holes, items)
    outcomes = iter(spots_of(skeleton))
    remaining = iter(puts)
    parts: list[str] = []
    for piece in _MARKS.split(skeleton):
        if piece == SAFE:
            parts.append(next(remaining).text)
        elif piece == DATA:
            put, outcome = next(remaining), next(outcomes)
            hole = holes[put.number]
            if isinstance(outcome, Refusal):
                raise _refused(hole, outcome)
            try:
                parts.append(quote(put.text, outcome))
            except MacroError as error:
                error.where = hole.where
                raise
        else:
            parts.append(piece)
    return "".join(parts)


def skeleton_of(holes: Sequence[Hole], items: Sequence[Item]) -> tuple[str, list[Put]]:
    """The text with a mark for each value that is put in, and those values in order.

    A constant of the template, and what was left as written, are the author's words: literal text.
    """
    parts: list[str] = []
    puts: list[Put] = []
    for item in items:
        if isinstance(item, str):
            parts.append(item)
            continue
        number, value = item
        hole = holes[number]
        if value is UNDEFINED:
            parts.append(hole.source)
            continue
        text = str(value)
        if hole.trust is Trust.CONSTANT:
            parts.append(text)
            continue
        parts.append(SAFE if hole.trust is Trust.MACRO and SAFE_TEXT.fullmatch(text) else DATA)
        puts.append(Put(number, text, value))
    return "".join(parts), puts


def static_skeleton(field: Field) -> tuple[str | None, list[Hole]]:
    """What the skeleton will be when nothing is undefined, and its data holes; None for a field with blocks."""
    pieces = field.pieces
    if pieces is None:
        return None, []
    marks = {Trust.DATA: DATA, Trust.MACRO: SAFE, Trust.CONSTANT: SAFE}
    text = "".join(piece if isinstance(piece, str) else marks[field.holes[piece].trust] for piece in pieces)
    return text, [hole for hole in field.holes if hole.trust is Trust.DATA]


def check(field: Field) -> None:
    """Refuses at compile time what can be seen without values: a field without blocks has the same places every time.

    Raises:
        MacroError: A value stands where no quoting is safe.
    """
    refuse_marks(field)
    skeleton, data_holes = static_skeleton(field)
    if skeleton is not None:
        for hole, outcome in zip(data_holes, spots_of(skeleton), strict=True):
            if isinstance(outcome, Refusal):
                raise _refused(hole, outcome)


def refuse_marks(field: Field) -> None:
    """The marks are noncharacters of Unicode that no text has a use for; a template that holds one could forge a place.

    Raises:
        MacroError: It holds one, or a NUL.
    """
    for mark in (DATA, SAFE, DYNAMIC, "\0"):
        if mark in field.text:
            raise MacroError(f"the template holds the character U+{ord(mark):04X}", hint="remove it")


def _refused(hole: Hole, refusal: Refusal) -> MacroError:
    return MacroError(
        f"'{hole.shown}' stands {refusal.place}, where no quoting is safe",
        hint=_advice(hole, refusal.hint),
        code="unsafe-place",
        where=hole.where,
    )


def _advice(hole: Hole, first: str) -> str:
    """What to write in its place: what the place itself suggests, and what is safe in any place (section 3).

    Of all values only those of a conf are in the environment of every task.
    """
    named = _CONF_KEY.match(hole.inner)
    if named is None:
        argument = f"hand the value to a script as an argument: ./script.sh {hole.shown}"
        return f"{first}; or {argument}" if first else argument
    variable = f"$BFILL_CONF_{(named[1] or named[3]).upper()}"
    if first:  # the variable alone would not do there: arithmetic, for one, evaluates what it finds in it
        return f'{first}; or hand "{variable}" to a script as an argument'
    return f'use "{variable}" from the environment, or hand the value to a script as an argument'
