"""Promise 18: no more starts than tries, interruptions and deferrals allow, and no limit is ever exceeded.

Random DAG files through the real command line. What happened is told by the tasks themselves, who append a line when
they begin and one when they end to one file; what should have happened is told by `oracle`, which knows neither order
nor slots. A quarter of the trials is killed once on the way: there only the bounds are looked at.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from blackbox.world import Project
from builders import make_dag, make_task
from oracle import end_of, final_states, run_state

from backfill_cli.core.graph import Dag, TriggerRule
from backfill_cli.core.retries import RetryPolicy
from backfill_cli.core.states import Outcome, TaskState
from promises.harness import MUTANT_TRIALS, Trial, Trials, caught

DAY = 86_400
FIRST = 1_704_067_200  # 2024-01-01
SMALL = 2
"""Slots of the pool `small`."""

MEANS = {
    "raise": Outcome.RETRY,
    "signal": Outcome.RETRY,
    "fail": Outcome.FAILED,
    "skip": Outcome.SKIPPED,
    "defer": Outcome.DEFERRED,
    "ok": Outcome.SUCCESS,
}
PYTHON = ("ok", "ok", "raise", "raise", "fail", "skip", "defer")
BASH = ("ok", "ok", "raise", "signal", "skip")

HEAD = """\
import os, time
from datetime import datetime, timedelta
from backfill_cli import DAG, BashOperator, FailTask, PythonOperator, RateLimited, SkipTask

WITNESS = {witness!r}
SCRIPT = {script!r}

def tell(line):
    with open(WITNESS, "a") as file:
        file.write(line + "\\n")

def work(name, pause, ds):
    with open(WITNESS) as file:
        before = file.read().count(f"start {{name}} {{ds}}\\n")
    tell(f"start {{name}} {{ds}}")
    time.sleep(pause)
    tell(f"end {{name}} {{ds}}")
    outcomes = SCRIPT[name, ds]
    match outcomes[before] if before < len(outcomes) else "ok":
        case "raise": raise RuntimeError("as the script says")
        case "fail": raise FailTask("as the script says")
        case "skip": raise SkipTask("as the script says")
        case "defer": raise RateLimited(0.01)

