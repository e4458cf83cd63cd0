"""The wheel: what is in it, and that a fresh environment with the declared dependencies alone can work with it.

Nothing is fetched: the wheel is built by the hatchling of the dev extras, and the fresh environment gets the run-time
dependencies, and theirs, as links to the ones installed here. So an import of anything undeclared fails.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def run(*words: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BFILL_", "PYTHON"))}
    return subprocess.run(
        list(words),
        cwd=cwd,
        env={**kept, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # A copy: a build leaves nothing behind in the working tree, and sees none of its caches.
    source = folder / "source"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.db")
    shutil.copytree(ROOT, source, ignore=ignored)
    done = run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"),
        *("--wheel-dir", folder, source),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def metadata(wheel: Path, names: list[str]) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = (one for one in names if one.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode())


def test_the_wheel_is_pure_and_puts_one_package_at_top_level(wheel: Path, names: list[str]) -> None:
    assert wheel.name == "bfill-0.1.0-py3-none-any.whl"
    assert {name.split("/")[0] for name in names} == {"backfill_cli", "bfill-0.1.0.dist-info"}


def test_the_wheel_holds_every_module_the_typing_marker_the_schema_steps_and_the_licence(names: list[str]) -> None:
    package = ROOT / "backfill_cli"
    for pattern in ("**/*.py", "**/*.sql", "py.typed"):
        files = [str(one.relative_to(ROOT)) for one in package.glob(pattern)]
        assert files
        assert set(files) <= set(names)
    assert "bfill-0.1.0.dist-info/licenses/LICENSE" in names


def test_the_wheel_ships_the_scenarios_inside_the_package(names: list[str]) -> None:
    scenarios = [one.relative_to(ROOT / "scenarios").as_posix() for one in (ROOT / "scenarios").rglob("*.py")]
    assert "_shared/__init__.py" in scenarios
    assert {f"backfill_cli/_scenarios/{one}" for one in scenarios} <= set(names)


def test_the_wheel_holds_no_tests_caches_or_stores(names: list[str]) -> None:
    for name in names:
        path = PurePosixPath(name)
        assert not {"tests", "__pycache__", ".bfill", "examples"} & set(path.parts), name
        assert path.suffix not in {".pyc", ".db"}, name


def test_the_metadata_says_licence_python_and_what_the_readme_says(metadata: Message) -> None:
    assert (metadata["Name"], metadata["License-Expression"]) == ("bfill", "Apache-2.0")
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")


def dependencies(requirements: list[str], extra: str = "") -> Iterator[str]:
    """The installed distributions these requirements need on this machine, and theirs."""
    for text in requirements:
        one = Requirement(text)
        if one.marker is None or one.marker.evaluate({"extra": extra}):
            assert distribution(one.name).version in one.specifier, text
            yield one.name
            further = distribution(one.name).requires or []
            for wanted in one.extras or {""}:
                yield from dependencies(further, wanted)


@pytest.fixture(scope="module")
def bfill(wheel: Path, metadata: Message, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console script of a fresh environment, made from the wheel and its run-time dependencies."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", scheme="venv", vars={"base": str(folder)}))
    for name in set(dependencies(metadata.get_all("Requires-Dist", []))):
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or [] if file.parts[0] != ".."}:
            if top != "__pycache__" and not (site / top).exists():
                (site / top).symlink_to(Path(str(found.locate_file(top))))
    python = folder / "bin" / "python"
    done = run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder / "bin" / "bfill"


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_fresh_environment_has_the_run_time_dependencies_and_no_more(bfill: Path) -> None:
    done = run(bfill.with_name("python"), "-c", "import pytest", cwd=bfill.parent)
    assert "No module named 'pytest'" in done.stderr


def test_the_console_script_of_a_wheel_install_backfills_the_weather_example(bfill: Path, tmp_path: Path) -> None:
    assert run(bfill, "--version", cwd=tmp_path).stdout == "bfill 0.1.0\n"
    assert "Examples" in run(bfill, "--help", cwd=tmp_path).stdout
    shutil.copytree(ROOT / "examples" / "weather", tmp_path / "weather")
    days = ("--dag", "weather/weather.py", "--start", "2012-01-01", "--end", "2012-01-10", "--parallel", "4", "--json")
    assert answer(run(bfill, "plan", *days, "--dry-run", cwd=tmp_path))["data"]["total"] == 10
    assert answer(run(bfill, "run", *days, cwd=tmp_path))["data"]["completed"] == 10
    assert answer(run(bfill, "status", "--json", cwd=tmp_path))["ok"]
    assert answer(run(bfill, "audit", "verify", "--json", cwd=tmp_path))["ok"]


def test_python_dash_m_is_the_same_program(bfill: Path, tmp_path: Path) -> None:
    assert run(bfill.with_name("python"), "-m", "backfill_cli", "--version", cwd=tmp_path).stdout == "bfill 0.1.0\n"


def test_a_wheel_install_finds_the_scenarios_it_ships(bfill: Path, tmp_path: Path) -> None:
    listed = run(bfill, "scenario", "list", cwd=tmp_path)
    assert (listed.returncode, "17.3.1" in listed.stdout) == (0, True), listed.stderr
    shown = run(bfill, "dags", "show", "17.3.1", cwd=tmp_path)
    assert (shown.returncode, "scenario_17_03_01" in shown.stdout) == (0, True), shown.stderr
    assert "_scenarios" in shown.stdout


def test_typed_users_get_our_types(bfill: Path) -> None:
    program = "from backfill_cli import BackfillService\nreveal_type(BackfillService().backfill)\n"
    python = bfill.with_name("python")
    done = run(sys.executable, "-m", "mypy", "--python-executable", python, "-c", program, cwd=bfill.parent)
    assert "BackfillResult" in done.stdout
