"""What the engine's tests share: one try of one task run in place, and a store that only records."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from builders import DAY, FIRST, Ledger, make_dag, make_task

from backfill_cli.core.graph import Dag, Task
from backfill_cli.core.invocations import AttemptReport, DagRef, Invocation
from backfill_cli.core.records import Batch, Claim
from backfill_cli.core.work import PythonWork, ShellWork
from backfill_cli.engine.attempt import Bench, run_attempt
from backfill_cli.engine.logs import captured
from backfill_cli.errors import ConflictError

REF = DagRef("toy.py", "toy", "v1")


def python(function: Callable[..., Any], **changes: Any) -> Task:
    """A task `a` that calls the function; keywords of PythonWork and of Task may be mixed."""
    work = {name: changes.pop(name) for name in PythonWork.__dataclass_fields__ if name in changes}
    return make_task("a", work=PythonWork(function, **work), **changes)


def shell(command: str, **changes: Any) -> Task:
    """A task `a` that runs the command; keywords of ShellWork and of Task may be mixed."""
    work = {name: changes.pop(name) for name in ShellWork.__dataclass_fields__ if name in changes}
    return make_task("a", work=ShellWork(command, **work), **changes)


def make_invocation(task_id: str = "a", **changes: Any) -> Invocation:
    values: dict[str, Any] = {
        "dag": REF,
        "task_id": task_id,
        "logical_date": FIRST,
        "data_interval_end": FIRST + DAY,
        "run_id": "backfill__2024-01-01T00:00:00+00:00",
        "run_type": "backfill",
        "try_number": 1,
        "spent": 0,
        "backfill_id": "bf-1",
    }
    return Invocation(**{**values, **changes})


def make_bench(dag: Dag, **changes: Any) -> Bench:
    return Bench(dag_of=lambda _ref: dag, **changes)


class Tried(NamedTuple):
    """How a try ended, and what its log holds; None when no file was made."""

    report: AttemptReport
    log: str | None


def attempt(task: Task, folder: Path, *, dag: Dag | None = None, bench: Bench | None = None, **changes: Any) -> Tried:
    """Run one try of the task in this thread, captured as in a run."""
    whole = dag or make_dag(task)
    path = folder / "logs" / f"{task.task_id}.log"
    invocation = make_invocation(task.task_id, log_path=str(path), **changes)
    with captured(own_process=False):
        report = run_attempt(invocation, bench or make_bench(whole))
    return Tried(report, path.read_text(errors="backslashreplace") if path.exists() else None)


def follow(dag_task: Task, *behind: str) -> Dag:
    """A DAG with those tasks directly behind the task."""
    return make_dag(dag_task, *(make_task(one, after=dag_task.task_id) for one in behind))


class RecordingStore:
    """Just enough of a Store for the coordinator: each write is kept, in order, with the time and what was said."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.batches: list[Batch] = []
        self.story: list[str] = []
        self.fails_at: int | None = None

    def write(self, work: Callable[[Any], Any]) -> Any:
        return work(self)

    def save(self, claim: Claim, batch: Batch) -> None:
        if self.fails_at is not None and len(self.batches) >= self.fails_at:
            raise ConflictError("the claim is lost")
        self.ledger.save(claim, batch)
        self.batches.append(batch)
        self.story += [f"commit {row.task_id} {row.state}" for row in batch.instances]


def wait_until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Look every few milliseconds; the limit is for a broken test, never for a slow machine."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    return _stat(pid)[0] not in ("", "Z")


def group_of(pgid: int) -> list[int]:
    """The living processes of a process group."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if is_alive(pid) and _stat(pid)[2] == str(pgid)]


def _stat(pid: int) -> list[str]:
    """State, parent, process group of a process; an empty state when there is none."""
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[:3]
    return ["", "", ""]
