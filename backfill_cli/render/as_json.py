"""The JSON document of contract section 7: one envelope, written as it is made.

Owns the envelope and the streaming. A result's `data()` may hold iterators (the entries of logs) and the runs of a
plan: they are written in chunks, so a plan of a million dates takes no more memory than one of ten. Everything outside
ASCII is escaped: whatever a name or a log holds, it cannot drive a terminal, and any encoding can write it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from json import JSONEncoder
from typing import IO, Any

from backfill_cli.core.instants import IsoText
from backfill_cli.core.masking import SECRETS
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import PlanRow, RunType
from backfill_cli.core.results import PlanRuns
from backfill_cli.errors import BfillError

SCHEMA = "bfill/1"

_CHUNK = 1000
"""Rows written at once: large enough to pay, small enough to stay out of sight in memory."""

_BACKFILL = RunType.BACKFILL.value


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
    _write_data(file, SECRETS.value(data))
    file.write(f', "problems": {_encode(SECRETS.value([problem.data() for problem in problems]))}}}\n')


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
    file.write(_encode(SECRETS.value(envelope)) + "\n")


def _write_data(file: IO[str], data: Mapping[str, Any]) -> None:
    file.write("{")
    for number, (key, value) in enumerate(data.items()):
        file.write(f"{', ' if number else ''}{_encode(key)}: ")
        if isinstance(value, PlanRuns):
            _write_array(file, plan_run_texts(value.rows()))
        elif isinstance(value, Iterator):
            _write_array(file, map(_encode, value))
        else:
            file.write(_encode(value))
    file.write("}")


def plan_run_texts(rows: Iterable[PlanRow]) -> Iterator[str]:
    """Yield each row as the JSON object that `PlanRuns` describes, at a fifth of the cost of encoding a mapping.

    A plan's dates follow each other: the end of one interval is mostly the start of the next, and the rest of an
    object is one of a handful of texts. Instants hold nothing that JSON would escape.
    """
    text = IsoText()
    end_s: int | None = None
    end = tail = ""
    # Compared by identity: hashing an enum costs more than the whole line, and a run of equal rows shares its objects.
    last: tuple[object, object, object] = (None, None, None)
    for logical_date, interval_end, action, state, reason in rows:
        start = end if logical_date == end_s else text(logical_date)
        end_s, end = interval_end, text(interval_end)
        if reason is not last[2] or action is not last[0] or state is not last[1] or not tail:
            last = action, state, reason
            tail = _encode({"action": action, "state": state, "reason": reason})[1:]
        yield (
            f'{{"logical_date": "{start}", "data_interval_start": "{start}", "data_interval_end": "{end}", '
            f'"run_id": "{_BACKFILL}__{start}", {tail}'
        )


def _write_array(file: IO[str], texts: Iterator[str]) -> None:
    """Write an array of encoded values chunk by chunk."""
    file.write("[")
    between = ""
    while chunk := ", ".join(islice(texts, _CHUNK)):
        file.write(between + chunk)
        between = ", "
    file.write("]")
