"""Two backfills that want the same dates, in two processes: who waits, who leaves them, and what runs when."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from blackbox.world import Going, Project, Ran, until

NAPS = """\
with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=16):
    @task
    def nap(ds: str):
        time.sleep(0.4)
        while os.path.exists(f"hold/{ds}"):
            time.sleep(0.02)
        broken("nap", ds)
    nap()
"""


@pytest.fixture
def naps(project: Project) -> Project:
    project.write("dags/naps.py", NAPS)
    return project


def words(first: int, last: int, *more: str) -> tuple[str, ...]:
    return ("run", "--dag", "naps", "--start", f"2024-01-{first:02}", "--end", f"2024-01-{last:02}", *more, "--json")


def begin(project: Project, first: int, last: int, *more: str) -> tuple[Going, str]:
    """Start a backfill, and return it with its id once it has begun its first date."""
    before = {row["backfill_id"] for row in project.rows("SELECT backfill_id FROM backfills")}
    tries = len(project.attempts("naps")) if before else 0
    going = project.start(*words(first, last, *more))
    until(lambda: len(project.rows("SELECT 1 FROM attempts")) > tries)
    (found,) = {row["backfill_id"] for row in project.rows("SELECT backfill_id FROM backfills")} - before
    return going, found


@contextmanager
def held(project: Project, *days: int) -> Iterator[None]:
    """Let none of these days end inside the block, however slow the machine is; without any, none at all."""
    holds = [project.write(f"hold/2024-01-{day:02}", "") for day in days or range(1, 11)]
    yield
    for one in holds:
        one.unlink()


def waiting(project: Project, *asked: str) -> Going:
    """Start a command that has to wait, and return it once it says so."""
    with held(project):
        going = project.start(*asked, "--on-conflict", "wait")
        until(lambda: going.says("waiting: "))
    return going


def day(logical_date: str) -> int:
    return datetime.fromisoformat(logical_date).day


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def tries(project: Project) -> Counter[int]:
    """How many tries each day has had."""
    return Counter(day(one["logical_date"]) for one in project.attempts("naps"))


def began(project: Project) -> dict[int, float]:
    return {day(one["logical_date"]): at(one["started_at"]) for one in project.attempts("naps")}


def ended(project: Project) -> dict[int, float]:
    return {day(one["logical_date"]): at(one["ended_at"]) for one in project.attempts("naps")}


def sound(project: Project) -> None:
    assert project.bfill("audit", "verify").code == 0
    assert project.bfill("store", "check").code == 0
    assert project.rows("SELECT * FROM owners") == []


def left_out(ran: Ran) -> dict[int, str]:
    """Day → reason of the dates that were skipped."""
    return {day(one["logical_date"]): one["reason"] for one in ran.data["results"] if one["reason"]}


def test_a_waiting_run_begins_when_its_dates_are_finished_and_runs_none_of_them_again(naps: Project) -> None:
    first, first_id = begin(naps, 1, 5)
    second = waiting(naps, *words(1, 7))
    ran = second.wait().exits(0)
    first.wait().exits(0)
    assert f"is being run by pid {first.pid}" in ran.err
    assert first_id in ran.err
    assert (ran.data["completed"], ran.data["skipped"]) == (2, 5)
    assert set(left_out(ran).values()) == {"succeeded, same version"}
    assert tries(naps) == dict.fromkeys(range(1, 8), 1)
    assert 0 < began(naps)[6] - ended(naps)[5] < 2
    sound(naps)


def test_it_waits_for_its_own_dates_and_not_for_the_end_of_the_other(naps: Project) -> None:
    first, _ = begin(naps, 1, 9)
    ran = waiting(naps, *words(1, 2), "--reprocess", "success").wait().exits(0)
    first.wait().exits(0)
    assert ran.data["completed"] == 2
    again = sorted(at(one["started_at"]) for one in naps.attempts("naps") if day(one["logical_date"]) == 1)[1]
    finished = min(at(one["ended_at"]) for one in naps.attempts("naps") if day(one["logical_date"]) == 2)
    assert finished < again < ended(naps)[9]
    assert tries(naps) == {**dict.fromkeys(range(3, 10), 1), 1: 2, 2: 2}
    sound(naps)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_wait_and_nothing_has_changed(naps: Project, number: signal.Signals, code: int) -> None:
    first, first_id = begin(naps, 1, 6)
    head = naps.bfill("audit", "--json").data["events"]
    second = waiting(naps, *words(4, 9))
    time.sleep(0.7)
    second.signal(number)
    asked = time.monotonic()
    second.wait().exits(code)
    assert time.monotonic() - asked < 1
    assert [row["backfill_id"] for row in naps.rows("SELECT backfill_id FROM backfills")] == [first_id]
    assert len(naps.rows("SELECT * FROM owners")) == 1
    assert naps.bfill("audit", "--json").data["events"] == head
    first.wait().exits(0)
    assert max(tries(naps)) == 6
    sound(naps)


def test_several_who_wait_for_each_others_dates_all_end_and_no_date_runs_twice(naps: Project) -> None:
    first, _ = begin(naps, 1, 3)
    others = [waiting(naps, *words(*bounds)) for bounds in ((2, 6), (3, 8), (1, 8), (1, 8))]
    for going in (first, *others):
        going.wait().exits(0)
    assert tries(naps) == dict.fromkeys(range(1, 9), 1)
    sound(naps)


def test_who_waits_for_one_that_is_killed_does_its_dates(naps: Project) -> None:
    first, _ = begin(naps, 1, 6)
    second = waiting(naps, *words(2, 4))
    os.kill(first.pid, signal.SIGKILL)
    data = second.wait().exits(0).data
    assert data["completed"] + data["skipped"] == 3
    assert {day(one["logical_date"]) for one in data["results"] if one["state"] == "success"} == {2, 3, 4}
    first.wait()
    sound(naps)


def test_run_of_an_id_waits_for_the_process_that_runs_it(naps: Project) -> None:
    first, first_id = begin(naps, 1, 3)
    ran = waiting(naps, "run", first_id, "--json").wait().exits(0)
    first.wait().exits(0)
    assert (ran.data["completed"], ran.data["skipped"]) == (0, 3)
    assert tries(naps) == {1: 1, 2: 1, 3: 1}


def test_a_stored_plan_that_waited_runs_what_is_left_of_it(naps: Project) -> None:
    plan = naps.bfill("plan", *words(2, 6)[1:]).exits(0).data["backfill_id"]
    first, _ = begin(naps, 1, 4)
    ran = waiting(naps, "run", plan, "--json").wait().exits(0)
    first.wait().exits(0)
    assert (ran.data["completed"], ran.data["skipped"]) == (2, 3)
    assert tries(naps) == dict.fromkeys(range(1, 7), 1)
    sound(naps)


def test_skipped_dates_are_left_to_the_other_by_name_and_the_rest_runs_beside_it(naps: Project) -> None:
    first, first_id = begin(naps, 1, 7)
    with held(naps, 5):
        ran = naps.bfill(*words(5, 8, "--on-conflict", "skip")).exits(0)
        nothing = naps.bfill(*words(6, 7, "--on-conflict", "skip")).exits(0)
    assert left_out(ran) == dict.fromkeys((5, 6, 7), f"being run by {first_id}")
    assert (ran.data["completed"], ran.data["skipped"], ran.data["state"]) == (1, 3, "success")
    assert ran.problems["left-to-another"].startswith(f"3 dates are being run by {first_id}")
    assert (nothing.data["completed"], nothing.data["skipped"]) == (0, 2)
    first.wait().exits(0)
    assert began(naps)[8] < ended(naps)[5]
    assert tries(naps) == dict.fromkeys(range(1, 9), 1)
    sound(naps)


def test_a_date_left_to_another_that_fails_there_is_no_success_here(naps: Project) -> None:
    naps.breaks("nap", "2024-01-02")
    first, _ = begin(naps, 1, 2)
    ran = naps.bfill(*words(2, 7, "--on-conflict", "skip")).exits(1)
    first.wait().exits(1)
    assert (ran.data["completed"], ran.data["skipped"], ran.data["state"]) == (5, 1, "failed")
    assert tries(naps)[2] == 1
    sound(naps)


def test_an_interrupted_backfill_goes_on_without_the_dates_another_has_taken(naps: Project) -> None:
    stopped, stopped_id = begin(naps, 1, 8)
    stopped.signal(signal.SIGINT)
    stopped.wait().exits(130)
    other, other_id = begin(naps, 5, 7)
    with held(naps, 6):
        ran = naps.bfill("run", stopped_id, "--on-conflict", "skip", "--json").exits(0)
    other.wait().exits(0)
    assert ran.data["backfill_id"] == stopped_id
    left = left_out(ran)
    assert left.items() >= dict.fromkeys((6, 7), f"being run by {other_id}").items()
    assert (ran.data["completed"] + len(left), ran.data["skipped"], ran.data["remaining"]) == (8, len(left), 0)
    assert tries(naps) == dict.fromkeys(range(1, 9), 1)
    sound(naps)


def test_skip_of_the_running_backfill_itself_leaves_all_of_it(naps: Project) -> None:
    first, first_id = begin(naps, 1, 3)
    with held(naps):
        ran = naps.bfill("run", first_id, "--on-conflict", "skip", "--json").exits(0)
    assert left_out(ran)[3] == f"being run by {first_id}"
    assert (ran.data["completed"], ran.data["skipped"]) == (0, 3)
    first.wait().exits(0)
    sound(naps)


def test_two_repairs_at_once_repair_each_failure_once(naps: Project) -> None:
    naps.breaks("nap", "2024-01-01", "2024-01-02", "2024-01-03")
    naps.bfill(*words(1, 3, "--parallel", "3")).exits(1)
    naps.mends("nap", "2024-01-01", "2024-01-02", "2024-01-03")
    first = naps.start("rerun-failed", "--json")
    until(lambda: len(naps.attempts("naps")) > 3)
    ran = waiting(naps, "rerun-failed", "--json").wait().exits(0)
    first.wait().exits(0)
    assert ran.data["completed"] == 0
    assert tries(naps) == {1: 2, 2: 2, 3: 2}
    sound(naps)


def test_a_dry_run_shows_what_would_be_left_out_and_an_unknown_word_is_refused(naps: Project) -> None:
    first, first_id = begin(naps, 1, 4)
    with held(naps):
        shown = naps.bfill(*words(3, 5, "--on-conflict", "skip", "--dry-run")).exits(0)
        assert shown.data["counts"]["skip"] == 2
        assert first_id in shown.out
        naps.bfill(*words(3, 5, "--on-conflict", "fail")).exits(5)
    naps.bfill("run", "--dag", "naps", "--on-conflict", "pray").says(2, "'pray'", "wait")
    first.wait().exits(0)


def test_the_other_is_cancelled_with_yes_only_ends_what_it_runs_and_no_try_is_cut_off(naps: Project) -> None:
    first, first_id = begin(naps, 1, 9)
    asked = words(4, 10, "--on-conflict", "cancel-other", "--reason", "urgent")
    with held(naps):
        refused = naps.bfill(*asked).exits(7)
        assert (refused.json["error"]["code"], first_id in refused.out) == ("needs-yes", True)
        assert [row["state"] for row in naps.rows("SELECT state FROM backfills")] == ["running"]
        other = naps.start(*asked, "--yes")
        until(lambda: naps.rows("SELECT 1 FROM audit_events WHERE action = 'cancel'"))
    ran = other.wait().exits(0)
    data = first.wait().exits(1).data
    assert (data["state"], "urgent" in data["reason"]) == ("cancelled", True)
    assert ran.data["completed"] + ran.data["skipped"] == 7
    assert {one["outcome"] for one in naps.attempts("naps")} == {"success"}
    assert set(tries(naps).values()) == {1}
    assert began(naps)[10] > at(data["ended_at"])
    assert min(at(one["started_at"]) for one in naps.attempts("naps") if day(one["logical_date"]) >= 4) > at(
        data["ended_at"]
    )
    assert "cancel" in [one["action"] for one in naps.bfill("audit", "--json").data["events"]]
    sound(naps)


def test_a_scheduled_run_is_never_cancelled_for_a_backfill(naps: Project) -> None:
    naps.write("dags/naps.py", NAPS.replace("max_active_runs", "catchup=True, max_active_runs").replace("=16", "=1"))
    going = naps.start("scheduler", "--once", "--now", "2024-01-07T00:00", "--json")
    until(lambda: naps.store.exists() and naps.rows("SELECT 1 FROM attempts"))
    with held(naps):
        refused = naps.bfill(*words(5, 8, "--on-conflict", "cancel-other", "--yes")).exits(5)
    assert "a scheduled run is not cancelled" in refused.json["error"]["message"]
    with held(naps):
        plain = naps.bfill(*words(5, 8)).exits(5).json["error"]
    assert "--on-conflict wait" in plain["hint"]
    assert "bfill cancel" not in plain["hint"], "its dates would be created again"
    with held(naps, 5):
        ran = naps.bfill(*words(5, 8, "--on-conflict", "skip")).exits(0)
    assert all(reason.startswith("being run by sc-") for reason in left_out(ran).values())
    going.wait().exits(0)
    assert set(tries(naps).values()) == {1}
    sound(naps)


def test_a_plan_says_which_of_its_dates_another_process_holds_begun_or_not(naps: Project) -> None:
    """A plan that shows them as dates to create, and no more, is refused when it is run."""
    naps.write("hold/2024-01-03", "")
    first, first_id = begin(naps, 2, 6)
    until(lambda: len(naps.attempts("naps")) == 1)
    asked = ("--dag", "naps", "--start", "2024-01-05", "--end", "2024-01-08", "--dry-run", "--json")
    for choice, hint in (("fail", "--on-conflict wait"), ("wait", "waits"), ("cancel-other", f"cancels {first_id}")):
        for command in ("plan", "run"):
            data = naps.bfill(command, *asked, "--on-conflict", choice).exits(0).data
            (told,) = [one for one in data["warnings"] if one["code"] == "dates-held"]
            assert told["message"] == f"2 dates are being run by {first_id}"
            assert hint in told["hint"]
    skipped = naps.bfill("plan", *asked, "--on-conflict", "skip").exits(0).data
    assert [one["code"] for one in skipped["warnings"]] == ["left-to-another"]
    beside = naps.bfill("plan", "--dag", "naps", "--dates", "2024-01-08", "--dry-run", "--json").exits(0).data
    assert beside["warnings"] == []
    (naps.folder / "hold/2024-01-03").unlink()
    first.wait().exits(0)