with DAG("random", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_tasks={most}):
"""


@dataclass(frozen=True)
class Play:
    """A random DAG, how its tries are to end, and the limits of the run."""

    dag: Dag
    days: list[str]
    script: dict[tuple[str, str], list[str]]
    bash: frozenset[str]
    parallel: int
    workers: int
    pauses: dict[str, float]

    def source(self, witness: Path) -> str:
        head = HEAD.format(witness=str(witness), script=self.script, most=self.dag.max_active_tasks)
        return head + "".join(f"    {self._task(name, witness)}\n" for name in self.dag.tasks) + self._edges()

    def _task(self, name: str, witness: Path) -> str:
        task = self.dag.tasks[name]
        common = (
            f"task_id={name!r}, trigger_rule={str(task.trigger_rule)!r}, depends_on_past={task.depends_on_past}, "
            f"wait_for_downstream={task.wait_for_downstream}, retries={task.retry.retries}, retry_delay=timedelta(0), "
            f"pool={task.pool!r}, pool_slots={task.pool_slots}"
        )
        if name not in self.bash:
            return (
                f"{name} = PythonOperator(python_callable=work, "
                f"op_kwargs={{'name': {name!r}, 'pause': {self.pauses[name]}}}, {common})"
            )
        acts = {"raise": "exit 1", "signal": "kill -9 $$", "skip": "exit 99", "ok": ":"}
        cases = " ".join(
            f"{day}.{place}) {acts[outcome]};;"
            for day in self.days
            for place, outcome in enumerate(self.script[name, day])
        )
        command = (
            f'n=$(grep -c "^start {name} $BFILL_DS" {witness}); echo "start {name} $BFILL_DS" >> {witness}; '
            f'sleep {self.pauses[name]}; echo "end {name} $BFILL_DS" >> {witness}; '
            f'case "$BFILL_DS.$n" in {cases} esac'
        )
        return f"{name} = BashOperator(bash_command={command!r}, {common})"

    def _edges(self) -> str:
        edges = [f"    {up} >> {name}\n" for name, task in self.dag.tasks.items() for up in sorted(task.upstream)]
        return "".join(edges)


def random_play(random: Random) -> Play:
    names = "abcde"[: random.randint(1, 5)]
    tasks = []
    for place, name in enumerate(names):
        pool = random.choice(("default_pool", "small"))
        tasks.append(
            make_task(
                name,
                after=random.sample(names[:place], random.randint(0, min(2, place))),
                trigger_rule=random.choice((TriggerRule.ALL_SUCCESS, TriggerRule.ALL_SUCCESS, *TriggerRule)),
                depends_on_past=random.random() < 0.3,
                wait_for_downstream=random.random() < 0.15,
                retry=RetryPolicy(random.randint(0, 2), delay_s=0),
                pool=pool,
                pool_slots=random.randint(1, 2) if pool == "small" else 1,
            )
        )
    days = [f"2024-01-0{number}" for number in range(1, random.randint(2, 6))]
    bash = frozenset(name for name in names if random.random() < 0.3)
    script = {
        (name, day): [random.choice(BASH if name in bash else PYTHON) for _ in range(random.randrange(4))]
        for name in names
        for day in days
    }
    pauses = {name: random.choice((0, 0.005, 0.02)) for name in names}
    dag = make_dag(*tasks, max_active_tasks=random.randint(1, 3))
    return Play(dag, days, script, bash, random.randint(1, 4), random.randint(1, 6), pauses)


def played(project: Project, trial: Trial, trials: Trials | None = None) -> None:
    """Run one random DAG, killed on the way or not, and hold what happened against what may happen."""
    play = random_play(trial.random)
    witness = project.folder / "witness"
    witness.write_text("")
    project.write("bfill.toml", f"[pools]\nsmall = {SMALL}\n")
    project.write("dags/random.py", play.source(witness), head="")
    words = ["run", "--dag", "random", "--start", play.days[0], "--end", play.days[-1], "--json"]
    words += ["--parallel", str(play.parallel)]
    env = {"BFILL_WORKERS": str(play.workers)}
    killed = trial.random.random() < 0.25
    if killed:
        going = project.start(*words, env=env)
        time.sleep(trial.random.uniform(0.05, 0.6))
        going.signal(signal.SIGKILL)
        killed = going.wait().code < 0
        # What it had started may still be at work; a pause is all it has in it.
        time.sleep(0.1)
    ran = project.bfill(*words, env=env)
    assert ran.code in (0, 1), ran
    lines = [tuple(line.split()) for line in witness.read_text().splitlines()]
    attempts = project.attempts("random")
    _within_tries(play, lines, attempts)
    if trials is not None:
        trials.see("killed on the way", killed)
        trials.see("tries", len(attempts))
        trials.see("deaths by signal", sum("killed by signal" in (one["reason"] or "") for one in attempts))
    if not killed:
        _within_limits(play, lines)
        _as_the_oracle_says(project, play, lines)


def _within_tries(play: Play, lines: list[tuple[str, ...]], attempts: list[dict[str, str]]) -> None:
    starts = Counter((name, day) for what, name, day in lines if what == "start")
    allowed = Counter[tuple[str, str]]()
    for one in attempts:
        if one["outcome"] in ("lost", "deferred"):
            allowed[one["task_id"], one["logical_date"][:10]] += 1
    for (name, day), count in starts.items():
        most = 1 + play.dag.tasks[name].retry.retries + allowed[name, day]
        assert count <= most, f"{name} of {day} was started {count} times, {most} are allowed"


def _within_limits(play: Play, lines: list[tuple[str, ...]]) -> None:
    running: list[tuple[str, str]] = []
    for what, name, day in lines:
        if what == "end":
            running.remove((name, day))
            continue
        running.append((name, day))
        slots = sum(play.dag.tasks[one].pool_slots for one, _ in running if play.dag.tasks[one].pool == "small")
        assert slots <= SMALL, f"{slots} slots of {SMALL}: {running}"
        assert len(running) <= play.workers, f"{len(running)} tasks by {play.workers} workers: {running}"
        assert len({date for _, date in running}) <= play.parallel, f"--parallel {play.parallel}: {running}"
        most = max(Counter(date for _, date in running).values())
        assert most <= play.dag.max_active_tasks, f"max_active_tasks {play.dag.max_active_tasks}: {running}"
    assert not running


def _as_the_oracle_says(project: Project, play: Play, lines: list[tuple[str, ...]]) -> None:
    def outcomes(date: int, name: str) -> list[Outcome]:
        return [MEANS[one] for one in play.script[name, play.days[(date - FIRST) // DAY]]]

    dates = [FIRST + DAY * number for number in range(len(play.days))]
    expected = final_states(play.dag, dates, outcomes)
    starts = Counter((name, day) for what, name, day in lines if what == "start")
    for date, day in zip(dates, play.days, strict=True):
        states = expected[date]
        told = {name: str(state) for name, state in states.items() if state is not TaskState.SCHEDULED}
        assert project.instances("random", day) == told, day
        assert project.runs("random")[day] == str(run_state(play.dag, states)), day
        for name, state in states.items():
            ran = state.value in ("success", "failed") or (state.value == "skipped" and starts[name, day])
            tries = end_of(outcomes(date, name), play.dag.tasks[name].retry.retries)[1] if ran else 0
            assert starts[name, day] == tries, f"{name} of {day}: {starts[name, day]} starts, not {tries}"


@pytest.mark.promise(18, short=20, long=2_000)
def test_starts_and_limits_are_those_of_the_simulator(new_project: Callable[[], Project], trials: Trials) -> None:
    for trial in trials:
        played(new_project(), trial, trials)
    if trials.count >= 20:
        assert all(trials.seen[what] for what in ("killed on the way", "deaths by signal")), trials.seen


@pytest.mark.promise(18)
@pytest.mark.parametrize("mutant", ["pool-never-full", "death-by-signal-is-a-loss", "one-retry-more"], indirect=True)
def test_the_simulator_catches(new_mutant: Callable[[], Project]) -> None:
    def case(trial: Trial) -> None:
        played(new_mutant(), trial)

    assert caught(case) <= MUTANT_TRIALS
