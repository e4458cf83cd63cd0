"""Promise 14: files are 0600 and folders 0700 whatever the umask, and no link leads what is written elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from blackbox.world import Project

from promises.harness import Trial, Trials, caught

NewProject = Callable[[], Project]

UMASKS = (0o000, 0o022, 0o777)
DAY = ("--start", "2024-01-01", "--end", "2024-01-01")
RUN = ("run", "--dag", "files", *DAY)
RUN_ID = "backfill__2024-01-01T00:00:00+00:00"

DAG = '''
def look(ds):
    """What stands beside the store while it is open, with its modes."""
    print("looking")
    home = Path(os.environ["STORE_FOLDER"])
    seen = {str(path): path.lstat().st_mode for path in [home, *home.rglob("*")]}
    Path(os.environ["SEEN"]).write_text(json.dumps(seen))

with DAG("files", schedule="@daily", start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="first", bash_command="echo one") >> PythonOperator(task_id="look", python_callable=look)
'''


class Scene:
    """A project, a folder outside of it that must stay as it is, and a umask."""

    def __init__(self, project: Project, umask: int) -> None:
        self.project = project
        self.umask = umask
        self.outside = project.folder.parent / "outside"
        self.outside.mkdir()
        self.victim = self.outside / "victim"
        self.victim.write_bytes(b"precious")
        self.victim.chmod(0o600)
        self.seen = project.folder.parent / "seen.json"
        self.seen.write_text("{}")
        self.home = project.store.parent
        project.write("dags/files.py", "import json\n" + DAG)

    def bfill(self, *words: str):
        env = {"STORE_FOLDER": str(self.home), "SEEN": str(self.seen)}
        return self.project.bfill(*words, env=env, umask=self.umask)

    def runs(self) -> None:
        self.bfill(*RUN).exits(0)

    def refuses(self, *words: str) -> None:
        """A run that a link would lead outside does not begin."""
        self.bfill(*RUN, *words).says(4 if not words else 2, "symbolic link")

    def after_a_run(self) -> None:
        self.runs()

    def check(self, *private: Path) -> None:
        """Nothing outside was read into, written to or made; all that bfill made is this user's own."""
        assert {path.name for path in self.outside.iterdir()} == {"victim"}, list(self.outside.iterdir())
        assert self.victim.read_bytes() == b"precious"
        modes = {Path(path): mode for path, mode in json.loads(self.seen.read_text()).items()}
        made = [*self.home.rglob("*"), *private] if self.home.is_dir() else [*private]
        modes.update({path: path.lstat().st_mode for path in made})
        for path, mode in modes.items():
            if path.is_symlink():
                continue
            expected = 0o700 if mode & 0o170000 == 0o040000 else 0o600
            assert mode & 0o7777 == expected, f"{path} is {mode & 0o7777:04o}, umask {self.umask:04o}"


def plain(scene: Scene) -> None:
    """Store, journal, lock, logs, head file, folders: while it runs and afterwards."""
    scene.runs()
    seen = [Path(path).name for path in json.loads(scene.seen.read_text())]
    assert {"bfill.db", "locks", "logs", "files", RUN_ID, "first.1.log"} <= set(seen), seen
    assert any(name.endswith(".lock") for name in seen), seen
    scene.check(scene.home)


def nested(scene: Scene) -> None:
    """A store below folders that are not there yet."""
    scene.home = scene.project.folder / "a" / "b" / "c"
    scene.bfill(*RUN, "--store", str(scene.home / "other.db")).exits(0)
    scene.check(scene.home, scene.home.parent, scene.home.parent.parent)


def reports(scene: Scene) -> None:
    """Every file a command leaves where it was told to."""
    folder = scene.project.folder
    scene.bfill(*RUN, "--events", "e.ndjson", "--junit", "j.xml").exits(0)
    scene.bfill("audit", "report", "--out", "report.html").exits(0)
    scene.check(folder / "e.ndjson", folder / "j.xml", folder / "report.html")


def store_is_a_link(scene: Scene) -> None:
    scene.home.mkdir(mode=0o700)
    scene.project.store.symlink_to(scene.victim)
    scene.refuses()
    scene.check()


def store_is_a_dangling_link(scene: Scene) -> None:
    scene.home.mkdir(mode=0o700)
    scene.project.store.symlink_to(scene.outside / "made by bfill")
    scene.refuses()
    scene.check()


def companions_are_links(scene: Scene) -> None:
    """The journal's names are known before there is one. SQLite follows no link there."""
    scene.home.mkdir(mode=0o700)
    for end in ("-wal", "-shm", "-journal"):
        (scene.home / f"bfill.db{end}").symlink_to(scene.outside / f"made{end}")
    scene.bfill(*RUN)
    scene.check()


def store_folder_is_somebody_elses_link(scene: Scene) -> None:
    scene.home.symlink_to(scene.outside)
    os.chown(scene.home, 12345, 12345, follow_symlinks=False)
    scene.refuses()
    scene.check()


def store_folder_is_my_link(scene: Scene) -> None:
    """A store that was moved to another disk: whoever made the link wanted it followed."""
    elsewhere = scene.project.folder / "disk"
    elsewhere.mkdir(mode=0o700)
    scene.home.symlink_to(elsewhere)
    scene.runs()
    assert (elsewhere / "bfill.db").exists()
    scene.check(*elsewhere.rglob("*"))


def store_folder_is_a_dangling_link(scene: Scene) -> None:
    scene.home.symlink_to(scene.outside / "made by bfill")
    scene.refuses()
    scene.check()


