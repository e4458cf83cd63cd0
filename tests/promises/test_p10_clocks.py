"""Promise 10: a wall clock that jumps, before and during a run, loses, doubles and reorders nothing.

A case is a small story: commands and jumps. Then every date is looked at: each task has run as often as it should and
said so, tries are numbered and timed in order, nothing ends before it begins, the audit chain holds, and the same
command once more finds nothing to do. Waits are held against a steady clock.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from blackbox.world import Project, Ran, until

from promises.clocks import HEAD, WallClock, needs_faketime, with_clock
from promises.harness import Trial, Trials, caught, mutated

pytestmark = needs_faketime

NewProject = Callable[[], Project]
RANGE = ("--start", "2024-01-01", "--end", "2024-01-05")
DAYS = [f"2024-01-0{day}" for day in range(1, 6)]

PATIENCE_S = 15.0
"""Seconds a command may take; its retries are due within two."""

JUMPS = ["+1d", "-1d", "+365d", "-365d", "+3600", "-3600", "+90", "-90", "+7000d", "-15000d"]
"""What clocks do: a daylight saving mistake, a wrong year, an empty battery."""

DAG = """\
with DAG("jumps", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=2):
    @task(retries=2, retry_delay=timedelta(seconds=RETRY_S), execution_timeout=timedelta(seconds=5))
    def first(ds, ti):
        witness(f"first {ds} {ti.try_number}")
        for at, to in JUMPS.get(ds, {}).items():
            if at == ti.try_number:
                set_clock(to)
        if ti.try_number <= FAILURES.get(ds, 0):
            raise RuntimeError("not yet")

    @task
    def second(ds, ti):
        time.sleep(0.01)
        witness(f"second {ds} {ti.try_number}")

    first() >> second()
"""


class World:
    """A project under a wall clock."""

    def __init__(self, project: Project, clock: WallClock) -> None:
        self.project, self.clock = project, clock
        project.env.update(clock.environ)
        clock.set("+0")

    def dag(
        self,
        *,
        jumps: dict[str, dict[int, str]] | None = None,
        failures: dict[str, int] | None = None,
        retry_s: float = 0.05,
    ) -> None:
        """Write the DAG: at which try of which day the clock is set to what, and how many tries of a day fail."""
        text = f"JUMPS = {jumps or {}}\nFAILURES = {failures or {}}\nRETRY_S = {retry_s}\n" + DAG
        self.project.write("dags/jumps.py", text, head=HEAD)

    def run(self, *words: str) -> Ran:
        return self.project.start("run", "--dag", "jumps", *(words or RANGE), "--json").wait(PATIENCE_S)

    def witnessed(self) -> list[str]:
        return (self.project.folder / "witness").read_text().splitlines()

    def holds(self, *, failures: dict[str, int] | None = None, one_process: bool = True) -> None:
        """Look at everything: each day has run once (and failed so many times before), in order, and said so.

        Args:
            one_process: One process ran all of it, so that its times can be compared.
        """
        self.clock.set("+0")
        failures = failures or {}
        project = self.project
        assert project.runs("jumps") == dict.fromkeys(DAYS, "success")
        expected = [
            f"{task} {day} {number}"
            for day in DAYS
            for task, most in (("first", failures.get(day, 0) + 1), ("second", 1))
            for number in range(1, most + 1)
        ]
        assert sorted(self.witnessed()) == sorted(expected)
        rows = project.rows("SELECT * FROM v_attempts ORDER BY logical_date, task_id, try_number")
        told = [f"{row['task_id']} {row['logical_date'][:10]} {row['try_number']}" for row in rows]
        assert sorted(told) == sorted(expected)
        for row in (*rows, *project.rows("SELECT * FROM v_dag_runs"), *project.rows("SELECT * FROM backfills")):
            assert row["started_at"] <= row["ended_at"], row
        for before, after in pairwise(rows if one_process else []):
            if (before["logical_date"], before["task_id"]) == (after["logical_date"], after["task_id"]):
                assert before["ended_at"] <= after["started_at"], (before, after)
        events = project.rows("SELECT seq FROM v_audit ORDER BY seq")
        assert [row["seq"] for row in events] == list(range(1, len(events) + 1))
        project.bfill("audit", "verify", "-q").exits(0)
        again = self.run().exits(0).data
        assert again["completed"] + again["remaining"] == 0 and again["skipped"] == len(DAYS), again
        assert sorted(self.witnessed()) == sorted(expected)


def seconds(call: Callable[[], object]) -> float:
    """How long it takes, by a clock nobody sets."""
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


# the stories


def set_between_commands(world: World, trial: Trial) -> None:
    world.dag()
    world.run("--start", "2024-01-01", "--end", "2024-01-03").exits(0)
    world.clock.set(trial.random.choice(JUMPS))
    world.run("--start", "2024-01-01", "--end", "2024-01-05", "--ignore-dag-bounds", "--include-incomplete").exits(0)
    world.holds()


def set_during_a_run(world: World, trial: Trial) -> None:
    jumps = {day: {1: trial.random.choice(JUMPS)} for day in trial.random.sample(DAYS, 3)}
    world.dag(jumps=jumps)
    world.run(*RANGE, "--parallel", "2").exits(0)
    world.holds()


def set_back_while_a_retry_waits(world: World, trial: Trial) -> None:
    day = trial.random.choice(DAYS)
    world.dag(jumps={day: {1: trial.random.choice(["-3600", "-365d", "-15000d"])}}, failures={day: 1}, retry_s=0.5)
    assert seconds(lambda: world.run().exits(0)) > 0.5
    world.holds(failures={day: 1})


def set_forward_while_a_retry_waits(world: World, trial: Trial) -> None:
    """A retry is not early either: its delay protects somebody's service."""
    day = trial.random.choice(DAYS)
    world.dag(jumps={day: {1: trial.random.choice(["+3600", "+365d"])}}, failures={day: 1}, retry_s=0.7)
    assert seconds(lambda: world.run().exits(0)) > 0.7
    world.holds(failures={day: 1})


