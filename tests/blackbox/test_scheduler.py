"""The scheduler from outside: what it creates at which moment (C1, C2, C3), and nothing of it twice."""

from __future__ import annotations

import signal
from datetime import datetime
from typing import Any

from blackbox.world import Project, most_at_once, until


def write_dag(
    project: Project, *, schedule: str = '"@daily"', start: str = "2024, 1, 1", seconds: float = 0, **more: str
) -> None:
    arguments = "".join(f", {name}={value}" for name, value in more.items())
    project.write(
        "dags/late.py",
        f"""
        with DAG("late", schedule={schedule}, start_date=datetime({start}){arguments}):
            @task
            def load(ds: str):
                time.sleep({seconds})
                broken("load", ds)
            load()
        """,
    )


def once(project: Project, now: str, *words: str, code: int = 0) -> dict[str, Any]:
    """Run one pass and return what it says of the DAG."""
    ran = project.bfill("scheduler", "--once", "--dag", "late", "--now", now, "--json", *words).exits(code)
    (dag,) = ran.data["dags"]
    found: dict[str, Any] = dag
    return found


def days(project: Project) -> list[str]:
    return [day[5:] for day in project.runs("late")]


def test_catchup_creates_one_run_for_each_missed_interval_oldest_first(project: Project) -> None:
    """C1; R6: a start at midday aligns to the next tick; the interval that is still open is not created."""
    write_dag(project, start="2024, 1, 1, 12", catchup="True", max_active_runs="1")
    assert once(project, "2024-01-05T12:00Z")["next_due_at"] == "2024-01-06T00:00:00+00:00"
    assert days(project) == ["01-02", "01-03", "01-04"]
    order = [row["logical_date"][5:10] for row in project.attempts("late")]
    assert order == ["01-02", "01-03", "01-04"]
    ids = [row["run_id"] for row in project.rows("SELECT run_id FROM v_dag_runs ORDER BY logical_date")]
    assert ids[0] == "scheduled__2024-01-02T00:00:00+00:00"
    assert all(name.startswith("scheduled__") for name in ids)


def test_dags_list_says_how_far_the_scheduler_has_come_and_when_it_is_due_again(project: Project) -> None:
    write_dag(project)
    (before,) = project.bfill("dags", "list", "--json").exits(0).data["dags"]
    assert before["last_scheduled_end"] is None
    once(project, "2024-01-05T12:00Z")
    (after,) = project.bfill("dags", "list", "--json").exits(0).data["dags"]
    assert after["last_scheduled_end"] == "2024-01-05T00:00:00+00:00"
    due = datetime.fromisoformat(after["next_due_at"])
    assert f"due {due:%Y-%m-%d}" in project.bfill("dags", "list").exits(0).out


def test_max_active_runs_bounds_a_catchup(project: Project) -> None:
    """Section 6: never more than three dates open, measured from attempt times."""
    write_dag(project, catchup="True", max_active_runs="3", seconds=0.2)
    once(project, "2024-01-10")
    spans = [(row["started_at"], row["ended_at"]) for row in project.attempts("late")]
    assert len(spans) == 9
    assert most_at_once(spans) == 3


def test_without_catchup_only_the_latest_complete_interval_runs(project: Project) -> None:
    """C2: at 12:00 of the 10th, and at exactly its midnight, that is the 9th."""
    write_dag(project)
    said = once(project, "2024-01-10T00:00:00Z")
    assert said["why"] == "catchup=False: only the latest complete interval"
    assert days(project) == ["01-09"]
    assert once(project, "2024-01-10T12:00Z")["runs"] == []
    once(project, "2024-01-17T12:00Z")  # a week of downtime leaves holes
    assert days(project) == ["01-09", "01-16"]


def test_a_start_date_that_is_still_to_come_wins(project: Project) -> None:
    """C3."""
    write_dag(project, start="2024, 6, 1", catchup="True")
    said = once(project, "2024-01-10")
    assert "is still to come" in said["why"]
    assert said["next_due_at"] == "2024-06-02T00:00:00+00:00"
    assert not project.store.exists()


def test_an_end_date_is_the_last_logical_date(project: Project) -> None:
    """R6: inclusive on the logical date; then the DAG is over."""
    write_dag(project, end_date="datetime(2024, 1, 3)", catchup="True")
    said = once(project, "2024-02-01")
    assert days(project) == ["01-01", "01-02", "01-03"]
    assert said["next_due_at"] is None
    assert said["why"].startswith("over")


def test_once_runs_once_and_none_never(project: Project) -> None:
    """R3."""
    write_dag(project, schedule='"@once"', catchup="True")
    once(project, "2024-01-10")
    assert once(project, "2024-01-11")["runs"] == []
    assert days(project) == ["01-01"]
    write_dag(project, schedule="None")
    assert once(project, "2024-01-12")["why"].startswith("schedule None")


