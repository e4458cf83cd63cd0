"""Live control: a running backfill steered from another terminal, seen from outside and measured."""

from __future__ import annotations

import json
import re
import signal
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import pytest

from blackbox.world import Going, Project, Ran, connect, most_at_once, until

NAPS = """\
with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=16):
    BashOperator(task_id="nap", bash_command="sleep 0.25")
"""
WORDS = ("run", "--dag", "naps", "--start", "2024-01-01", "--json")


@pytest.fixture
def naps(project: Project) -> Project:
    project.write("dags/naps.py", NAPS)
    return project


def begin(project: Project, *words: str, dates: int = 30) -> tuple[Going, str]:
    """Start a backfill of so many dates, and return it with its id once a task of it has ended."""
    last = date(2024, 1, 1) + timedelta(days=dates - 1)
    going = project.start(*WORDS, "--end", last.isoformat(), *words)
    until(lambda: project.rows("SELECT 1 FROM attempts LIMIT 1"))
    (row,) = project.rows("SELECT backfill_id FROM backfills")
    return going, row["backfill_id"]


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def answered(ran: Ran) -> float:
    return at(ran.exits(0).data["answered_at"])


def begun(project: Project) -> list[float]:
    return [at(one["started_at"]) for one in project.attempts("naps")]


def state_of(project: Project) -> dict[str, str]:
    (row,) = project.rows("SELECT state, reason, owner FROM backfills")
    return row


def test_nothing_begins_behind_the_answer_to_a_pause_and_what_runs_ends_by_itself(naps: Project) -> None:
    going, backfill_id = begin(naps, "--parallel", "3")
    asked = time.time()
    paused = naps.bfill("pause", backfill_id, "--reason", "maintenance", "--json")
    assert answered(paused) - asked < 1
    assert paused.data["state"] == "paused"
    time.sleep(1)
    tries = naps.attempts("naps")
    assert max(begun(naps)) <= answered(paused)
    assert {one["outcome"] for one in tries} == {"success"}
    assert naps.rows("SELECT 1 FROM task_instances WHERE state IN ('queued', 'running')") == []
    stored = state_of(naps)
    assert stored["state"] == "paused"
    assert stored["reason"].endswith("maintenance")
    shown = naps.bfill("status", backfill_id).exits(0).out
    assert "paused by" in shown
    assert "maintenance" in shown
    assert shown.splitlines()[-1] == f" next: bfill resume {backfill_id}"
    (listed,) = naps.bfill("status", "--where", "paused", "--json").exits(0).data["backfills"]
    assert (listed["state"], listed["pid"]) == ("paused", going.pid)
    assert naps.bfill("status", "--where", "running,planned", "--json").exits(0).data["backfills"] == []
    naps.bfill("status", "--where", "missing").says(2, "not a state of a backfill", "interrupted")
    naps.bfill("status", backfill_id, "--where", "paused").says(2, "not a state of a date", "remaining")
    resumed = naps.bfill("resume", backfill_id, "--json")
    data = going.wait().exits(0).data
    assert (data["completed"], data["state"]) == (30, "success")
    behind = [one for one in begun(naps) if one > answered(paused)]
    assert len(behind) == 30 - len(tries)
    assert 0 <= min(behind) - answered(resumed) < 1
    events = naps.bfill("audit", "--json").data["events"]
    assert [one["action"] for one in events] == ["run", "pause", "resume", "run"]
    assert (events[1]["reason"], events[1]["target"], events[1]["outcome"]) == ("maintenance", backfill_id, "done")
    assert "pause" in " ".join(events[1]["details"]["command"])
    assert naps.bfill("audit", "verify").code == 0
    assert naps.bfill("store", "check").code == 0


def spans(project: Project, first: float, last: float) -> list[tuple[str, str]]:
    """Start and end of the tries that began in between."""
    tries = project.attempts("naps")
    return [(one["started_at"], one["ended_at"]) for one in tries if first < at(one["started_at"]) < last]


