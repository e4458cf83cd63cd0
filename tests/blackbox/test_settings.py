"""Contract section 5: settings from flag, environment and file, and pools."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from blackbox.world import Project

WEEK = ("--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-05")


# settings


def test_a_flag_beats_the_environment_and_that_the_file(project: Project, sales: Path) -> None:
    day = ("run", "--dag", "sales", "--dates", "2024-01-01", "-q")
    project.write("bfill.toml", 'store = "from_file/a.db"\n')
    project.bfill(*day).exits(0)
    assert (project.folder / "from_file" / "a.db").exists()
    project.bfill(*day, env={"BFILL_STORE": "from_env/b.db"}).exits(0)
    assert (project.folder / "from_env" / "b.db").exists()
    project.bfill(*day, "--store", "from_flag/c.db", env={"BFILL_STORE": "other/d.db"}).exits(0)
    assert (project.folder / "from_flag" / "c.db").exists()
    assert not (project.folder / "other").exists()
    project.bfill(*day, "--store", f"sqlite:///{project.folder}/url/e.db").exits(0)
    assert (project.folder / "url" / "e.db").exists()
    assert not project.store.exists()


def test_settings_are_found_by_walking_up_and_the_store_stands_beside_them(project: Project, sales: Path) -> None:
    project.write(
        "pyproject.toml",
        """\
        [tool.bfill]
        timezone = "Europe/Paris"
        [tool.bfill.variables]
        greeting = "bonjour"
        [tool.bfill.pools]
        lake = 1
        """,
    )
    project.write(
        "dags/pooled.py",
        """\
        with DAG("pooled", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="only", bash_command="echo {{ var.value.greeting }} {{ local_ds }}", pool="lake")
        """,
    )
    below = project.folder / "some" / "where"
    below.mkdir(parents=True)
    project.bfill("run", "--dag", "pooled", "--dates", "2024-01-02", cwd=below).exits(0)
    assert project.store.exists()
    assert project.xcoms("pooled")["only", "return_value"] == "bonjour 2024-01-02"
    assert project.rows("SELECT logical_date FROM v_dag_runs") == [{"logical_date": "2024-01-01T23:00:00+00:00"}]
    project.bfill("run", "--dag", "pooled", "--dates", "2024-01-03", env={"BFILL_VAR_GREETING": "hallo"}).exits(0)
    assert "hallo 2024-01-03" in project.xcoms("pooled").values()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stroe = 'x'\n", ("bfill.toml:1", "stroe", "store")),
        ("workers = 0\n", ("bfill.toml:1", "workers")),
        ("timezone = 'Mars/Base'\n", ("Mars/Base",)),
        ("this is no toml\n", ("bfill.toml:1",)),
        ("[pools]\nlake = 'many'\n", ("lake",)),
        ("[connections]\nwh = 'hunter2'\n", ("wh",)),
    ],
)
def test_wrong_settings_are_refused_with_file_and_line(
    project: Project, sales: Path, text: str, told: tuple[str, ...]
) -> None:
    project.write("bfill.toml", text)
    with project.unchanged():
        ran = project.bfill("run", *WEEK).says(3, *told)
    assert "hunter2" not in ran.err


def test_a_pool_holds_only_its_own_tasks_and_is_never_overdrawn(project: Project) -> None:
    from blackbox.world import most_at_once

    project.write("bfill.toml", "[pools]\nlake = 1\n")
    project.write(
        "dags/pooled.py",
        """\
        with DAG("pooled", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="narrow", bash_command="sleep 0.1", pool="lake")
            BashOperator(task_id="free", bash_command="sleep 0.1")
        """,
    )
    project.bfill("run", "--dag", "pooled", "--start", "2024-01-01", "--end", "2024-01-04", "--parallel", "4").exits(0)
    spans = {
        task_id: [(one["started_at"], one["ended_at"]) for one in project.attempts("pooled", task_id)]
        for task_id in ("narrow", "free")
    }
    assert most_at_once(spans["narrow"]) == 1
    assert most_at_once(spans["free"]) > 1


def test_a_store_with_a_name_that_the_locale_cannot_say(project: Project, sales: Path) -> None:
    """Under LC_ALL=C a path holds bytes that Python could not read as text; they name the file all the same."""
    environ = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PATH": os.environ["PATH"]}
    environ |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    store = os.fsencode(project.folder) + "/été/bfill.db".encode()

    def bfill(*words: str) -> bytes:
        command = [sys.executable, "-m", "backfill_cli", *words, "--store", store]
        ran = subprocess.run(command, cwd=project.folder, env=environ, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    bfill("run", "--dag", "sales", "--dates", "2024-01-01", "--reason", "été")
    assert Path(os.fsdecode(store)).is_file()
    assert b"success" in bfill("status")
    assert b"holds" in bfill("audit", "verify")
    assert b"bf-" in bfill("__complete", "backfills", "")
