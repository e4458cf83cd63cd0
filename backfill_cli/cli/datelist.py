"""Lists of dates from `--dates` and `--dates-from`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from backfill_cli.errors import InputError, UsageProblem

if TYPE_CHECKING:
    from backfill_cli.core.when import When

_MOST_BYTES = 64 * 1024 * 1024
"""More than a million dates fit; a stray image or database does not reach memory."""


def split_dates(text: str, *, flag: str, where: str | None = None) -> tuple[When, ...]:
    """Return the dates of a comma-separated list. Raises UsageProblem for one that is none, or for an empty list."""
    from backfill_cli.core.when import parse_when

    found = []
    for word in (one.strip() for one in text.split(",")):
        if not word:
            continue
        try:
            found.append(parse_when(word))
        except UsageProblem as error:
            raise UsageProblem(f"{flag}: {error.message}", hint=error.hint, code=error.code, where=where) from None
    if not found and where is None:
        raise UsageProblem(f"{flag} names no date", hint=f"write {flag} 2024-03-11,2024-03-12", code="no-dates")
    return tuple(found)


def read_dates(source: str) -> tuple[When, ...]:
    """Return the dates of a file (`-` is standard input): one or more a line, `#` begins a comment.

    Raises:
        InputError: The file cannot be read, or is no text.
        UsageProblem: A line holds something that is no date (the message names the line), or no line holds one.
    """
    found: list[When] = []
    for number, text in enumerate(_read(source).splitlines(), 1):
        bare = text.split("#", 1)[0].strip()
        if bare:
            found.extend(split_dates(bare, flag="--dates-from", where=f"{source}:{number}"))
    if not found:
        raise UsageProblem(f"--dates-from {source} holds no date", hint="write one date a line", code="no-dates")
    return tuple(found)


def _read(source: str) -> str:
    try:
        if source == "-":
            raw = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(source).open("rb") as file:
                raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise InputError(
                f"--dates-from {source} is larger than 64 MiB", hint="is it a list of dates?", code="too-large"
            )
        return raw.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(
            f"cannot read --dates-from {source}: {reason}", hint="give a text file, one date a line", code="unreadable"
        ) from error
