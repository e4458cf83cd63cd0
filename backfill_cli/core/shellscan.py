"""Reads a command as sh and bash do, far enough to know in which place each value stands.

Owns the lexer: words, quotes, expansions, here-documents, `case`, `[[ … ]]`, nesting. What a command does with its words
is the business of `core/shellrules.py`. Values appear as the mark `DATA`, trusted text as `SAFE`.

The idea: sh and bash read left to right, so a place is settled by what stands before it. Where bash and dash would read
the text differently, or the lexer meets something rare, it stops (`_Lost`) and every value from there on is refused: it
fails closed. A value whose place is no plain word, quote or here-document is refused with the name of its place.

Source: POSIX.1-2024 Shell Command Language 2.3 (token recognition), 2.6, 2.7.4; the bash manual; tried on bash and dash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from backfill_cli.core.shellrules import DATA, DYNAMIC, SAFE, Command, Refusal, Word, refuse_command, refuse_pipeline

__all__ = ["DATA", "SAFE", "Quote", "Refusal", "Spot", "spots_of"]

_META: Final = frozenset(" \t\n;&|()<>")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED: Final = frozenset("if then else elif fi do done while until { } ! time case esac".split())
_CLOSING: Final = frozenset({"fi", "done", "}", "esac"})
_ARITHMETIC_TESTS: Final = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R", "-t", "-o"})


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


@lru_cache(maxsize=1_024)
def spots_of(skeleton: str) -> tuple[Spot | Refusal, ...]:
    """For each `DATA` mark in order: the spot to quote it for, or why it is refused."""
    positions = [match.start() for match in re.finditer(DATA, skeleton)]
    if not positions:
        return ()
    scanner = _Scanner(skeleton)
    lost = Refusal("in shell text that cannot be followed with certainty")
    try:
        scanner.commands(None)
    except _Lost as error:
        lost = Refusal(f"in or behind a command with {error}, which cannot be followed with certainty")
        # a command that was not read to its end has not been judged
        for position in positions:
            if position >= scanner.settled:
                scanner.spots[position] = lost
    except RecursionError:
        scanner.spots.clear()
    return tuple(scanner.refused.get(position) or scanner.spots.get(position, lost) for position in positions)


class _Lost(Exception):
    """The text from here on could be read in more than one way."""


class _Here(NamedTuple):
    delimiter: str
    quoted: bool
    strips_tabs: bool
    command: Command


class _Level:
    """One list of commands: the top, a subshell, or a command substitution."""

    def __init__(self, first: int) -> None:
        self.command = Command()
        self.pipeline: list[Command] = []
        self.pending: list[_Here] = []
        self.cases: list[str] = []
        self.first = first


class _Scanner:
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
            raise _Lost("an operator that goes on behind a line continuation")

    # -- lists of commands -------------------------------------------------------------------------------------------

    def commands(self, closer: str | None) -> None:
        """Reads commands up to and including `closer`, or to the end."""
        level = _Level(len(self.seen))
        self.depth += closer is not None
        while self.pos < self.end:
            character = self.peek()
            if character in " \t":
                self.pos += 1
            elif self.at("\\\n"):
                self.pos += 2
            elif character == "\n":
                self.pos += 1
                self.newline(level)
            elif character == "#":
                self.comment()
            elif character == ")":
                if level.cases and level.cases[-1] == "pattern":
                    self.pos += 1
                    level.cases[-1] = "body"
                elif closer:
                    if level.pending:
                        raise _Lost("a here-document that begins inside parentheses and ends outside")
                    self.pos += 1
                    self.end_pipeline(level)
                    self.depth -= 1
                    return
                else:
                    raise _Lost("an unmatched ')'")
            elif character in ";&|" and not self.at("&>"):
                self.operator(level)
            elif character == "(":
                self.parenthesis(level)
            elif character in "<>&":
                self.redirection(level)
            else:
                self.argument(level)
        if closer:
            raise _Lost("an unmatched '('")
        self.end_pipeline(level)

    def newline(self, level: _Level) -> None:
        joined = not level.command.words and not level.command.compound and bool(level.pipeline)  # "a |" newline "b"
        if not joined:
            self.end_command(level)
        pending, level.pending = level.pending, []
        for here in pending:
            self.here_document(here)
        if not joined:
            self.end_pipeline(level)

    def comment(self) -> None:
        with self.refusing("in a comment", "a line end in the value would end the comment: remove it from there"):
            while self.pos < self.end and self.peek() != "\n":
                if self.peek() == DATA:
                    self.mark(Spot(Quote.BARE))
                else:
                    self.pos += 1

    def operator(self, level: _Level) -> None:
        for text in (";;&", ";;", ";&", "&&", "||", "|&", "|", "&", ";"):
            if self.at(text):
                self.pos += len(text)
                break
        in_pattern = bool(level.cases) and level.cases[-1] == "pattern"
        if in_pattern:
            return
        self.end_command(level)
        if text not in ("|", "|&"):
            self.end_pipeline(level)
        if text in (";;&", ";;", ";&"):
            if not level.cases:
                raise _Lost("';;' outside of case")
            level.cases[-1] = "pattern"

    def end_command(self, level: _Level) -> None:
        command, level.command = level.command, Command()
        if command.words or command.compound:
            level.pipeline.append(command)
            if refuse_command(command, self.refuse):
                self.settled = 0  # a loop may come back to an assignment that stands before it
                raise _Lost("a declaration of integer or reference variables")

    def end_pipeline(self, level: _Level) -> None:
        self.end_command(level)
        refuse_pipeline(level.pipeline, self.refuse)
        level.pipeline = []
        if self.depth == 0 and not level.pending:
            self.settled = self.pos

    def parenthesis(self, level: _Level) -> None:
        words = level.command.words
        if level.cases and level.cases[-1] == "pattern":
            self.pos += 1
            return
        start = len(self.seen)
        self.pos += 1
        self.no_continuation()
        is_for = [word.text for word in words] == ["for"]
        if (not words or is_for) and self.peek() == "(":
            self.pos += 1
            if self.arithmetic():
                level.command = Command(compound=not is_for)
                return
            self.pos -= 1
        if is_for:
            raise _Lost("'for ('")
        if words:
            is_function = len(words) == 1 or (len(words) == 2 and words[0].plain == "function")
            if is_function and re.match(r"[ \t]*\)", self.text[self.pos : self.end]):
                self.pos = self.text.index(")", self.pos) + 1  # name() { …; }
                level.command = Command()
                return
            raise _Lost("a '(' inside a command")
        if level.command.compound:
            raise _Lost("a '(' behind a compound command")
        self.commands(")")
        level.command.compound = True
        level.command.inner += tuple(self.seen[start:])

    def argument(self, level: _Level) -> None:
        if level.cases and level.cases[-1] == "pattern":
            with self.refusing("in a pattern of case"):
                if self.word().plain == "esac":
                    level.cases.pop()
                    level.command.compound = True
            return
        command = level.command
        starts = not any(not word.is_assignment for word in command.words) and not command.compound
        if starts and self.at("[[") and self.peek(2) in (" ", "\t", "\n"):
            self.condition()
            command.compound = True
            return
        word = self.word()
        if self.peek() in ("<", ">") and re.fullmatch(r"[0-9]+|\{[A-Za-z_][A-Za-z0-9_]*\}", word.plain):
            return  # the number of a redirection
        if not command.words and word.plain in _RESERVED:
            self.reserved(level, word.plain)
            return
        if not command.words and word.plain == "coproc":
            raise _Lost("coproc")
        if starts and re.match(r"[A-Za-z_][A-Za-z0-9_]*\[[^\]]*$", word.text):
            raise _Lost("a subscript with blanks")
        if command.ends_at_ampersand and word.positions:
            raise _Lost("'&>' before an argument")
        command.words.append(word)
        if self.opens_body(command.words):
            level.command = Command()

    @staticmethod
    def opens_body(words: list[Word]) -> bool:
        """`for x do`, `function f {`, `time -p`: what follows is a command of its own without a separator before it."""
        plain = [word.plain for word in words]
        if len(plain) == 3:
            return (plain[0] in ("for", "select") and plain[2] in ("do", "{")) or (
                plain[0] == "function" and plain[2] == "{"
            )
        return len(plain) == 1 and plain[0] in ("-p", "--")

    def reserved(self, level: _Level, word: str) -> None:
        if word == "case":
            self.case(level)
        elif word in _CLOSING:
            if word == "esac":
                if not level.cases:
                    raise _Lost("'esac' without case")
                level.cases.pop()
            # what the whole block writes may flow into a pipe
            level.command.compound = True
            level.command.inner += tuple(self.seen[level.first :])

    def case(self, level: _Level) -> None:
        self.blanks()
        self.word()
        self.blanks(newlines=True)
        if self.word().plain != "in":
            raise _Lost("'case' without 'in'")
        level.cases.append("pattern")

    def blanks(self, newlines: bool = False) -> None:
        while self.pos < self.end:
            if self.peek() in " \t" or (newlines and self.peek() == "\n"):
                self.pos += 1
            elif self.at("\\\n"):
                self.pos += 2
            else:
                return

    # -- words -------------------------------------------------------------------------------------------------------

    def word(self, stops: frozenset[str] = _META) -> Word:
        """One word, its quotes removed; DYNAMIC stands for each expansion."""
        word = Word()
        start, first = self.pos, len(self.seen)
        while self.pos < self.end and self.peek() not in stops:
            self.part(word, start)
            if self.peek() == "(" and word.is_assignment and word.text.endswith("="):
                self.array(word)
        if self.pos == start:
            raise _Lost(f"an unexpected {self.peek()!r}" if self.peek() else "a missing word")
        if self.peek() == "(" and word.text[-1:] in "?*+@!=" and "(" in stops and not word.quoted:
            raise _Lost("an extended pattern")
        word.positions = tuple(self.seen[first:])
        return word

    def part(self, word: Word, start: int) -> None:
        character = self.peek()
        if character == DATA:
            if re.match(r"[A-Za-z_][A-Za-z0-9_]*\[[^\]]*$", word.text):
                self.mark(Refusal("in an array subscript"))
            else:
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
            raise _Lost("a backslash at the end")
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
                raise _Lost("an unmatched single quote")
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
                raise _Lost("an unmatched double quote")
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
            raise _Lost("'$['")
        elif following == "'" and not in_double:
            self.ansi_c()
        elif following == '"' and not in_double:
            with self.refusing('in $"…"'):
                self.double(Word())
        elif name := _NAME.match(self.text, self.pos, self.end):
            self.pos = name.end()
        elif following and following in "@*#?-$!0123456789":
            self.pos += 1
        else:
            word.text = word.text[:-1] + "$"

    def ansi_c(self) -> None:
        """`$'…'`: bash reads escapes, dash a $ and a plain quote. They agree unless a quote is escaped."""
        self.pos += 1
        with self.refusing("in $'…'"):
            while self.peek() != "'":
                if self.pos >= self.end or self.at("\\'") or self.at("\\\\"):
                    raise _Lost("an escape in $'…' that sh and bash read differently")
                if self.peek() == DATA:
                    self.mark(Spot(Quote.SINGLE))
                else:
                    self.pos += 1
        self.pos += 1

    def arithmetic(self) -> bool:
        """Behind `((`: reads to the matching `))`. False, and nothing moved, when these were two subshells after all."""
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
                    raise _Lost("an unmatched '${'")
                if self.peek() == "{" or (in_double and self.peek() in "'\""):
                    raise _Lost("quotes or braces inside ${…}")
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
                    raise _Lost("an unmatched backtick")
                if self.peek() == "\\" and self.peek(1) != DATA:
                    self.pos += 2
                elif self.peek() == DATA:
                    self.mark(Spot(Quote.BARE))
                else:
                    self.pos += 1
        # a backtick inside quotes inside backticks ends them in one shell and not in another
        if not _is_balanced(self.text[begin : self.pos]):
            raise _Lost("quotes in backticks")
        self.pos += 1

    # -- [[ … ]] -----------------------------------------------------------------------------------------------------

    def condition(self) -> None:
        """`[[ … ]]`: quoted words are plain text to it, except under the operators that count."""
        first = len(self.seen)
        self.pos += 2
        operators: set[str] = set()
        while True:
            self.blanks(newlines=True)
            if self.pos >= self.end:
                raise _Lost("an unmatched '[['")
            if self.at("&&") or self.at("||"):
                self.pos += 2
                operators.discard("=~")
                self.blanks(newlines=True)
                if self.text.startswith((DATA, f'"{DATA}', f"'{DATA}"), self.pos):
                    # a shell without [[ reads a new command here
                    self.refuse(
                        (self.text.index(DATA, self.pos),), Refusal("behind && or || in [[ … ]]", "write two [[ … ]]")
                    )
                continue
            is_pattern = "=~" in operators
            if self.peek() in "()<>!" and not is_pattern:
                self.pos += 1
                continue
            if self.peek() in "&|;" and not is_pattern:
                raise _Lost("an operator in '[['")
            word = self.word(frozenset(" \t\n") if is_pattern else _META)
            if word.plain == "]]":
                break
            operators.discard("=~")  # a pattern is one word
            operators.add(word.plain)
        if operators & _ARITHMETIC_TESTS:
            place = Refusal("in a [[ … ]] that counts", "write it as a number: {{ … | int }}")
            self.refuse(tuple(self.seen[first:]), place)

    # -- redirections ------------------------------------------------------------------------------------------------

    def redirection(self, level: _Level) -> None:
        for text in ("&>>", "&>", "<<<", "<<-", "<<", "<&", "<>", "<(", ">>", ">&", ">|", ">(", "<", ">"):
            if self.at(text):
                self.pos += len(text)
                break
        self.no_continuation()
        if text.startswith("&") and level.command.words:
            # a shell without &> reads "&" and begins a new command: what follows the file must not be a value
            level.command.ends_at_ampersand = True
        if text in ("<(", ">("):
            first = len(self.seen)
            self.commands(")")
            level.command.words.append(Word(DYNAMIC, positions=tuple(self.seen[first:])))
            return
        self.blanks()
        if self.peek() in ("<", ">") and self.peek(1) == "(":
            self.redirection(level)  # < <(command)
            return
        target = self.word()
        if text == "<<<":
            level.command.stdin += target.positions
        elif text in ("<<", "<<-"):
            if set(target.text) & {DATA, SAFE, DYNAMIC, "\n"}:
                raise _Lost("a here-document whose end mark is not a plain word")
            level.pending.append(_Here(target.text, target.quoted, text == "<<-", level.command))

    def here_document(self, here: _Here) -> None:
        begin = self.pos
        stop, behind = self.end, self.end
        continued = False
        for line in re.finditer(r"[^\n]*(\n|$)", self.text[begin : self.end]):
            text = line[0].removesuffix("\n")
            if (text.lstrip("\t") if here.strips_tabs else text) == here.delimiter and line[0]:
                if continued and not here.quoted:
                    raise _Lost("a here-document whose last line is continued")
                stop, behind = begin + line.start(), begin + line.end()
                break
            continued = (len(text) - len(text.rstrip("\\"))) % 2 == 1
        first = len(self.seen)
        outer, self.end = self.end, stop
        scratch = Word()
        spot = Spot(Quote.HERE_DOCUMENT, delimiter=here.delimiter, strips_tabs=here.strips_tabs)
        if here.quoted:
            with self.refusing(
                "in a quoted here-document", f"write <<{here.delimiter} without quotes: values can be escaped there"
            ):
                while self.pos < stop:
                    if self.peek() == DATA:
                        self.mark(spot)
                    else:
                        self.pos += 1
        else:
            while self.pos < stop:
                if self.peek() == DATA:
                    self.mark(spot)
                elif self.peek() in ("$", "`"):
                    # the shell looks for the end mark before it looks at the quotes inside $(…)
                    with self.refusing("in an expansion inside a here-document"):
                        self.in_double(scratch, spot)
                else:
                    self.in_double(scratch, spot)
        self.end = outer
        self.pos = behind
        here.command.stdin += tuple(self.seen[first:])
        refuse_command(here.command, self.refuse)


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


_Refuse = Callable[[tuple[int, ...], Refusal], None]