def test_parallel_goes_up_and_down_as_measured_and_run_goes_on_with_it(naps: Project) -> None:
    going, backfill_id = begin(naps, "--parallel", "1", dates=91)
    up = naps.bfill("set", backfill_id, "parallel=6", "--json")
    assert up.exits(0).data["parallel"] == 6
    time.sleep(0.8)
    asked = time.time()
    down = naps.bfill("set", backfill_id, "parallel=2", "--json")
    assert answered(down) - asked < 1
    time.sleep(1.2)
    going.signal(signal.SIGINT)
    going.wait().exits(130)
    settled = answered(down) + 0.5
    assert most_at_once(spans(naps, 0, answered(up))) == 1
    assert most_at_once(spans(naps, answered(up), answered(down))) == 6
    assert most_at_once(spans(naps, settled, settled + 60)) == 2
    before, began = len(begun(naps)), time.time()
    again = naps.start("run", backfill_id, "--json")
    until(lambda: len(begun(naps)) >= before + 6)
    again.signal(signal.SIGINT)
    again.wait().exits(130)
    assert most_at_once(spans(naps, began, began + 60)) == 2
    assert naps.bfill("audit", "verify").code == 0


def eta(project: Project, backfill_id: str) -> float | None:
    """The seconds that status gives a running backfill."""
    view = project.bfill("status", backfill_id, "--json").exits(0).data["backfill"]
    assert view["state"] == "running"
    left: float | None = view["eta_s"]
    return left


def dated_back(project: Project, backfill_id: str) -> None:
    """What has happened until now was yesterday."""
    with closing(connect(project.store, write=True)) as store:
        day = 86_400_000_000
        store.execute("UPDATE backfills SET started_at = started_at - ? WHERE backfill_id = ?", (day, backfill_id))
        store.execute("UPDATE dag_runs SET started_at = started_at - ?1, ended_at = ended_at - ?1", (day,))
        store.execute("UPDATE owners SET started_at = started_at - ?", (day,))
        store.commit()


def test_the_pace_of_a_backfill_that_was_gone_on_with_is_that_of_the_command_that_does(naps: Project) -> None:
    """Interrupted yesterday and gone on with now, it would have hours left by what it did in a day."""
    going, backfill_id = begin(naps, "--parallel", "2")
    assert eta(naps, backfill_id) is not None
    going.signal(signal.SIGINT)
    going.wait().exits(130)
    dated_back(naps, backfill_id)
    before = len(naps.attempts("naps"))
    again = naps.start("run", backfill_id, "--events", "events.ndjson")
    assert until(lambda: naps.rows("SELECT 1 FROM backfills WHERE state = 'running'"))
    until(lambda: len(naps.attempts("naps")) >= before + 4)
    assert 0 < (eta(naps, backfill_id) or 0) < 600
    again.signal(signal.SIGINT)
    told = again.wait().exits(130).err
    # Nor does its log begin yesterday, or think that it will take until tomorrow.
    today = f"{datetime.now(UTC):%Y-%m-}"
    first = json.loads((naps.folder / "events.ndjson").read_text().splitlines()[0])
    assert time.time() - at(first["at"]) < 60, first
    assert all(line.startswith(today) for line in told.splitlines() if " progress " in line or " backfill " in line)
    assert all(int(one) < 600 for one in re.findall(r" eta (\d+)s", told)), told


def test_the_pace_of_a_backfill_that_was_paused_is_that_since_it_was_resumed(naps: Project) -> None:
    going, backfill_id = begin(naps, "--parallel", "2")
    naps.bfill("pause", backfill_id).exits(0)
    until(lambda: not naps.rows("SELECT 1 FROM dag_runs WHERE ended_at IS NULL"))
    dated_back(naps, backfill_id)
    naps.bfill("resume", backfill_id).exits(0)
    before = len(naps.attempts("naps"))
    until(lambda: len(naps.attempts("naps")) >= before + 4)
    assert 0 < (eta(naps, backfill_id) or 0) < 600
    going.signal(signal.SIGINT)
    going.wait().exits(130)


