"""The place a scenario plays in: a private folder with a store of its own, and the real command line in it.

Owns files and processes; says nothing. The working directory is the private folder for as long as the stage is open, so
`bfill`, tasks and the scenario itself all look at the same files.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from _shared import evidence, processes, warehouse
from _shared.processes import Background, Ran

_BFILL = [sys.executable, "-P", "-m", "backfill_cli"]
"""-P: a file of the private folder must not hide a library."""


class Stage:
    """A private folder, and `bfill` in it. Use it as a context manager; the folder is gone afterwards.

    Args:
        file: The scenario's `__file__`.
        keep: Leave the folder.
    """

    def __init__(self, file: str, *, keep: bool = False) -> None:
        self.file = Path(file).resolve()
        self.number = ".".join(str(int(part)) for part in self.file.name[:8].split("_"))
        self.dag_id = f"scenario_{self.file.name[:8]}"
        self.keep = keep
        self._started: list[Background] = []

    def __enter__(self) -> Stage:
        self._before = (Path.cwd(), dict(os.environ))
        self.folder = Path(tempfile.mkdtemp(prefix=f"bfill-{self.number}-")).resolve()
        os.chdir(self.folder)
        # A file of its own ends the search for settings here: the visitor's bfill.toml and BFILL_… stay out of it, and
        # a demonstrated failure is none of the CI job in which it is demonstrated.
        self.write("bfill.toml", "")
        for name in [one for one in os.environ if one.startswith(("BFILL_", "_BFILL_", "GITHUB_"))]:
            del os.environ[name]
        # Copies of this file in the private folder find the toys too.
        path = filter(None, [str(self.file.parent), os.environ.get("PYTHONPATH")])
        os.environ |= {"NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": os.pathsep.join(path)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for one in self._started:
            one.close()
        folder, environ = self._before
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def store(self) -> Path:
        """The store's file; missing until something is stored."""
        return self.folder / ".bfill" / "bfill.db"

    @property
    def home(self) -> Path:
        """The folder of the scenario's own files: what `warehouse.home(__file__)` is inside a task."""
        return warehouse.home(str(self.file))

    def call(self, command: str, *, columns: int = 80, answer: str | None = None, **environ: str) -> Ran:
        """Run `bfill COMMAND` to its end, as a process of its own.

        Args:
            command: As typed in a shell, without `bfill`.
            answer: Run it at a terminal, and type this when it asks. None: nobody is there to be asked.
            environ: Added to its environment.

        Raises:
            TimeoutError: It did not end.
        """
        words = [*_BFILL, *shlex.split(command)]
        around = {**os.environ, "COLUMNS": str(columns), **environ}
        if answer is None:
            return processes.run(f"bfill {command}", words, around)
        # A dumb terminal: it is asked like any other, and nothing on it is redrawn.
        return processes.run_at_terminal(f"bfill {command}", words, around | {"TERM": "dumb"}, answer, columns)

    def start(self, command: str, **environ: str) -> Background:
        """Start `bfill COMMAND` and go on; what still runs at the end of the stage is killed."""
        words = [*_BFILL, *shlex.split(command)]
        self._started.append(Background(f"bfill {command}", words, {**os.environ, **environ}))
        return self._started[-1]

    def script(self, name: str, *, columns: int = 80, **environ: str) -> Ran:
        """Run a shell script of the private folder with `sh`; it finds `bfill` and `python3` on its PATH."""
        for tool, start in (("bfill", _BFILL), ("python3", [sys.executable])):
            self.write(f"bin/{tool}", f'#!/bin/sh\nexec {shlex.join(start)} "$@"\n').chmod(0o755)
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        around = {**os.environ, "COLUMNS": str(columns), "PATH": path, **environ}
        return processes.run(f"sh {name}", ["/bin/sh", name], around)

    def ask(self, command: str) -> dict[str, Any]:
        """Return the `data` of a reading command, quietly: `ask("status --dag 17.3.1 …")`."""
        ran = self.call(f"{command} --json")
        if "data" not in ran.document:
            raise RuntimeError(f"{ran.command}: {ran.document['error']['message']}")
        return ran.data

    def attempts(self, dag_id: str | None = None, *, zone: str = "UTC") -> list[evidence.Attempt]:
        """Return every attempt the store knows of this scenario's DAG, or of another, with its dates in a zone."""
        return evidence.attempts(self.store, dag_id or self.dag_id, zone)

    def rows(self, sql: str, *values: object, database: str = "warehouse.db") -> list[tuple[Any, ...]]:
        """Return rows of this scenario's warehouse."""
        return evidence.rows(self.home / database, sql, *values)

    def stored(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return rows of bfill's store; its views `v_dag_runs`, `v_attempts`, `v_audit` are made for reading."""
        return evidence.rows(self.store, sql, *values)

    def state_of(self, task_id: str, day: str) -> str | None:
        """Return the stored state of a task of this scenario's DAG on a day; None while there is nothing stored."""
        sql = (
            "SELECT state FROM task_instances JOIN tasks USING (task) JOIN dags ON dags.dag = task_instances.dag "
            "WHERE dag_id = ? AND task_id = ? AND date(logical_date, 'unixepoch') = ?"
        )
        try:
            found = self.stored(sql, self.dag_id, task_id, day)
        except sqlite3.OperationalError:  # another process is about to make the store
            return None
        return found[0][0] if found else None

    def snapshot(self) -> dict[str, str]:
        """Return path → content digest and time of change, for every file and folder: equal means untouched."""
        taken: dict[str, str] = {}
        for path in sorted(self.folder.rglob("*")):
            seen = path.stat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
            taken[str(path.relative_to(self.folder))] = f"{content} {seen.st_mtime_ns}"
        return taken

    def write(self, name: str, text: str) -> Path:
        """Write a file of the private folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def copy_of_dag(self) -> str:
        """Copy what stands above `@scenario` to where a visitor would keep it, to be edited, and return its name.

        It lies in `dags/`, so `--dag` finds it by its dag_id; by number `--dag` means the original.
        """
        dag, mark, _ = self.file.read_text(encoding="utf-8").partition("\n@scenario\n")
        if not mark:
            raise ValueError(f"{self.file.name} has no line '@scenario'")
        return str(self.write(f"dags/{self.file.name[:8]}.py", dag.rstrip() + "\n").relative_to(self.folder))

    def edit(self, name: str, before: str, after: str) -> None:
        """Replace a piece of text that stands exactly once in a file: a fix that is not found is no fix.

        Raises:
            ValueError: It stands there never, or more than once.
        """
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        if text.count(before) != 1:
            raise ValueError(f"{name} holds {before!r} {text.count(before)} times")
        path.write_text(text.replace(before, after), encoding="utf-8")
