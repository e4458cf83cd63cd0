"""Words as sh and bash read them: quotes, escapes, expansions, and the place of each value among them.

Owns `WordScanner`, the half of the shell lexer below the level of commands, and `Spot`, its answer. Lists of commands,
here-documents and `[[ … ]]` are read by `core/shellscan.py`, which extends it: `$(…)` needs both halves.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final, NamedTuple

from backfill_cli.core.shellrules import DATA, DYNAMIC, Refusal, Word

META: Final = frozenset(" \t\n;&|()<>")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Quote(StrEnum):
    """The places in which a value can be quoted."""

    BARE = "bare"
    SINGLE = "single"
    DOUBLE = "double"
    HERE_DOCUMENT = "here-document"


class Spot(NamedTuple):
    """Where a value stands.

    Args:
        alone: For BARE: it is a whole argument by itself.
        delimiter: For HERE_DOCUMENT: the line that ends it; `strips_tabs` for `<<-`.
    """

    quote: Quote
    alone: bool = False
    delimiter: str = ""
    strips_tabs: bool = False


class Lost(Exception):
    """The text from here on could be read in more than one way."""


class WordScanner(ABC):
    """Reads words and remembers, by position, the spot or the refusal of each value."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.end = len(text)
        self.spots: dict[int, Spot | Refusal] = {}
        self.refused: dict[int, Refusal] = {}
        self.seen: list[int] = []
        self.reason: Refusal | None = None
        self.depth = 0
        self.settled = 0
        """Everything before this position belongs to finished commands of the top level."""

    # -- small steps -------------------------------------------------------------------------------------------------

    def peek(self, offset: int = 0) -> str:
        """The character there, empty at the end."""
        at = self.pos + offset
        return self.text[at] if at < self.end else ""

    def at(self, text: str) -> bool:
        return self.text.startswith(text, self.pos) and self.pos + len(text) <= self.end

    def mark(self, spot: Spot | Refusal) -> None:
        """Settles the value at the current position and steps over it."""
        self.spots[self.pos] = self.reason or spot
        self.seen.append(self.pos)
        self.pos += 1

    def refuse(self, positions: tuple[int, ...], refusal: Refusal) -> None:
        for position in positions:
            self.refused.setdefault(position, refusal)

    @contextmanager
    def refusing(self, place: str, hint: str = "") -> Iterator[None]:
        """Every value met inside is refused; the outermost place is named."""
        before = self.reason
        self.reason = before or Refusal(place, hint)
        try:
            yield
        finally:
            self.reason = before

    def no_continuation(self) -> None:
        # "$\<newline>(": the shell joins the lines before it reads the token
        if self.at("\\\n"):
            raise Lost("an operator that goes on behind a line continuation")

    @abstractmethod
    def commands(self, closer: str | None) -> None:
        """Reads commands up to and including `closer`, or to the end."""

    def blanks(self, newlines: bool = False) -> None:
        while self.pos < self.end:
            if self.peek() in " \t" or (newlines and self.peek() == "\n"):
                self.pos += 1
            elif self.at("\\\n"):
                self.pos += 2
            else:
                return

    def comment(self) -> None:
        with self.refusing("in a comment", "a line end in the value would end the comment: remove it from there"):
            while self.pos < self.end and self.peek() != "\n":
                if self.peek() == DATA:
                    self.mark(Spot(Quote.BARE))
                else:
                    self.pos += 1

    # -- words -------------------------------------------------------------------------------------------------------

    def word(self, stops: frozenset[str] = META) -> Word:
        """One word, its quotes removed; DYNAMIC stands for each expansion."""
        word = Word()
        start, first = self.pos, len(self.seen)
        while self.pos < self.end and self.peek() not in stops:
            self.part(word, start)
            if self.peek() == "(" and word.is_assignment and word.text.endswith("="):
                self.array(word)
        if self.pos == start:
            raise Lost(f"an unexpected {self.peek()!r}" if self.peek() else "a missing word")
        if self.peek() == "(" and word.text[-1:] in "?*+@!=" and "(" in stops and not word.quoted:
            raise Lost("an extended pattern")
        word.positions = tuple(self.seen[first:])
        if re.match(rf"[A-Za-z_][A-Za-z0-9_]*\[[^\]]*{DATA}", word.text):
            self.refuse(word.positions, Refusal("in an array subscript"))
        return word

    def part(self, word: Word, start: int) -> None:
        character = self.peek()
        if character == DATA:
            follows = self.peek(1) or "\n"
            alone = self.pos == start and self.text[start - 1 : start] in (" ", "\t") and follows in " \t\n;|&)"
            self.mark(Spot(Quote.BARE, alone))
            word.text += DATA
        elif character == "\\":
            self.escape(word)
        elif character == "'":
            self.single(word)
        elif character == '"':
            self.double(word)
        elif character == "`":
            self.backtick(word)
        elif character == "$":
            self.dollar(word, in_double=False)
        else:
            word.text += character
            self.pos += 1

    def escape(self, word: Word) -> None:
        self.pos += 1
        if self.pos >= self.end:
            raise Lost("a backslash at the end")
        if self.peek() == DATA:
            self.mark(Refusal("right behind a backslash"))
            word.text += DATA
        elif self.peek() == "\n":
            self.pos += 1
        else:
            word.text += self.peek()
            word.quoted = True
            self.pos += 1

    def single(self, word: Word) -> None:
        word.quoted = True
        self.pos += 1
        while self.peek() != "'":
            if self.pos >= self.end:
                raise Lost("an unmatched single quote")
            word.text += self.peek()
            if self.peek() == DATA:
                self.mark(Spot(Quote.SINGLE))
            else:
                self.pos += 1
        self.pos += 1

    def double(self, word: Word) -> None:
        word.quoted = True
        self.pos += 1
        while self.peek() != '"':
            if self.pos >= self.end:
                raise Lost("an unmatched double quote")
            self.in_double(word, Spot(Quote.DOUBLE))
        self.pos += 1

    def in_double(self, word: Word, spot: Spot) -> None:
        """One step inside double quotes, or inside a here-document, which reads alike but for the quote itself."""
        character = self.peek()
        if character == DATA:
            word.text += DATA
            self.mark(spot)
        elif character == "\\":
            if self.peek(1) == DATA:
                self.pos += 1
                self.mark(Refusal("right behind a backslash"))
            else:
                word.text += self.peek(1) if self.peek(1) in '$`"\\' else self.text[self.pos : self.pos + 2]
                self.pos += 2
        elif character == "`":
            self.backtick(word)
        elif character == "$":
            self.dollar(word, in_double=True)
        else:
            word.text += character
            self.pos += 1

    def array(self, word: Word) -> None:
        self.pos += 1
        while True:
            self.blanks(newlines=True)
            if self.peek() == ")":
                self.pos += 1
                break
            if self.peek() == "#":
                self.comment()
            elif self.peek() == "[":
                with self.refusing("in an array subscript"):
                    self.word()
            else:
                self.word()
        word.text += DYNAMIC

    # -- expansions --------------------------------------------------------------------------------------------------

    def dollar(self, word: Word, in_double: bool) -> None:
        self.pos += 1
        self.no_continuation()
        following = self.peek()
        word.text += DYNAMIC
        if following == DATA:
            self.mark(Refusal("right behind a $"))
        elif following == "(":
            self.pos += 1
            self.no_continuation()
            if self.peek() == "(":
                self.pos += 1
                if self.arithmetic():
                    return
                self.pos -= 1
            self.commands(")")
        elif following == "{":
            self.pos += 1
            self.parameter(in_double)
        elif following == "[":
            raise Lost("'$['")
        elif following == "'" and not in_double:
            self.ansi_c()
        elif following == '"' and not in_double:
            with self.refusing('in $"…"'):
                self.double(Word())
        elif name := _NAME.match(self.text, self.pos, self.end):
            self.pos = name.end()
        elif following == "$":
            self.pos += 1
            if self.peek() in ("$", "(", "{", "[", "'", '"', "`", "\\", DATA):
                raise Lost("'$$' before an expansion")  # bash looks for its end as if the second $ began it
        elif following and following in "@*#?-!0123456789":
            self.pos += 1
        else:
            word.text = word.text[:-1] + "$"

    def ansi_c(self) -> None:
        """`$'…'`: bash reads escapes, dash a $ and a plain quote. They agree unless a quote is escaped."""
        self.pos += 1
        with self.refusing("in $'…'"):
            while self.peek() != "'":
                if self.pos >= self.end or self.at("\\'") or self.at("\\\\"):
                    raise Lost("an escape in $'…' that sh and bash read differently")
                if self.peek() == DATA:
                    self.mark(Spot(Quote.SINGLE))
                else:
                    self.pos += 1
        self.pos += 1

    def arithmetic(self) -> bool:
        """Behind `((`: reads to the matching `))`. False, and nothing moved, when it was two subshells after all."""
        saved = self.pos, dict(self.spots), len(self.seen), dict(self.refused)
        depth = 0
        scratch = Word()
        with self.refusing("in arithmetic", "write it as a number: {{ … | int }}"):
            while self.pos < self.end:
                character = self.peek()
                if character == ")":
                    self.pos += 1
                    if depth == 0:
                        if self.peek() == ")":
                            self.pos += 1
                            return True
                        break
                    depth -= 1
                elif character == "(":
                    depth += 1
                    self.pos += 1
                else:
                    self.part(scratch, -1)
        self.pos, self.spots, count, self.refused = saved
        del self.seen[count:]
        return False

    def parameter(self, in_double: bool) -> None:
        """Behind `${`: reads to the matching brace."""
        scratch = Word()
        with self.refusing("inside ${…}"):
            while self.peek() != "}":
                if self.pos >= self.end:
                    raise Lost("an unmatched '${'")
                if self.peek() == "{" or (in_double and self.peek() in "'\""):
                    raise Lost("quotes or braces inside ${…}")
                if in_double:
                    self.in_double(scratch, Spot(Quote.DOUBLE))
                else:
                    self.part(scratch, -1)
        self.pos += 1

    def backtick(self, word: Word) -> None:
        word.text += DYNAMIC
        self.pos += 1
        begin = self.pos
        with self.refusing("in backticks", "write $(…) in their place: values can be quoted there"):
            while self.peek() != "`":
                if self.pos >= self.end:
                    raise Lost("an unmatched backtick")
                if self.peek() == "\\" and self.peek(1) != DATA:
                    self.pos += 2
                elif self.peek() == DATA:
                    self.mark(Spot(Quote.BARE))
                else:
                    self.pos += 1
        # a backtick inside quotes inside backticks ends them in one shell and not in another
        if not _is_balanced(self.text[begin : self.pos]):
            raise Lost("quotes in backticks")
        self.pos += 1


def _is_balanced(text: str) -> bool:
    """Whether the quotes in it close each other: not inside quotes at its end."""
    open_quote = ""
    skip = False
    for character in text:
        if skip:
            skip = False
        elif character == "\\" and open_quote != "'":
            skip = True
        elif open_quote:
            open_quote = "" if character == open_quote else open_quote
        elif character in "'\"":
            open_quote = character
    return not open_quote