def test_what_cannot_be_set_is_refused_and_the_dag_has_the_last_word(naps: Project) -> None:
    going, backfill_id = begin(naps)
    naps.bfill("set", backfill_id, "workers=3").says(2, "workers=3", "parallel=")
    naps.bfill("set", backfill_id, "parallel=0").says(2, "parallel=0")
    capped = naps.bfill("set", backfill_id, "parallel=50", "--json").exits(0).data
    assert "the DAG allows 16" in capped["answer"]
    naps.bfill("set", "bf-20240101-none", "parallel=2").says(3, "bf-20240101-none")
    going.wait().exits(0)
    naps.bfill("pause", backfill_id).says(7, "ended (success)")
    naps.bfill("cancel", backfill_id).says(7, "ended (success)")


@pytest.mark.parametrize(("drain", "outcomes"), [(False, {"success", "lost"}), (True, {"success"})])
def test_a_cancelled_backfill_says_by_whom_and_leaves_the_rest(naps: Project, drain: bool, outcomes: set[str]) -> None:
    naps.write("dags/naps.py", NAPS.replace("0.25", "0.9"))
    going, backfill_id = begin(naps, "--parallel", "3", dates=12)
    words = ("cancel", backfill_id, "--reason", "wrong range", "--json")
    ran = naps.bfill(*words, *(["--drain"] if drain else []))
    asked = answered(ran)
    data = going.wait().exits(1).data
    assert data["state"] == "cancelled"
    assert "cancelled by" in data["reason"] and "wrong range" in data["reason"]
    assert data["completed"] + data["remaining"] == 12 and data["remaining"] > 0
    assert {one["outcome"] for one in naps.attempts("naps")} == outcomes
    assert max(begun(naps)) <= asked
    stored = state_of(naps)
    assert (stored["state"], stored["owner"]) == ("cancelled", None)
    assert naps.rows("SELECT * FROM owners") == []
    assert naps.bfill("audit", "verify").code == 0
    naps.bfill("resume", backfill_id).says(7, "cancelled")
    # Nothing has failed, so there is nothing to run again: what is left has never run.
    assert naps.bfill("status", backfill_id).exits(0).out.splitlines()[-1] == f" next: bfill run {backfill_id}"
    assert "next:" not in naps.bfill("status").exits(0).out


def test_a_plan_and_an_interrupted_backfill_are_changed_without_a_process(naps: Project) -> None:
    words = ("--dag", "naps", "--start", "2024-01-01", "--end", "2024-01-04")
    planned = naps.bfill("plan", *words, "--json").data["backfill_id"]
    naps.bfill("pause", planned).says(7, "planned", f"bfill run {planned}")
    assert naps.bfill("set", planned, "parallel=4", "--json").exits(0).data["parallel"] == 4
    assert naps.bfill("audit", "verify").code == 0
    naps.bfill("run", planned).exits(0)
    assert most_at_once(spans(naps, 0, time.time())) == 4
    other = naps.bfill("plan", *words[:4], "--end", "2024-01-09", "--json").data["backfill_id"]
    assert naps.bfill("cancel", other, "--json").exits(0).data["state"] == "cancelled"
    assert naps.bfill("audit", "verify").code == 0
    naps.bfill("cancel", other).says(7, "cancelled")


LATE = """\
from concurrent.futures import ThreadPoolExecutor

class Late(ThreadPoolExecutor):
    def submit(self, work, /, *args):
        def begin_late():
            time.sleep(0.1)
            return work(*args)
        return super().submit(begin_late)

sys.modules["late_executor"] = sys.modules[__name__]

with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=16):
    BashOperator(task_id="nap", bash_command="true", executor="late_executor:Late")
"""


def test_a_pause_is_answered_when_what_was_submitted_has_begun(project: Project) -> None:
    """An executor that lets each try wait for a while: hardly a moment at which none is about to begin."""
    project.write("dags/naps.py", LATE)
    going, backfill_id = begin(project, "--parallel", "4")
    paused = answered(project.bfill("pause", backfill_id, "--json"))
    time.sleep(0.5)
    assert max(begun(project)) <= paused
    project.bfill("resume", backfill_id).exits(0)
    going.wait().exits(0)
    assert len(begun(project)) == 30


