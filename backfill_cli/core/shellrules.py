"""Commands that run their arguments or their input as code: where a quoted value would still not be data.

Owns the table of such commands and what of them is code. The words come from `core/shellscan.py`, which has already
settled the quoting; this module only takes permission back. It knows the shell and its builtins; a program that merely
parses its arguments (awk, sed, jq) is not the shell, and its author decides what reaches it.

Source: the bash manual's builtins; `[ -v`, `printf -v`, `read`, `unset`, `declare` and integer variables evaluate array
subscripts, and with them `$(…)`, found in *any* text they are given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from backfill_cli.core.holes import words

DATA: Final = "\ufdd0"
SAFE: Final = "\ufdd1"
DYNAMIC: Final = "\ufdd2"

_SHELLS: Final = words("sh bash dash ash ksh mksh zsh fish rbash busybox")
_ALL_CODE: Final = words("""
    eval let trap alias read mapfile readarray unset getopts compgen complete bind enable fc wait hash
    ssh rsh mosh su watch parallel at batch script source .
    """)
_WRAPPERS: Final = words(
    "exec command builtin sudo doas env nohup nice ionice timeout setsid stdbuf xargs chroot flock"
)
# operands that stand before the command's name is settled
_OPERANDS: Final = {"timeout": 2, "chroot": 2, "flock": 2}
_REMOTE: Final = words("ssh rsh mosh su at batch parallel")
_DECLARING: Final = words("declare typeset local readonly export")
# program → the options whose argument is program text
_INTERPRETERS: Final = {"perl": "eE", "ruby": "e", "node": "ep", "php": "r", "lua": "e"}
_PRINTS: Final = frozenset({"echo", "printf", ":", "true", "grep", "test", "["})
# Variables that the shell expands, evaluates or runs by itself.
_LIVE_VARIABLES: Final = words("""
    PS0 PS1 PS2 PS4 PROMPT_COMMAND ENV BASH_ENV SHELLOPTS BASHOPTS RANDOM SRANDOM SECONDS LINENO OPTIND HISTCMD
    EPOCHSECONDS EPOCHREALTIME BASHPID PPID UID EUID BASH_ARGV0 COMP_POINT COMP_CWORD MAILCHECK DIRSTACK IFS PATH
    LD_PRELOAD LD_LIBRARY_PATH
    """)
_ASSIGNMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^\]]*\])?\+?=")
_BINARY: Final = words("= == != < > -eq -ne -lt -le -gt -ge -nt -ot -ef")
_UNARY: Final = words("-n -z -e -f -d -r -w -x -s -L -h -p -S -b -c -g -u -k -O -G")


class Refusal(NamedTuple):
    """Why a value cannot stand where it stands: `place` completes "it stands …"."""

    place: str
    hint: str = ""


@dataclass(slots=True)
class Word:
    """One word, quotes removed. `text` holds DATA, SAFE and DYNAMIC marks; `positions`: all values in it."""

    text: str = ""
    quoted: bool = False
    positions: tuple[int, ...] = ()

    @property
    def plain(self) -> str:
        """The text of a word without quotes; empty for one with them: it cannot be a reserved word."""
        return "" if self.quoted else self.text

    @property
    def is_assignment(self) -> bool:
        return _ASSIGNMENT.match(self.text) is not None

    @property
    def is_static(self) -> bool:
        """Whether its text is known: neither value nor expansion in it."""
        return DATA not in self.text and DYNAMIC not in self.text

    @property
    def program(self) -> str:
        """The last part of a path: what it runs as a command's name."""
        return self.text.rpartition("/")[2]


@dataclass(slots=True)
class Command:
    """One simple command, or a compound one (`inner`: the values in it). `stdin`: values in its here-documents.

    `assignments` counts those in front, `A=1 B=2 command`.
    """

    words: list[Word] = field(default_factory=list)
    assignments: int = 0
    stdin: tuple[int, ...] = ()
    inner: tuple[int, ...] = ()
    compound: bool = False
    runs_stdin: bool = False
    ends_at_ampersand: bool = False

    @property
    def positions(self) -> tuple[int, ...]:
        """All values that it could write to a pipe."""
        return (*self.inner, *self.stdin, *(position for word in self.words for position in word.positions))