def test_a_stretch_of_time_is_played_without_waiting(project: Project) -> None:
    """C2 at every moment from --now to --until: a scheduler that is up creates each interval as it comes due."""
    write_dag(project)
    once(project, "2024-01-10T12:00Z", "--until", "2024-01-13T00:00Z")
    assert days(project) == ["01-09", "01-10", "01-11", "01-12"]


def test_a_changed_schedule_owes_the_interval_in_which_the_old_one_ended(project: Project) -> None:
    """C1: the next run begins where the last ended; nothing of the time between is lost."""
    write_dag(project, catchup="True")
    once(project, "2024-01-04T01:00Z")
    write_dag(project, catchup="True", schedule='"0 12 * * *"')
    once(project, "2024-01-05T13:00Z")
    starts = [row["logical_date"][5:13] for row in project.rows("SELECT logical_date FROM v_dag_runs ORDER BY 1")]
    assert starts == ["01-01T00", "01-02T00", "01-03T00", "01-03T12", "01-04T12"]


def test_a_paused_dag_owes_what_its_catchup_says_after_unpause(project: Project) -> None:
    """C1 and C2: with catchup all that was missed, without it only the latest."""
    for catchup, expected in (("True", ["01-01", "01-02", "01-03", "01-04"]), ("False", ["01-01", "01-04"])):
        write_dag(project, catchup=catchup)
        if project.store.exists():
            project.store.unlink()
        once(project, "2024-01-02")
        assert project.bfill("dags", "pause", "late", "--json").exits(0).data["changed"]
        assert once(project, "2024-01-03")["why"] == "paused"
        assert "paused" in project.bfill("dags", "list").exits(0).out
        assert "the scheduler creates nothing for it" in project.bfill("dags", "show", "late").exits(0).out
        assert project.bfill("dags", "show", "late", "--json").exits(0).data["paused"]
        assert not project.bfill("dags", "pause", "late", "--json").exits(0).data["changed"]
        project.bfill("dags", "unpause", "late").exits(0)
        once(project, "2024-01-05")
        assert days(project) == expected
        actions = [row["action"] for row in project.rows("SELECT action FROM v_audit WHERE action LIKE 'dags%'")]
        assert actions == ["dags pause", "dags unpause"]


def test_a_date_that_has_a_run_is_left_alone_whoever_made_it(project: Project) -> None:
    write_dag(project, catchup="True")
    project.breaks("load", "2024-01-02")
    project.bfill("run", "--dag", "late", "--start", "2024-01-02", "--end", "2024-01-02").exits(1)
    once(project, "2024-01-04")
    assert project.tries("late", "load") == {
        "2024-01-01": ["success"],
        "2024-01-02": ["failed"],
        "2024-01-03": ["success"],
    }
    kinds = [row["run_type"] for row in project.rows("SELECT run_type FROM v_dag_runs ORDER BY logical_date")]
    assert kinds == ["scheduled", "backfill", "scheduled"]


def test_a_date_that_a_living_backfill_will_do_is_left_to_it(project: Project) -> None:
    write_dag(project, seconds=0.5)
    backfill = project.start("run", "--dag", "late", "--start", "2024-01-08", "--end", "2024-01-09")
    until(lambda: project.runs("late"))
    assert once(project, "2024-01-10")["runs"] == []
    backfill.wait().exits(0)
    assert project.tries("late", "load") == {"2024-01-08": ["success"], "2024-01-09": ["success"]}


def test_a_failed_date_is_exit_code_1_and_is_not_tried_again_by_the_next_pass(project: Project) -> None:
    write_dag(project, catchup="True")
    project.breaks("load", "2024-01-02")
    once(project, "2024-01-04", code=1)
    assert once(project, "2024-01-04")["runs"] == []
    project.mends("load", "2024-01-02")
    project.bfill("rerun-failed").exits(0)
    assert project.tries("late", "load")["2024-01-02"] == ["failed", "success"]


def test_status_shows_a_scheduled_date_that_failed_until_it_is_repaired(project: Project) -> None:
    """It said `no backfill in this store yet` the morning after; shifts that went well stay out of the list."""
    write_dag(project, catchup="True")
    project.breaks("load", "2024-01-02")
    once(project, "2024-01-04", code=1)
    once(project, "2024-01-05")
    for words in ((), ("--where", "failed")):
        (listed,) = project.bfill("status", "--json", *words).exits(0).data["backfills"]
        assert (listed["backfill_id"][:3], listed["state"], listed["failed"]) == ("sc-", "failed", 1)
    assert project.bfill("status", "--json", "--where", "success").exits(0).data["backfills"] == []
    shown = project.bfill("status").exits(0).out
    command = shown.splitlines()[-1].removeprefix(" next: bfill ")
    assert command == f"rerun-failed {listed['backfill_id']}"
    project.mends("load", "2024-01-02")
    project.bfill(*command.split()).exits(0)
    (repair,) = project.bfill("status", "--json").exits(0).data["backfills"]
    assert repair["backfill_id"].startswith("bf-")