def set_in_each_retry(world: World, trial: Trial) -> None:
    failures = dict.fromkeys(DAYS, 2)
    jumps = {day: {number: trial.random.choice(JUMPS) for number in (1, 2, 3)} for day in DAYS}
    world.dag(jumps=jumps, failures=failures, retry_s=0.1)
    world.run(*RANGE, "--parallel", "2").exits(0)
    world.holds(failures=failures)


def set_back_while_bfill_is_away(world: World, trial: Trial) -> None:
    """A retry that was stored with a far-off instant: the next process waits for its delay at most."""
    day = DAYS[0]
    world.dag(failures={day: 1}, retry_s=2)
    going = world.project.start("run", "--dag", "jumps", *RANGE)
    until(lambda: "up_for_retry" in world.project.instances("jumps", day).values())
    going.signal(signal.SIGINT)
    going.wait().exits(130)
    world.clock.set(trial.random.choice(["-1d", "-365d"]))
    words = (*RANGE, "--ignore-dag-bounds", "--include-incomplete")
    world.run(*words).exits(0)
    world.holds(failures={day: 1}, one_process=False)


def stands_still(world: World, trial: Trial) -> None:
    world.clock.set("2024-06-01 12:00:00")
    world.dag(failures={DAYS[1]: 1}, retry_s=0.2)
    world.run().exits(0)
    world.holds(failures={DAYS[1]: 1})


def passes_2038(world: World, trial: Trial) -> None:
    world.clock.set("@2038-01-19 03:14:07")
    world.dag(failures={DAYS[2]: 1}, retry_s=1)
    world.run().exits(0)
    world.holds(failures={DAYS[2]: 1})


