"""`--conf`: from JSON, a file or KEY=VALUE to one mapping for `dag_run.conf`.

Owns the parsing and its errors, which name the position. A KEY=VALUE is always text: `--conf id=007` must not become 7;
JSON is there for numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from backfill_cli.errors import InputError

_KEY = re.compile(r"[A-Za-z_][\w.\-]*=", re.DOTALL)
_EXAMPLE = """write --conf '{"region": "eu"}', --conf @conf.json or --conf region=eu"""
_MOST_BYTES = 16 * 1024 * 1024


def parse_conf(given: Iterable[str]) -> dict[str, Any] | None:
    """Return all `--conf` merged, later keys over earlier ones; None when none was given.

    Raises:
        InputError: No JSON (the message names line and column), no object, no readable file, no valid text.
    """
    merged: dict[str, Any] | None = None
    for text in given:
        merged = (merged or {}) | _parse(text)
    return merged


def _parse(text: str) -> dict[str, Any]:
    if text.startswith("@"):
        return _load(_read(text[1:]), text[1:])
    if _KEY.match(text):
        key, value = text.split("=", 1)
        return {key: _checked(value, "--conf")}
    return _load(text, None)


def _load(text: str, file: str | None) -> dict[str, Any]:
    name = f"--conf @{file}" if file else "--conf"
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InputError(
            f"{name} is not JSON: {error.msg} at {place}: {_around(text, error.pos)}",
            hint=_EXAMPLE,
            code="bad-conf",
            where=f"{file}:{error.lineno}" if file else None,
        ) from None
    except RecursionError:
        raise InputError(f"{name} is nested too deeply", hint=_EXAMPLE, code="bad-conf") from None
    except ValueError as error:
        raise InputError(f"{name} is not JSON: {error}", hint=_EXAMPLE, code="bad-conf") from None
    if not isinstance(value, dict):
        kind = {list: "an array", str: "text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
        raise InputError(f"{name} must be a JSON object, and is {kind}", hint=_EXAMPLE, code="bad-conf")
    _checked(json.dumps(value, ensure_ascii=False), name)
    return value


def _around(text: str, position: int) -> str:
    """The text at an error, so that it can be found without counting."""
    found = text[max(0, position - 10) : position + 10]
    return f"'{found}'" if found else "the end"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key '{key}' stands twice")
            seen.add(key)
    return made


def _checked(text: str, name: str) -> str:
    """Halves of surrogate pairs (bytes of the shell that are no UTF-8, a lone \\ud800) cannot be stored."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"{name} holds bytes that are no UTF-8 text", hint=_EXAMPLE, code="bad-conf") from None
    return text


def _read(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise InputError(f"--conf @{path} is larger than 16 MiB", hint=_EXAMPLE, code="bad-conf")
        return raw.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"cannot read --conf @{path}: {reason}", hint=_EXAMPLE, code="bad-conf") from error
