"""Promise 8: closed or broken stdout and stderr, /dev/full, `| head -1`: no lost state, no traceback."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from random import Random

import pytest
from blackbox.world import SALES, Project

from promises.abreast import Abreast
from promises.harness import Trial, Trials, caught
from promises.sinks import run_into
from promises.stopping import World

NewProject = Callable[[], Project]
See = Callable[..., None]

CANNOT_WRITE = 74

RUNNING: tuple[tuple[str, ...], ...] = (
    ("run", "--dag", "sales"),
    ("run", "--dag", "sales", "--json"),
    ("run", "--dag", "sales", "-q"),
    ("run", "--dag", "sales", "-v", "--parallel", "3"),
    ("run", "--dag", "sales", "--events", "-"),
    ("run", "--dag", "sales", "--events", "e.ndjson", "--junit", "j.xml"),
    ("run", "--dag", "noisy"),
    ("run", "--dag", "noisy", "--json"),
    ("rerun-failed", "--dag", "sales"),
)
"""Commands that run dates; the trial adds which."""

READING: tuple[tuple[int, tuple[str, ...]], ...] = (
    (
        0,
        ("plan", "--dag", "sales", "--start", "2030-01-01", "--end", "2032-12-31", "--include-incomplete", "--dry-run"),
    ),
    (0, ("plan", "--dag", "sales", "--start", "2024-01-01", "--end", "2025-12-31", "--json", "--dry-run")),
    (0, ("status",)),
    (0, ("status", "--json")),
    (0, ("status", "--dag", "sales", "--start", "2023-12-30", "--end", "2023-12-31")),
    (0, ("logs", "--dag", "sales", "2023-12-30")),
    (0, ("logs", "--dag", "sales", "2023-12-30", "--json")),
    (0, ("audit",)),
    (0, ("audit", "verify")),
    (0, ("audit", "report", "--format", "html")),
    (0, ("audit", "report", "--format", "csv")),
    (0, ("dags", "list")),
    (0, ("dags", "show", "sales", "--json")),
    (0, ("dags", "validate")),
    (0, ("scenario", "list")),
    (0, ("completion", "bash")),
    (0, ("__complete", "dags", "")),
    (0, ("--help",)),
    (0, ("run", "--help")),
    (0, ("--version",)),
    (2, ("plan", "--nope")),
    (2, ("status", "--nope", "--json")),
    (3, ("plan", "--dag", "nobody")),
    (3, ("plan", "--dag", "nobody", "--json")),
)
"""Commands that change nothing, with their exit codes."""

NOISY = """
import subprocess
with DAG("noisy", schedule="@daily", start_date=datetime(2023, 1, 1)):
    @task
    def shout(ds: str):
        print("x" * 1000)
        subprocess.run(["sh", "-c", "i=0; while [ $i -lt 40 ]; do echo {}; i=$((i + 1)); done"], check=True)
        os.write(2, b"y" * 3000)
        broken("shout", ds)
    shout()
    BashOperator(task_id="say", bash_command="echo {{{{ ds }}}}; echo more >&2")
