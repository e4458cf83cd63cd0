"""Where in the user's files something was written: `sales.py:12`, for errors.

Owns the walk up the stack past bfill's own frames. Tells nothing about what was written there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple

_OURS = str(Path(__file__).parent) + os.sep
_PYTHON = str(Path(os.__file__).parent) + os.sep


class Place(NamedTuple):
    """A line of a file of the user. Printed relative to the working directory when it lies below it."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{short_path(self.file)}:{self.line}"


def short_path(path: str | Path) -> str:
    """Return the path as people type it: relative when it lies below the working directory, else as it is."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def caller() -> Place:
    """Return the place of the nearest frame that is neither bfill's loader nor `contextlib`'s."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_internal(frame.f_code.co_filename):
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno) if frame is not None else Place("<unknown>", 0)


def home_file() -> str:
    """Return the file whose top level is being executed: a factory's DAGs belong to the file that calls it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not (frame.f_code.co_name == "<module>" and not _is_internal(frame.f_code.co_filename)):
        frame = frame.f_back
    return frame.f_code.co_filename if frame is not None else caller().file


def place_of_error(trace: TracebackType | None, folder: Path, fallback: str) -> Place:
    """Return the innermost line below `folder` that a traceback went through; the file's first line without one.

    Libraries raise in the name of their caller: the line a person can edit is the last one of their own files.
    """
    found: Place | None = None
    below = str(folder) + os.sep
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name == fallback or (name.startswith(below) and not _is_installed(name) and not _is_internal(name)):
            found = Place(name, trace.tb_lineno)
        trace = trace.tb_next
    return found or Place(fallback, 1)


def _is_internal(name: str) -> bool:
    return name.startswith((_OURS, "<frozen")) or (name.startswith(_PYTHON) and not _is_installed(name))


def _is_installed(name: str) -> bool:
    return "site-packages" in name or "dist-packages" in name
