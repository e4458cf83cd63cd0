"""The scheduler that stays and a settings file that changes: what holds when, what is told, what needs a restart."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from blackbox.world import Going, Project, most_at_once, until

NEWEST = "SELECT value FROM xcoms x JOIN dags d ON d.dag = x.dag WHERE d.dag_id = ? ORDER BY logical_date DESC LIMIT 1"


@pytest.fixture(autouse=True)
def tick(project: Project) -> Path:
    """A DAG with an interval each second, whose task says a variable of the settings."""
    project.bfill("--version").exits(0)
    return write_dag(project, "dags/tick.py")


def write_dag(project: Project, file: str, **more: str) -> Path:
    arguments = "".join(f", {key}={value}" for key, value in more.items())
    return project.write(
        file,
        f"""
        with DAG("{Path(file).stem}", schedule=timedelta(seconds=1), start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="say", bash_command="echo {{{{ var.value.region }}}}"{arguments})
        """,
    )


def settings(project: Project, region: str = "eu", more: str = "") -> None:
    """Put a file in place of the one before, as a deployment does."""
    project.write("bfill.toml.new", f"{more}\n[variables]\nregion = '{region}'\n").replace(
        project.folder / "bfill.toml"
    )


def said(project: Project, dag_id: str = "tick") -> str:
    """What the newest date has said."""
    return "".join(json.loads(row["value"]) for row in project.rows(NEWEST, dag_id))


def stopped(going: Going, code: int = 143) -> Any:
    going.signal(signal.SIGTERM)
    return going.wait().exits(code)


def test_what_changes_holds_from_the_next_shift_on_and_is_told(project: Project) -> None:
    settings(project)
    going = project.start("scheduler", "--events", "events.ndjson")
    until(lambda: said(project) == "eu")
    settings(project, "us", "dags = ['dags', 'more']\nworkers = 4")
    write_dag(project, "more/tock.py")
    until(lambda: said(project) == said(project, "tock") == "us")
    ended = stopped(going)
    (line,) = (line for line in ended.err.splitlines() if "settings" in line)
    assert line.partition(" ")[2] == (
        "settings changed in bfill.toml: dags, workers 32 → 4, variables.region; from the next shift on"
    )
    assert " tock added" in ended.err
    events = [json.loads(line) for line in (project.folder / "events.ndjson").read_text().splitlines()]
    (event,) = (one for one in events if one["event"] == "settings_changed")
    assert event["changed"] == ["dags", "workers", "variables.region"]
    assert (event["file"], event["needs_restart"]) == ("bfill.toml", [])


def test_a_broken_file_is_told_once_and_the_schedule_goes_on(project: Project) -> None:
    settings(project)
    going = project.start("scheduler", "--json")
    until(lambda: said(project))
    settings(project, "us", "wrokers = 3")
    until(lambda: going.says("settings error: bfill.toml:1: unknown setting 'wrokers' (hint: "))
    count = len(project.attempts("tick"))
    until(lambda: len(project.attempts("tick")) >= count + 3)
    assert said(project) == "eu"
    ended = stopped(going)
    assert ended.err.count("settings") == 1
    assert list(ended.problems) == ["settings-broken"]
    assert "bfill.toml:1" in ended.problems["settings-broken"]

    settings(project)
    going = project.start("scheduler", "-q")
    count = len(project.attempts("tick"))
    until(lambda: len(project.attempts("tick")) > count)
    settings(project, "us", "workers = 0")
    until(lambda: going.says("workers = 0 is not possible"))
    settings(project, "us")
    until(lambda: said(project) == "us")
    assert len(stopped(going).err.splitlines()) == 1, "-q is nothing but errors"


def test_another_store_needs_a_restart_and_flags_and_environment_beat_the_file(project: Project) -> None:
    settings(project)
    going = project.start("scheduler", "--workers", "3", "--json", env={"BFILL_GRACE_S": "7"})
    until(lambda: said(project))
    settings(project, "us", "store = 'other.db'\nworkers = 9\ngrace_s = 9")
    until(lambda: said(project) == "us")
    ended = stopped(going)
    lines = [line.partition(" ")[2] for line in ended.err.splitlines() if "settings" in line]
    assert lines == [
        "settings changed in bfill.toml: variables.region; from the next shift on",
        "settings changed in bfill.toml: store; that needs a restart of the scheduler",
    ]
    assert not (project.folder / "other.db").exists()
    assert list(ended.problems) == ["settings-restart"]


def test_a_dag_whose_pool_comes_and_goes_with_the_file(project: Project) -> None:
    settings(project)
    write_dag(project, "dags/tick.py", pool='"lake"')
    going = project.start("scheduler")
    until(lambda: going.says("lake") and going.says("error"))
    assert not project.attempts("tick")
    settings(project, more="pools = { lake = 2 }")
    until(lambda: said(project) == "eu")
    assert going.says("tick is well again")
    assert going.says("settings changed in bfill.toml: pools.lake new; from the next shift on")
    stopped(going)


def test_of_two_sizes_of_a_pool_the_smaller_holds_for_all_processes(project: Project) -> None:
    """Measured: a backfill that began with four slots leaves all of them before the shift that knows of one begins."""
    settings(project, more="pools = { lake = 4 }")
    write_dag(project, "dags/tick.py", pool='"lake"')
    project.write(
        "dags/slow.py",
        """
        with DAG("slow", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=16):
            BashOperator(task_id="work", bash_command="sleep 0.3", pool="lake")
        """,
    )
    week = ("--dag", "slow", "--start", "2024-01-01", "--end", "2024-12-30", "--parallel", "8")
    backfill = project.start("run", *week)
    until(lambda: len(project.attempts("slow")) > 8)
    going = project.start("scheduler", "--dag", "tick")
    until(lambda: project.attempts("tick"))
    settings(project, more="pools = { lake = 1 }")
    until(lambda: going.says("pools.lake 4 → 1"))
    told_at = time.time_ns() // 1_000

    def later() -> list[dict[str, Any]]:
        """Tries of shifts that began under the new size."""
        new = project.rows("SELECT backfill_id FROM backfills WHERE created_at > ?", told_at)
        return [row for row in project.attempts("tick") if {"backfill_id": row["backfill_id"]} in new]

    until(lambda: len(later()) >= 3, timeout_s=30)
    stopped(going)
    backfill.signal(signal.SIGTERM)
    backfill.wait()
    slow = [(row["started_at"], row["ended_at"]) for row in project.attempts("slow")]
    assert most_at_once(slow) == 4
    for row in later():
        assert not [one for one in slow if one[0] < row["ended_at"] and row["started_at"] < one[1]], row