def test_a_backfill_killed_while_paused_says_so_and_resume_runs_it_on(naps: Project) -> None:
    going, backfill_id = begin(naps, "--parallel", "4")
    naps.bfill("pause", backfill_id).exits(0)
    going.signal(signal.SIGKILL)
    going.wait()
    naps.bfill("pause", backfill_id).says(7, "interrupted", f"bfill run {backfill_id}")
    data = naps.bfill("resume", backfill_id, "--json").exits(0).data
    assert (data["state"], data["completed"]) == ("success", 30)
    recovered = next(one for one in naps.bfill("audit", "--json").data["events"] if one["action"] == "recover")
    assert "while paused by" in recovered["details"]["reason"]
    assert naps.bfill("audit", "verify").code == 0


def test_the_first_to_cancel_a_backfill_says_why_and_nothing_of_it_is_set_any_more(project: Project) -> None:
    project.write(
        "dags/naps.py",
        """
        with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="nap", bash_command="touch ../begun; trap '' TERM; sleep 30 & wait; sleep 30")
        """,
    )
    going = project.start(*WORDS, "--end", "2024-01-03")
    until((project.folder / "begun").exists)
    project.bfill("cancel", "naps", "--drain", "--reason", "wrong range").exits(0)
    project.bfill("set", "naps", "parallel=3").says(
        7, "it is cancelled by", "wrong range: nothing more of it is started"
    )
    project.bfill("skip", "naps", "2024-01-03").says(7, "it is cancelled by", "wrong range")
    project.bfill("cancel", "naps", "--reason", "I cannot wait").exits(0)
    ran = going.wait()
    assert ran.exits(1).data["reason"].endswith(": wrong range")
    outcomes = [one["outcome"] for one in project.bfill("audit", "--json").data["events"] if one["action"] != "run"]
    assert outcomes == ["done", "refused", "refused", "done"]
    assert project.bfill("audit", "verify").code == 0


def test_who_cancels_a_paused_backfill_is_not_told_to_resume_it(naps: Project) -> None:
    going, backfill_id = begin(naps)
    assert "next: bfill resume" in naps.bfill("pause", backfill_id).exits(0).out
    held = naps.bfill("run", "--dag", "naps", "--start", "2024-01-30", "--end", "2024-01-30")
    held.says(5, backfill_id, "it is paused", f"let it go on: bfill resume {backfill_id}")
    assert "next:" not in naps.bfill("cancel", backfill_id).exits(0).out
    going.wait().exits(1)


def test_a_signal_stops_a_paused_backfill(naps: Project) -> None:
    going, backfill_id = begin(naps)
    naps.bfill("pause", backfill_id).exits(0)
    going.signal(signal.SIGTERM)
    data = going.wait(10).exits(143).data
    assert data["state"] == "interrupted"
    assert "while paused by" in data["reason"]


def test_a_stopped_coordinator_is_named_and_the_request_does_not_happen_later(naps: Project) -> None:
    going, backfill_id = begin(naps)
    going.signal(signal.SIGSTOP)
    try:
        naps.bfill("pause", backfill_id).says(5, f"pid {going.pid}", "nothing was changed", "kill -CONT")
    finally:
        going.signal(signal.SIGCONT)
    time.sleep(0.8)
    assert state_of(naps)["state"] == "running"
    naps.bfill("cancel", backfill_id).exits(0)
    going.wait().exits(1)


def test_an_asker_learns_that_the_process_was_killed_over_its_request(naps: Project) -> None:
    going, backfill_id = begin(naps)
    going.signal(signal.SIGSTOP)
    asking = naps.start("cancel", backfill_id, "--json")
    until(lambda: naps.rows("SELECT 1 FROM control_requests WHERE answered_at IS NULL"))
    going.signal(signal.SIGKILL)
    going.wait()
    assert asking.wait(10).exits(0).data["state"] == "cancelled"
    assert state_of(naps)["state"] == "cancelled"
    assert naps.rows("SELECT 1 FROM control_requests WHERE answered_at IS NULL") == []
    assert naps.bfill("audit", "verify").code == 0


