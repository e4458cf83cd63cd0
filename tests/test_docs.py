"""The README cannot rot: its examples run and say what it shows, its tables are the code's, its links lead somewhere.

`pytest --update-golden` rewrites the state table and the output shown under `$ commands`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from backfill_cli.cli.catalog import CATALOG, root_command
from backfill_cli.core.states import TRANSITIONS, TaskState
from backfill_cli.errors import BfillError
from backfill_cli.loader.settings import load_settings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
STATES = re.compile(r"(?<=<!-- states: begin -->\n).*?(?=<!-- states: end -->)", re.DOTALL)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
VARYING = [
    (r"\b(bf|sc)-\d{8}-\w{4}\b", "bf-ID"),
    (r"\b20[2-9]\d-\d\d-\d\d( \d\d:\d\d|T\d\d:\d\d:\d\d)Z", "MOMENT"),
    (r"\b\d+(\.\d+)? (ms|s|min)\b", "TIME"),
    (r"(version|\d+:)\s*[0-9a-f]{7,8}\b", r"\1 HASH"),
    (r"\b[\w.-]+@[\w.-]+", "WHO"),
    (r"(skipped|paused|cancelled) by [\w.-]+", r"\1 by WHO"),
    (r"attempts_digest [0-9a-f]+…?", "DIGEST"),
    (r" *slowest .*\n", ""),
    (r"\b(\d+ to |up to |less than )TIME", "TIME"),
    (r"\bseconds \d+", "seconds N"),
    (r"\bpid \d+", "pid N"),
    (r"nothing is running|\b\d+ running tasks? ends? by \w+", "RUNNING"),
    (r"[ ━─╳]+", " "),
]  # fmt: skip
"""What differs from run to run or from machine to machine, and the room that columns take for it."""


def fences(kind: str, page: Path = README) -> list[str]:
    """The code blocks of one kind in the README or another page, in order."""
    return [text for language, text in FENCE.findall(page.read_text(encoding="utf-8")) if language == kind]


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """A command and the commands below it, each with the words that call it. A group without flags is none."""
    below = getattr(command, "commands", {})
    if not below or command.params:
        yield path, command
    for name, one in below.items():
        yield from leaves(one, f"{path} {name}")


def commands() -> dict[str, Any]:
    root = root_command()
    return {path: one for name in CATALOG for path, one in leaves(root.get_command(None, name), f"bfill {name}")}


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a line as a user would, in a folder of its own where `bfill` and `python` are those under test."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, words in (("bfill", "-m backfill_cli "), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (tools / name).chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BFILL_", "CI", "GITHUB_"))}
    env = {**kept, "PATH": f"{tools}:{os.environ['PATH']}", "COLUMNS": "80", "PYTHONPATH": str(ROOT)}

    def run(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line],
            cwd=home,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    (home / "dags").mkdir()
    (home / "dags" / "daily_sales.py").write_text(fences("python")[0])
    return run


def settled(text: str) -> list[str]:
    """The text with everything that varies replaced, without empty lines."""
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def steps(block: str) -> Iterator[tuple[str, str]]:
    """(command, output shown) of a console block."""
    for command, lines in groupby(_with_command(block), key=lambda pair: pair[0]):
        yield command, "".join(line for _, line in lines if line)


def _with_command(block: str) -> Iterator[tuple[str, str]]:
    command = ""
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            command = line[2:].rstrip("\n")
            yield command, ""
        else:
            yield command, line


def played(page: Path, shell: Callable[..., subprocess.CompletedProcess[str]], update: bool) -> list[int]:
    """Run every `$ command` of a page, in order; compare what it shows, or write it. Returns the exit codes."""
    text = page.read_text(encoding="utf-8")
    exit_codes = []
    for block in fences("console", page):
        rewritten = ""
        for command, shown in steps(block):
            done = shell(command)
            exit_codes.append(done.returncode)
            rewritten += f"$ {command}\n{done.stdout}"
            if not update:
                assert settled(done.stdout) == settled(shown), command
        text = text.replace(block, rewritten if rewritten.endswith("\n") else rewritten + "\n")
    if update:
        page.write_text(text, encoding="utf-8")
    return exit_codes


PAGES = {
    "conflicts.md": [0, 0, 0, 0, 0],
    "explaining.md": [0, 1, 0, 0, 0, 0, 3],
    "failure-policy.md": [0, 1, 0, 0, 0, 0, 1, 0, 2],
    "live-control.md": [0, 0, 0, 7, 0, 0, 2, 0, 7, 0, 0, 0, 0],
    "merged-intervals.md": [0, 0, 1, 0, 0, 0, 0, 0],
    "pools.md": [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    "scheduler.md": [0] * 13 + [1, 0],
    "shape.md": [0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    "throttling.md": [0] * 27,
    "waiting.md": [0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
}
"""Pages of docs/ with commands, and how these end. Blocks that open with `# dags/NAME.py`, or the name of another file,
are that file."""


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page_run_and_show_what_it_says(
    name: str, shell: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, update: bool
) -> None:
    page = ROOT / "docs" / name
    for text in (*fences("python", page), *fences("toml", page)):
        if match := re.match(r"# ((?:dags/)?\w+\.(?:py|toml))\n", text):
            (tmp_path / "home" / match[1]).write_text(text)
    assert played(page, shell, update) == PAGES[name]


def test_the_story_of_the_readme_runs_and_shows_what_it_says(
    shell: Callable[..., subprocess.CompletedProcess[str]], update: bool
) -> None:
    """Every `$ command`, in order, in one folder, with the DAG file of the README; then the Python example."""
    assert played(README, shell, update) == [0, 0, 1, 0, 0, 0, 0]
    python = shell(f"python - <<'END'\n{fences('python')[1]}END")
    assert (python.stdout, python.stderr) == ("0 0 []\n", "")


def test_the_first_command_installs_and_backfills_the_weather_example(
    shell: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Run here for its first ten days, without the installation: tests/examples has all of it."""
    install, _, backfill = fences("sh")[0].strip().partition(" && ")
    assert install == "python -m pip install ."
    assert "--start 2012-01-01 --end 2015-12-31 --parallel 8" in backfill
    line = backfill.replace("2015-12-31", "2012-01-10").replace("examples/", f"{ROOT}/examples/")
    done = shell(line)
    assert (done.returncode, "10 ok" in done.stdout) == (0, True), done.stderr


