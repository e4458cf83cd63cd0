"""Reads a command as sh and bash do, far enough to know in which place each value stands.

Owns lists of commands, here-documents, `case`, `[[ … ]]` and nesting; words are read by `core/shellwords.py`. What a
command does with its words is the business of `core/shellrules.py`. Values appear as the mark `DATA`, trusted text as
`SAFE`.

The idea: sh and bash read left to right, so a place is settled by what stands before it. Where bash and dash would read
the text differently, or the lexer meets something rare, it stops (`Lost`) and every value from there on is refused: it
fails closed. A value whose place is no plain word, quote or here-document is refused with the name of its place.

Source: POSIX.1-2024 Shell Command Language 2.3 (token recognition), 2.6, 2.7.4; the bash manual; tried on both shells.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from backfill_cli.core.holes import words
from backfill_cli.core.shellrules import DATA, DYNAMIC, SAFE, Command, Refusal, Word, refuse_command, refuse_pipeline
from backfill_cli.core.shellwords import META, Lost, Quote, Spot, WordScanner

__all__ = ["DATA", "SAFE", "Quote", "Refusal", "Spot", "spots_of"]

_RESERVED: Final = words("if then else elif fi do done while until { } ! time case esac")
_CLOSING: Final = frozenset({"fi", "done", "}", "esac"})
_ARITHMETIC_TESTS: Final = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R", "-t", "-o"})


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
    except Lost as error:
        lost = Refusal(f"in or behind a command with {error}, which cannot be followed with certainty")
        # a command that was not read to its end has not been judged
        for position in positions:
            if position >= scanner.settled:
                scanner.spots[position] = lost
    except RecursionError:
        scanner.spots.clear()
    return tuple(scanner.refused.get(position) or scanner.spots.get(position, lost) for position in positions)


DEEPEST = 40
"""Subshells inside each other: each of them reads what is inside as arithmetic first, and again as commands."""


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


class _Scanner(WordScanner):
    # -- lists of commands -------------------------------------------------------------------------------------------

    def commands(self, closer: str | None) -> None:
        """Reads commands up to and including `closer`, or to the end."""
        level = _Level(len(self.seen))
        self.depth += closer is not None
        if self.depth > DEEPEST:
            raise Lost(f"more than {DEEPEST} parentheses around it")
        while self.pos < self.end:
            character = self.peek()
            if character in " \t" or self.at("\\\n"):
                self.blanks()
            elif character == "\n":
                self.pos += 1
                self.newline(level)
            elif character == "#":
                self.comment()
            elif character == ")":
                self.pos += 1
                if self.closes(level, closer):
                    return
            elif character in ";&|" and not self.at("&>"):
                self.operator(level)
            elif character == "(":
                self.parenthesis(level)
            elif character in "<>&":
                self.redirection(level)
            else:
                self.argument(level)
        if closer:
            raise Lost("an unmatched '('")
        self.end_pipeline(level)

    def closes(self, level: _Level, closer: str | None) -> bool:
        """Behind a `)`: whether it ends this list, rather than a pattern of case."""
        if level.cases and level.cases[-1] == "pattern":
            level.cases[-1] = "body"
            return False
        if not closer:
            raise Lost("an unmatched ')'")
        if level.pending:
            raise Lost("a here-document that begins inside parentheses and ends outside")
        self.end_pipeline(level)
        self.depth -= 1
        return True

    def newline(self, level: _Level) -> None:
        joined = not level.command.words and not level.command.compound and bool(level.pipeline)  # "a |" newline "b"
        if not joined:
            self.end_command(level)
        pending, level.pending = level.pending, []
        for here in pending:
            self.here_document(here)
        if not joined:
            self.end_pipeline(level)

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
                raise Lost("';;' outside of case")
            level.cases[-1] = "pattern"

    def end_command(self, level: _Level) -> None:
        command, level.command = level.command, Command()
        if command.words or command.compound:
            level.pipeline.append(command)
            if refuse_command(command, self.refuse):
                self.settled = 0  # a loop may come back to an assignment that stands before it
                raise Lost("a declaration of integer or reference variables")

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
            raise Lost("'for ('")
        if words:
            is_function = len(words) == 1 or (len(words) == 2 and words[0].plain == "function")
            if is_function and re.match(r"[ \t]*\)", self.text[self.pos : self.end]):
                self.pos = self.text.index(")", self.pos) + 1  # name() { …; }
                level.command = Command()
                return
            raise Lost("a '(' inside a command")
        if level.command.compound:
            raise Lost("a '(' behind a compound command")
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
        starts = command.assignments == len(command.words) and not command.compound
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
            raise Lost("coproc")
        if starts and re.match(r"[A-Za-z_][A-Za-z0-9_]*\[[^\]]*$", word.text):
            raise Lost("a subscript with blanks")
        if command.ends_at_ampersand and word.positions:
            raise Lost("'&>' before an argument")
        command.assignments += starts and word.is_assignment
        command.words.append(word)
        if self.opens_body(command.words):
            level.command = Command()

    @staticmethod
    def opens_body(words: list[Word]) -> bool:
        """`for x do`, `function f {`, `time -p`: what follows is a command of its own without a separator before it."""
        if len(words) > 3:
            return False
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
                    raise Lost("'esac' without case")
                level.cases.pop()
            # what the whole block writes may flow into a pipe
            level.command.compound = True
            level.command.inner += tuple(self.seen[level.first :])

    def case(self, level: _Level) -> None:
        self.blanks()
        self.word()
        self.blanks(newlines=True)
        if self.word().plain != "in":
            raise Lost("'case' without 'in'")
        level.cases.append("pattern")

    # -- [[ … ]] -----------------------------------------------------------------------------------------------------

    def condition(self) -> None:
        """`[[ … ]]`: quoted words are plain text to it, except under the operators that count."""
        first = len(self.seen)
        self.pos += 2
        operators: set[str] = set()
        while True:
            self.blanks(newlines=True)
            if self.pos >= self.end:
                raise Lost("an unmatched '[['")
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
            if self.peek() == "#":
                raise Lost("a comment in '[['")
            is_pattern = "=~" in operators
            if self.peek() in "()<>!" and not is_pattern:
                self.pos += 1
                continue
            if self.peek() in "&|;" and not is_pattern:
                raise Lost("an operator in '[['")
            word = self.word(frozenset(" \t\n") if is_pattern else META)
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
        if text in ("<<<", "<", "<>", "<&"):
            level.command.stdin += target.positions
        elif text in ("<<", "<<-"):
            if set(target.text) & {DATA, SAFE, DYNAMIC, "\n"}:
                raise Lost("a here-document whose end mark is not a plain word")
            level.pending.append(_Here(target.text, target.quoted, text == "<<-", level.command))

    def here_document(self, here: _Here) -> None:
        begin = self.pos
        stop, behind = self.end, self.end
        continued = False
        for line in re.finditer(r"[^\n]*(\n|$)", self.text[begin : self.end]):
            text = line[0].removesuffix("\n")
            if (text.lstrip("\t") if here.strips_tabs else text) == here.delimiter and line[0]:
                if continued and not here.quoted:
                    raise Lost("a here-document whose last line is continued")
                stop, behind = begin + line.start(), begin + line.end()
                break
            continued = (len(text) - len(text.rstrip("\\"))) % 2 == 1
        first = len(self.seen)
        outer, self.end = self.end, stop
        scratch = Word()
        spot = Spot(Quote.HERE_DOCUMENT, delimiter=here.delimiter, strips_tabs=here.strips_tabs)
        if here.quoted:
            with self.refusing("in a quoted here-document", f"write <<{here.delimiter}: values can be escaped there"):
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
