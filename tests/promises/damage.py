"""A store with something of everything in it, ways to damage a copy of it, and every command to try on that.

Owns the world of promise 6 and the two questions asked of it: did every command end in one clear line, and did a
command that found the store damaged leave it as it was.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

from blackbox.world import SALES, Project, sqlite, until

from promises.batch import Batches, Ended

RANGE = ("--dag", "sales", "--start", "2024-03-01", "--end", "2024-03-08")
ADHOC = ("--command", "echo {{ ds }} {{ dag_run.conf.region }}", "--schedule", "@daily", "--name", "adhoc")
KNOWN_CODES = frozenset({0, 1, 2, 3, 4, 5, 6, 7})
STORE = Path(".bfill") / "bfill.db"


@dataclass(frozen=True)
class Template:
    """A project whose store is copied for every trial; `ids` are its backfills, oldest first."""

    folder: Path
    ids: tuple[str, ...]
    heads: tuple[str, ...]

    def copy(self, folder: Path) -> Path:
        """Make a copy and return the store in it."""
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(self.folder, folder, symlinks=True)
        return folder / STORE


def build(project: Project) -> Template:
    """Fill a store: successes, failures, a repair, a reset, a plan, a --command with a conf, and a killed process."""
    project.write("dags/sales.py", SALES)
    project.write(
        "dags/slow.py",
        """
        with DAG("slow", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="wait", bash_command="sleep 3")
        """,
    )
    project.breaks("load", "2024-03-03", "2024-03-05")
    project.bfill("run", *RANGE, "--parallel", "3", "--reason", "first").exits(1)
    project.mends("load", "2024-03-03")
    project.bfill("rerun-failed", *RANGE[:2], "--dates", "2024-03-03", "-q").exits(0)
    project.bfill("reset", "--dag", "sales", "--dates", "2024-03-07", "--yes").exits(0)
    words = ("run", *ADHOC, "--start", "2024-03-01", "--end", "2024-03-03", "--conf", '{"region": "eu", "n": [1, 2]}')
    project.bfill(*words).exits(0)
    project.bfill("plan", "--dag", "sales", "--start", "2024-03-09", "--end", "2024-03-11").exits(0)
    slow = project.start("run", "--dag", "slow", "--start", "2024-03-01", "--end", "2024-03-02")
    running = "SELECT 1 FROM task_instances i JOIN dags d ON d.dag = i.dag WHERE d.dag_id = 'slow'"
    until(lambda: project.rows(running))
    slow.signal(signal.SIGKILL)
    slow.wait()
    # Taken in, so that the whole store is one file.
    with closing(sqlite().connect(str(project.store))) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    ids = tuple(row["backfill_id"] for row in project.rows("SELECT backfill_id FROM backfills ORDER BY backfill"))
    heads = tuple(f"{row['seq']}:{row['hash']}" for row in project.rows("SELECT seq, hash FROM audit_events"))
    return Template(project.folder, ids, heads)


def looking(template: Template) -> list[tuple[str, ...]]:
    """Return the command lines that only read, one of each kind."""
    first, failed, adhoc = template.ids[0], template.ids[0], template.ids[2]
    return [
        ("status", "--json"),
        ("status", first, "--json"),
        ("status", adhoc),
        ("status", *RANGE, "--json"),
        ("status", *RANGE, "--gaps"),
        ("plan", *RANGE, "--reprocess", "all", "--dry-run", "--json"),
        ("plan", *RANGE, "--end", "2024-03-12", "--dry-run"),
        ("run", template.ids[3], "--dry-run", "--json"),
        ("rerun-failed", failed, "--dry-run", "--json"),
        ("audit", "--json"),
        ("audit",),
        ("audit", "verify", "--json"),
        ("audit", "report", "--json"),
        ("audit", "report", "--format", "html"),
        ("logs", "--dag", "sales", "2024-03-03", "--json"),
        ("logs", adhoc, "2024-03-01"),
        ("dags", "list", "--json"),
        ("dags", "show", "sales", "--json"),
        ("__complete", "backfills", ""),
        ("__complete", "tasks", "", "logs", "--dag", "sales"),
        ("__complete", "dates", "", "logs", "--dag", "sales", "--start"),
        ("__complete", "log-words", "", "logs", first),
    ]


def acting(template: Template) -> list[tuple[str, ...]]:
    """Return the command lines that write, one of each kind."""
    return [
        ("plan", "--dag", "sales", "--start", "2024-03-12", "--end", "2024-03-13", "--json"),
        ("run", *RANGE, "--json"),
        ("run", template.ids[3], "--json"),
        ("run", *ADHOC, "--start", "2024-03-02", "--end", "2024-03-05", "--reprocess", "success"),
        ("run", template.ids[2]),
        ("rerun-failed", "--json"),
        ("rerun-failed", template.ids[0]),
        ("reset", *RANGE[:2], "--dates", "2024-03-02", "--yes", "--json"),
        ("run", "--dag", "slow", "--start", "2024-03-01", "--end", "2024-03-01", "--task", "nothing*"),
    ]


def check_all(ended: Sequence[Ended]) -> list[Ended]:
    """AssertionError when a command crashed, or wrote although it said that the store is damaged; returns all."""
    for one in ended:
        assert one.code in KNOWN_CODES, one
        # On stdout a traceback may stand in the log of a task.
        assert "Traceback" not in one.err and "a bug in bfill" not in one.out + one.err, one
        if one.code != 4:
            continue
        assert not one.wrote, f"wrote to a store it found damaged: {one}"
        if "--json" in one.words:
            error = one.json["error"]
            assert error["kind"] == "store" and error["message"] and error["hint"], one
        else:
            lines = one.err.splitlines()
            assert len(lines) == 2 and lines[0].startswith("error: ") and lines[1].startswith("hint: "), one
    return list(ended)


def flip(store: Path, random: Random) -> tuple[int, int]:
    """Flip one bit of a used byte, most bytes of so small a store are zero; returns where, and which."""
    whole = bytearray(store.read_bytes())
    position = random.randrange(len(whole))
    while random.random() < 0.98 and whole[position] == 0:
        position = random.randrange(len(whole))
    bit = random.randrange(8)
    whole[position] ^= 1 << bit
    store.write_bytes(whole)
    return position, bit


def truncate(store: Path, random: Random) -> int:
    """Cut the file, at a page or anywhere; returns how many bytes are left."""
    size = store.stat().st_size
    left = random.randrange(size) if random.random() < 0.5 else random.randrange(size // 4096) * 4096
    with store.open("r+b") as file:
        file.truncate(left)
    return left
