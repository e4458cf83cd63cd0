"""The scenarios: every one holds what it claims, the index is the folder, and a claim that fails is told as failed."""

from __future__ import annotations

import json
import os
import random
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from backfill_cli.app.scenarios import PLAYS_TO_ITS_END, run_scenarios
from backfill_cli.core.scenarios import SECTIONS, Scenario
from backfill_cli.errors import DefinitionError, NotFoundError
from backfill_cli.loader import scenarios as files

FOLDER = files.scenario_folder()
FILES = files.scenario_files()
INDEX = runpy.run_path(str(FOLDER / "_shared" / "index.py"))

PYTHON = [sys.executable, "-W", "error"]

SKELETON = '''"""{lesson}

Question: q

What goes wrong: w

What bfill does: b

What to look at: l

When not to do it: n
"""

from _shared.demo import Demo, play, scenario
from backfill_cli import DAG, BashOperator

TAGS = ["testing"]

with DAG("scenario_99_01_01", schedule="@daily", start_date="2024-01-01") as dag:
    BashOperator(task_id="one", bash_command="true", cwd=".")


@scenario
def main(demo: Demo) -> None:
    {body}


if __name__ == "__main__":
    play(main)
'''


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function (body of main) → the scenario 99.1.1 in a folder of its own, with the real `_shared`."""
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "_shared").symlink_to(FOLDER / "_shared")
    monkeypatch.setattr(files, "scenario_folder", lambda: folder)
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # what dies cannot clean up

    def write(body: str, lesson: str = "A lesson") -> Scenario:
        path = folder / "99_01_01_a_test.py"
        path.write_text(SKELETON.format(lesson=lesson, body=body.replace("\n", "\n    ")), encoding="utf-8")
        return files.read_scenario(path)

    return write


def the_only_failure(scenario: Scenario) -> tuple[str, str]:
    """Play a scenario and return the name and evidence of the one check that failed."""
    result = run_scenarios([scenario])
    assert result.exit_code == 1
    (failed,) = result.runs[0].failed
    return failed.name, failed.evidence


class Played(NamedTuple):
    """What came of a scenario, in a process of its own in which a warning is an error."""

    ended: subprocess.CompletedProcess[str]
    checks: list[dict[str, Any]]
    left_behind: list[Path]


def play(number: str, folder: Path) -> Played:
    """Play a scenario from a folder that is not its own, where it may leave nothing behind."""
    outside = folder / "elsewhere"
    outside.mkdir()
    environ = {**os.environ, "BFILL_STORE": str(folder / "not-this.db"), "COLUMNS": "80", "TMPDIR": str(outside)}
    ended = subprocess.run(
        [*PYTHON, str(FILES[number]), "--result", str(folder / "result.json")],
        cwd=outside,
        env=environ,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    result = folder / "result.json"
    checks = json.loads(result.read_text())["checks"] if result.exists() else []
    return Played(ended, checks, [*outside.iterdir(), *folder.glob("not-this.db*")])


@pytest.fixture(scope="module")
def plays(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Played]]]:
    """The chosen scenarios, played beside each other, one a core: each mostly waits for tasks of its own."""
    wanted = [one for one in request.session.items if "plays" in getattr(one, "fixturenames", ())]
    numbers = [one.callspec.params["number"] for one in wanted]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield {number: pool.submit(play, number, tmp_path_factory.mktemp(number)) for number in numbers}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("number", FILES)
def test_a_scenario_holds_everything_it_claims(number: str, plays: dict[str, Future[Played]]) -> None:
    played = plays[number].result()
    assert played.ended.returncode == 0, played.ended.stdout + played.ended.stderr
    assert not played.ended.stderr
    assert played.checks and all(one["passed"] for one in played.checks)
    assert not played.left_behind


def test_the_index_is_what_the_folder_says() -> None:
    """Seconds are of the machine that measured them; all else is compared. Rewrite it: scenarios/_shared/index.py."""
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    seconds = INDEX["known_seconds"](readme)
    everything = files.all_scenarios()
    assert list(seconds) == [one.number for one in everything]
    assert INDEX["written"](readme, INDEX["table"](everything, seconds)) == readme


@pytest.mark.parametrize("number", FILES)
def test_a_scenario_has_the_dag_of_its_number_a_short_lesson_and_no_more_lines_than_can_be_read(number: str) -> None:
    scenario = files.read_scenario(FILES[number])
    text = FILES[number].read_text(encoding="utf-8")
    assert f'DAG("{scenario.dag_id}"' in text.replace("\n", "").replace(" ", "")
    assert len(scenario.lesson) <= 68
    assert 80 <= len(text.splitlines()) <= 200


def test_no_two_scenarios_share_a_lesson_or_a_question() -> None:
    everything = files.all_scenarios()
    assert (
        len({one.lesson for one in everything}) == len({one.about["Question"] for one in everything}) == len(everything)
    )


def test_a_failed_check_fails_the_scenario(written) -> None:
    scenario = written('demo.check_equal("two and two", 2 + 2, 5)\ndemo.check("sound", True, 1)')
    assert the_only_failure(scenario) == ("two and two", "4, expected 5")
    alone = subprocess.run([*PYTHON, scenario.path], capture_output=True, encoding="utf-8", check=False)
    assert alone.returncode == 1
    assert "✗ 1 of 2 checks failed" in alone.stdout


def test_another_exit_code_than_expected_fails_the_scenario(written) -> None:
    name, evidence = the_only_failure(written('demo.bfill("run --dag 99.9.9 --last 1d")\ndemo.check("never", True)'))
    assert name == "the story can be told to its end"
    assert "exit code 3, expected 0: error: there is no DAG '99.9.9'" in evidence


def test_a_scenario_that_raises_that_claims_nothing_or_that_dies_fails(written) -> None:
    assert the_only_failure(written('raise KeyError("gone")'))[1] == "KeyError: 'gone'"
    assert the_only_failure(written("pass"))[0] == "the scenario proves something"
    assert the_only_failure(written("import os\nos._exit(0)")) == (PLAYS_TO_ITS_END, "exit code 0")
    assert the_only_failure(
        written("import os, sys\nprint('out of ink', file=sys.stderr, flush=True)\nos._exit(3)")
    ) == (
        PLAYS_TO_ITS_END,
        "exit code 3; out of ink",
    )


def test_a_check_takes_no_value_that_is_merely_true_enough(written) -> None:
    assert "needs True or False" in the_only_failure(written('demo.check("some rows", [1, 2], 2)'))[1]


def test_a_task_that_writes_beside_the_scenario_fails_it(written) -> None:
    body = '(demo.file.parent / "strewn").mkdir()\ndemo.check("sound", True)'
    assert the_only_failure(written(body))[0] == "no task writes beside the scenario's file"


def test_the_stage_is_private_and_gone_afterwards(written, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings of the folders above, BFILL_…, a CI job and the visitor's working directory stay out of it."""
    monkeypatch.setenv("BFILL_WORKERS", "none")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.chdir(tmp_path)
    Path("bfill.toml").write_text("nonsense = 1\n")
    run = 'demo.bfill(f"run --dag {demo.file} --start 2024-01-01 --end 2024-01-02")'
    body = f'{run}\ndemo.check_equal("ran", len(demo.attempts()), 2)'
    before = set(tmp_path.iterdir())
    result = run_scenarios([written(body)])
    assert result.exit_code == 0, result.runs[0].failed
    assert set(tmp_path.iterdir()) == before
    assert not Path(".bfill").exists()