Refuse = Callable[[tuple[int, ...], Refusal], None]


def refuse_command(command: Command, refuse: Refuse) -> bool:
    """Takes back what the command would run as code.

    Returns:
        Whether the command makes variables whose later assignments evaluate their values.
    """
    words = list(command.words)
    while words and words[0].is_assignment:
        _assignment(words.pop(0), refuse)
    lost = _command(words, command, refuse)
    if command.runs_stdin:
        refuse(command.stdin, Refusal("in the input of a shell"))
    return lost


def refuse_pipeline(pipeline: Sequence[Command], refuse: Refuse) -> None:
    """Takes back values that a pipe carries into a shell."""
    for index, command in enumerate(pipeline):
        if command.runs_stdin:
            for earlier in pipeline[:index]:
                refuse(earlier.positions, Refusal("in a pipe that ends in a shell"))


def _assignment(word: Word, refuse: Refuse) -> None:
    name = _ASSIGNMENT.match(word.text)
    if name and name[1] in _LIVE_VARIABLES:
        refuse(word.positions, Refusal(f"in the variable {name[1]}, which has a meaning to the shell"))


def _command(words: list[Word], command: Command, refuse: Refuse) -> bool:
    if not words:
        return False
    head, rest = words[0], words[1:]
    if DATA in head.program or (DYNAMIC in head.program and head.positions):
        refuse(_positions(words), Refusal("as the name of the command", "write the command's name out"))
        return False
    name = head.program
    for word in rest:
        if word.is_assignment:
            _assignment(word, refuse)
    if name in _ALL_CODE:
        refuse(_positions(rest), Refusal(f"in an argument of {name}, which runs or evaluates it"))
        command.runs_stdin = command.runs_stdin or name in _REMOTE
    elif name in _SHELLS:
        _shell(words, command, refuse)
    elif name in _DECLARING:
        return _declaration(name, rest, refuse)
    elif name in _SPECIAL:
        _SPECIAL[name](rest, refuse)
    elif name in _WRAPPERS:
        _wrapper(name, rest, command, refuse)
    else:
        _other(words, command, refuse)
    return False


def _positions(words: Sequence[Word]) -> tuple[int, ...]:
    return tuple(position for word in words for position in word.positions)


def _shell(words: list[Word], command: Command, refuse: Refuse) -> None:
    """`sh script ARGS…` and `sh -c code ARGS…`: the arguments are data, the script's name and the code are not."""
    place = Refusal(
        f"in the code that {words[0].program} runs", "pass it as an argument: sh -c 'echo \"$1\"' sh {{ … }}"
    )
    rest = iter(words[1:])
    takes_code = reads_input = False
    for word in rest:
        if not word.is_static:
            refuse(word.positions, place)
        if word.text[:1] in ("-", "+") and len(word.text) > 1:
            if re.fullmatch(r"-[A-Za-z]*c[A-Za-z]*", word.text):
                takes_code = True
            if re.fullmatch(r"-[A-Za-z]*s[A-Za-z]*", word.text):
                reads_input = True
            if word.text in ("-o", "+o", "-O", "+O", "--rcfile", "--init-file"):
                refuse(getattr(next(rest, None), "positions", ()), place)
            continue
        if word.text in _SHELLS and words[0].program == "busybox":
            continue
        # the code, or the script: what it expands to is run, so not even $(echo {{ … }}) may stand in it
        refuse(word.positions, place)
        if not takes_code and not reads_input and DATA not in word.text:
            return
        if takes_code:
            return
        break
    command.runs_stdin = True


