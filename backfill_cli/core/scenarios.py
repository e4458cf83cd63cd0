"""What `bfill scenario list|show|run` answer: frozen values beside those of `core/results.py`.

Owns the shapes: what a scenario file says of itself, and what its checks found when it was played. Reading the files is
the business of `loader/scenarios.py`, playing them that of `app/scenarios.py` and of the files themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from backfill_cli.core.problems import Problem

SECTIONS = ("Question", "What goes wrong", "What bfill does", "What to look at", "When not to do it")
"""What the docstring of every scenario answers, in this order, each as `Question: …`."""


class Check(NamedTuple):
    """One claim of a scenario, and what was measured about it.

    Args:
        name: The claim, as a sentence.
        passed: Whether it held.
        evidence: The measured value, for a reader who doubts.
    """

    name: str
    passed: bool
    evidence: str

    def data(self) -> dict[str, Any]:
        return {"name": self.name, "passed": self.passed, "evidence": self.evidence}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario as its file describes it; nothing of it has run.

    Args:
        number: As people say it: `17.7.2`.
        name: The rest of the file's name: `backfill_without_idempotency`.
        dag_id: Of the DAG in the file, which every command can target.
        lesson: The first line of its docstring.
        about: Heading → text, for each of SECTIONS.
        tags: Its `TAGS`.
        path: The file.
    """

    number: str
    name: str
    dag_id: str
    lesson: str
    about: Mapping[str, str]
    tags: tuple[str, ...]
    path: str

    def data(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "name": self.name,
            "dag_id": self.dag_id,
            "lesson": self.lesson,
            "question": self.about["Question"],
            "tags": list(self.tags),
            "path": self.path,
        }


@dataclass(frozen=True, slots=True)
class ScenarioRun:
    """One scenario that was played.

    Args:
        checks: In the order they were made, never empty: a scenario that breaks off, or that proves nothing, is given
            a failed check that says so.
        duration_s: Wall time in seconds.
    """

    scenario: Scenario
    checks: Sequence[Check]
    duration_s: float

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)

    @property
    def exit_code(self) -> int:
        return 1 if self.failed else 0

    def data(self) -> dict[str, Any]:
        return {
            **self.scenario.data(),
            "state": "failed" if self.failed else "success",
            "checks_passed": len(self.checks) - len(self.failed),
            "checks_failed": len(self.failed),
            "duration_s": round(self.duration_s, 3),
            "checks": [check.data() for check in self.checks],
        }


@dataclass(frozen=True, slots=True)
class ScenarioList:
    """The scenarios of the folder, by number.

    Args:
        tag: What they were filtered by, None for all.
        tags: Tag → how many scenarios of the whole folder have it.
    """

    scenarios: Sequence[Scenario]
    tag: str | None
    tags: Mapping[str, int]
    problems: Sequence[Problem] = ()
    exit_code: int = 0

    def data(self) -> dict[str, Any]:
        return {
            "total": len(self.scenarios),
            "tag": self.tag,
            "tags": dict(self.tags),
            "scenarios": [one.data() for one in self.scenarios],
        }


@dataclass(frozen=True, slots=True)
class ScenarioShown:
    """One scenario in full."""

    scenario: Scenario
    problems: Sequence[Problem] = ()
    exit_code: int = 0

    def data(self) -> dict[str, Any]:
        return {**self.scenario.data(), "about": dict(self.scenario.about)}


@dataclass(frozen=True, slots=True)
class ScenarioRuns:
    """Scenarios that were played, in order; exit code 1 when a check of any of them failed."""

    runs: Sequence[ScenarioRun]
    duration_s: float
    problems: Sequence[Problem] = ()

    @property
    def failed(self) -> int:
        return sum(1 for run in self.runs if run.failed)

    @property
    def exit_code(self) -> int:
        return 1 if self.failed else 0

    def data(self) -> dict[str, Any]:
        return {
            "total": len(self.runs),
            "passed": len(self.runs) - self.failed,
            "failed": self.failed,
            "checks_passed": sum(len(run.checks) - len(run.failed) for run in self.runs),
            "checks_failed": sum(len(run.failed) for run in self.runs),
            "duration_s": round(self.duration_s, 3),
            "scenarios": [run.data() for run in self.runs],
        }
