"""`bfill scenario list|show|run`: which there are, what one says, and what its checks find.

Owns the playing from outside: each scenario is a process of its own, so that one that breaks off, hangs or changes its
surroundings spoils no other. It hands its checks over in a file; what it prints is its own business.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple

from backfill_cli.core.scenarios import Check, Scenario, ScenarioList, ScenarioRun, ScenarioRuns, ScenarioShown
from backfill_cli.loader import scenarios as files

PLAYS_TO_ITS_END = "the scenario plays to its end"
"""The check that fails for a scenario whose process ends without a result."""

_LONGEST_S = 300.0
"""Seconds after which a scenario hangs: they are made to take a few."""

_CLEAN_UP_S = 10.0
"""Seconds it has to end what it began and to remove its folder."""


class Progress(NamedTuple):
    """Where a series of scenarios stands: `done` of `total` are over; `run` has just ended, or `scenario` begins."""

    done: int
    total: int
    scenario: Scenario
    run: ScenarioRun | None = None


def list_scenarios(tag: str | None = None) -> ScenarioList:
    """Return the scenarios, all or those of one tag. Raises NotFoundError for a tag none of them has."""
    tags = files.tag_counts(files.all_scenarios())
    return ScenarioList(files.choose_scenarios((), tag), tag, tags)


def show_scenario(name: str) -> ScenarioShown:
    """Return what one scenario says of itself. Raises NotFoundError with near numbers."""
    return ScenarioShown(files.one_scenario(name))


def run_scenarios(
    chosen: Sequence[Scenario],
    *,
    narrate: bool = False,
    keep: bool = False,
    no_color: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> ScenarioRuns:
    """Play scenarios one after the other and return what their checks found.

    Args:
        narrate: Let them print to this process's stdout and stderr.
        keep: Leave their folders behind, to look into.
        no_color: Ask them for plain text.
        on_progress: Called before and after each.
    """
    began = time.monotonic()
    runs: list[ScenarioRun] = []
    for number, scenario in enumerate(chosen):
        on_progress(Progress(number, len(chosen), scenario))
        runs.append(_play(scenario, narrate=narrate, keep=keep, no_color=no_color))
        on_progress(Progress(number + 1, len(chosen), scenario, runs[-1]))
    return ScenarioRuns(runs, time.monotonic() - began)


def _play(scenario: Scenario, *, narrate: bool, keep: bool, no_color: bool) -> ScenarioRun:
    """Run the scenario's file in a process of its own and read what it found."""
    began = time.monotonic()
    with TemporaryDirectory(prefix="bfill-scenario-") as folder:
        result = Path(folder, "result.json")
        flags = [*(["--keep"] if keep else []), *([] if narrate else ["--quiet"])]
        words = [sys.executable, scenario.path, "--result", str(result), *flags]
        environ = {**os.environ, **({"NO_COLOR": "1"} if no_color else {})}
        with Path(folder, "said").open("w+b") as said:
            why = _run(words, environ, None if narrate else said)
            duration_s = time.monotonic() - began
            checks = _read(result)
            if checks is None:
                said.seek(0, os.SEEK_SET)
                checks = [Check(PLAYS_TO_ITS_END, False, "; ".join(filter(None, [why, _last_line(said)])))]
    return ScenarioRun(scenario, checks, duration_s)


def _run(words: Sequence[str], environ: dict[str, str], said: IO[bytes] | None) -> str:
    """Run the process to its end, or end it, and say how it ended. Ctrl-C reaches it as well: it may clean up first."""
    sys.stdout.flush()
    stdout = None if said is None else subprocess.DEVNULL
    with subprocess.Popen(words, env=environ, stdin=subprocess.DEVNULL, stdout=stdout, stderr=said) as process:
        try:
            return f"exit code {process.wait(_LONGEST_S)}"
        except subprocess.TimeoutExpired:
            process.terminate()
            return f"it did not end within {_LONGEST_S:.0f} s"
        finally:
            try:
                process.wait(_CLEAN_UP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _read(result: Path) -> list[Check] | None:
    try:
        return [Check(**one) for one in json.loads(result.read_text("utf-8"))["checks"]] or None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _last_line(said: IO[bytes]) -> str:
    lines = said.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
