"""What people mistype, and what we got wrong: foreign exceptions turned into errors of ours.

Owns the wording of usage errors (Typer finds them, here they get a value, a near name and a next step) and the report
of a bug: a file with the traceback, never a traceback on the screen unless `-v` asks for it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import Any

from backfill_cli.core.harmless import harmless
from backfill_cli.core.masking import SECRETS
from backfill_cli.errors import BfillError, StoreError, UsageProblem

_SHARED = {"--store", "--conf", "--reason", "--yes", "-y", "--json", "--quiet", "-q", "--verbose", "-v", "--no-color"}
_EXTRA = re.compile(r"unexpected extra argument(?:s|\(s\))? \((.*)\)", re.DOTALL)
_GROUPS = {"dags", "audit", "scenario", "pools", "store"}


class Bug(BfillError):
    """Anything nobody foresaw."""


def command_words(words: Iterable[str]) -> str:
    """Return the command as the JSON envelope names it: `plan`, `audit verify`; `bfill` before there is one."""
    found: list[str] = []
    for word in words:
        if word.startswith("-") or (found and found[0] not in _GROUPS):
            break
        found.append(word)
    return " ".join(found[:2]) or "bfill"


def explain(error: Exception, words: list[str]) -> BfillError:
    """Return the error to show for an exception that is none of ours."""
    import typer

    if isinstance(error, typer.TyperException):
        return _usage(error, words)
    if isinstance(error, MemoryError):
        return Bug("out of memory", hint="take a smaller range, or fewer --workers", code="out-of-memory")
    if isinstance(error, OSError) and error.filename:
        return StoreError(f"{error.filename}: {error.strerror or error}", hint="check the path and its permissions")
    return _bug(error, words)


def _usage(error: Any, words: list[str]) -> UsageProblem:
    """Say a Typer error in two lines: what, with the value; then the next thing to type."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else f"bfill {command_words(words)}".replace("bfill bfill", "bfill")
    see = f"see: {path} --help"
    kind = type(error).__name__
    if kind == "NoSuchOption":
        return _unknown_option(error.option_name, context, path, see, words)
    flag = _flag(getattr(error, "param", None)) or getattr(error, "option_name", "")
    if kind == "BadOptionUsage":
        problem = "takes no value" if "does not take" in error.message else "needs a value"
        return UsageProblem(f"{flag} {problem}", hint=see, code="option-value")
    if kind == "MissingParameter":
        return UsageProblem(f"{path} needs {flag}", hint=see, code="missing-argument")
    if kind == "BadParameter" and flag:
        problem = "is not a whole number" if "integer" in error.message else f": {_sentence(error.message)}"
        return UsageProblem(f"{flag}{_value_of(flag, words)} {problem}".replace(" :", ":"), hint=see, code="bad-value")
    extra = _EXTRA.search(error.format_message())
    if extra:
        return UsageProblem(f"{path} does not take '{extra[1]}'", hint=see, code="extra-argument")
    return UsageProblem(_sentence(error.format_message()), hint=see, code="bad-usage")


def _value_of(flag: str, words: list[str]) -> str:
    """Return the value given for a flag, with a space before it; nothing when it cannot be told."""
    for word, after in zip(words, [*words[1:], None], strict=True):
        if word == flag and after is not None:
            return f" '{after}'"
        if word.startswith(flag + "="):
            return f" '{word[len(flag) + 1 :]}'"
    return ""


def _unknown_option(option: str, context: Any, path: str, see: str, words: list[str]) -> UsageProblem:
    from difflib import get_close_matches

    below = getattr(context.command, "list_commands", None) if context is not None else None
    if below is not None and option in _SHARED:
        example = "status" if context.parent is None else below(context)[0]
        named = [word for word in words if word in below(context)]
        hint = f"it stands after the command: {path} {named[0] if named else example} {option}"
        is_missing = context.parent is not None and not named
        what = f"{path} needs a command before {option}" if is_missing else f"{option} does not go before the command"
        return UsageProblem(what, hint=hint, code="option-before-command")
    known = [one for param in context.command.params if not param.hidden for one in param.opts] if context else []
    # One near name: flags are alike enough that three would be noise.
    near = get_close_matches(option, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else see
    return UsageProblem(f"{path} has no option {option}", hint=hint, code="unknown-option")


def _flag(param: Any) -> str:
    if param is None:
        return ""
    if param.param_type_name == "argument":
        return str(param.metavar or param.name.upper())
    return str(max(param.opts, key=len))


def _sentence(message: str) -> str:
    """Typer's sentences as ours: one line, no capital, no full stop."""
    text = " ".join(message.split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _bug(error: Exception, words: list[str]) -> Bug:
    import traceback
    from tempfile import NamedTemporaryFile

    trace = SECRETS.text("".join(traceback.format_exception(error)))
    if "-v" in words or "--verbose" in words:
        sys.stderr.write(harmless(trace, keep="\n\t"))
    try:
        # Made 0600, and kept: a message of a library may hold what is nobody else's business.
        with NamedTemporaryFile("w", prefix="bfill-bug-", suffix=".txt", delete=False, encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(trace)
        place = f"the traceback is in {file.name}; please report it with the command"
    except OSError:
        place = "run it again with -v and report what it prints"
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Bug(f"a bug in bfill: {what}", hint=f"{place}. What was recorded before stands: bfill status")