def is_before_1970(world: World, trial: Trial) -> None:
    """Everything is still to come: nothing is selected. Asked for all the same, it runs."""
    world.clock.set("1969-12-31 23:00:00")
    world.dag()
    assert world.run().exits(0).data["total_dates"] == 0
    world.run(*RANGE, "--include-incomplete").exits(0)
    world.holds()


def is_in_the_hour_that_comes_twice(world: World, trial: Trial) -> None:
    world.project.env["TZ"] = "Europe/Berlin"
    world.clock.set("@2024-10-27 02:59:59")
    world.dag(failures={DAYS[0]: 1}, retry_s=1)
    world.run().exits(0)
    world.holds(failures={DAYS[0]: 1})


def changes_its_zone(world: World, trial: Trial) -> None:
    world.dag()
    zones = ["Pacific/Apia", "America/St_Johns", "Pacific/Kiritimati", "Europe/Berlin"]
    for end, zone in zip(("2024-01-02", "2024-01-04", "2024-01-05"), trial.random.sample(zones, 3), strict=True):
        world.project.env["TZ"] = zone
        world.run("--start", "2024-01-01", "--end", end).exits(0)
    world.holds()


def is_set_in_processes_of_their_own(world: World, trial: Trial) -> None:
    day = trial.random.choice(DAYS)
    world.dag(jumps={day: {1: trial.random.choice(["-3600", "+365d", "-365d"])}}, failures={day: 1}, retry_s=0.1)
    world.run(*RANGE, "--executor", "process", "--parallel", "2").exits(0)
    world.holds(failures={day: 1})


def makes_ids_within_a_second_that_comes_again(world: World, trial: Trial) -> None:
    world.dag()
    world.clock.set("2024-06-01 12:00:00")
    ids = []
    for day in DAYS:
        world.clock.set("2024-06-01 12:00:00")
        planned = world.project.bfill("plan", "--dag", "jumps", "--dates", day, "--json").exits(0).data
        ids.append(planned["backfill_id"])
        world.clock.set("2024-06-01 11:59:59")
    assert len(set(ids)) == len(DAYS)
    listed = world.project.bfill("status", "--json").exits(0).data
    assert [one for one in json.dumps(listed).split('"') if one in ids] == ids[::-1], (listed, ids)
    for one in ids:
        world.project.bfill("run", one, "-q").exits(0)
    world.holds()


STORIES = (
    set_between_commands,
    set_during_a_run,
    set_back_while_a_retry_waits,
    set_forward_while_a_retry_waits,
    set_in_each_retry,
    set_back_while_bfill_is_away,
    stands_still,
    passes_2038,
    is_before_1970,
    is_in_the_hour_that_comes_twice,
    changes_its_zone,
    is_set_in_processes_of_their_own,
    makes_ids_within_a_second_that_comes_again,
)


@pytest.fixture(scope="module")
def new_world(new_project: NewProject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], World]]:
    with with_clock(tmp_path_factory.mktemp("clock")) as (forker, clock):

        def make() -> World:
            project = new_project()
            project.forker = forker
            return World(project, clock)

        yield make


@pytest.mark.promise(10, short=len(STORIES), long=20 * len(STORIES))
def test_a_clock_that_jumps_changes_nothing(trials: Trials, new_world: Callable[[], World]) -> None:
    for trial in trials:
        story = STORIES[(trial.seed - 1) % len(STORIES)]
        story(new_world(), trial)
        trials.see(story.__name__)


@pytest.mark.long
@pytest.mark.promise(10)
def test_a_retry_by_the_wall_clock_is_seen(new_project: NewProject, tmp_path: Path) -> None:
    """Without the steady clock a retry that was due in half a second waits for an hour, or a year."""
    with with_clock(tmp_path, mutated("retry-by-the-wall-clock", tmp_path)) as (forker, clock):

        def case(trial: Trial) -> None:
            project = new_project()
            project.forker = forker
            set_back_while_a_retry_waits(World(project, clock), trial)

        assert caught(case) <= 3
