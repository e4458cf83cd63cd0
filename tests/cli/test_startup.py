"""What each road to an answer imports: pinned, because a list of modules does not flake and a timing would.

A module that turns up here costs everybody who starts `bfill`. If it must, add it, and say why in the commit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CODE = """
import json, os, sys
before = set(sys.modules)
sys.argv = ["bfill", *sys.argv[1:]]
out, sys.stdout = sys.stdout, open(os.devnull, "w")
from backfill_cli.__main__ import main
try:
    main()
    code = 0
except SystemExit as leave:
    code = leave.code or 0
print(json.dumps([code, sorted(set(sys.modules) - before)]), file=out)
"""


TYPER = {"typer", "annotated_doc", "shellingham"}
"""Typer, and what it brings."""


@cache
def imported(folder: Path, *words: str, code: int = 0) -> frozenset[str]:
    """Modules that a command line has imported when it ends, beside those of a bare interpreter."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BFILL_", "GITHUB_"))}
    ran = subprocess.run(
        [sys.executable, "-c", CODE, *words],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    left_with, modules = json.loads(ran.stdout)
    assert left_with == code, ran.stderr
    return frozenset(modules)


def ours(modules: frozenset[str]) -> set[str]:
    return {name.removeprefix("backfill_cli").lstrip(".") for name in modules if name.split(".")[0] == "backfill_cli"}


def foreign(modules: frozenset[str]) -> set[str]:
    """Packages that are neither ours nor the standard library's."""
    tops = {name.split(".")[0] for name in modules if not name.startswith(("_", "bfill_dag_"))}
    return tops - sys.stdlib_module_names - {"backfill_cli"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a DAG that has run for two days."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "dags").mkdir()
    (folder / "dags" / "d.py").write_text(
        "from backfill_cli import DAG, EmptyOperator\n"
        'with DAG("d", schedule="@daily"):\n    EmptyOperator(task_id="a")\n'
    )
    imported(folder, "run", "--dag", "d", "--start", "2024-03-01", "--end", "2024-03-02", "-q")
    assert (folder / ".bfill" / "bfill.db").exists()
    return folder


def test_version_imports_nothing_but_the_entry(tmp_path):
    """Not even typing, which takes longer than all the rest of the answer."""
    assert imported(tmp_path, "--version") == {"__future__", "backfill_cli", "backfill_cli.__main__"}


TAB = {
    *["", "__main__", "errors", "app", "app.completing", "cli", "cli.complete", "loader", "loader.places"],
    *["loader.scanning", "loader.settings", "store", "store.connections", "store.engines", "store.peeking"],
    "store.problems",
}


@pytest.mark.parametrize("kind", ["dags", "backfills", "tasks", "dates", "log-words", "date-words"])
def test_tab_imports_neither_typer_nor_what_opens_a_store_for_real(project, kind):
    modules = imported(project, "__complete", kind, "", "logs", "--dag", "d")
    assert ours(modules) == TAB
    assert foreign(modules) <= {"pysqlite3"}


def test_tab_on_scenarios_needs_their_folder_and_no_more(project):
    modules = imported(project, "__complete", "scenarios", "17")
    assert ours(modules) == TAB | {"core", "core.scenarios", "loader.scenarios"}


HELP = {
    *["", "__main__", "errors", "interrupts", "cli", "cli.catalog", "cli.help", "cli.main", "cli.streams"],
    "cli.values",
}


def test_help_imports_the_catalog_and_no_command(tmp_path):
    modules = imported(tmp_path, "--help")
    assert ours(modules) == HELP
    assert foreign(modules) == TYPER


@pytest.mark.parametrize("words", [["plan", "--help"], ["status", "--help"], ["run", "-h"]])
def test_help_of_a_command_imports_that_command_and_nothing_it_would_do(tmp_path, words):
    modules = imported(tmp_path, *words)
    assert not {name for name in ours(modules) if name.startswith(("app", "store", "loader", "engine", "render"))}
    assert foreign(modules) == TYPER


def test_a_mistake_is_told_without_rich_and_pydantic(tmp_path):
    assert foreign(imported(tmp_path, "plan", "--nope", code=2)) == TYPER
    assert foreign(imported(tmp_path, "plan", "--dag", "d", "--limit", "x", code=2)) == TYPER


NEVER_FOR_STATUS = ("engine", "loader.authoring", "loader.resolve", "core.machine", "core.macros", "core.templates")
"""What runs and what loads: the list of backfills needs neither."""


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_status_imports_what_it_shows(project, more):
    modules = imported(project, "status", *more)
    assert not {name for name in ours(modules) if name.startswith(NEVER_FOR_STATUS)}
    # jinja2, croniter, pendulum, SQLAlchemy and pydantic each cost as much as the whole answer.
    assert foreign(modules) <= {*TYPER, "pysqlite3"} | (set() if more else {"rich"})


def test_status_pins_its_own_modules(project):
    assert ours(imported(project, "status", "--json")) == {
        *HELP,
        *["clock", "errors", "app", "app.context", "app.lookup", "app.outcomes", "app.secrets", "app.service"],
        "app.reexecuting",
        *[
            "app.batches",
            "app.status",
            "app.status_page",
            "app.targets",
            "cli.bundles",
            "cli.conf",
            "cli.options",
            "cli.output",
        ],
        *["cli.selecting", "cli.shared"],
        *["cli.service", "cli.status", "cli.words", "core", "core.instants", "core.intervals", "core.masking"],
        *["core.options", "core.planning", "core.problems", "core.records", "core.results", "core.standing"],
        *["core.states", "loader", "loader.places", "loader.settings", "render", "render.as_json", "store"],
        *["store.connections", "store.counting", "store.engines", "store.keys", "store.locks", "store.memory"],
        *["store.migrations", "store.opening", "store.patience", "store.problems", "store.reading"],
        *["store.reading_backfills", "store.rows", "store.sql", "store.writing", "store.writing_backfills"],
        *[
            "store.companions",
            "store.documents",
            "store.presence",
            "core.leases",
            "core.leaving",
            "core.pools",
            "core.waits",
        ],
    }


def test_planning_needs_no_sqlalchemy_and_no_pydantic(project):
    words = ["plan", "--dag", "d", "--start", "2024-03-01", "--end", "2024-03-07", "--dry-run"]
    assert foreign(imported(project, *words)) <= {*TYPER, "pysqlite3", "rich", "jinja2", "markupsafe", "tzdata"}
