"""What black-box tests see of bfill: a folder, the command line in it, and the store through its readable views.

Owns no knowledge of the code: commands are processes, results are exit codes and text, the store is a SQLite file that
is read with SQL. What is imported from `backfill_cli` here is nothing.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

from warm import Warm

HEAD = """\
import os, sys, time
from datetime import datetime, timedelta
from pathlib import Path
from backfill_cli import *
from backfill_cli import DAG, BashOperator, EmptyOperator, PythonOperator, SQLOperator, task

def broken(name, ds):
    marks = Path(__file__).parent.parent / "broken"
    if (marks / f"{name}.{ds}").exists():
        raise RuntimeError(f"{name} is broken")

"""

SALES = """\
with DAG("sales", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def extract(ds: str):
        broken("extract", ds)
        return {"ds": ds}
    @task
    def load(row: dict, ds: str):
        broken("load", ds)
        print("loaded", row["ds"])
    load(extract())
"""
"""Two tasks; `project.breaks("load", "2024-01-03")` makes one of them fail."""

LONGEST_S = 60.0


class Forker(Warm):
    """The client of `forker.py`: starts command lines as forks of a warm process."""

    def __init__(self, code: Path | None = None) -> None:
        """Start the process, with the bfill in the folder `code` in place of the one that is installed."""
        forker = Path(__file__).with_name("forker.py")
        super().__init__(sys.executable, str(forker), path=() if code is None else (code,))


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it wrote."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Stdout as one JSON document; anything before or behind it is an error."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        assert found["exit_code"] == self.code, self
        assert found["ok"] == (self.code == 0), self
        return found

    @property
    def data(self) -> dict[str, Any]:
        found = self.json
        assert "data" in found, self
        data: dict[str, Any] = found["data"]
        return data

    @property
    def problems(self) -> dict[str, str]:
        """Code → message and hint of every problem."""
        return {one["code"]: f"{one['message']} | {one['hint']}" for one in self.json["problems"]}

    def exits(self, code: int) -> Ran:
        assert self.code == code, self
        assert "Traceback" not in self.out + self.err, self
        return self

    def says(self, code: int, *words: str) -> Ran:
        """A refusal: nothing on stdout, `error:` and `hint:` on stderr and nothing else, with these words in them."""
        self.exits(code)
        lines = self.err.splitlines()
        assert self.out == "", self
        assert len(lines) == 2, self
        assert lines[0].startswith("error: "), self
        assert lines[1].startswith("hint: "), self
        assert len(lines[1]) > len("hint: "), self
        for word in words:
            assert word in self.err, (word, self.err)
        return self


@dataclass
class Going:
    """A command that is running."""

    forker: Forker
    words: tuple[str, ...]
    pid: int
    streams: Path

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout_s: float = LONGEST_S) -> Ran:
        """Wait for its end; a command that hangs is killed and fails the test."""
        until = time.monotonic() + timeout_s
        pause = 0.002
        while (code := self.forker.ask(do="wait", pid=self.pid, block=False)) is None:
            if time.monotonic() > until:
                self.signal(signal.SIGKILL)
                self.forker.ask(do="wait", pid=self.pid, block=True)
                raise AssertionError(f"bfill {' '.join(self.words)} did not end: {self._read('err')}")
            time.sleep(pause)
            pause = min(0.02, pause * 2)
        return Ran(self.words, code, self._read("out"), self._read("err"))

    def says(self, word: str) -> bool:
        """Whether stderr holds a word by now."""
        return word in self._read("err")

    def _read(self, name: str) -> str:
        path = self.streams.with_suffix(f".{name}")
        # Killed before it had opened its streams, it wrote nothing.
        return path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""


@dataclass
class Project:
    """A private folder with a `dags` folder, an environment of its own, and a store in `.bfill`."""

    forker: Forker
    folder: Path
    streams: Path
    env: dict[str, str] = field(default_factory=dict)
    uid: int = 0
    started: int = 0

    @property
    def store(self) -> Path:
        return self.folder / ".bfill" / "bfill.db"

    def write(self, name: str, text: str, *, head: str | None = None) -> Path:
        """Write a file; a Python file in `dags` opens with the usual imports unless `head` says otherwise."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        usual = HEAD if name.endswith(".py") else ""
        path.write_text((usual if head is None else head) + dedent(text), encoding="utf-8")
        return path

    def breaks(self, name: str, *dates: str) -> None:
        """Make a task of `SALES` and its like fail on these dates."""
        for date in dates:
            self.write(f"broken/{name}.{date}", "")

    def mends(self, name: str, *dates: str) -> None:
        for date in dates:
            (self.folder / "broken" / f"{name}.{date}").unlink()

    def start(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        cwd: Path | None = None,
        umask: int = 0o022,
        traced: bool = False,
        session: bool = False,
        ignored: Sequence[int] = (),
    ) -> Going:
        """Start a command line; a traced one begins when somebody traces its process.

        Args:
            session: In a session and a process group of its own, as a terminal window or a service manager starts it.
            ignored: Signals that it ignores from the start, as nohup and a shell's background jobs have it.
        """
        self.started += 1
        streams = self.streams / str(self.started)
        given = "/dev/null"
        if stdin is not None:
            given = str(streams.with_suffix(".in"))
            Path(given).write_text(stdin, encoding="utf-8")
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TZ": "UTC",
            "LANG": "C.UTF-8",
            **self.env,
            **(env or {}),
        }
        pid = self.forker.ask(
            do="spawn",
            argv=words,
            cwd=str(cwd or self.folder),
            env=environ,
            stdin=given,
            out=str(streams.with_suffix(".out")),
            err=str(streams.with_suffix(".err")),
            uid=self.uid,
            umask=umask,
            traced=traced,
            session=session,
            ignored=list(ignored),
        )
        return Going(self.forker, words, pid, streams)

    def bfill(self, *words: str, **how: Any) -> Ran:
        """Run one command line to its end."""
        return self.start(*words, **how).wait()

    # the store, seen from outside

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Ask the store; no store has no rows."""
        if not self.store.exists():
            return []
        with closing(connect(self.store)) as connection:
            cursor = connection.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def runs(self, dag_id: str) -> dict[str, str]:
        """Day of the logical date → state, for daily DAGs in UTC."""
        found = self.rows("SELECT logical_date, state FROM v_dag_runs WHERE dag_id = ? ORDER BY logical_date", dag_id)
        return {row["logical_date"][:10]: row["state"] for row in found}

    def attempts(self, dag_id: str, task_id: str | None = None) -> list[dict[str, Any]]:
        return self.rows(
            "SELECT * FROM v_attempts WHERE dag_id = ? AND (? IS NULL OR task_id = ?) ORDER BY started_at",
            dag_id,
            task_id,
            task_id,
        )

    def tries(self, dag_id: str, task_id: str) -> dict[str, list[str]]:
        """Day → outcomes of the tries of a task, in order."""
        found: dict[str, list[str]] = {}
        rows = self.rows(
            "SELECT logical_date, outcome FROM v_attempts WHERE dag_id = ? AND task_id = ?"
            " ORDER BY logical_date, try_number",
            dag_id,
            task_id,
        )
        for row in rows:
            found.setdefault(row["logical_date"][:10], []).append(row["outcome"])
        return found

    def instances(self, dag_id: str, day: str | None = None) -> dict[str, str]:
        """Task → state on one date."""
        found = self.rows(
            "SELECT t.task_id, i.state, strftime('%Y-%m-%d', i.logical_date, 'unixepoch') AS day FROM task_instances i"
            " JOIN dags d ON d.dag = i.dag JOIN tasks t ON t.task = i.task WHERE d.dag_id = ?",
            dag_id,
        )
        return {row["task_id"]: row["state"] for row in found if day in (None, row["day"])}

    def xcoms(self, dag_id: str, day: str | None = None) -> dict[tuple[str, str], Any]:
        """(task, key) → value on one date."""
        found = self.rows(
            "SELECT t.task_id, x.name, x.value, strftime('%Y-%m-%d', x.logical_date, 'unixepoch') AS day FROM xcoms x"
            " JOIN dags d ON d.dag = x.dag JOIN tasks t ON t.task = x.task WHERE d.dag_id = ?",
            dag_id,
        )
        return {(row["task_id"], row["name"]): json.loads(row["value"]) for row in found if day in (None, row["day"])}

    def log(self, dag_id: str, day: str, task_id: str, try_number: int = 1) -> str:
        name = f"backfill__{day}T00:00:00+00:00" if len(day) == 10 else f"backfill__{day}"
        path = self.store.parent / "logs" / dag_id / name / f"{task_id}.{try_number}.log"
        return path.read_text(encoding="utf-8", errors="backslashreplace")

    # what must not change

    def fingerprint(self) -> dict[str, str]:
        """Every file and folder below the project with a digest of its content."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            if "__pycache__" in path.parts:
                continue
            found[str(path.relative_to(self.folder))] = (
                sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else "folder"
            )
        return found

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """A block that leaves the project as it was, byte for byte, listing included."""
        before = self.fingerprint()
        yield
        assert self.fingerprint() == before


def sqlite() -> ModuleType:
    """The driver a sound SQLite comes with; the linked one may be too old for the store's journal."""
    try:
        import pysqlite3

        module: ModuleType = pysqlite3
    except ImportError:
        import sqlite3

        module = sqlite3
    return module


def connect(path: Path, *, write: bool = False) -> Any:
    """Open a store. Nobody else has it open when it has no journal beside it, and reading must not make one."""
    if write:
        return sqlite().connect(str(path))
    try:
        quiet = "" if path.with_name(path.name + "-wal").stat().st_size else "&immutable=1"
    except FileNotFoundError:
        quiet = "&immutable=1"
    return sqlite().connect(f"file:{path}?mode=ro{quiet}", uri=True)


def most_at_once(spans: list[tuple[str, str]]) -> int:
    """The most spans of [start, end) open at one instant."""
    edges = sorted([(end, -1) for _, end in spans] + [(start, 1) for start, _ in spans])
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


def until(condition: Any, *, timeout_s: float = 20.0) -> Any:
    """Wait for a condition to hold, and return what it returns; a store that is just being made holds nothing yet."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            found = condition()
        except sqlite().DatabaseError:
            found = None
        if found:
            return found
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