def test_the_second_command_is_the_test_command_and_ci_runs_it() -> None:
    assert (
        fences("sh")[1]
        == "python -m pip install -e '.[dev]' && python -m pytest -n 3 --dist loadfile --no-loadscope-reorder\n"
    )
    done = subprocess.run(
        [ROOT / ".ci" / "run", "--show"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert done.stdout == fences("sh")[1]


@pytest.mark.parametrize("path", commands())
def test_each_command_stands_in_the_readme_and_its_help_opens_with_an_example(path: str) -> None:
    assert f"| `{path}` |" in README.read_text(encoding="utf-8")
    assert re.search(rf"^{path}\b", commands()[path].epilog, re.MULTILINE), "help without an example"
    assert commands()[path].help


def test_the_readme_names_no_command_that_is_not_there() -> None:
    named = re.findall(r"^\| `(bfill [^`]+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(commands())


def state_table() -> str:
    """The README's table: a row a state, in the order of the code."""
    rows = ["| from | event → to |", "|---|---|"]
    for state in TaskState:
        ways = [f"`{event}` → {to}" for (origin, event), to in TRANSITIONS.items() if origin is state]
        rows.append(f"| {'**' + state + '**' if state.is_terminal else state} | {' · '.join(ways)} |")
    return "\n".join(
        [
            *rows,
            "",
            "Bold states are ends: only a person (`reset`, `rerun-failed`, `run --reprocess`) leads out of them.",
            "",
        ]
    )


def test_the_state_table_is_written_from_transitions(update: bool) -> None:
    text = README.read_text(encoding="utf-8")
    if update:
        README.write_text(STATES.sub(lambda _: state_table(), text), encoding="utf-8")
    assert STATES.findall(README.read_text(encoding="utf-8")) == [state_table()]


def test_every_state_that_is_no_end_has_a_way_out_without_a_person() -> None:
    for state in TaskState:
        if not state.is_terminal:
            assert {event for origin, event in TRANSITIONS if origin is state} - {"cleared", "removed"}, state


def kinds_of(error: type[BfillError]) -> Iterator[type[BfillError]]:
    for child in error.__subclasses__():
        yield child
        yield from kinds_of(child)


def test_every_exit_code_of_an_error_is_explained() -> None:
    cells = re.findall(r"^\| ([\d, ]+) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    explained = {code for cell in cells for code in cell.split(", ")}
    assert {str(kind.exit_code) for kind in kinds_of(BfillError)} <= explained
    assert {"0", "1", "10", "129", "130", "143"} <= explained


def test_the_settings_file_of_the_readme_loads_and_names_every_setting(tmp_path: Path) -> None:
    (tmp_path / "bfill.toml").write_text(fences("toml")[0])
    settings = load_settings(tmp_path, {})
    shown = tomllib.loads(fences("toml")[0])
    assert set(shown) == set(type(settings).__dataclass_fields__) - {"root", "file", "pool_rules"}
    assert (settings.store, settings.workers) == (str(tmp_path / ".bfill" / "bfill.db"), 32)


@pytest.mark.parametrize(
    "file",
    [
        README,
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs" / page for page in PAGES),
        ROOT / "examples" / "weather" / "README.md",
    ],
)
def test_links_to_files_lead_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", file.read_text(encoding="utf-8")):
        assert (file.parent / target).exists(), target


def test_every_module_the_readme_names_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:cli|app|core|engine|store|render|loader)/\w+)(?:\.py)?`", text):
        assert (ROOT / "backfill_cli" / f"{name}.py").exists(), name
