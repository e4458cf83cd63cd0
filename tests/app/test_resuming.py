"""Which backfill a command means: the rest of an interrupted one, a stored plan, or a new one; and what it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from backfill_cli import BackfillOptions, BackfillResult, BackfillService
from backfill_cli.app.context import AppContext
from backfill_cli.app.jobs import Job
from backfill_cli.app.run import carry_out
from backfill_cli.core.listening import Listener
from backfill_cli.core.standing import StatusResult

DAG_FILE = """\
import os, time
from datetime import datetime
from pathlib import Path
from backfill_cli import DAG, task

with DAG("slow", schedule="@daily", start_date=datetime(2024, 1, 1)) as dag:
    @task
    def work(ds: str):
        with open("ran.txt", "a") as file:
            file.write(ds + chr(10))
        while Path("wait").exists() and ds != "2024-01-01":
            time.sleep(0.01)
    work()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "slow.py").write_text(DAG_FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def service(folder: Path) -> BackfillService:
    return BackfillService(store=folder / "store.db")


def options(folder: Path, first: int, last: int, **more: object) -> BackfillOptions:
    days = {"start_date": date(2024, 1, first), "end_date": date(2024, 1, last)}
    return BackfillOptions(dag_id=str(folder / "slow.py"), **days, **more)  # type: ignore[arg-type]


def run(folder: Path, first: int, last: int, **more: object) -> BackfillResult:
    result = service(folder).backfill(options(folder, first, last, **more))
    assert isinstance(result, BackfillResult)
    return result


def kill_in_the_middle(folder: Path, first: int, last: int) -> str:
    """Start a run, wait until its second date is in flight, kill it; returns the backfill's id."""
    process = held_in_the_middle(folder, first, last)
    kill(process)
    (folder / "wait").unlink()
    found = service(folder).status(BackfillOptions())
    assert isinstance(found, StatusResult)
    assert found.backfills[0].state == "interrupted"
    return found.backfills[0].row.backfill_id


def kill(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def held_in_the_middle(folder: Path, first: int, last: int) -> subprocess.Popen[bytes]:
    """Start a run and wait until its second date is in flight, where it stays as long as there is a file `wait`."""
    (folder / "wait").touch()
    span = ["--start", f"2024-01-{first:02}", "--end", f"2024-01-{last:02}"]
    command = [sys.executable, "-m", "backfill_cli", "run", "--dag", "slow.py", *span, "--store", "store.db", "-q"]
    process = subprocess.Popen(command, cwd=folder)
    ran = folder / "ran.txt"
    for _ in range(1000):
        if ran.exists() and len(ran.read_text().split()) >= 2:
            break
        time.sleep(0.01)
    time.sleep(0.1)
    return process


def test_the_same_command_goes_on_where_a_killed_one_stopped_and_lists_what_ran_again(folder: Path) -> None:
    killed = kill_in_the_middle(folder, 1, 4)
    result = run(folder, 1, 4)
    assert (result.backfill_id, result.total_dates, result.completed) == (killed, 4, 4)
    assert [(one.task_id, one.lost_try) for one in result.reexecuted] == [("work", 1)]
    assert (folder / "ran.txt").read_text().split() == [f"2024-01-0{day}" for day in (1, 2, 2, 3, 4)]


def test_a_process_killed_between_the_look_and_the_claim_leaves_its_backfill_to_the_same_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It still counts as alive when its backfill is looked for, so that a new one is what the command means then."""
    process = held_in_the_middle(folder, 1, 4)
    meant: list[str | None] = []

    def killed_first(ctx: AppContext, job: Job, listeners: Sequence[Listener]) -> BackfillResult:
        meant.append(job.row and job.row.backfill_id)
        if len(meant) == 1:
            kill(process)
            (folder / "wait").unlink()
        return carry_out(ctx, job, listeners)

    monkeypatch.setattr("backfill_cli.app.run.carry_out", killed_first)
    result = run(folder, 1, 4)
    assert meant == [None, result.backfill_id]
    assert (result.total_dates, result.completed, len(result.reexecuted)) == (4, 4, 1)
    found = service(folder).status(BackfillOptions())
    assert isinstance(found, StatusResult)
    assert [(view.row.backfill_id, view.state) for view in found.backfills] == [(result.backfill_id, "success")]


def test_the_id_of_a_finished_backfill_goes_on_with_an_interrupted_one_of_the_same_dates(folder: Path) -> None:
    finished = run(folder, 1, 4)
    service(folder).reset(options(folder, 1, 4, yes=True))
    (folder / "ran.txt").unlink()
    killed = kill_in_the_middle(folder, 1, 4)
    result = service(folder).backfill(BackfillOptions(backfill_id=finished.backfill_id))
    assert isinstance(result, BackfillResult)
    assert (result.backfill_id, result.completed) == (killed, 4)


def test_a_date_that_another_backfill_has_finished_meanwhile_does_not_run_again(folder: Path) -> None:
    killed = kill_in_the_middle(folder, 1, 4)
    other = run(folder, 3, 3)
    assert other.completed == 1
    result = run(folder, 1, 4)
    assert (result.backfill_id, result.completed, result.remaining) == (killed, 4, 0)
    assert (folder / "ran.txt").read_text().split().count("2024-01-03") == 1


def test_run_takes_up_a_stored_plan_of_the_same_selection(folder: Path) -> None:
    planned = service(folder).plan(options(folder, 1, 2))
    assert run(folder, 1, 2).backfill_id == planned.backfill_id


def test_a_stored_plan_that_has_moved_is_replaced_by_the_same_selection(folder: Path) -> None:
    planned = service(folder).plan(options(folder, 1, 2))
    run(folder, 1, 1)
    result = run(folder, 1, 2)
    assert result.backfill_id != planned.backfill_id
    listed = service(folder).status(BackfillOptions()).backfills
    assert planned.backfill_id not in [view.row.backfill_id for view in listed]
