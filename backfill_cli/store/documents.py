"""Text of a row that has a form of its own: JSON documents, names of DAGs and tasks. Checked before anybody uses it.

Owns what each document must hold for the commands that use it; `rows.py` turns a ValueError from here into an error
that names the table. Whoever adds a key to a backfill's request (`app/claiming.request_of`) adds it here, with what an
older store that lacks it means: a test compares the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from backfill_cli.core.records import Action

MOST_DATES = 2**40
"""More dates than any plan has: 10,000 years of minutes are 2^33."""

FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799
"""The years 1 to 9999, which is what every calendar above can show."""

# What the loader lets a DAG or a task be called (loader/options.py): it becomes a part of log paths.
_NAME = re.compile(r"[\w.-]+")
LONGEST_NAME = 240
"""Bytes."""
_KNOWN_NAMES = 10_000
_NO_ZONES = ("", "localtime", "posixrules")


def mapping(text: str) -> dict[str, Any]:
    """Return a JSON object. Raises ValueError for any other JSON and for none."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("JSON that is no object")
    return value


def json_text(text: str) -> str:
    """Return the text. Raises ValueError unless it is JSON."""
    json.loads(text)
    return text


def definition(text: str) -> dict[str, Any]:
    """Return what a --command DAG is made of (`loader/adhoc.py`). Raises ValueError for anything else.

    Whether its schedule is one the loader says.
    """
    value = mapping(text)
    for key in ("command", "schedule", "name", "timezone"):
        if not (_is_text(value.get(key)) or (key in ("schedule", "name") and value.get(key) is None)):
            raise ValueError(f"a --command whose {key} is no text")
    if not _is_zone(value["timezone"]):
        raise ValueError(f"the time zone {value['timezone']!r}")
    return value


def digests(text: str) -> dict[str, str]:
    """Return a JSON object of task names and digests. Raises ValueError for anything else."""
    value = mapping(text)
    for task_id, digest in value.items():
        name(task_id)
        if type(digest) is not str:
            raise ValueError("a digest that is no text")
    return value


def planned(text: str) -> dict[str, int]:
    """Return dates by action. Raises ValueError for a word that is no action or a count that cannot be one."""
    value = mapping(text)
    for action, number in value.items():
        Action(action)
        if type(number) is not int or not 0 <= number <= MOST_DATES:
            raise ValueError("a count that is no number of dates")
    return value


@lru_cache(maxsize=256)
def conf_text(text: str) -> str:
    """Return the text of a dag_run's conf. Raises ValueError unless it is a JSON object.

    Runs of one backfill share theirs, so it is read once and not once a run.
    """
    mapping(text)
    return text


@lru_cache(maxsize=_KNOWN_NAMES)
def name(text: str) -> str:
    """Return the name of a DAG or a task. Raises ValueError for one the loader would not have taken."""
    if not _NAME.fullmatch(text) or text in (".", "..") or len(text.encode()) > LONGEST_NAME:
        raise ValueError(f"the name {text!r}")
    return text


def request(text: str) -> dict[str, Any]:
    """Return what a backfill was asked. Raises ValueError when a key is missing or cannot be what it is."""
    value = {**OLDER, **mapping(text)}
    for key, is_sound in REQUEST.items():
        if key not in value:
            raise ValueError(f"a request without {key}")
        if not is_sound(value[key]):
            raise ValueError(f"a request whose {key} is {value[key]!r}")
    return value


@lru_cache(maxsize=64)
def _is_zone(value: str) -> bool:
    if value == "UTC":
        return True
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):
        return False
    return value not in _NO_ZONES


def _is_date(value: Any) -> bool:
    return type(value) is int and FIRST_SECOND <= value <= LAST_SECOND


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value <= MOST_DATES


def _is_texts(value: Any) -> bool:
    return type(value) is list and all(type(one) is str for one in value)


def _are_hours(value: list[str]) -> bool:
    if not value:
        return True  # the usual case needs none of it
    from backfill_cli.core.hours import parse_windows
    from backfill_cli.errors import UsageProblem

    try:
        parse_windows(value)
    except UsageProblem:
        return False
    return True


def _is_shape(value: Any) -> bool:
    from backfill_cli.core.shapes import stored

    try:
        stored(value)
    except (KeyError, TypeError, ValueError):
        return False
    return True


OLDER: dict[str, Any] = {"shape": None, "between": []}
"""Keys that older stores lack, with what that means."""

REQUEST: dict[str, Callable[[Any], bool]] = {
    "target": _is_text,
    "schedule": _is_text,
    "timezone": lambda value: _is_text(value) and _is_zone(value),
    "first": _is_date,
    "last": _is_date,
    "dates": lambda value: value is None or (type(value) is list and all(map(_is_date, value))),
    "limit": lambda value: value is None or _is_count(value),
    "tasks": _is_texts,
    "parallel": _is_count,
    "reprocess": _is_texts,
    "reset_dag_run": _is_flag,
    "rerun_failed": _is_flag,
    "whole_run": _is_flag,
    "run_backwards": _is_flag,
    "ignore_first_depends_on_past": _is_flag,
    "strict_templates": _is_flag,
    "conf": lambda value: value is None or type(value) is dict,
    "shape": lambda value: value is None or _is_shape(value),
    "between": lambda value: _is_texts(value) and _are_hours(value),
}
"""Key of a request → whether a value can be its."""
