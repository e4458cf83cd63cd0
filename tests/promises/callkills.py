"""A kill at one system call of a command, whichever: strace delivers SIGKILL as the call is entered.

strace counts the calls of each thread by themselves, so "the N-th write" alone cannot name what a worker thread writes
while the coordinator writes more. A spot is therefore the N-th call of a name on one file; only where a file's name is
not known beforehand (locks, streams) it is the N-th call of that name in its thread.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from blackbox.world import LONGEST_S, Project, Ran, until

from promises.harness import Trial
from promises.killchecks import check, look
from promises.killing import Story
from promises.killworld import Shape, Task, days_from
from promises.strace import parse, trace

CALLS = "write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,ftruncate,unlink,unlinkat,rename,renameat,renameat2"
"""What changes a file, or says that a change is on the disk."""

SMALL = Shape(
    (
        Task("t0", "python", (), "all_success", 0, 0, False, 0.0, frozenset()),
        Task("t1", "bash", ("t0",), "all_success", 1, 0, False, 0.0, frozenset(days_from(3)[1:2])),
    ),
    days_from(3),
    2,
    "thread",
)
"""Three dates of two tasks, one of which fails twice: some two hundred calls."""


class Spot(NamedTuple):
    """One call: its name, its file below the project (None where the name is new each time), and which of them."""

    call: str
    file: str | None
    number: int

    @property
    def what(self) -> str:
        """The kind of file, for the figures."""
        name = self.file or "locks and streams"
        return re.sub(r"logs/.*", "logs", name.removeprefix(".bfill/"))


def command(shape: Shape) -> tuple[str, ...]:
    return "run", *shape.words, *shape.how, "--json"


def spots(project: Project, log: Path) -> list[Spot]:
    """Return every call in a log that changes a file of the project or a stream, of bfill's own threads."""
    on_files: Counter[tuple[int, str, str]] = Counter()
    on_all: Counter[tuple[int, str]] = Counter()
    found: dict[Spot, None] = {}
    for call in parse(log):
        path = call.arguments[0]
        path = path.decode() if isinstance(path, bytes) else path
        on_all[call.thread, call.name] += 1
        below = path.removeprefix(f"{project.folder}/")
        if below.startswith(("witness", "tmp/")) or path.startswith(("pipe:", "/dev/", "socket:", "anon_inode:")):
            continue  # not bfill's: what the tasks write, and what goes to other processes
        if below == path or "/locks/" in below:
            found[Spot(call.name, None, on_all[call.thread, call.name])] = None
            continue
        on_files[call.thread, call.name, below] += 1
        found[Spot(call.name, below, on_files[call.thread, call.name, below])] = None
    return list(found)


def options(project: Project, spot: Spot | None) -> tuple[str, ...]:
    """The words that make strace kill there; without a spot it only writes down what it sees."""
    if spot is None:
        return ("-e", f"trace={CALLS}")
    where = () if spot.file is None else ("-P", str(project.folder / spot.file))
    inject = f"inject={spot.call}:signal=KILL:when={spot.number}"
    return (*where, "-e", f"trace={spot.call}", "-e", inject)


def run_real(project: Project, words: tuple[str, ...], traced: tuple[str, ...]) -> Ran:
    """Run `python -m backfill_cli` itself under strace, in a session of its own."""
    env = {"PATH": os.environ["PATH"], "HOME": str(project.folder), "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}
    if "PYTHONPATH" in os.environ:
        env["PYTHONPATH"] = os.environ["PYTHONPATH"]
    ran = subprocess.run(
        [
            "strace",
            "-f",
            "-qq",
            *traced,
            "-o",
            "/dev/null",
            sys.executable,
            "-m",
            "backfill_cli",
            *words,
        ],
        cwd=project.folder,
        env={**env, **project.env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        start_new_session=True,
        check=False,
    )
    return Ran(words, ran.returncode, ran.stdout, ran.stderr)


def small(project: Project) -> Project:
    """Put the small DAG into a project."""
    SMALL.write(project.folder)
    (project.folder / "tmp").mkdir()
    project.env["TMPDIR"] = str(project.folder / "tmp")
    return project


def killed_once(project: Project) -> Project:
    """Kill a run with two dates open: the next command has something to recover."""
    small(project)
    going = project.start(*command(SMALL))
    until(lambda: b"end 2024-01-01 t0" in (project.folder / "witness").read_bytes())
    going.signal(signal.SIGKILL)
    assert was_killed(going.wait())
    return project


class Template:
    """A project that is put back to how it was before each kill: same path, so that the same spots are met again.

    Attributes:
        spots: The calls of the command, from a run that was only watched.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._kept = project.streams / "template"
        shutil.copytree(project.folder, self._kept)
        self.spots = spots(project, trace(project, *command(SMALL), options=options(project, None)).log)

    def kill_at(self, spot: Spot, trial: Trial, see: Callable[[str], None], *, real: bool = False) -> None:
        """Kill the command there, give it again, and check all that must hold.

        Args:
            real: In `python -m backfill_cli`, from the start of its interpreter; else in a fork of a warm process.
        """
        self.restore()
        traced = options(self.project, spot)
        if real:
            ran = run_real(self.project, command(SMALL), traced)
        else:
            ran = trace(self.project, *command(SMALL), options=traced).ran
        story = Story(self.project, SMALL, trial.random, see)
        if was_killed(ran):
            see("killed")
            see(f"killed at {spot.call} of {spot.what}")
            story.snapshots.append(look(self.project))
        else:  # a child of it met the call, or nobody did
            assert ran.code == 1 or ran.json["error"]["code"] == "crashes", ran
            see("not met")
        check(story, self.project.bfill(*command(SMALL)))

    def restore(self) -> None:
        shutil.rmtree(self.project.folder)
        shutil.copytree(self._kept, self.project.folder)


def was_killed(ran: Ran) -> bool:
    return ran.code == -signal.SIGKILL
