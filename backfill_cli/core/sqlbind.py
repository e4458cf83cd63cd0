"""Values in SQL: each becomes a bind parameter, `:bfill_0`, `:bfill_1`… (contract section 3).

Owns the scanner that knows in which place of a statement a value stands, and the parameters. Running the statement is
the engine's business; `escape_colons` readies the text for SQLAlchemy's `text()`.

The idea: a value may stand where an expression may, and inside a string literal. A literal that holds one becomes a
parameter as a whole: `'%{{ conf.name }}%'` is `:bfill_0` with the value `%Ann%`. Everywhere else (names, comments,
dollar quotes, parts of a word) no parameter is possible and the template is refused. Dates and identifiers of the run
are put in as text, as in Airflow: `'{{ ds }}'` stays a literal. Where databases read the text differently (a backslash
before a quote, nested comments), every value behind it is refused. A value never becomes text of the statement, so a
misread place costs an error from the database, not an injection.

Source: the SQL standard's lexical rules, with those of SQLite, PostgreSQL and MySQL where they differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from backfill_cli.core.quoting import Put, refuse_marks, skeleton_of, static_skeleton
from backfill_cli.core.shellrules import DATA, SAFE, Refusal
from backfill_cli.errors import MacroError

if TYPE_CHECKING:
    from backfill_cli.core.holes import Hole, Item
    from backfill_cli.core.templates import Field

PREFIX: Final = "bfill_"
_MARKS: Final = re.compile(f"[{DATA}{SAFE}]")
_TOUCHING: Final = re.compile(rf"[A-Za-z0-9_$:@.\"`\[\]'\\{DATA}{SAFE}]")
# Behind these words stands a name, and a name cannot be a parameter.
_BEFORE_NAME: Final = re.compile(
    r"\b(?:(?<!distinct )from|join|into|table|update|view|index|schema|database|column|exists|as|by)\s*$", re.IGNORECASE
)
# Behind these a literal must be a literal: DATE '2024-01-31', E'…', N'…'.
_BEFORE_LITERAL: Final = re.compile(
    r"(?:\b(?:date|time|timestamp|timestamptz|datetime|interval)\s+|[A-Za-z0-9_&\\])$", re.IGNORECASE
)
_DOLLAR_QUOTE: Final = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$")
# what SQLAlchemy's text() takes for a parameter
_COLON_NAME: Final = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")


class Bind(NamedTuple):
    """A stretch of the statement that becomes one parameter: a mark, or a whole string literal with marks in it."""

    start: int
    end: int


class Plan(NamedTuple):
    """What becomes of the `DATA` marks of a statement, by position."""

    binds: tuple[Bind, ...]
    refused: tuple[tuple[int, Refusal], ...]


def assemble(holes: Sequence[Hole], items: Sequence[Item]) -> tuple[str, dict[str, Any]]:
    """The statement, and its parameters by name.

    Raises:
        MacroError: A value stands where no parameter can, or is a list or an object.
    """
    skeleton, puts = skeleton_of(holes, items)
    at = {match.start(): put for match, put in zip(_MARKS.finditer(skeleton), puts, strict=True)}
    plan = plan_of(skeleton)
    for position, refusal in plan.refused:
        raise _refused(holes[at[position].number], refusal)

    def filled(start: int, end: int) -> str:
        return _MARKS.sub(lambda match: at[start + match.start()].text, skeleton[start:end])

    parts: list[str] = []
    binds: dict[str, Any] = {}
    done = 0
    for bind in plan.binds:
        name = f"{PREFIX}{len(binds)}"
        binds[name] = _parameter(skeleton, bind, at, holes, filled)
        parts += (filled(done, bind.start), ":", name)
        done = bind.end
    parts.append(filled(done, len(skeleton)))
    return "".join(parts), binds


def _parameter(
    skeleton: str, bind: Bind, at: dict[int, Put], holes: Sequence[Hole], filled: Callable[[int, int], str]
) -> Any:
    inside = skeleton[bind.start + 1 : bind.end - 1]
    if bind.start in at:
        return _typed(at[bind.start], holes)
    if inside == DATA and at[bind.start + 1].value is None:
        return None  # '{{ conf.x }}' of a null is NULL, not the text None
    # a doubled quote of the template is one character; a doubled quote of a value is two, so pieces are undoubled alone
    marks = [bind.start, *(bind.start + 1 + match.start() for match in _MARKS.finditer(inside)), bind.end - 1]
    pieces = [skeleton[marks[0] + 1 : marks[1]].replace("''", "'")]
    for mark, following in pairwise(marks[1:]):
        pieces += (filled(mark, mark + 1), skeleton[mark + 1 : following].replace("''", "'"))
    return "".join(pieces)


def _typed(put: Put, holes: Sequence[Hole]) -> Any:
    if put.value is None or isinstance(put.value, str | bool | int | float):
        return put.value
    if isinstance(put.value, list | tuple | dict | set):
        hole = holes[put.number]
        raise MacroError(
            f"'{hole.shown}' is a {type(put.value).__name__}, and one parameter holds one value",
            hint="write {% for x in … %}{{ x }}{{ ', ' if not loop.last }}{% endfor %}, or {{ … | tojson }}",
            where=hole.where,
        )
    return put.text


def check(field: Field) -> None:
    """Refuses at compile time what can be seen without values.

    Raises:
        MacroError: A value stands where no parameter can, or the template has a `:bfill_…` of its own.
    """
    refuse_marks(field)
    if f":{PREFIX}" in field.text:
        raise MacroError(f"the statement has a parameter ':{PREFIX}…' of its own", hint="give it another name")
    skeleton, data_holes = static_skeleton(field)
    if skeleton is None:
        return
    positions = [match.start() for match in re.finditer(DATA, skeleton)]
    for position, refusal in plan_of(skeleton).refused:
        raise _refused(data_holes[positions.index(position)], refusal)


def escape_colons(text: str, names: Collection[str]) -> str:
    """`text` for SQLAlchemy's `text()`: a `:word` that is not one of `names` gets a backslash and stays as written."""
    return _COLON_NAME.sub(lambda match: match[0] if match[1] in names else "\\" + match[0], text)


