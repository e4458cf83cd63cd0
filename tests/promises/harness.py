"""What the tests of the promises share: trials that a seed replays, and copies of bfill with a guard taken out.

Owns no promise. A case is a plain function that raises AssertionError when the promise is broken: the test of the
promise calls it on bfill as it is, the test of the harness on a mutant, where it must fail within 100 trials.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from random import Random

import whatthepatch

ROOT = Path(__file__).parents[2]
MUTANTS = Path(__file__).with_name("mutants")
MUTANT_TRIALS = 100


@dataclass(frozen=True)
class Trial:
    """One case: everything random in it comes from `random`, so its seed is all a replay needs."""

    number: int
    seed: int
    random: Random


@dataclass
class Trials:
    """The trials of one test, and what was seen in them.

    Args:
        count: How many.
        seed: Of the first; the others follow.
    """

    count: int
    seed: int
    seen: Counter[str] = field(default_factory=Counter)
    current: Trial | None = None

    def __iter__(self) -> Iterator[Trial]:
        for number in range(self.count):
            seed = self.seed + number
            self.current = Trial(number, seed, Random(seed))
            yield self.current
        self.current = None

    def see(self, what: str, count: int = 1) -> None:
        """Count something that happened in a trial: a harness must show that it hit what it aims at."""
        self.seen[what] += count


def mutated(name: str, folder: Path) -> Path:
    """Copy bfill into `folder` and apply mutants/NAME.patch; returns what PYTHONPATH must begin with."""
    copy = folder / name
    shutil.copytree(ROOT / "backfill_cli", copy / "backfill_cli", ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in patched(name).items():
        (copy / path).write_text(text, encoding="utf-8")
    return copy


def patched(name: str) -> dict[str, str]:
    """Return the files that mutants/NAME.patch changes, by path below the project, with their new text.

    A hunk is found by its lines, wherever they have moved to; one that is not there any more, or there twice, is an
    error: a mutant nobody can make proves nothing.
    """
    patch = (MUTANTS / f"{name}.patch").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for diff in whatthepatch.parse_patch(patch):
        path = diff.header.new_path.removeprefix("b/")
        text = found.get(path) or (ROOT / path).read_text(encoding="utf-8")
        for _, group in groupby(diff.changes, key=lambda change: change.hunk):
            changes = list(group)
            before = "".join(f"{one.line}\n" for one in changes if one.old is not None)
            after = "".join(f"{one.line}\n" for one in changes if one.new is not None)
            times = text.count(before)
            assert times == 1, f"{name}.patch: found {times} times in {path}:\n{before}"
            text = text.replace(before, after)
        found[path] = text
    assert found, f"{name}.patch holds no change"
    return found


def caught(case: Callable[[Trial], None], seed: int = 1, trials: int = MUTANT_TRIALS) -> int:
    """Return after how many trials a case fails. Raises AssertionError when it never does: the harness sees nothing."""
    for trial in Trials(trials, seed):
        try:
            case(trial)
        except AssertionError:
            return trial.number + 1
    raise AssertionError(f"the mutant survived {trials} trials")
