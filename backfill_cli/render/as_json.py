"""The JSON document of contract section 7: one envelope, written as it is made.

Owns the envelope and the streaming. A result's `data()` may hold iterators (the runs of a plan, the entries of logs):
they are written in chunks, so a plan of a million dates takes no more memory than one of ten. Everything outside ASCII
is escaped: whatever a name or a log holds, it cannot drive a terminal, and any encoding can write it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from json import JSONEncoder
from typing import IO, Any

from backfill_cli.core.results import Problem
from backfill_cli.errors import BfillError

SCHEMA = "bfill/1"

_CHUNK = 1000
"""Rows encoded at once: large enough for the C encoder to pay, small enough to stay out of sight in memory."""


def _plain(value: object) -> object:
    """Encode what JSON does not know: sets as sorted lists, everything else as text."""
    return sorted(value, key=str) if isinstance(value, (set, frozenset)) else str(value)


_encode = JSONEncoder(ensure_ascii=True, allow_nan=False, default=_plain).encode


def write_result(
    file: IO[str], command: str, data: Mapping[str, Any], *, exit_code: int, problems: Sequence[Problem] = ()
) -> None:
    """Write the envelope of a result and a line end. Raises OSError as the file does."""
    file.write(
        f'{{"schema": {_encode(SCHEMA)}, "command": {_encode(command)}, "ok": {_encode(exit_code == 0)}, '
        f'"exit_code": {exit_code}, "data": '
    )
    _write_data(file, data)
    file.write(f', "problems": {_encode([problem.data() for problem in problems])}}}\n')


def write_error(file: IO[str], command: str, error: BfillError, *, exit_code: int) -> None:
    """Write the envelope of an error and a line end."""
    envelope = {
        "schema": SCHEMA,
        "command": command,
        "ok": False,
        "exit_code": exit_code,
        "error": {
            "kind": error.kind,
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "where": error.where,
        },
    }
    file.write(_encode(envelope) + "\n")


def _write_data(file: IO[str], data: Mapping[str, Any]) -> None:
    file.write("{")
    for number, (key, value) in enumerate(data.items()):
        file.write(f"{', ' if number else ''}{_encode(key)}: ")
        if isinstance(value, Iterator):
            _write_rows(file, value)
        else:
            file.write(_encode(value))
    file.write("}")


def _write_rows(file: IO[str], rows: Iterator[Any]) -> None:
    """Write an array chunk by chunk."""
    file.write("[")
    chunk = list(islice(rows, _CHUNK))
    first = True
    while chunk:
        file.write(("" if first else ", ") + _encode(chunk)[1:-1])
        first = False
        chunk = list(islice(rows, _CHUNK))
    file.write("]")