def test_a_dag_means_the_backfill_of_it_that_runs_and_never_what_its_scheduler_does(naps: Project) -> None:
    """The schedule goes on beside a backfill, and `pause DAG` is no way to hold its newest date back."""
    going, backfill_id = begin(naps, "--parallel", "2")
    naps.bfill("scheduler", "--once", "-q").exits(0)
    naps.bfill("plan", "--dag", "naps", "--start", "2024-03-01", "--end", "2024-03-02", "-q").exits(0)
    latest = [row["backfill_id"] for row in naps.rows("SELECT backfill_id FROM backfills ORDER BY backfill DESC")]
    assert latest[1].startswith("sc-") and latest[2] == backfill_id
    for words in (("pause", "naps"), ("set", "naps", "parallel=1"), ("skip", "naps", "2024-01-30"), ("resume", "naps")):
        assert naps.bfill(*words, "--json").exits(0).data["backfill_id"] == backfill_id, words
    other = naps.start("run", "--dag", "naps", "--start", "2024-02-01", "--end", "2024-02-20")
    until(lambda: len(naps.rows("SELECT 1 FROM backfills WHERE state = 'running'")) == 2)
    naps.bfill("cancel", "naps").says(2, "2 backfills of naps are running", backfill_id, "bfill status")
    assert naps.bfill("cancel", backfill_id, "--json").exits(0).data["backfill_id"] == backfill_id
    going.wait().exits(1)
    other.signal(signal.SIGINT)
    other.wait().exits(130)
    # With none that runs it is the latest that somebody has made.
    (row,) = naps.rows("SELECT backfill_id FROM backfills WHERE state = 'interrupted'")
    assert naps.bfill("cancel", "naps", "--json").exits(0).data["backfill_id"] == row["backfill_id"]
    naps.bfill("cancel", "naps").says(7, row["backfill_id"], "there is nothing to cancel")


def test_a_dag_of_which_only_the_scheduler_ran_anything_is_not_steered_by_its_name(naps: Project) -> None:
    naps.bfill("scheduler", "--once", "-q").exits(0)
    with naps.unchanged():
        naps.bfill("pause", "naps").says(3, "nobody has made a backfill of naps", "sc-", "bfill dags pause naps")
        naps.bfill("cancel", "naps").says(3, "nobody has made a backfill of naps")


def test_a_refusal_makes_no_store_and_leaves_one_as_it_was_byte_for_byte(naps: Project) -> None:
    with naps.unchanged():
        for action in (("pause",), ("resume",), ("cancel",), ("set",), ("skip",)):
            more = {"set": ("parallel=2",), "skip": ("2024-01-01",)}.get(action[0], ())
            naps.bfill(*action, "naps", *more).says(3, "no backfill 'naps'")
    assert not naps.store.exists()
    naps.bfill("plan", "--dag", "naps", "--start", "2024-01-01", "--end", "2024-01-02", "-q").exits(0)
    with naps.unchanged():
        naps.bfill("pause", "naps").says(7, "planned", "there is nothing to pause")
        naps.bfill("resume", "naps").says(7, "planned", "bfill run")
        naps.bfill("skip", "naps", "2025-01-01").says(3, "has no date 2025-01-01")
    naps.bfill("cancel", "naps").exits(0)
    with naps.unchanged():
        for words in (("cancel", "naps"), ("set", "naps", "parallel=2"), ("skip", "naps", "2024-01-01")):
            naps.bfill(*words).says(7, "has ended (cancelled)", "bfill status")


def test_setting_what_is_set_changes_nothing_and_says_so(naps: Project) -> None:
    words = ("--dag", "naps", "--start", "2024-01-01", "--end", "2024-01-02", "--parallel", "4")
    naps.bfill("plan", *words, "-q").exits(0)
    assert naps.bfill("set", "naps", "parallel=4", "--json").exits(0).data["answer"] == "parallel is 4 already"
    (entry,) = naps.bfill("audit", "--action", "set", "--json").exits(0).data["events"]
    assert entry["outcome"] == "unchanged"
