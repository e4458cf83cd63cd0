"""Promise 5: a store that cannot be written is one clear line and exit 4; nothing is lost, and it works again after."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from blackbox.world import SALES, Forker, Project, connect, until

from promises.faults import Stage, answer, break_once, count_calls, go_on, set_up
from promises.harness import Trial, Trials, caught, mutated
from promises.mounts import immutable, mounted_read_only, needs_mount, small_disk, why_no_mount
from promises.recordings import RUN
from promises.strace import needs_strace

NewProject = Callable[[], Project]

SLOW = """\
HERE = Path(__file__).parent.parent

def mark(text):
    with (HERE / "marks").open("a") as file:
        file.write(text + "\\n")

with DAG("slow", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task.bash
    def stubborn(ds: str):
        mark("stubborn " + ds)
        if ds >= "2024-01-02" or (HERE / "go").exists():
            return "true"
        trap = "trap '' TERM; " if (HERE / "deaf").exists() else ""
        return f"{trap}echo pid $$ >> {HERE}/marks; sleep 30; true"
    @task
    def quick(ds: str):
        mark("quick " + ds)
        while not (HERE / "go").exists():
            time.sleep(0.01)
    @task
    def behind(ds: str):
        mark("behind " + ds)
    quick() >> behind()
    stubborn()
"""
"""On the first date a long command, perhaps deaf to SIGTERM; on each a task that waits for the word to go."""


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    """bfill with one second of patience instead of thirty."""
    with closing(Forker(mutated("variant-impatient", tmp_path_factory.mktemp("copy")))) as forker:
        yield forker


@pytest.fixture(scope="module")
def rollback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    """bfill as it is where the SQLite library is too old for a write-ahead log."""
    with closing(Forker(mutated("variant-rollback-journal", tmp_path_factory.mktemp("copy")))) as forker:
        yield forker


@pytest.fixture(scope="module")
def stages(new_project: NewProject, rollback: Forker, tmp_path_factory: pytest.TempPathFactory) -> list[Stage]:
    """A folder without a store, and a store with half of the dates done, with either journal."""
    first = new_project()
    set_up(first, None)
    fresh = Stage("a new store", None, count_calls(first), first.forker)
    half = new_project()
    set_up(half, None)
    half.bfill(*RUN[:-1], "--end", "2024-01-02").exits(0)
    (half.folder / "witness").unlink()
    kept = tmp_path_factory.mktemp("half") / ".bfill"
    shutil.copytree(half.store.parent, kept)
    older = new_project()
    older.forker = rollback
    set_up(older, fresh._replace(store=kept))
    return [
        fresh,
        Stage("a store with half of the dates", kept, count_calls(half), half.forker),
        Stage("the same with a rollback journal", kept, count_calls(older), rollback),
    ]


@pytest.fixture
def guest(project: Project) -> Project:
    """A project of somebody who is not root: root may write whatever the mode says."""
    if os.getuid() == 0:
        base = project.folder.parent
        for one in (base, *base.parents[:3]):  # pytest's own; one fewer of them where tests run one by one
            if not one.stat().st_mode & 0o001:
                one.chmod(0o755)
        for one in (project.folder, project.folder / "dags"):
            os.chown(one, 65534, 65534)
        project.uid = 65534
    return project


@contextmanager
def modes_without_write(folder: Path) -> Iterator[None]:
    """Take the permission to write from a store and its folder while the block runs."""
    paths = [folder / "bfill.db", folder]
    for path in paths:
        path.chmod(path.stat().st_mode & 0o555)
    yield
    for path in paths:
        path.chmod(path.stat().st_mode | 0o200)


def marks(project: Project) -> list[str]:
    return (project.folder / "marks").read_text().splitlines()


@needs_strace
@pytest.mark.promise(5, short=60, long=600)
def test_a_failing_disk_is_one_line_and_loses_nothing(
    trials: Trials, stages: list[Stage], new_project: NewProject
) -> None:
    for trial in trials:
        break_once(trial.random.choice(stages), new_project(), trial.random, trials.see)
    assert trials.seen["refused with exit 4"] > trials.count / 3, trials.seen


@needs_mount
@pytest.mark.promise(5, short=20, long=60)
def test_a_disk_of_any_small_size_is_one_line_and_loses_nothing(trials: Trials, new_project: NewProject) -> None:
    """From a disk that does not hold an empty store to one that just holds the whole run."""
    for trial in trials:
        project = new_project()
        set_up(project, None)
        pages = 2 + trial.number * 120 // trials.count + trial.random.randint(0, 3)
        with small_disk(project.store.parent, f"{4 * pages}k") as disk:
            told = f"{4 * pages} KiB"
            refused = answer(project.bfill(*RUN, "--events", "events"), told)
            trials.see(refused or "large enough")
            assert refused in ("", "store-full"), (told, refused)
            disk.grow("16m")
            go_on(project, told, trials.see, refused=refused)
    assert trials.seen["store-full"] > trials.count / 3, trials.seen


def fill_up(project: Project, *, deaf: bool) -> None:
    """Fill the store's disk while tasks run: they end, also one that is deaf to SIGTERM, and nothing more begins."""
    if deaf:
        (project.folder / "deaf").write_text("")
    project.write("dags/slow.py", SLOW)
    words = ("run", "--dag", "slow", "--start", "2024-01-01", "--end", "2024-01-02", "--parallel", "2")
    with small_disk(project.store.parent, "4m") as disk:
        going = project.start(*words)
        until(lambda: (project.folder / "marks").exists() and len(marks(project)) == 5)
        disk.fill()
        (project.folder / "go").write_text("")
        ran = going.wait().exits(4)
        assert [line for line in ran.err.splitlines() if line.startswith(("error: ", "hint: "))] == [
            f"error: store {project.store} cannot grow: the disk or quota is full",
            "hint: free some space; then the same command goes on",
        ]
        said = marks(project)
        assert not [line for line in said if line.startswith("behind")], "a task began that nothing is recorded of"
        (pid,) = [line.removeprefix("pid ") for line in said if line.startswith("pid")]
        assert not Path(f"/proc/{pid}").exists(), "a task outlived its run"
        disk.make_room()
        again = project.bfill(*words, "--json")
        assert again.code == 0, again
        listed = {(one["task_id"], one["logical_date"][:10]) for one in again.data["reexecuted"]}
        assert ("stubborn", "2024-01-01") in listed, listed


@needs_mount
@pytest.mark.parametrize("deaf", [False, pytest.param(True, marks=pytest.mark.long)], ids=["", "deaf to SIGTERM"])
@pytest.mark.promise(5)
def test_a_disk_that_is_full_while_tasks_run_ends_them_and_starts_nothing_more(deaf: bool, project: Project) -> None:
    fill_up(project, deaf=deaf)


@pytest.mark.parametrize("way", ["mode", "mount", "immutable"])
@pytest.mark.promise(5)
def test_a_read_only_store_is_one_line_and_can_be_read(way: str, new_project: NewProject, guest: Project) -> None:
    project = guest if way == "mode" else new_project()
    if way == "mount" and why_no_mount():
        pytest.skip(why_no_mount())
    project.write("dags/sales.py", SALES)
    words = ("run", "--dag", "sales", "--start", "2024-01-01")
    project.bfill(*words, "--end", "2024-01-02").exits(0)
    before = project.fingerprint()
    with {"mode": modes_without_write, "mount": mounted_read_only, "immutable": immutable}[way](
        project.store if way == "immutable" else project.store.parent
    ):
        project.bfill(*words, "--end", "2024-01-03").says(4, "read-only", "writable")
        assert len(project.bfill("status", "--dag", "sales", "--json").data["runs"]) == 2
        project.bfill("audit", "verify").exits(0)
    assert project.fingerprint() == before
    project.bfill(*words, "--end", "2024-01-03").exits(0)


@pytest.mark.promise(5)
def test_a_lock_held_longer_than_the_patience_is_one_line(impatient: Forker, project: Project) -> None:
    project.forker = impatient
    set_up(project, None)
    project.bfill("run", "--dag", "cut", "--start", "2024-01-01", "--end", "2024-01-02").exits(0)
    with closing(connect(project.store, write=True)) as other:
        other.execute("BEGIN IMMEDIATE")
        project.bfill(*RUN[:-1]).says(4, "locked by another process", "wait")
        other.execute("ROLLBACK")
    assert set(project.runs("cut").values()) == {"success"}
    assert len(project.runs("cut")) == 2
    project.bfill(*RUN).exits(0)


@pytest.mark.parametrize("released", [True, False], ids=["in time", "too late"])
@pytest.mark.promise(5)
def test_a_lock_taken_while_tasks_run_is_waited_for(released: bool, impatient: Forker, project: Project) -> None:
    project.forker = impatient
    project.write("dags/slow.py", SLOW)
    words = ("run", "--dag", "slow", "--start", "2024-01-03", "--end", "2024-01-03", "--json")
    going = project.start(*words)
    until((project.folder / "marks").exists)
    with closing(connect(project.store, write=True)) as other:
        other.execute("BEGIN IMMEDIATE")
        (project.folder / "go").write_text("")
        if not released:
            ran = going.wait()
        else:
            time.sleep(0.3)
        other.execute("ROLLBACK")
    if released:
        assert going.wait().code == 0
        return
    assert ran.code == 4, ran
    assert ran.json["error"]["code"] == "store-locked", ran
    again = project.bfill(*words)
    assert again.code == 0, again
    assert project.runs("slow") == {"2024-01-03": "success"}


def vanish(project: Project, what: str) -> None:
    """Take the store away while a task runs: what it does then is not recorded, and nothing may go on as if it were."""
    project.write("dags/slow.py", SLOW)
    set_up(project, None)
    words = ("run", "--dag", "slow", "--start", "2024-01-03", "--end", "2024-01-04")
    going = project.start(*words)
    until((project.folder / "marks").exists)
    folder = project.store.parent
    if what == "removed":
        shutil.rmtree(folder)
    else:
        folder.rename(folder.with_name("elsewhere"))
    if what == "replaced":
        project.bfill(*RUN).exits(0)
        theirs = project.fingerprint()
    (project.folder / "go").write_text("")
    ran = going.wait().exits(4)
    told = [line for line in ran.err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert len(told) == 2, ran
    assert "was removed, moved or replaced while it was open" in told[0], ran
    assert not [line for line in marks(project) if line.endswith("2024-01-04")], "the next date began"
    if what == "replaced":
        kept = {name: digest for name, digest in project.fingerprint().items() if name in theirs}
        assert {name for name, digest in kept.items() if digest != theirs[name]} <= {"marks"}, "somebody else's store"
    if what == "moved":
        shutil.rmtree(folder, ignore_errors=True)  # a task's log may have made it anew
        folder.with_name("elsewhere").rename(folder)
    again = project.bfill(*words)
    assert again.code == 0, again
    assert {day for day in project.runs("slow") if day.startswith("2024-01")} == {"2024-01-03", "2024-01-04"}


@pytest.mark.parametrize("journal", ["write-ahead log", "rollback journal"])
@pytest.mark.parametrize("what", ["removed", "moved", "replaced"])
@pytest.mark.promise(5)
def test_a_store_that_vanishes_while_it_is_open_is_said_before_anything_else_starts(
    what: str, journal: str, project: Project, rollback: Forker
) -> None:
    if journal == "rollback journal":
        project.forker = rollback
    vanish(project, what)


CHATTY = """\
import logging

with DAG("chatty", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def silent():
        return 1
    @task
    def prints():
        print("something")
    @task
    def swallows():
        try:
            print("something")
        except Exception:
            pass
    @task
    def logs():
        logging.getLogger("mine").info("something")
    silent(), prints(), swallows(), logs()
    BashOperator(task_id="shell", bash_command="echo something")
"""


@needs_mount
@pytest.mark.promise(5)
def test_a_task_whose_log_cannot_be_written_has_failed_and_the_run_goes_on(project: Project) -> None:
    """Never a success whose output is lost in silence, never a run that dies of it."""
    project.write("dags/chatty.py", CHATTY)
    with small_disk(project.store.parent / "logs", "64k") as disk:
        disk.fill()
        ran = project.bfill("run", "--dag", "chatty", "--start", "2024-01-01", "--end", "2024-01-01", "--json")
        assert ran.code == 1, ran
        states = project.instances("chatty")
        assert states.pop("silent") == "success"
        assert set(states.values()) == {"failed"}, states
        reasons = {one["task_id"]: one["reason"] for one in project.attempts("chatty") if one["outcome"] == "failed"}
        assert set(reasons.values()) == {"its log cannot be written: No space left on device"}, reasons
        disk.make_room()
        assert project.bfill("rerun-failed", "--dag", "chatty", "--json").code == 0
    assert set(project.instances("chatty").values()) == {"success"}


@pytest.mark.promise(5)
def test_events_that_cannot_be_written_are_told_and_lose_no_state(project: Project) -> None:
    set_up(project, None)
    ran = project.bfill(*RUN[:-1], "--events", "/dev/full").exits(74)
    assert "error: a report could not be written: --events /dev/full: No space left on device\nhint: " in ran.err
    assert set(project.runs("cut").values()) == {"success"}


@needs_mount
@pytest.mark.promise(5)
def test_reports_on_a_full_disk_are_told_and_leave_the_old_ones(project: Project) -> None:
    set_up(project, None)
    reports = project.folder / "reports"
    with small_disk(reports, "64k") as disk:
        project.bfill(*RUN[:-1], "--junit", "reports/junit.xml").exits(0)
        project.bfill("audit", "report", "--out", "reports/audit.md").exits(0)
        before = {path.name: path.read_bytes() for path in reports.iterdir()}
        disk.fill()
        ran = project.bfill(*RUN[:-1], "--junit", "reports/junit.xml").exits(74)
        assert "--junit reports/junit.xml: No space left on device\nhint: " in ran.err, ran
        ran = project.bfill("audit", "report", "--out", "reports/audit.md").exits(74)
        assert "No space left on device" in ran.err, ran
        assert {path.name: path.read_bytes() for path in reports.iterdir() if path.name != "ballast"} == before


@needs_strace
@pytest.mark.long
@pytest.mark.parametrize("mutant", ["deaf-to-failed-commits", "deaf-to-a-failed-closing"])
@pytest.mark.promise(5)
def test_the_harness_of_failing_disks_catches(
    mutant: str, stages: list[Stage], new_project: NewProject, tmp_path: Path
) -> None:
    with closing(Forker(mutated(mutant, tmp_path))) as forker:

        def case(trial: Trial) -> None:
            break_once(trial.random.choice(stages), new_project(), trial.random, lambda *_: None, forker)

        caught(case)


@pytest.mark.long
@pytest.mark.parametrize("mutant", ["never-adrift", "leaves-tries-behind"])
@pytest.mark.promise(5)
def test_the_harness_of_vanished_and_full_stores_catches(mutant: str, project: Project, tmp_path: Path) -> None:
    if mutant == "leaves-tries-behind" and why_no_mount():
        pytest.skip(why_no_mount())
    with closing(Forker(mutated(mutant, tmp_path))) as forker:
        project.forker = forker
        with pytest.raises(AssertionError):
            vanish(project, "removed") if mutant == "never-adrift" else fill_up(project, deaf=True)
