"""Promise 9: whatever a DAG file does while it is loaded, nothing is lost, and its author reads what it did and where.

A case is one file of the table: its own command says what is wrong with it, or runs it; the DAG in the file beside it
runs as if the other were not there; the store has what it had; and no process of it lives on.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from blackbox.world import LONGEST_S, Going, Project, Ran, until

from promises.harness import Trial, Trials, caught
from promises.hostile_files import FILES, GOOD, SLOW, Hostile

NewProject = Callable[[], Project]
DAY, OTHER_DAY = "2024-01-01", "2024-01-02"
PATIENCE_S = 10.0
"""Seconds a command may take whose file hangs; a mutant would wait for ever."""

KINDS = ("raises", "syntax", "missing_import", "exits", "os_exit_0", "null_pointer", "sleeps", "forks", "floods_stdout")
"""One file of each kind, for commands that look at all files of a folder."""


def with_files(new_project: NewProject, *files: Hostile) -> Project:
    """A project with these files, and a good one that has run once."""
    project = new_project()
    project.env["BFILL_IMPORT_MEMORY_MB"] = "256"
    project.env["BFILL_IMPORT_TIMEOUT_S"] = str(min((one.timeout_s for one in files), default=20))
    project.write("dags/good.py", "", head=GOOD.replace("{name}", "good"))
    project.bfill("run", "--dag", "dags/good.py", "--dates", DAY, "-q").exits(0)
    for one in files:
        project.write(f"dags/{one.name}.py", "", head=one.source)
    return project


def ends_of(timeout_s: float, *going: Going) -> list[Ran]:
    """Wait for commands that run at once; when one hangs, none is left running."""
    try:
        return [one.wait(timeout_s) for one in going]
    except AssertionError:
        for one in going:
            with suppress(ProcessLookupError):
                one.signal(signal.SIGKILL)
        raise


def left_behind(project: Project) -> list[str]:
    """The processes that live in the project's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == project.folder:
                found.append(entry.name + " " + (entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def case_of(hostile: Hostile, new_project: NewProject) -> None:
    """A file does its worst, and bfill keeps its promise."""
    project = with_files(new_project, hostile)
    own = ("--dag", f"dags/{hostile.name}.py:{hostile.name}", "--dates", DAY)
    planned, ran, beside = ends_of(
        PATIENCE_S if hostile.says == SLOW else LONGEST_S,
        project.start("plan", *own, "--dry-run"),
        project.start("run", *own, "--json") if not hostile.is_large else project.start("status", "--json"),
        project.start("run", "--dag", "good", "--dates", OTHER_DAY, "--json"),
    )
    if hostile.says:
        assert hostile.is_large or ran.exits(3).json["error"]["code"]
        error, hint = planned.exits(3).err.splitlines()[-2:]
        assert planned.out == "", planned
        assert error.startswith(f"error: {hostile.where}"), (hostile.where, planned)
        assert hint.startswith("hint: ") and len(hint) > len("hint: "), planned
        assert not [word for word in hostile.says if word not in error + hint], (hostile.says, planned)
        assert project.runs(hostile.name) == {}
    else:
        planned.exits(0)
        assert ran.exits(0).data["completed"] == 1
        assert project.runs(hostile.name) == {DAY: "success"}
    assert beside.exits(0).data["completed"] == 1
    assert project.runs("good") == {DAY: "success", OTHER_DAY: "success"}
    until(lambda: not left_behind(project), timeout_s=2)


@pytest.mark.promise(9, short=len(FILES), long=len(FILES))
def test_a_hostile_file_is_explained_and_hides_nothing(trials: Trials, new_project: NewProject) -> None:
    for trial in trials:
        hostile = FILES[(trial.seed - 1) % len(FILES)]
        case_of(hostile, new_project)
        trials.see("refused" if hostile.says else "loaded")
    if trials.count == len(FILES):
        assert trials.seen["refused"] > 40 and trials.seen["loaded"] > 10


@pytest.mark.promise(9)
def test_a_folder_of_hostile_files_is_listed_whole(new_project: NewProject) -> None:
    files = [one for one in FILES if one.name in KINDS]
    project = with_files(new_project, *files)
    with project.unchanged():
        listed = project.bfill("dags", "list", "--json").exits(0).data["dags"]
        checked = project.bfill("dags", "validate", "--json").exits(3).json
    assert [one["dag_id"] for one in listed if one["dag_id"]] == ["good"]
    for found in (listed, checked["data"]["dags"]):
        errors = {Path(one["path"]).stem: one["error"] for one in found if one["error"]}
        broken = {name: f"{one['where']}: {one['message']} {one['hint']}" for name, one in errors.items()}
        assert broken.keys() == set(KINDS)
        for one in files:
            assert broken[one.name].startswith(one.where)
            assert not [word for word in one.says if word not in broken[one.name]]


@pytest.mark.promise(9)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_while_a_file_is_loaded_ends_both(new_project: NewProject, number: signal.Signals, code: int) -> None:
    project = with_files(new_project)
    project.write("dags/waits.py", "(Path(__file__).parent / 'begun').touch()\ntime.sleep(60)\n")
    going = project.start("plan", "--dag", "dags/waits.py", "--dates", DAY, "--dry-run")
    until((project.folder / "dags/begun").exists)
    going.signal(number)
    ran = going.wait(5).exits(code)
    assert ran.out == ""
    until(lambda: not left_behind(project), timeout_s=2)


@pytest.mark.promise(9)
def test_a_child_that_loads_a_file_does_not_outlive_a_killed_bfill(new_project: NewProject) -> None:
    project = with_files(new_project)
    project.write("dags/waits.py", "(Path(__file__).parent / 'begun').touch()\ntime.sleep(60)\n")
    going = project.start("plan", "--dag", "dags/waits.py", "--dates", DAY, "--dry-run")
    until((project.folder / "dags/begun").exists)
    assert len(left_behind(project)) == 2
    going.signal(signal.SIGKILL)
    going.wait(5)
    until(lambda: not left_behind(project), timeout_s=2)


@pytest.mark.promise(9)
def test_what_a_file_changes_is_put_back_and_told(new_project: NewProject) -> None:
    (hostile,) = [one for one in FILES if one.name == "changes_everything"]
    project = with_files(new_project, hostile)
    (project.folder / "here").mkdir()
    ran = project.bfill("run", "--dag", hostile.name, "--dates", DAY, "--json", "--junit", "here/tests.xml").exits(0)
    assert (project.folder / "here/tests.xml").exists()
    said = [one["message"] for one in ran.json["problems"] if one["code"] == "changes-process"]
    for what in ("the working directory", "the umask", "how signals are handled", "the recursion limit"):
        assert [one for one in said if what in one], (what, said)


@pytest.mark.long
@pytest.mark.promise(9)
@pytest.mark.parametrize("mutant", ["import-limit-off"], indirect=True)
def test_the_time_limit_is_what_ends_a_file_that_sleeps(new_mutant: NewProject) -> None:
    """With the limits of parent, watch and alarm taken out the harness sees a command that does not end."""
    (sleeps,) = [one for one in FILES if one.name == "sleeps"]
    assert caught(lambda _trial: case_of(sleeps, new_mutant)) == 1


@pytest.mark.long
@pytest.mark.promise(9)
@pytest.mark.parametrize("mutant", ["no-rehearsal"], indirect=True)
def test_a_crash_is_seen_when_files_are_not_rehearsed(new_mutant: NewProject) -> None:
    def case(trial: Trial) -> None:
        case_of(FILES[trial.number], new_mutant)

    assert caught(case) <= len(FILES)