def _refused(hole: Hole, refusal: Refusal) -> MacroError:
    return MacroError(
        f"'{hole.shown}' stands {refusal.place}, where SQL takes no parameter",
        hint=refusal.hint or "move it to where an expression stands, or choose the text with {% if %}",
        code="unsafe-place",
        where=hole.where,
    )


# --- the scanner ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1_024)
def plan_of(skeleton: str) -> Plan:
    """Where each `DATA` mark stands, and what becomes of it."""
    if DATA not in skeleton:
        return Plan((), ())
    scanner = _Scanner(skeleton)
    try:
        scanner.run()
    except _Lost as error:
        place = Refusal(f"behind {error}, which databases read differently")
        scanner.refuse(scanner.pos, len(skeleton), place)
    return Plan(tuple(scanner.binds), tuple(scanner.refused))


class _Lost(Exception):
    """From here on databases would disagree."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.binds: list[Bind] = []
        self.refused: list[tuple[int, Refusal]] = []

    def run(self) -> None:
        interesting = re.compile(rf"['\"`\[#$]|--|/\*|{DATA}")
        while match := interesting.search(self.text, self.pos):
            self.pos = match.start()
            _READERS[match[0]](self)

    def refuse(self, start: int, end: int, refusal: Refusal) -> None:
        self.refused += [(at, refusal) for at in range(start, end) if self.text[at] == DATA]

    def quoted_until(self, mark: str) -> int:
        """Position behind the closing mark; a doubled one is part of the text."""
        at = self.pos + 1
        while (found := self.text.find(mark, at)) >= 0:
            if self.text[found - 1] == "\\" and found - 1 > self.pos:
                raise _Lost(f"a backslash before {mark}")
            if not self.text.startswith(mark, found + 1):
                return found + 1
            at = found + 2
        raise _Lost(f"an unmatched {mark}")

    def literal(self) -> None:
        end = self.quoted_until("'")
        if DATA in self.text[self.pos : end]:
            before = self.text[: self.pos]
            if _BEFORE_LITERAL.search(before[-20:]):
                hint = "write CAST('{{ … }}' AS date), or leave the prefix of the quote out"
                self.refuse(self.pos, end, Refusal("in a literal that must be constant", hint))
            elif "\\" in self.text[self.pos : end]:
                self.refuse(self.pos, end, Refusal("in a literal with backslashes", "leave the backslashes out"))
            else:
                self.binds.append(Bind(self.pos, end))
        self.pos = end

    def name(self) -> None:
        end = self.quoted_until(self.text[self.pos])
        self.refuse(self.pos, end, Refusal("in a quoted name", _NAME_HINT))
        self.pos = end

    def brackets(self) -> None:
        end = self.text.find("]", self.pos) + 1
        inside = self.text[self.pos : end]
        if not end or any(inside.count(mark) % 2 for mark in "'\"`"):
            raise _Lost("a quote in square brackets")
        self.refuse(self.pos, end, Refusal("in square brackets"))
        self.pos = end

    def line_comment(self) -> None:
        end = self.text.find("\n", self.pos)
        end = len(self.text) if end < 0 else end
        begin = 2 if self.text.startswith("--", self.pos) else 1
        rest = self.text[self.pos + begin : end]
        self.refuse(self.pos, end, Refusal("in a comment"))
        # MySQL needs a blank behind --, and alone knows #: where that matters, nobody can tell what is a comment
        certain = begin == 2 and rest[:1] in ("", " ", "\t")
        self.pos = end
        if not certain and re.search(r"['\"`]|/\*", rest):
            raise _Lost(f"quotes behind '{'--' if begin == 2 else '#'}'")

    def block_comment(self) -> None:
        end = self.text.find("*/", self.pos + 2)
        if end < 0 or "/*" in self.text[self.pos + 2 : end]:
            raise _Lost("a comment in a comment")
        self.refuse(self.pos, end, Refusal("in a comment"))
        self.pos = end + 2

    def dollar(self) -> None:
        opening = _DOLLAR_QUOTE.match(self.text, self.pos)
        if not opening:
            self.pos += 1
            return
        end = self.text.find(opening[0], opening.end())
        if end < 0:
            raise _Lost("an unmatched dollar quote")
        self.refuse(self.pos, end, Refusal("in a dollar quote"))
        self.pos = end + len(opening[0])

    def value(self) -> None:
        before, behind = self.text[max(self.pos - 40, 0) : self.pos], self.text[self.pos + 1 : self.pos + 2]
        if behind == ":":
            self.refuse(self.pos, self.pos + 1, Refusal("before '::'", "write CAST({{ … }} AS integer)"))
        elif _TOUCHING.match(before[-1:]) or _TOUCHING.match(behind):
            self.refuse(self.pos, self.pos + 1, Refusal("joined to other text", _NAME_HINT))
        elif _BEFORE_NAME.search(before):
            self.refuse(self.pos, self.pos + 1, Refusal("where a name is expected", _NAME_HINT))
        else:
            self.binds.append(Bind(self.pos, self.pos + 1))
        self.pos += 1


_NAME_HINT: Final = "a name cannot be a parameter: write {{ … | identifier }}, which lets only plain names through"

_READERS: Final[dict[str, Callable[[_Scanner], None]]] = {
    "'": _Scanner.literal,
    '"': _Scanner.name,
    "`": _Scanner.name,
    "[": _Scanner.brackets,
    "--": _Scanner.line_comment,
    "#": _Scanner.line_comment,
    "/*": _Scanner.block_comment,
    "$": _Scanner.dollar,
    DATA: _Scanner.value,
}
