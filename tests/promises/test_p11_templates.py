"""Promise 11: templates are sandboxed, and bounded in time, memory and size.

A case is one text in one place: it is refused, or rendered within the bounds, and nothing that is not the template's
comes out of it. What a person sees of it is tried on commands: exit 3 before anything runs, or one failed try.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from blackbox.world import Project
from core.test_templates import BOMBS as KNOWN_BOMBS
from core.test_templates import ESCAPES as KNOWN_ESCAPES

from promises import bombs
from promises.harness import Trial, Trials, caught, mutated
from promises.rendering import Renderer

NewProject = Callable[[], Project]

TEXTS = [(text, "escape") for text in (*KNOWN_ESCAPES, *bombs.ESCAPES)]
TEXTS += [(text, "bomb") for text in (*KNOWN_BOMBS, *bombs.BOMBS)]
random.Random(11).shuffle(TEXTS)  # so that the first hundred are of every kind

PLACES = {"plain": "{}", "shell": "echo {}", "sql": "SELECT {}"}
SECONDS = 4.0
"""Of the processor, which on a busy machine does half as much in one: idle, none takes more than one and a half."""

KIB = 150_000
INSIDES = ("hunter2", "<class", "<function", "<built-in", "<bound", "<module", "root:x:", "<jinja2", "object at 0x")


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    with closing(Renderer()) as renderer:
        yield renderer


def case_of(trial: Trial, renderer: Renderer) -> str:
    """One text in one place; the places take turns when the texts have all been."""
    number = trial.seed - 1
    text, kind = TEXTS[number % len(TEXTS)]
    place = list(PLACES)[number // len(TEXTS) % len(PLACES)]
    made = renderer.ask(do="template", text=PLACES[place].format(text) if place != "plain" else text, place=place)
    what = text[:200], place, made
    assert made["outcome"] in ("refused", "rendered"), what
    assert made["seconds"] < SECONDS, what
    assert made["kib"] < KIB, what
    assert made["length"] <= 1_048_576, what
    assert made["conf_is_whole"], what
    if kind == "escape":
        written = text + PLACES[place]
        assert not [one for one in INSIDES if one in made["shown"] and one not in written], what
    return f"{kind} {made['outcome']}"


@pytest.mark.promise(11, short=100, long=3 * len(TEXTS))
def test_a_hostile_template_is_refused_or_harmless(trials: Trials, renderer: Renderer) -> None:
    for trial in trials:
        trials.see(case_of(trial, renderer))
    if trials.count >= 100:
        assert trials.seen["escape refused"] > 10 and trials.seen["bomb refused"] > 10


@pytest.mark.promise(11)
@pytest.mark.parametrize("text", ["{{ ''.__class__ }}", "{{ 'x' * 10 ** 9 }}", "{% include 'x' %}", "{{" * 9_000])
def test_a_command_with_a_hostile_template_runs_nothing(text: str, new_project: NewProject) -> None:
    project = new_project()
    command = ("--command", f"echo {text}; touch canary", "--schedule", "@daily", "--dates", "2024-01-01")
    planned = project.bfill("plan", *command, "--dry-run")
    ran = project.bfill("run", *command)
    assert (planned.code, ran.code) in ((3, 3), (0, 1)), (planned, ran)  # some show only when they are computed
    assert "Traceback" not in planned.err + ran.err
    assert not list(project.folder.rglob("canary"))


FIELDS = """\
BOMB = "{{ 'x' * conf.n }}"
with DAG("fields", schedule="@daily", start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="bash_command", bash_command="touch canary; echo " + BOMB)
    BashOperator(task_id="env", bash_command="touch canary", env={"X": BOMB})
    BashOperator(task_id="cwd", bash_command="touch canary", cwd=BOMB)
    SQLOperator(task_id="sql", sql="SELECT " + BOMB, conn_id="db")
    PythonOperator(task_id="op_kwargs", python_callable=lambda x: Path("canary").touch(), op_kwargs={"x": BOMB})
    PythonOperator(task_id="op_args", python_callable=lambda x: Path("canary").touch(), op_args=[[BOMB]])
    BashOperator(task_id="sound", bash_command="echo {{ conf.n }}")
"""


@pytest.mark.promise(11)
def test_a_bomb_that_only_the_date_shows_fails_its_own_try_in_every_field(new_project: NewProject) -> None:
    project = new_project()
    project.env["BFILL_CONN_DB"] = "sqlite:///:memory:"
    project.write("dags/fields.py", FIELDS)
    ran = project.bfill(
        "run", "--dag", "fields", "--dates", "2024-01-01", "--conf", '{"n": 1000000000}', "--json"
    ).exits(1)
    assert ran.data["failed"] == 1
    states = project.instances("fields")
    assert states.pop("sound") == "success"
    assert set(states.values()) == {"failed"} and len(states) == 6
    assert not list(project.folder.rglob("canary"))
    for attempt in project.attempts("fields"):
        if attempt["task_id"] != "sound":
            assert "limit is 1,048,576" in attempt["reason"], attempt


@pytest.mark.long
@pytest.mark.promise(11)
@pytest.mark.parametrize("name", ["any-attribute", "growth-unbounded", "comparisons-unpaid"])
def test_a_sandbox_with_a_hole_is_seen(name: str, tmp_path: Path) -> None:
    with closing(Renderer(mutated(name, tmp_path))) as renderer:

        def case(trial: Trial) -> None:
            case_of(trial, renderer)

        assert caught(case) <= 100
