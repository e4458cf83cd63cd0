"""What DAG files seem to define, read without running them: for completion, where a wrong guess costs nothing.

Owns the search by pattern. It sees ids written as text, as nearly all are, in files that do not even parse; an id made
by code stays unseen until the DAG has run once and the store knows it. What a file really defines is for
`loader/files.py` to say. No module that takes time to import is imported here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# From a decorator to its function, twenty lines at most: balancing brackets by pattern backtracks for ever.
_DECORATED = r"((?:[^\n]*\n){1,20}?)[ \t]*(?:async[ \t]+)?def[ \t]+(\w+)"
_DAG_CALL = re.compile(r"""^[^#\n]*\bDAG\(\s*(?:dag_id\s*=\s*)?["']([^"'\n]+)["']""", re.MULTILINE)
_DAG_FUNCTION = re.compile(r"^[ \t]*@(?:\w+\.)?dag\b" + _DECORATED, re.MULTILINE)
_TASK_CALL = re.compile(r"""\btask_id\s*=\s*["']([^"'\n]+)["']""")
_TASK_FUNCTION = re.compile(r"^[ \t]*@(?:\w+\.)?task\b(?:\.\w+)?" + _DECORATED, re.MULTILINE)
_DAG_ID = re.compile(r"""(?:^\(\s*|\bdag_id\s*=\s*)["']([^"'\n]+)["']""")

_TAGS = re.compile(r"^TAGS(?:\s*:[^=\n]+)?\s*=\s*[\[(]([^\])]*)[\])]", re.MULTILINE)

_LARGEST = 1_000_000
"""Bytes of a file that are looked at: DAG files are small, and whoever presses TAB waits."""


def dag_files(places: Sequence[Path]) -> Iterator[Path]:
    """Yield the Python files below the folders that may define a DAG, sorted, each once.

    A file counts when it mentions `dag` and `backfill_cli` (Airflow's safe mode): helpers are not run for nothing.
    Hidden folders and files are passed over.
    """
    seen: set[Path] = set()
    for place in places:
        for path in [place] if place.is_file() else python_files(place):
            resolved = path.resolve()
            if resolved not in seen and (place.is_file() or _may_define_dag(path)):
                seen.add(resolved)
                yield resolved


def scan_dag_ids(places: Sequence[Path]) -> dict[str, Path]:
    """Return dag_id → file for all that the folders seem to define."""
    return {dag_id: path for path in dag_files(places) for dag_id in dag_ids_in(_read(path))}


def scan_task_ids(path: Path) -> list[str]:
    """Return the task ids a file seems to define, in the order of their definition."""
    return task_ids_in(_read(path))


def scan_tags(paths: Iterable[Path]) -> list[str]:
    """Return the tags that scenario files seem to have, sorted, each once."""
    lists = [match[1] for path in paths if (match := _TAGS.search(_read(path)))]
    return sorted({tag for one in lists for tag in re.findall(r"[\"']([^\"']+)[\"']", one)})


def dag_ids_in(text: str) -> list[str]:
    """Return the dag ids of a file's text, each once, in order."""
    found = [(match.start(), match[1]) for match in _DAG_CALL.finditer(text)]
    return _ordered(found + [_named(match, _DAG_ID) for match in _DAG_FUNCTION.finditer(text)])


def task_ids_in(text: str) -> list[str]:
    """Return the task ids of a file's text, each once, in order."""
    functions = list(_TASK_FUNCTION.finditer(text))
    calls = [
        (match.start(), match[1])
        for match in _TASK_CALL.finditer(text)
        if not any(one.start() <= match.start() < one.end() for one in functions)
    ]
    return _ordered(calls + [_named(match, _TASK_CALL) for match in functions])


def _named(match: re.Match[str], pattern: re.Pattern[str]) -> tuple[int, str]:
    """A decorated function is called as its decorator says, else as itself."""
    given = pattern.search(match[1])
    return match.start(), given[1] if given else match[2]


def _ordered(found: Iterable[tuple[int, str]]) -> list[str]:
    return list(dict.fromkeys(name for _, name in sorted(found)))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""


def python_files(folder: Path) -> Iterator[Path]:
    """Yield the Python files below a folder, without hidden ones."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(files):
            if name.endswith(".py") and not name.startswith("."):
                yield Path(parent, name)


def _may_define_dag(path: Path) -> bool:
    try:
        content = path.read_bytes()
    except OSError:
        return True  # let loading say what is wrong with it
    return b"dag" in content.lower() and b"backfill_cli" in content
