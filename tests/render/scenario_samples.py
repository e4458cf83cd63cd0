"""Hand-made results of `scenario list|show|run`, beside those of `samples.py`."""

from __future__ import annotations

from backfill_cli.core.scenarios import (
    SECTIONS,
    Check,
    Scenario,
    ScenarioList,
    ScenarioRun,
    ScenarioRuns,
    ScenarioShown,
)

_ABOUT = dict.fromkeys(
    SECTIONS, "A sentence that is long enough to be folded on every terminal, because it goes on. " * 2
)


def _scenario(number: str, name: str, lesson: str, *tags: str) -> Scenario:
    stem = "_".join(f"{int(part):02}" for part in number.split("."))
    path = f"/usr/share/bfill/scenarios/{stem}_{name}.py"
    return Scenario(number, name, f"scenario_{stem}", lesson, _ABOUT, tags, path)


PLAN = _scenario(
    "17.3.1", "backfill_cli_subtask_1", "Plan, run, status: seven days, and no surprise on the way", "control"
)
RERUN = _scenario("17.3.3", "backfill_cli_subtask_3", "rerun-failed: run again what failed, nothing else", "control")
DOUBLE = _scenario(
    "17.7.2",
    "backfill_without_idempotency",
    "A load that is run twice counts twice, and what prevents it \x1b[31m",
    "anti-pattern",
    "control",
)


def listed() -> ScenarioList:
    return ScenarioList([PLAN, RERUN, DOUBLE], None, {"control": 3, "anti-pattern": 1})


def nothing_listed() -> ScenarioList:
    return ScenarioList([], None, {})


def shown() -> ScenarioShown:
    return ScenarioShown(DOUBLE)


def runs() -> ScenarioRuns:
    good = [Check(f"claim {number}", True, "7") for number in range(15)]
    bad = Check(
        "no row is there twice", False, "1,204 rows, expected 602, after the second run of the same seven dates"
    )
    return ScenarioRuns(
        [
            ScenarioRun(PLAN, good, 7.13),
            ScenarioRun(RERUN, good[:11], 61.2),
            ScenarioRun(DOUBLE, [*good[:3], bad], 0.62),
        ],
        68.95,
    )
