"""Scenario files by number: `17.7.2`, `17_07_02`, `17_07_02_backfill_without_idempotency`.

Owns the folder and the spelling. A scenario is a DAG file like any other; its DAG is `scenario_17_07_02`.
"""

from __future__ import annotations

import re
from pathlib import Path

_NUMBER = re.compile(r"(\d{1,2})[._](\d{1,2})[._](\d{1,2})(?:_(\w+?))?(?:\.py)?")


def scenario_folder() -> Path:
    """Return the folder of the scenarios: inside the installed package, or beside it in a working copy."""
    package = Path(__file__).parent.parent
    shipped = package / "_scenarios"
    return shipped if shipped.is_dir() else package.parent / "scenarios"


def scenario_files(folder: Path | None = None) -> dict[str, Path]:
    """Return the scenario files by number (`17_07_02`), in order."""
    files = sorted((folder or scenario_folder()).glob("[0-9][0-9]_[0-9][0-9]_[0-9][0-9]_*.py"))
    return {file.name[:8]: file for file in files}


def find_scenario(name: str, folder: Path | None = None) -> Path | None:
    """Return the file a number or file name means, None when it means none."""
    found = _NUMBER.fullmatch(name)
    if found is None:
        return None
    number = "_".join(f"{int(part):02}" for part in found.groups()[:3])
    file = scenario_files(folder).get(number)
    return file if file is not None and found[4] in (None, file.stem[9:]) else None


def scenario_dag_id(file: Path) -> str:
    """Return the dag_id of a scenario file."""
    return f"scenario_{file.name[:8]}"


def looks_like_number(name: str) -> bool:
    """Whether somebody who types this means a scenario."""
    return _NUMBER.fullmatch(name) is not None


def short_number(number: str) -> str:
    """Return `17_07_02` as people say it: `17.7.2`."""
    return ".".join(str(int(part)) for part in number.split("_"))
