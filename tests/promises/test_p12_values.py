"""Promise 12: what conf, params, XComs and variables hold is data: to the shell that bfill starts, to SQL, to bfill.

A case is a batch of random byte strings. Each goes into every quoting place, on a real shell, and has to arrive as its
own bytes; no file called `canary` may appear, which is what the hostile ones among them try. The places, and those
where no quoting is safe and the template is refused, are the tables of tests/core/test_quoting.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from blackbox.world import Project

from promises.harness import Trial, Trials, caught, mutated
from promises.rendering import VALUES, Renderer

NewProject = Callable[[], Project]
SHELLS = [shell for shell in ("bash", "dash") if shutil.which(shell)]


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    with closing(Renderer()) as renderer:
        yield renderer


def on_a_shell(trial: Trial, renderer: Renderer, folder: Path) -> str:
    shell = SHELLS[trial.seed % len(SHELLS)]
    wrong = renderer.ask(do="shell", seed=trial.seed, name=shell, folder=str(folder))
    assert wrong == "", (shell, wrong)
    return shell


@pytest.mark.promise(12, short=8, long=len(SHELLS) * 5_000 // VALUES)
def test_a_value_arrives_as_its_own_bytes_in_every_quoting_place(
    trials: Trials, renderer: Renderer, tmp_path: Path
) -> None:
    assert SHELLS == ["bash", "dash"], "needs both: apt-get install dash"
    for trial in trials:
        trials.see(f"values on {on_a_shell(trial, renderer, tmp_path)}", VALUES)


@pytest.mark.promise(12, short=8, long=5_000 // VALUES)
def test_a_value_in_sql_is_a_parameter(trials: Trials, renderer: Renderer) -> None:
    for trial in trials:
        wrong = renderer.ask(do="sql", seed=trial.seed)
        assert wrong == "", wrong
        trials.see("values bound", VALUES)


CHAIN = """\
import json
with DAG("chain", schedule="@daily", start_date=datetime(2024, 1, 1), params={"p": TRAP}):
    @task
    def push(conf): return conf["v"]
    ways = ["conf.v", "params.p", "var.value.trap", "ti.xcom_pull('push')"]
    values = ["{{ " + one + " }}" for one in ways]
    BashOperator(task_id="shell", bash_command="printf '%s\\\\n' " + " ".join(values) + ' "$BFILL_CONF_V"')
    SQLOperator(task_id="sql", conn_id="db", sql="SELECT " + ", ".join(values))
    @task
    def python(value, other): return [value, other]
    pushed = push()
    pushed >> [dag_task for dag_task in pushed.operator.dag.tasks if dag_task.task_id in ("shell", "sql")]
    python(pushed, "{{ conf.v }}")
"""


@pytest.mark.promise(12)
def test_a_value_is_never_rendered_a_second_time(new_project: NewProject) -> None:
    """It says what a template says, comes by every way there is, and arrives as it is."""
    trap = "{{ ds }}{% raw %}$(touch canary)`touch canary`'; touch canary #"
    project = new_project()
    project.env |= {"BFILL_CONN_DB": "sqlite:///:memory:", "BFILL_VAR_TRAP": trap}
    project.write("dags/chain.py", f"TRAP = {trap!r}\n" + CHAIN)
    conf = json.dumps({"v": trap})
    project.bfill("run", "--dag", "chain", "--dates", "2024-01-01", "--conf", conf, "-q").exits(0)
    assert project.log("chain", "2024-01-01", "shell").splitlines() == [trap] * 5
    found = project.xcoms("chain")
    assert found["python", "return_value"] == [trap, trap]
    assert json.dumps(found["sql", "return_value"]).count(json.dumps(trap)[1:-1]) == 4
    assert not list(project.folder.rglob("canary"))


@pytest.mark.long
@pytest.mark.promise(12)
@pytest.mark.parametrize("name", ["double-quotes-unquoted", "here-document-unquoted"])
def test_one_place_that_is_not_quoted_is_seen(name: str, tmp_path: Path) -> None:
    with closing(Renderer(mutated(name, tmp_path / "copy"))) as renderer:
        folder = tmp_path / "shell"
        folder.mkdir()

        def case(trial: Trial) -> None:
            on_a_shell(trial, renderer, folder)

        assert caught(case) <= 10