def test_a_process_that_a_broken_story_leaves_behind_is_ended_with_its_tasks(written, tmp_path: Path) -> None:
    dag = """from backfill_cli import DAG, BashOperator

with DAG("slow", schedule="@daily", start_date="2024-01-01") as dag:
    BashOperator(task_id="one", bash_command="echo $PPID $$ > pids; exec sleep 300")
"""
    body = f"""from _shared.processes import wait_until
demo.write("slow.py", {dag!r})
demo.start("run --dag slow.py --dates 2024-01-01")
pids = demo.folder / "pids"
wait_until(lambda: pids.exists() and pids.read_text().endswith(chr(10)), "the task runs")
pids.rename({str(tmp_path / "pids")!r})
raise KeyError("gone")"""
    assert the_only_failure(written(body))[1] == "KeyError: 'gone'"
    for pid in (tmp_path / "pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_a_question_is_answered_at_a_terminal_and_only_there(written) -> None:
    body = """run = f"--dag {demo.file} --dates 2024-01-01"
demo.call(f"run {run}")
asked = demo.call(f"reset {run}", answer="no")
demo.check_equal("no is no", (asked.code, asked.out.count("[y/N] no")), (7, 1))
demo.check_equal("yes is yes", demo.call(f"reset {run}", answer="yes").code, 0)
demo.call(f"run {run}")
unasked = demo.call(f"reset {run}")
demo.check_equal("without a terminal nothing asks", (unasked.code, "[y/N]" in unasked.err), (7, False))"""
    result = run_scenarios([written(body)])
    assert result.exit_code == 0, result.runs[0].failed


def test_a_docstring_without_a_section_is_refused_with_its_place(written) -> None:
    scenario = written("pass")
    file = Path(scenario.path)
    file.write_text(file.read_text().replace("What to look at:", "Look at:"))
    with pytest.raises(DefinitionError, match="lacks 'What to look at:'"):
        files.read_scenario(file)
    file.write_text(file.read_text().replace("Look at:", "What to look at:").replace('TAGS = ["testing"]', ""))
    with pytest.raises(DefinitionError, match="has no TAGS"):
        files.read_scenario(file)


def test_scenarios_are_chosen_by_number_group_tag_or_all() -> None:
    def numbers(*names: str, tag: str | None = None) -> list[str]:
        return [one.number for one in files.choose_scenarios(names, tag)]

    assert numbers("17.3.2", "17_03_01", "17.3.2") == ["17.3.1", "17.3.2"]
    assert {"17.3.1", "17.3.2", "17.3.3"} <= set(numbers("17.3")) <= set(numbers())
    assert "17.3.1" in numbers("17.3", tag="beginner")
    with pytest.raises(NotFoundError, match=r"no scenario '17\.3\.99'"):
        numbers("17.3.99")
    with pytest.raises(NotFoundError, match="tag 'beginer'") as refused:
        numbers(tag="beginer")
    assert "beginner" in refused.value.hint


def bfill(*words: str) -> subprocess.CompletedProcess[str]:
    """A real `bfill scenario …`."""
    command = [sys.executable, "-m", "backfill_cli", "scenario", *words]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def test_list_and_show_say_what_the_files_say() -> None:
    data = json.loads(bfill("list", "--json").stdout)["data"]
    assert [one["number"] for one in data["scenarios"]] == [files.short_number(number) for number in FILES]
    shown = json.loads(bfill("show", "17.3.1", "--json").stdout)
    assert shown["command"] == "scenario show"
    assert shown["data"]["dag_id"] == "scenario_17_03_01"
    assert set(shown["data"]["about"]) == set(SECTIONS)


def test_run_gives_the_table_as_json_and_the_story_to_people() -> None:
    ran = bfill("run", "17.3.2", "--json")
    document = json.loads(ran.stdout)
    assert (ran.returncode, document["ok"], document["command"]) == (0, True, "scenario run")
    (run,) = document["data"]["scenarios"]
    assert (run["number"], run["checks_failed"], run["state"]) == ("17.3.2", 0, "success")
    assert run["checks_passed"] == len(run["checks"]) == document["data"]["checks_passed"]
    told = bfill("run", "17.3.2", "--no-color")
    assert told.returncode == 0
    assert "$ bfill plan --dag 17.3.2" in told.stdout
    assert "\x1b" not in told.stdout


@pytest.mark.parametrize("words", [["run"], ["run", "17.3.1", "--all"], ["run", "17.3", "--keep"]])
def test_run_refuses_what_it_cannot_mean(words: list[str]) -> None:
    assert bfill(*words).returncode == 2


def test_an_installed_bfill_plays_the_scenarios_that_came_with_it(tmp_path: Path) -> None:
    """As in the wheel: beside the modules as `_scenarios`, and nothing of them at the top of site-packages."""
    build = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    wheel = build["targets"]["wheel"]
    assert wheel["packages"] == ["backfill_cli"]
    assert wheel["force-include"]["scenarios"] == "backfill_cli/_scenarios"
    assert all(place.startswith("backfill_cli/") for place in wheel["force-include"].values())

    site = tmp_path / "site"
    no_cache = shutil.ignore_patterns("__pycache__")
    shutil.copytree(FOLDER.parent / "backfill_cli", site / "backfill_cli", ignore=no_cache)
    shutil.copytree(FOLDER, site / "backfill_cli" / "_scenarios", ignore=no_cache)
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "backfill_cli", "scenario", "run", "17.3.3", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (run,) = json.loads(ran.stdout)["data"]["scenarios"]
    assert Path(run["path"]).is_relative_to(site)


def test_most_at_once_counts_what_shares_a_moment_and_not_what_only_touches() -> None:
    """The proof behind "at most three at once" is itself proved, against counting at every moment."""
    evidence = runpy.run_path(str(FOLDER / "_shared" / "evidence.py"))
    span = evidence["Span"]

    def most_at_once(*spans: tuple[int, int]) -> int:
        return evidence["most_at_once"]([span(*one) for one in spans])

    assert most_at_once() == 0
    assert most_at_once((0, 2), (2, 4), (4, 6)) == 1
    assert most_at_once((0, 3), (2, 4), (1, 3)) == 3
    dice = random.Random(17)
    for _ in range(200):
        starts = [dice.randint(0, 30) for _ in range(12)]
        spans = [(start, start + dice.randint(1, 9)) for start in starts]
        counted = max(sum(start <= moment < end for start, end in spans) for moment in range(40))
        assert most_at_once(*spans) == counted