def locks_are_a_link(scene: Scene) -> None:
    scene.home.mkdir(mode=0o700)
    (scene.home / "locks").symlink_to(scene.outside)
    scene.refuses()
    scene.check()


def logs_are_a_link(scene: Scene) -> None:
    scene.home.mkdir(mode=0o700)
    (scene.home / "logs").symlink_to(scene.outside)
    scene.refuses()
    scene.check()


def _fails_for_its_log(scene: Scene) -> None:
    scene.bfill(*RUN).exits(1)
    (reason,) = [row["reason"] for row in scene.project.attempts("files")]
    assert "in the place of a" in reason, reason
    scene.check()


def folder_of_a_dag_is_a_link(scene: Scene) -> None:
    (scene.home / "logs").mkdir(mode=0o700, parents=True)
    scene.home.chmod(0o700)
    (scene.home / "logs" / "files").symlink_to(scene.outside)
    _fails_for_its_log(scene)


def _planted_log(scene: Scene) -> Path:
    folder = scene.home / "logs" / "files" / RUN_ID
    folder.mkdir(parents=True)
    for one in (folder, *list(folder.parents)[:3]):
        one.chmod(0o700)
    return folder / "first.1.log"


def log_is_a_link(scene: Scene) -> None:
    _planted_log(scene).symlink_to(scene.victim)
    _fails_for_its_log(scene)


def log_is_a_hard_link(scene: Scene) -> None:
    _planted_log(scene).hardlink_to(scene.victim)
    _fails_for_its_log(scene)


def log_is_a_pipe(scene: Scene) -> None:
    """Nobody reads it: a task that waited for a reader would never end."""
    path = _planted_log(scene)
    os.mkfifo(path)
    path.chmod(0o600)
    _fails_for_its_log(scene)


def heads_are_a_link(scene: Scene) -> None:
    scene.home.mkdir(mode=0o700)
    (scene.home / "bfill.db.heads").symlink_to(scene.victim)
    scene.refuses()
    scene.check()


def reports_are_links(scene: Scene) -> None:
    """Each flag that names a file, to a file outside and to one that is not there yet."""
    folder = scene.project.folder
    (folder / "to victim").symlink_to(scene.victim)
    (folder / "to nothing").symlink_to(scene.outside / "made by bfill")
    for name in ("to victim", "to nothing"):
        for flag in ("--events", "--junit"):
            scene.refuses(flag, name)
        scene.bfill("audit", "report", "--out", name).says(2, "symbolic link")
    scene.check()


def names_lead_nowhere(scene: Scene) -> None:
    """Ids become names of folders: what would leave the folder for logs is no id."""
    share = slice(UMASKS.index(scene.umask), None, len(UMASKS))
    command = ("run", "--schedule", "@daily", *DAY)
    for name in ("..", ".", "../out", "a/b", "/etc", "a\\b", "\n", "a\tb", "x" * 241, "日" * 81)[share]:
        scene.bfill(*command, "--command", "echo out", f"--name={name}").exits(3)
    for name in ("..a", "a..", "-rf", "x" * 240, "日" * 80)[share]:
        scene.bfill(*command, "--command", "echo in", f"--name={name}").exits(0)
        assert (scene.home / "logs" / name / RUN_ID / "command.1.log").read_text() == "in\n"
    scene.check()


LAYOUTS: dict[str, Callable[[Scene], None]] = {
    case.__name__: case
    for case in (
        *(plain, nested, reports, store_is_a_link, store_is_a_dangling_link, companions_are_links),
        *(store_folder_is_somebody_elses_link, store_folder_is_my_link, store_folder_is_a_dangling_link),
        *(locks_are_a_link, logs_are_a_link),
        *(folder_of_a_dag_is_a_link, log_is_a_link, log_is_a_hard_link, log_is_a_pipe, heads_are_a_link),
        *(reports_are_links, names_lead_nowhere),
    )
}


def lay_out(project: Project, trial: Trial) -> str:
    """Play one layout under one umask; the trial's number chooses both, so that every pair comes up."""
    name = list(LAYOUTS)[trial.number % len(LAYOUTS)]
    LAYOUTS[name](Scene(project, UMASKS[trial.number // len(LAYOUTS) % len(UMASKS)]))
    return name


@pytest.mark.promise(14, short=54, long=54)
def test_what_bfill_makes_is_private_and_stays_in_its_place(trials: Trials, new_project: NewProject) -> None:
    """18 layouts, each under three umasks."""
    if os.geteuid() != 0:
        pytest.skip("a link that belongs to somebody else can be made by root alone")
    for trial in trials:
        trials.see(lay_out(new_project(), trial))
    if trials.count == len(LAYOUTS) * len(UMASKS):
        assert set(trials.seen.values()) == {len(UMASKS)}


def test_a_folder_that_everybody_can_write_to_is_warned_of(project: Project, sales: Path) -> None:
    project.folder.chmod(0o777)
    planned = project.bfill("plan", "--dag", "sales", *DAY, "--json").exits(0)
    assert "is writable for all" in planned.problems["open-folder"]
    project.folder.chmod(0o1777)
    planned = project.bfill("plan", "--dag", "sales", *DAY, "--json").exits(0)
    assert "open-folder" not in planned.problems


@pytest.mark.long
@pytest.mark.promise(14)
@pytest.mark.parametrize(
    "mutant", ["umask-trusted", "log-links-followed", "store-links-followed", "folder-links-followed"], indirect=True
)
def test_the_harness_catches_a_guard_taken_out(new_mutant: NewProject) -> None:
    def case(trial: Trial) -> None:
        lay_out(new_mutant(), trial)

    caught(case)
