"""Marks: files that stand for the world around a DAG, where something is slow or down until somebody mends it.

A task asks for a mark, the story puts it and takes it away: what overlaps what is then decided by the story, and not by
how fast a machine is.
"""

from __future__ import annotations

import time
from pathlib import Path

from _shared import warehouse

_LIMIT_S = 30.0


def put(file: str, *names: str) -> None:
    """Put marks. `file` is the scenario's `__file__`, here and below."""
    for name in names:
        _mark(file, name).touch()


def take_away(file: str, *names: str) -> None:
    """Take marks away; one that is not there is away already."""
    for name in names:
        _mark(file, name).unlink(missing_ok=True)


def wait_while(file: str, name: str) -> None:
    """Return as soon as the mark is away. Raises TimeoutError when that takes too long: a story has broken off."""
    deadline = time.monotonic() + _LIMIT_S
    while _mark(file, name).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the mark '{name}' was there for {_LIMIT_S:.0f} s")
        time.sleep(0.01)


def fail_if(file: str, name: str) -> None:
    """Raise ConnectionError while the mark is there."""
    if _mark(file, name).exists():
        raise ConnectionError(f"{name} is down")


def _mark(file: str, name: str) -> Path:
    folder = warehouse.home(file) / "marks"
    folder.mkdir(exist_ok=True)
    return folder / name
