"""Promise 3, second half: no task instance is worked on twice at once, though bfill was killed alone, or stopped."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from blackbox.world import Going, Project, connect, until

from promises.abreast import Abreast
from promises.harness import MUTANT_TRIALS, Trials, caught, mutated
from promises.orphaning import frozen, orphaned
from promises.stopping import session, world_of


@pytest.mark.promise(3, short=16, long=300)
def test_what_a_killed_bfill_left_running_is_gone_before_it_runs_again(trials: Trials, abreast: Abreast) -> None:
    abreast(trials, orphaned)
    if trials.count >= 12:
        assert trials.seen["orphans"] > trials.count / 3, trials.seen
        assert trials.seen["dealt with"] > trials.count / 4, trials.seen


@pytest.mark.promise(3, short=4, long=40)
def test_a_stopped_process_keeps_its_dates_and_goes_on_afterwards(trials: Trials, abreast: Abreast) -> None:
    abreast(trials, frozen)
    assert trials.count < 4 or trials.seen["refused"], trials.seen


def test_a_daemon_of_a_try_in_flight_is_named_and_never_ended(project: Project) -> None:
    """It left its session to outlive its task: whether it may be ended a person knows."""
    project.write("dags/d.py", daemon_dag("setsid sleep 600 & echo $! > daemon; sleep 600"))
    going = killed_once(project, "daemon")
    daemon = int((project.folder / "dags/daemon").read_text())
    try:
        refused = project.bfill(*DAEMON_WORDS, "-q")
        refused.says(5, f"pid {daemon} (sleep 600: d a 2024-01-01 try 1)", "left its session", f"kill {daemon}")
        assert session(going.pid) == [], "what stayed in the session is ended all the same"
        (row,) = project.rows("SELECT state, owner FROM backfills")
        assert row["state"] == "running", "nothing is given back while it lives"
        project.write("dags/d.py", daemon_dag("true"))
        assert project.bfill(*DAEMON_WORDS, "--orphans", "leave").code == 0
        os.kill(daemon, 0)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_a_daemon_of_a_try_that_had_ended_is_nobodys_orphan(project: Project) -> None:
    """A task that starts a service and succeeds has let it go on; so does the recovery."""
    project.write(
        "dags/d.py",
        """
        with DAG("d", schedule="@daily", start_date=datetime(2024, 1, 1)):
            a = BashOperator(task_id="a", bash_command="sleep 600 >/dev/null 2>&1 & echo $! > daemon")
            a >> BashOperator(task_id="b", bash_command="touch there; sleep 600")
        """,
    )
    killed_once(project, "there")
    daemon = int((project.folder / "dags/daemon").read_text())
    try:
        project.write(
            "dags/d.py",
            """
            with DAG("d", schedule="@daily", start_date=datetime(2024, 1, 1)):
                a = BashOperator(task_id="a", bash_command="true")
                a >> BashOperator(task_id="b", bash_command="true")
            """,
        )
        ran = project.bfill(*DAEMON_WORDS, "--json").exits(0)
        assert "b 2024-01-01 try 1" in ran.problems["orphans-ended"]
        assert str(daemon) not in ran.problems["orphans-ended"]
        os.kill(daemon, 0)
        assert project.tries("d", "a") == {"2024-01-01": ["success"]}
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_a_process_that_lost_its_claim_ends_its_children_and_leaves_with_one_line(project: Project) -> None:
    project.write("dags/d.py", daemon_dag("trap '' TERM; touch there; while :; do sleep 0.1; done"))
    going = project.start(*DAEMON_WORDS, "-q", session=True)
    until((project.folder / "dags/there").exists)
    with closing(connect(project.store, write=True)) as store:
        store.execute("UPDATE backfills SET owner = NULL, state = 'interrupted'")
        store.commit()
    going.signal(signal.SIGTERM)  # it notices with its next commit; a drain makes one soon
    going.wait(30).says(5, "no longer belongs to this process", "bfill status")
    assert session(going.pid) == []
    assert project.rows("SELECT * FROM owners") == []
    assert project.rows("SELECT * FROM dag_runs WHERE owner IS NOT NULL") == []


@pytest.mark.long
@pytest.mark.parametrize("mutant", ["orphans-ignored", "lock-unread", "mark-unread"])
def test_the_harness_sees_a_guard_that_is_gone(mutant: str, tmp_path: Path) -> None:
    with world_of(mutated(mutant, tmp_path), tmp_path / "world") as world:
        assert caught(partial(orphaned, world)) <= MUTANT_TRIALS


def test_a_wrong_word_for_orphans_is_refused(project: Project) -> None:
    project.write("dags/d.py", daemon_dag("true"))
    project.bfill(*DAEMON_WORDS, "--orphans", "kill").says(2, "--orphans 'kill'", "end, wait, leave")


DAEMON_WORDS = ("run", "--dag", "d", "--start", "2024-01-01", "--end", "2024-01-01")


def daemon_dag(command: str) -> str:
    return f"""
with DAG("d", schedule="@daily", start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="a", bash_command={command!r})
"""


def killed_once(project: Project, file: str) -> Going:
    """Kill a run when one of its tasks has made a file; what it had started goes on."""
    going = project.start(*DAEMON_WORDS, session=True)
    until((project.folder / "dags" / file).exists)
    until(lambda: project.rows("SELECT * FROM task_instances WHERE state IN ('queued', 'running')"))
    os.kill(going.pid, signal.SIGKILL)
    going.wait()
    return going