def test_a_broken_file_holds_no_other_dag_back(project: Project) -> None:
    write_dag(project, catchup="True")
    project.write("dags/broken.py", 'raise ValueError("no")\n')
    ran = project.bfill("scheduler", "--once", "--now", "2024-01-03", "--json").exits(3)
    assert [one["error"] is None for one in ran.data["dags"]] == [False, True]
    assert days(project) == ["01-01", "01-02"]


def test_an_error_of_a_dag_has_its_place_and_is_told_with_quiet_too(project: Project) -> None:
    """-q is nothing but errors, and a cron line that says it would never have heard of one."""
    write_dag(project)
    project.write(
        "dags/other.py", 'with DAG("other", schedule="@daily"):\n    EmptyOperator(task_id="t", pool="nope")\n'
    )
    now = ("scheduler", "--once", "--now", "2024-01-03")
    told = "dags/other.py:13: task 't' uses pool 'nope', which does not exist"
    ran = project.bfill(*now, "-q").exits(3)
    assert ran.out == ""
    assert ran.err.splitlines()[0] == f"error: other: {told}"
    assert ran.err.splitlines()[1].startswith("hint: ")
    assert f"✗ other: {told}" in project.bfill(*now).exits(3).out
    broken = [one for one in project.bfill(*now, "--json").exits(3).data["dags"] if one["error"]]
    assert [(one["dag_id"], one["error"]["message"]) for one in broken] == [("other", told)]


def test_a_schedule_that_raises_holds_no_other_dag_back_and_is_listed_as_broken(project: Project) -> None:
    write_dag(project)
    project.write(
        "dags/own.py",
        """
        class Odd:
            def intervals(self, start, end):
                return [][0]
        with DAG("own", schedule=Odd(), start_date=datetime(2024, 1, 1)):
            EmptyOperator(task_id="t")
        """,
    )
    (error,) = (one["error"] for one in project.bfill("dags", "list", "--json").exits(0).data["dags"] if one["error"])
    assert "schedule Odd raised IndexError" in error["message"]
    assert error["where"] == "own.py:15"
    project.bfill("scheduler", "--once", "--now", "2024-01-03").exits(3)
    assert days(project) == ["01-02"]


def test_what_no_dag_can_be_run_with_is_refused_also_when_nothing_is_due(project: Project) -> None:
    write_dag(project, start="2030, 1, 1")
    for stays in ([], ["--once"]):
        project.bfill("scheduler", *stays, "--orphans", "bogus").says(2, "--orphans 'bogus' is not known")
        project.bfill("scheduler", *stays, "--executor", "bogus").says(8, "executor 'bogus' is not known")


def test_a_dag_that_is_named_twice_is_looked_at_once(project: Project) -> None:
    write_dag(project)
    ran = project.bfill("scheduler", "--once", "--dag", "late", "--dag", "late", "--now", "2024-01-03", "--json").exits(
        0
    )
    assert [one["dag_id"] for one in ran.data["dags"]] == ["late"]


def test_a_moment_that_is_still_to_come_was_played_and_nothing_is_due_before_it(project: Project) -> None:
    """Whoever tries a moment of next year on the real store is told why tomorrow's date does not come."""
    write_dag(project)
    once(project, "2100-01-05T12:00Z")
    said = once(project, "2024-01-03T12:00Z")
    assert said["runs"] == []
    assert said["why"] == "all intervals up to 2100-01-05, which is still to come, have been created"
    assert said["next_due_at"] == "2100-01-06T00:00:00+00:00"
    (listed,) = project.bfill("dags", "list", "--json").exits(0).data["dags"]
    assert listed["next_due_at"] == "2100-01-06T00:00:00+00:00"


def test_a_pool_of_no_slots_holds_its_tasks_and_neither_the_date_nor_the_others(project: Project) -> None:
    """Held for maintenance: the interval is created, without catchup it would be lost, and its task waits."""
    project.write(
        "dags/late.py",
        """
        with DAG("late", schedule="@daily", start_date=datetime(2024, 1, 1)):
            EmptyOperator(task_id="free")
            BashOperator(task_id="load", bash_command="true", pool="warehouse")
        """,
    )
    project.bfill("pools", "set", "warehouse", "0").exits(0)
    going = project.start("scheduler", "--once", "--dag", "late", "--now", "2024-01-10", "--json")
    until(lambda: project.bfill("status", "--dag", "late", "--json").exits(0).data["waiting"])
    (reason,) = project.bfill("status", "--dag", "late", "--json").exits(0).data["waiting"]
    assert reason == {"reason": "pool warehouse: needs 1, 0 of 0 free", "tasks": 1}
    assert project.tries("late", "load") == {}
    project.bfill("run", "--dag", "late", "--dates", "2024-01-05").says(3, "it holds all its tasks")
    project.bfill("pools", "set", "warehouse", "1").exits(0)
    assert going.wait().exits(0).data["completed"] == 1