""".format("z" * 3000)

PER_PROJECT = 200
"""Trials in one project, two days each: they have to be over."""

SECRET = {"BFILL_CONN_W": "postgresql://u:hunter22hunter@h/d"}
"""With a secret to mask, descriptors 1 and 2 go through a pipe."""


def prepared(project: Project) -> Project:
    """Two dates of `sales` have run; what the trials run comes after them."""
    project.write("dags/sales.py", SALES.replace("2024, 1, 1", "2023, 1, 1"))
    project.write("dags/noisy.py", NOISY)
    project.bfill("run", "--dag", "sales", "--start", "2023-12-30", "--end", "2023-12-31").exits(0)
    return project


def break_streams(project: Project, trial: Trial, see: See) -> None:
    """Run one command into streams of random kinds, and compare its exit code and what it has recorded."""
    random = trial.random
    kinds = _kinds(random)
    terminal = {"TERM": "xterm-256color"} if "pty" in kinds else {}
    env = {**terminal, **random.choice([{}, SECRET])}
    if random.random() < 0.6:
        words, code, expected = _dates(project, trial)
    else:
        code, words = random.choice(READING)
        expected = {}
    before = {} if expected else project.fingerprint()
    ended = run_into(project, words, kinds, random, env)
    assert "Traceback" not in ended.text, (words, kinds, ended)
    assert "Exception ignored" not in ended.text, (words, kinds, ended)
    # What could not be written is an error of its own only where nothing else was wrong.
    allowed = {code, CANNOT_WRITE} if kinds[1] == "full" and code == 0 else {code}
    assert ended.code in allowed, (words, kinds, ended, [row["reason"] for row in project.attempts(words[2])][-4:])
    if kinds[1] == "full" and _writes_much(words):
        assert ended.code == (code or CANNOT_WRITE), (words, kinds, ended)
        see("told that stdout is full")
    for (dag_id, day), state in expected.items():
        assert project.runs(dag_id).get(day) == state, (words, kinds, ended)
    if expected:
        assert not project.rows("SELECT * FROM backfills WHERE owner IS NOT NULL"), (words, kinds, ended)
        project.bfill("audit", "verify").exits(0)
    else:
        assert project.fingerprint() == before, (words, kinds)
    for stream, kind in zip(("stdin", "stdout", "stderr"), kinds, strict=True):
        see(f"{stream} {kind}")


def _kinds(random: Random) -> tuple[str, str, str]:
    """Return kinds of stdin, stdout and stderr, at least one of them not as it should be."""
    # Stdout may not stand there: a result waits for its reader, as every program does.
    out = random.choice(["file", "closed", "full", "pipe", "pty"])
    err = random.choice(["closed", "full", "pipe", "stalled", "pty"] + ["file"] * (out != "file"))
    return random.choice(["null", "null", "closed"]), out, err


def _dates(project: Project, trial: Trial) -> tuple[tuple[str, ...], int, dict[tuple[str, str], str]]:
    """Return a command over two dates nobody has used yet, its exit code, and what has to be recorded."""
    words = trial.random.choice(RUNNING)
    if "noisy" in words and trial.number % 10 == 0:  # a worker process costs as much as ten commands
        words = (*words, "--executor", "process")
    dag_id = words[2]
    first = date(2024, 1, 1) + timedelta(days=2 * (trial.number % PER_PROJECT))
    days = [first.isoformat(), (first + timedelta(days=1)).isoformat()]
    fails = words[0] == "rerun-failed" or trial.random.random() < 0.3
    if fails:
        project.breaks("load" if dag_id == "sales" else "shout", days[1])
    words = (*words, "--start", days[0], "--end", days[1])
    if words[0] == "rerun-failed":
        project.bfill("run", *words[1:]).exits(1)
    states = {(dag_id, days[0]): "success", (dag_id, days[1]): "failed" if fails else "success"}
    return words, int(fails), states


def _writes_much(words: tuple[str, ...]) -> bool:
    return words[0] in ("plan", "status", "logs", "audit", "dags", "scenario", "completion", "--help", "--version")


@pytest.mark.promise(8, short=120, long=2000)
def test_broken_streams_lose_nothing(trials: Trials, abreast: Abreast) -> None:
    """Every command into closed, full, leaving, standing and vanishing streams, in all combinations."""
    projects: dict[tuple[int, int], Project] = {}

    def case(world: World, trial: Trial) -> None:
        place = id(world), trial.number // PER_PROJECT  # a new one when its dates are used up
        if place not in projects:
            projects[place] = prepared(world.project('DAG("stops", schedule="@daily")\n'))
        break_streams(projects[place], trial, lambda what: world.seen.update([what]))

    abreast(trials, case)
    if trials.count >= 100:
        assert len(trials.seen) >= 13, trials.seen


def test_a_reader_that_stops_reading_holds_no_run_up(project: Project) -> None:
    """Thousands of lines of progress into a pipe nobody empties: the run ends, and its state is recorded."""
    project.write(
        "dags/many.py",
        'with DAG("many", schedule="@daily", start_date=datetime(2020, 1, 1)):\n'
        "    @task\n    def fail(ds: str):\n        raise RuntimeError('no ' * 150)\n    fail()\n",
    )
    words = ("run", "--dag", "many", "--start", "2020-01-01", "--end", "2021-06-30", "--parallel", "16")
    ended = run_into(project, words, ("null", "file", "stuck"), Random(1), {})
    assert ended.code == 1
    assert len(project.runs("many")) == 547
    assert "547 total" in ended.out


@pytest.mark.long
@pytest.mark.promise(8)
@pytest.mark.parametrize(
    "mutant",
    ["broken-stderr-raises", "broken-pipe-is-an-error", "full-stdout-untold", "strays-straight"],
    indirect=True,
)
def test_the_harness_catches_a_stream_trusted(new_mutant: NewProject) -> None:
    project = prepared(new_mutant())

    def case(trial: Trial) -> None:
        break_streams(project, trial, lambda *_: None)

    caught(case)