def _declaration(name: str, rest: list[Word], refuse: Refuse) -> bool:
    options = "".join(word.text for word in rest if word.text[:1] in ("-", "+") and word.is_static)
    evaluates = set(options) & set("inaA") if name != "export" else set()
    for word in rest:
        if evaluates or not word.is_assignment:
            refuse(word.positions, Refusal(f"in an argument of {name}, which evaluates it"))
    return bool(evaluates & set("in"))


def _printf(rest: list[Word], refuse: Refuse) -> None:
    form = rest[0] if rest else Word()
    if form.text == "--" and len(rest) > 1:
        form = rest[1]
    if (
        DATA in form.text
        or DYNAMIC in form.text
        or (form.text.startswith("-") and form.text != "--")
        or "%n" in form.text
    ):
        refuse(_positions(rest), Refusal("in a printf whose format is not fixed", "write printf '%s\\n' {{ … }}"))


def _test(rest: list[Word], refuse: Refuse) -> None:
    """`[ -v NAME ]` evaluates NAME: a value is only let in where its neighbours settle that it is an operand."""
    words = [word for index, word in enumerate(rest) if not (word.text == "]" and index == len(rest) - 1)]
    while words and words[0].plain == "!":
        words = words[1:]
    texts = [word.text for word in words]
    is_unary = len(words) == 2 and texts[0] in _UNARY
    is_binary = len(words) == 3 and texts[1] in _BINARY
    if not is_unary and not is_binary:
        refuse(
            _positions(words),
            Refusal("in a [ … ] of an unusual form", "write [[ … ]], or one comparison in each [ … ]"),
        )


_SPECIAL: Final[dict[str, Callable[[list[Word], Refuse], None]]] = {"printf": _printf, "test": _test, "[": _test}


def _wrapper(name: str, rest: list[Word], command: Command, refuse: Refuse) -> None:
    """`sudo CMD`, `xargs CMD`…: values may stand in CMD's arguments, not before its name is settled."""
    place = Refusal(f"before the command that {name} runs", "write that command's name out, without options before it")
    settled = 0
    before = Word()
    for index, word in enumerate(rest):
        if word.is_static and _is_special(word.program):
            refuse(_positions([one for one in rest[:index] if not one.is_assignment]), place)
            _command(rest[index:], command, refuse)
            if name == "xargs" and word.program in _SHELLS:
                command.runs_stdin = True  # what is read is put into the code, or close to it
            return
        if word.positions and not word.is_assignment and settled < _OPERANDS.get(name, 1):
            refuse(word.positions, place)
        # what stands behind an option may be its argument
        if (
            word.is_static
            and not word.is_assignment
            and not word.text.startswith("-")
            and not before.text.startswith("-")
        ):
            settled += 1
        before = word


def _is_special(program: str) -> bool:
    if program in (".", "source"):  # also a path that many commands take
        return False
    return (
        program in _SHELLS | _ALL_CODE | _DECLARING | _WRAPPERS
        or program in _SPECIAL
        or program in _INTERPRETERS
        or _is_python(program)
    )


def _is_python(program: str) -> bool:
    return re.fullmatch(r"(python|pypy)[0-9.]*", program) is not None


def _other(words: list[Word], command: Command, refuse: Refuse) -> None:
    name = words[0].program
    letters = "c" if _is_python(name) or not words[0].is_static else _INTERPRETERS.get(name, "")
    pairs = list(pairwise(words[1:]))
    for option, word in pairs:
        if letters and re.fullmatch(f"-[A-Za-z]*[{letters}]", option.text):
            refuse(
                word.positions, Refusal(f"in program text for {name.replace(DYNAMIC, '$…')}", "pass it as an argument")
            )
        if name == "find" and option.text in ("-exec", "-execdir", "-ok", "-okdir"):
            refuse(word.positions, Refusal("as the command that find runs"))
    if name in _PRINTS:
        return
    for index, word in enumerate(words[1:], 1):
        if word.is_static and word.program in _SHELLS:
            _shell(words[index:], command, refuse)
            return