def test_a_dag_id_of_two_files_is_refused_and_not_run_from_either(project: Project) -> None:
    write_dag(project, catchup="True")
    project.write("dags/copy.py", (project.folder / "dags/late.py").read_text(), head="")
    ran = project.bfill("scheduler", "--once", "--now", "2024-01-03", "--json").exits(3)
    assert [one["dag_id"] for one in ran.data["dags"]] == ["late"]
    assert not project.store.exists()


def test_two_schedulers_on_one_store_run_each_date_once(project: Project) -> None:
    write_dag(project, catchup="True", seconds=0.05, max_active_runs="2")
    words = ("scheduler", "--once", "--now", "2024-01-21")
    for one in [project.start(*words) for _ in range(3)]:
        one.wait().exits(0)
    tries = project.tries("late", "load")
    assert len(tries) == 20
    assert all(outcomes == ["success"] for outcomes in tries.values())


def test_killed_in_the_middle_and_started_again_every_interval_succeeds_exactly_once(project: Project) -> None:
    """C1 across SIGKILL, twice: nothing is lost, nothing is created a second time."""
    write_dag(project, catchup="True", seconds=0.1, max_active_runs="2")
    for done in (4, 10):
        scheduler = project.start("scheduler", "--once", "--now", "2024-01-21", session=True)
        until(lambda done=done: len(project.attempts("late")) >= done)
        scheduler.signal(signal.SIGKILL)
        scheduler.wait()
    once(project, "2024-01-21")
    tries = project.tries("late", "load")
    assert len(tries) == 20
    assert all(outcomes.count("success") == 1 for outcomes in tries.values())
    assert sum("lost" in outcomes for outcomes in tries.values()) >= 1
    assert set(project.runs("late").values()) == {"success"}
    kinds = {row["run_type"] for row in project.rows("SELECT run_type FROM v_dag_runs")}
    assert kinds == {"scheduled"}
    project.bfill("audit", "verify").exits(0)


def test_what_a_stopped_scheduler_left_is_the_next_pass_and_not_a_waiting_backfill(project: Project) -> None:
    write_dag(project, catchup="True", seconds=0.3, max_active_runs="1")
    scheduler = project.start("scheduler", "--once", "--now", "2024-01-05")
    until(lambda: project.attempts("late"))
    scheduler.signal(signal.SIGTERM)
    scheduler.wait().exits(143)
    project.bfill("run").says(2, "nothing is planned or interrupted")
    once(project, "2024-01-05")
    assert project.tries("late", "load") == {f"2024-01-0{day}": ["success"] for day in range(1, 5)}


def test_a_moment_needs_its_flags(project: Project) -> None:
    write_dag(project)
    project.bfill("scheduler", "--once", "--until", "2024-01-01").says(2, "--now")
    reversed_ = project.bfill("scheduler", "--once", "--now", "2024-01-02", "--until", "2024-01-01", "--json").exits(2)
    assert reversed_.json["error"]["code"] == "reversed-stretch", "said once, and not of each DAG"


def test_a_backfill_at_full_width_does_not_hold_the_newest_date_back(project: Project) -> None:
    """Two processes: from the opening of the newest date to its first task it takes no longer beside a backfill."""

    def waited_s(now: str) -> float:
        (ran,) = once(project, now)["runs"]
        row = project.rows("SELECT started_at FROM v_attempts ORDER BY logical_date DESC LIMIT 1")[0]
        begun = datetime.fromisoformat(row["started_at"])
        return (begun - datetime.fromisoformat(ran["started_at"])).total_seconds()

    write_dag(project, seconds=0.3, max_active_runs="16")
    alone = waited_s("2024-06-01")
    backfill = project.start("run", "--dag", "late", "--start", "2024-01-01", "--end", "2024-03-31", "--parallel", "16")
    until(lambda: len(project.attempts("late")) > 16)
    beside = waited_s("2024-06-02")
    assert backfill.wait().exits(0)
    last = max(datetime.fromisoformat(row["ended_at"]) for row in project.attempts("late"))
    newest = next(row for row in project.attempts("late") if row["logical_date"].startswith("2024-06-01"))
    assert datetime.fromisoformat(newest["ended_at"]) < last
    assert beside < alone + 1
