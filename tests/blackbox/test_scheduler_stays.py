"""The scheduler that stays, in real time: when it wakes, what it notices, how it ends, and what a kill costs."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from promises.clocks import needs_faketime, with_clock

from blackbox.world import Going, Project, most_at_once, until

SOON_S = 2.5
"""Seconds behind the end of an interval in which its task begins, on a machine that others use as well."""


@pytest.fixture(autouse=True)
def warm(project: Project) -> None:
    """What commands are forked from takes seconds to be made: none of them belong to a test."""
    project.bfill("--version").exits(0)


def write_dag(
    project: Project, name: str = "tick", *, every: str = "timedelta(seconds=1)", start: str = "datetime(2024, 1, 1)",
    seconds: float = 0.0, version: int = 1, **more: str,
) -> None:  # fmt: skip
    arguments = "".join(f", {key}={value}" for key, value in more.items())
    project.write(
        f"dags/{name}.py",
        f"""
        with DAG("{name}", schedule={every}, start_date={start}{arguments}):
            @task
            def load(ts: str):
                time.sleep({seconds})
                broken("{name}", ts[:10])
                return {version}
            load()
        """,
    )


def later(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds").replace("+00:00", "Z")


def ago(seconds: int) -> str:
    """A start_date on the grid of whole seconds, as a DAG file writes it."""
    return f"datetime.fromtimestamp({int(time.time()) - seconds}, __import__('datetime').timezone.utc)"


def starts(project: Project, dag_id: str = "tick") -> list[tuple[datetime, datetime]]:
    """(end of the interval, start of its task's first try) of each date."""
    rows = project.rows(
        "SELECT r.data_interval_end AS due, min(a.started_at) AS began FROM v_dag_runs r JOIN v_attempts a"
        " USING (dag_id, logical_date) WHERE dag_id = ? GROUP BY r.logical_date ORDER BY r.logical_date",
        dag_id,
    )
    return [(datetime.fromisoformat(row["due"]), datetime.fromisoformat(row["began"])) for row in rows]


def outcomes(project: Project, dag_id: str = "tick") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in project.rows(
        "SELECT logical_date, outcome FROM v_attempts WHERE dag_id = ? ORDER BY logical_date, try_number", dag_id
    ):
        found.setdefault(row["logical_date"], []).append(row["outcome"])
    return found


def assert_each_once(project: Project, dag_id: str = "tick", step: int = 1) -> None:
    """No interval between the first and the last is missing, and each has succeeded exactly once."""
    tries = outcomes(project, dag_id)
    moments = [datetime.fromisoformat(one) for one in tries]
    assert [after - before for before, after in pairwise(moments)] == [timedelta(seconds=step)] * (len(moments) - 1), (
        tries
    )
    assert all(one.count("success") == 1 for one in tries.values()), tries


def pids(project: Project) -> list[int]:
    return [row["pid"] for row in project.rows("SELECT pid FROM owners")]


def stopped(going: Going, code: int = 143, number: signal.Signals = signal.SIGTERM) -> Any:
    going.signal(number)
    return going.wait().exits(code)


# when it wakes


def test_it_wakes_when_an_interval_is_complete_and_leaves_behind_until(project: Project) -> None:
    write_dag(project, every="timedelta(seconds=2)")
    ran = project.bfill("scheduler", "--until", later(7), "--json").exits(0)
    assert ran.data["why"] == "--until is reached"
    assert ran.data["completed"] == len(outcomes(project)) >= 3
    assert_each_once(project, step=2)
    for due, began in starts(project)[1:]:  # the first was over before it began
        assert timedelta() <= began - due < timedelta(seconds=SOON_S)


def test_it_leaves_by_itself_when_every_dag_is_over(project: Project) -> None:
    """Scenario 17.1.2: end_date is the last logical date, and behind it nothing follows."""
    write_dag(project, "over", every='"@daily"', end_date="datetime(2024, 1, 3)", catchup="True")
    write_dag(project, "by_hand", every="None")
    ran = project.bfill("scheduler").exits(0)
    assert "every DAG is over" in ran.err
    assert len(project.runs("over")) == 3


def test_one_that_is_not_over_yet_keeps_it_until_it_is(project: Project) -> None:
    write_dag(project, start=ago(0), end_date=ago(-3), catchup="True")
    project.bfill("scheduler").exits(0)
    assert len(outcomes(project)) == 4
    assert_each_once(project)


def test_a_slow_dag_does_not_hold_the_newest_date_of_another_one_back(project: Project) -> None:
    write_dag(project, "slow", every='"@daily"', start="datetime(2024, 1, 1)", catchup="True", seconds=3,
              max_active_runs="2")  # fmt: skip
    write_dag(project, "tick")
    going = project.start("scheduler", session=True)
    until(lambda: len(starts(project)) >= 4)
    going.signal(signal.SIGTERM)
    going.signal(signal.SIGTERM)
    going.wait().exits(143)
    assert max(began - due for due, began in starts(project)[1:]) < timedelta(seconds=SOON_S)


def test_a_catchup_holds_the_newest_date_back_no_longer_than_max_active_runs_demands(project: Project) -> None:
    """Measured: beside two dates of a catch-up that take 0.4 s each, every newest date has its turn; never three."""
    write_dag(project, every="timedelta(seconds=4)", start=ago(240), catchup="True", seconds=0.4, max_active_runs="2")
    began = datetime.now(UTC)
    going = project.start("scheduler")
    until(lambda: sum(due > began for due, _ in starts(project)) >= 2, timeout_s=30)
    waited = [start - due for due, start in starts(project) if due > began]
    left = project.rows("SELECT 1 FROM v_dag_runs WHERE state = 'queued'")
    stopped(going)
    assert left, "the catch-up was over before the newest date came"
    assert max(waited) < timedelta(seconds=SOON_S + 0.4)
    assert most_at_once([(row["started_at"], row["ended_at"]) for row in project.attempts("tick")]) == 2


def test_a_backfill_at_full_width_does_not_hold_the_newest_date_back(project: Project) -> None:
    write_dag(project, every="timedelta(seconds=2)", seconds=0.3, max_active_runs="16")
    backfill = project.start(
        "run", "--dag", "tick", "--start", "2024-01-01T00:00Z", "--end", "2024-01-01T00:10Z", "--parallel", "16"
    )
    until(lambda: len(outcomes(project)) > 16)
    began = datetime.now(UTC)
    going = project.start("scheduler")
    until(lambda: sum(due > began for due, _ in starts(project)) >= 3)
    stopped(going)
    assert max(start - due for due, start in starts(project) if due > began) < timedelta(seconds=SOON_S)
    backfill.wait().exits(0)
    beside = [one for one in starts(project) if one[0] > began]
    assert beside[0][1] < max(datetime.fromisoformat(row["ended_at"]) for row in project.attempts("tick")), "no overlap"


def test_dates_that_wait_for_each_other_are_one_shift_after_the_other(project: Project) -> None:
    """Section 4: the newest date would be blocked beside a catch-up that has not come to the one before it."""
    write_dag(project, start=ago(6), catchup="True", seconds=0.3, default_args='{"depends_on_past": True}')
    going = project.start("scheduler")
    until(lambda: len(outcomes(project)) >= 10, timeout_s=30)
    stopped(going)
    tries = outcomes(project)
    assert {tuple(one) for one in tries.values()} == {("success",)}
    order = [row["logical_date"] for row in project.attempts("tick")]
    assert order == sorted(order)
    assert project.rows("SELECT count(*) AS n FROM backfills WHERE blocked > 0") == [{"n": 0}]


# what it notices


def test_a_new_a_changed_and_a_removed_file_are_noticed(project: Project) -> None:
    """A changed one takes effect with the next shift; a shift keeps the version it began with."""
    write_dag(project)
    going = project.start("scheduler")
    until(lambda: len(starts(project)) >= 1)
    write_dag(project, "other")
    until(lambda: starts(project, "other") and going.says("other added"))
    write_dag(project, version=2)
    last = "SELECT value FROM xcoms ORDER BY logical_date DESC LIMIT 1"
    until(lambda: project.rows(last) == [{"value": "2"}])
    (project.folder / "dags/other.py").unlink()
    until(lambda: going.says("other removed"))
    count = len(starts(project, "other"))
    until(lambda: len(starts(project)) >= len(starts(project, "other")) + 1)
    stopped(going)
    assert len(starts(project, "other")) <= count + 1


def test_a_broken_file_is_told_once_and_again_when_the_error_is_another_one(project: Project) -> None:
    write_dag(project)
    project.write("dags/bad.py", "x = DAG(1 / 0)\n")
    going = project.start("scheduler")
    until(lambda: len(starts(project)) >= 3)
    project.write("dags/bad.py", "x = DAG(undefined)\n")
    until(lambda: going.says("NameError"))
    write_dag(project, "bad")
    until(lambda: starts(project, "bad"))
    ended = stopped(going)
    errors = [line for line in ended.err.splitlines() if " error: " in line]
    assert ["ZeroDivisionError" in line for line in errors] == [True, False], errors
    assert all("bad.py:" in line for line in errors)


def test_a_file_that_is_replaced_slowly_is_waited_for_also_when_it_was_asked_for(project: Project) -> None:
    write_dag(project)
    path = project.folder / "dags/tick.py"
    going = project.start("scheduler", "--dag", "dags/tick.py")
    until(lambda: starts(project))
    text = path.read_text()
    path.unlink()
    until(lambda: going.says("error: there is no DAG file"))
    path.write_text(text)
    until(lambda: going.says("is well again"))
    count = len(starts(project))
    until(lambda: len(starts(project)) > count)
    stopped(going)


def test_a_paused_dag_goes_on_soon_after_it_is_unpaused(project: Project) -> None:
    write_dag(project, every='"@daily"')
    project.bfill("dags", "pause", "tick").exits(0)
    going = project.start("scheduler")
    until(lambda: going.says("looks after"))
    time.sleep(0.5)
    assert not starts(project)
    project.bfill("dags", "unpause", "tick").exits(0)
    until(lambda: starts(project))
    stopped(going)


def test_a_blocked_date_goes_on_when_what_it_waits_for_is_repaired(project: Project) -> None:
    """Not before, and not again and again: a shift is made when something has changed, not at every look."""
    day = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y-%m-%d")
    begin = f"datetime.fromisoformat('{day}')"
    write_dag(project, every='"@daily"', start=begin, catchup="True", default_args='{"depends_on_past": True}')
    project.breaks("tick", day)
    going = project.start("scheduler")
    until(lambda: going.says("blocked 1"))
    time.sleep(4.5)
    assert project.rows("SELECT count(*) AS n FROM backfills") == [{"n": 1}]
    project.mends("tick", day)
    project.bfill("rerun-failed", "--dag", "tick", "--start", day, "--end", day)
    until(lambda: set(project.runs("tick").values()) == {"success"})
    stopped(going)
    assert [one[-1] for one in outcomes(project).values()] == ["success", "success"]


def test_what_another_scheduler_left_is_gone_on_with(project: Project) -> None:
    write_dag(project, every='"@daily"', start="datetime(2024, 1, 1)", catchup="True", seconds=0.3,
              max_active_runs="1", end_date="datetime(2024, 1, 8)")  # fmt: skip
    write_dag(project, "other", every='"@daily"')
    first = project.start("scheduler", "--once", "--dag", "tick")
    until(lambda: starts(project))
    going = project.start("scheduler")
    until(lambda: going.says("looks after"))
    first.signal(signal.SIGTERM)
    first.wait().exits(143)
    until(lambda: len(outcomes(project)) == 8)
    stopped(going)
    assert {tuple(one) for one in outcomes(project).values()} == {("success",)}


# how it ends


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_drains_also_when_all_of_the_group_got_it(project: Project, number: signal.Signals) -> None:
    write_dag(project, every='"@daily"', seconds=1.0)
    going = project.start("scheduler", "--json", session=True)
    until(lambda: project.rows("SELECT 1 FROM task_instances WHERE state = 'running'"))
    os.killpg(going.pid, number)
    ended = going.wait()
    assert (ended.code, ended.data["completed"]) == (128 + number, 1)
    assert list(outcomes(project).values()) == [["success"]]
    assert pids(project) == []


def test_the_second_signal_stops_at_once_and_the_next_scheduler_goes_on(project: Project) -> None:
    write_dag(project, every='"@daily"', seconds=2.0)
    going = project.start("scheduler", session=True)
    until(lambda: project.rows("SELECT 1 FROM task_instances WHERE state = 'running'"))
    going.signal(signal.SIGINT)
    until(lambda: going.says("scheduler stopping"))
    going.signal(signal.SIGINT)
    going.wait(12).exits(130)
    again = project.start("scheduler")
    until(lambda: list(outcomes(project).values()) == [["lost", "success"]])
    stopped(again)


def test_killed_twice_every_interval_succeeds_exactly_once(project: Project) -> None:
    """SIGKILL of the scheduler, then of one of its shifts: the next one, and the same one, go on."""
    write_dag(project, start=ago(20), catchup="True", seconds=0.2, max_active_runs="2")
    first = project.start("scheduler", session=True)
    until(lambda: len(outcomes(project)) >= 4)
    first.signal(signal.SIGKILL)
    first.wait()
    second = project.start("scheduler", session=True)
    until(lambda: len(outcomes(project)) >= 10)
    os.kill(pids(project)[0], signal.SIGKILL)
    until(lambda: second.says("SIGKILL"))
    done = len(outcomes(project))
    until(lambda: len(outcomes(project)) >= done + 8, timeout_s=30)
    stopped(second)
    project.bfill("scheduler", "--once").exits(0)
    assert_each_once(project)
    project.bfill("audit", "verify").exits(0)


def test_two_schedulers_on_one_store_run_each_interval_once(project: Project) -> None:
    write_dag(project)
    both = [project.start("scheduler") for _ in range(2)]
    until(lambda: len(outcomes(project)) >= 6)
    for going in both:
        stopped(going)
    assert_each_once(project)
    assert {tuple(one) for one in outcomes(project).values()} == {("success",)}


@needs_faketime
def test_a_clock_that_is_set_back_and_on_again_creates_nothing_twice(project: Project, tmp_path: Path) -> None:
    """It goes back by an hour and comes again; then by a day forward, as after a sleep of the machine, to catch up."""
    write_dag(project, every="timedelta(minutes=10)", start=ago(3600), catchup="True")
    with with_clock(tmp_path) as (forker, clock):
        project.forker = forker
        project.env.update(clock.environ)
        project.bfill("--version").exits(0)
        going = project.start("scheduler")
        until(lambda: len(outcomes(project)) == 6)
        clock.set("-1h")
        time.sleep(3)
        assert len(outcomes(project)) == 6
        clock.set("+0")
        time.sleep(3)
        assert len(outcomes(project)) == 6
        clock.set("+1d")
        until(lambda: len(outcomes(project)) == 6 + 144)
        clock.set("+0")
        time.sleep(3)
        assert " error" not in stopped(going).err
    assert_each_once(project, step=600)
    assert {tuple(one) for one in outcomes(project).values()} == {("success",)}


# what it says


def test_events_are_one_stream_with_the_dag_and_the_backfill_of_each(project: Project) -> None:
    write_dag(project, "one", every='"@daily"')
    write_dag(project, "two", every='"@daily"')
    project.bfill("scheduler", "--until", later(3), "--events", "-", "-q").exits(0)
    ran = project.bfill("scheduler", "--until", later(2), "--events", "-").exits(0)
    assert [json.loads(line)["event"] for line in ran.out.splitlines()] == ["scheduler_started", "scheduler_stopped"]
    project.store.unlink()
    ran = project.bfill("scheduler", "--until", later(3), "--events", "events.ndjson", "-q").exits(0)
    assert (ran.out, ran.err) == ("", "")
    events = [json.loads(line) for line in (project.folder / "events.ndjson").read_text().splitlines()]
    assert events[0]["schema"] == "bfill-events/1"
    assert [events[0]["event"], events[-1]["event"]] == ["scheduler_started", "scheduler_stopped"]
    for dag_id in ("one", "two"):
        mine = [one["event"] for one in events if one.get("dag_id") == dag_id]
        assert mine == [
            "backfill_started", "run_opened", "attempt_started", "attempt_ended", "run_finished", "backfill_finished",
        ]  # fmt: skip
        assert len({one["backfill_id"] for one in events if one.get("dag_id") == dag_id}) == 1


def test_status_says_that_it_is_there_until_it_is_not(project: Project) -> None:
    """Also when it is killed, and its shift lives on for a moment."""
    write_dag(project, every='"@daily"', seconds=1.5)
    assert project.bfill("status", "--json").data["schedulers"] == []
    going = project.start("scheduler", session=True)
    until(lambda: project.rows("SELECT 1 FROM task_instances WHERE state = 'running'"))
    (found,) = project.bfill("status", "--json").data["schedulers"]
    assert found["pid"] == going.pid
    assert f"scheduler   pid {going.pid}" in project.bfill("status").out
    going.signal(signal.SIGKILL)
    going.wait()
    assert project.bfill("status", "--json").data["schedulers"] == []
    assert pids(project), "its shift had ended before"
    until(lambda: not pids(project))
    project.bfill("store", "check").exits(0)


def test_a_failed_date_is_told_and_is_exit_code_1(project: Project) -> None:
    write_dag(project, every='"@daily"')
    project.breaks("tick", (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d"))
    ran = project.bfill("scheduler", "--until", later(2.5)).exits(1)
    assert "tick failed" in ran.err
    assert "bfill rerun-failed" in ran.err
    assert list(outcomes(project).values()) == [["failed"]]


def test_quiet_is_nothing_but_errors(project: Project) -> None:
    write_dag(project, every='"@daily"')
    project.write("dags/bad.py", "x = DAG(1 / 0)\n")
    ran = project.bfill("scheduler", "--until", later(2.5), "-q").exits(3)
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    assert "error: dags/bad.py:" in line


def test_what_cannot_be_is_refused(project: Project) -> None:
    write_dag(project)
    project.bfill("scheduler", "--until", "2024-01-01").says(2, "--until is over already")
    project.bfill("scheduler", "--dag", "tock", "--json").exits(3)
    project.bfill("scheduler", "--json", "--events", "-").exits(2)
