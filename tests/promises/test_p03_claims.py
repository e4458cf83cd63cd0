"""Promise 3, first half: several processes on one store never run one task instance at once, nor twice.

Processes race for overlapping ranges of the same DAG. Who comes too late is told so (exit 5) and tries other dates; the
tasks witness with lines in one file, appended with O_APPEND, that no two tries of a task instance overlap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from blackbox.world import Going, Project

from promises.harness import MUTANT_TRIALS, Trial, Trials, caught

FIRST = date(2024, 1, 1)
DAG = """\
import os
from datetime import datetime
from backfill_cli import DAG, task

def tell(line):
    descriptor = os.open(WITNESS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, (line + "\\n").encode())
    os.close(descriptor)

with DAG("shared", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=8):
    @task
    def work(ds: str):
        tell("start " + ds)
        tell("end " + ds)
    work()
"""


def race(project: Project, trial: Trial, processes: int, dates: int, rounds: int, trials: Trials | None = None) -> None:
    """Let processes run random ranges, `rounds` commands each, then one run the rest; look at what the tasks say."""
    witness = project.folder / "witness"
    project.write("dags/shared.py", f"WITNESS = {str(witness)!r}\n{DAG}", head="")
    for _ in range(rounds):
        racing = [_start(project, trial, dates) for _ in range(processes)]
        for going in racing:
            ran = going.wait()
            assert ran.code in (0, 5), ran
            assert ran.code == 0 or "is being run by pid" in ran.out, ran
            if trials is not None:
                trials.see("came too late", ran.code == 5)
    last = FIRST + timedelta(days=dates - 1)
    project.bfill("run", "--dag", "shared", "--start", str(FIRST), "--end", str(last), "-q").exits(0)
    running: set[str] = set()
    starts: Counter[str] = Counter()
    for line in witness.read_text().splitlines():
        what, day = line.split()
        assert (day in running) == (what == "end"), f"two tries of {day} at once"
        (running.add if what == "start" else running.remove)(day)
        starts[day] += what == "start"
    assert set(starts.values()) == {1}, f"run more than once: {[day for day, count in starts.items() if count > 1]}"
    assert len(starts) == dates
    if trials is not None:
        trials.see("claims", processes * rounds)


def _start(project: Project, trial: Trial, dates: int) -> Going:
    first = trial.random.randrange(dates)
    last = min(dates - 1, first + trial.random.randrange(dates // 4))
    days = ["--start", str(FIRST + timedelta(days=first)), "--end", str(FIRST + timedelta(days=last))]
    return project.start("run", "--dag", "shared", *days, "--parallel", "8", "--json")


@pytest.mark.promise(3, short=1, long=10)
def test_processes_that_race_never_run_a_task_instance_at_once_or_twice(
    new_project: Callable[[], Project], trials: Trials
) -> None:
    """4 processes, 200 dates, 5 commands each; in the long version 10 × 8 processes, 400 dates, 30 commands each."""
    size = (8, 400, 30) if trials.count > 1 else (4, 200, 5)
    for trial in trials:
        race(new_project(), trial, *size, trials)
    assert trials.seen["came too late"], "they never met"


@pytest.mark.promise(3)
@pytest.mark.parametrize("mutant", ["claim-unconditional"], indirect=True)
def test_the_race_catches_a_claim_that_looks_at_nothing(new_mutant: Callable[[], Project]) -> None:
    def case(trial: Trial) -> None:
        race(new_mutant(), trial, 4, 40, 2)

    assert caught(case) <= MUTANT_TRIALS
