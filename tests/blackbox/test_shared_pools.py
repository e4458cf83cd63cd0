"""Pools shared by real processes of one store: what runs at once is measured from the times of the attempts."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from blackbox.world import Going, Project, most_at_once, until

DAG_FILE = """\
with DAG("{dag_id}", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=64):
    @task(pool="{pool}", pool_slots={slots}{more})
    def call(ds: str):
        time.sleep({seconds})
    call()
"""


def daily(
    project: Project, dag_id: str, *, pool: str = "api", slots: int = 1, seconds: float = 0.2, more: str = ""
) -> None:
    text = DAG_FILE.format(dag_id=dag_id, pool=pool, slots=slots, seconds=seconds, more=more)
    project.write(f"dags/{dag_id}.py", text)


def start(project: Project, dag_id: str, dates: int, parallel: int = 8, *more: str) -> Going:
    end = f"2024-{1 + (dates - 1) // 28:02}-{1 + (dates - 1) % 28:02}"
    assert dates <= 28
    return project.start(
        "run", "--dag", dag_id, "--start", "2024-01-01", "--end", end, "--parallel", f"{parallel}", *more
    )


def spans(project: Project, *dag_ids: str) -> list[tuple[str, str]]:
    return [(one["started_at"], one["ended_at"]) for dag_id in dag_ids for one in project.attempts(dag_id)]


def seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def busy(project: Project, dag_ids: Sequence[str], slots: dict[str, int] | None = None) -> dict[str, float]:
    """Slot-seconds of each DAG in the time in which all of them had work left."""
    attempts = {dag_id: project.attempts(dag_id) for dag_id in dag_ids}
    first = max(seconds(one[0]["started_at"]) for one in attempts.values())
    last = min(seconds(one[-1]["ended_at"]) for one in attempts.values())
    return {
        dag_id: (slots or {}).get(dag_id, 1)
        * sum(
            max(0.0, min(last, seconds(one["ended_at"])) - max(first, seconds(one["started_at"])))
            for one in attempts[dag_id]
        )
        for dag_id in dag_ids
    }


def leases(project: Project) -> list[dict[str, Any]]:
    return project.rows("SELECT * FROM pool_leases")


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_together_use_no_more_than_the_pool_has_and_each_gets_its_share(
    project: Project, processes: int
) -> None:
    project.bfill("pools", "set", "api", "2").exits(0)
    names = [f"calls_{n}" for n in range(processes)]
    for name in names:
        daily(project, name, seconds=0.1 if processes == 2 else 0.25)
    for one in [start(project, name, 28) for name in names]:
        one.wait().exits(0)
    assert most_at_once(spans(project, *names)) == 2
    shares = busy(project, names)
    assert min(shares.values()) > 0.4 * max(shares.values()), shares
    assert leases(project) == []
    assert project.rows("SELECT * FROM waits") == []
    project.bfill("store", "check").exits(0)


def test_alone_a_process_has_all_of_the_pool_and_gives_way_to_one_that_comes_later(project: Project) -> None:
    project.bfill("pools", "set", "api", "4").exits(0)
    daily(project, "first")
    daily(project, "later")
    first = start(project, "first", 28)
    until(lambda: len(project.attempts("first")) >= 4)
    asked_at = datetime.now().timestamp()
    later = start(project, "later", 4)
    later.wait().exits(0)
    first.wait().exits(0)
    assert most_at_once(spans(project, "first")) == 4
    assert most_at_once(spans(project, "first", "later")) == 4
    begun = seconds(project.attempts("later")[0]["started_at"])
    assert begun - asked_at < 2.5, "not behind all that the first one has to do"
    assert begun < seconds(project.attempts("first")[-1]["started_at"])


def test_tasks_that_need_the_whole_pool_take_turns(project: Project) -> None:
    """Neither could run with half of it."""
    project.bfill("pools", "set", "api", "2").exits(0)
    daily(project, "one", slots=2, seconds=0.3)
    daily(project, "two", slots=2, seconds=0.3)
    for going in [start(project, "one", 14), start(project, "two", 14)]:
        going.wait().exits(0)
    assert most_at_once(spans(project, "one", "two")) == 1
    order = sorted((one["started_at"], one["dag_id"]) for name in ("one", "two") for one in project.attempts(name))
    turns = 1 + sum(before[1] != after[1] for before, after in pairwise(order))
    assert turns >= 3, order


def test_a_full_pool_holds_only_its_own_tasks_across_processes(project: Project) -> None:
    project.bfill("pools", "set", "narrow", "1").exits(0)
    project.bfill("pools", "set", "wide", "8").exits(0)
    project.write(
        "dags/slow.py",
        """\
        with DAG("slow", schedule="@daily", start_date=datetime(2024, 1, 1)):
            @task(pool="narrow")
            def call():
                while not os.path.exists("over"):
                    time.sleep(0.02)
            call()
        """,
    )
    project.write(
        "dags/both.py",
        """\
        with DAG("both", schedule="@daily", start_date=datetime(2024, 1, 1)):
            @task(pool="narrow")
            def held():
                pass
            @task(pool="wide")
            def free():
                time.sleep(0.1)
            held(); free()
        """,
    )
    slow = start(project, "slow", 1)
    until(lambda: project.instances("slow").get("call") == "running")
    both = start(project, "both", 4)
    until(lambda: len(project.attempts("both", "free")) == 4)
    (project.folder / "over").touch()
    both.wait().exits(0)
    slow.wait().exits(0)
    (blocker,) = spans(project, "slow")
    free, held = ([one["started_at"] for one in project.attempts("both", task)] for task in ("free", "held"))
    assert max(free) < blocker[1] <= min(held)


def test_a_pool_that_is_changed_while_things_run_grows_at_once_and_shrinks_as_tasks_end(project: Project) -> None:
    project.bfill("pools", "set", "api", "1").exits(0)
    daily(project, "calls", seconds=0.3)
    going = start(project, "calls", 28)
    until(lambda: project.attempts("calls"))
    project.bfill("pools", "set", "api", "4").exits(0)
    grown_at = datetime.now().timestamp()
    until(lambda: len(project.attempts("calls")) >= 9)
    project.bfill("pools", "set", "api", "0").exits(0)
    held_at = datetime.now().timestamp()
    until(lambda: all(one["used"] == 0 for one in leases(project)))
    before = len(project.attempts("calls"))
    with pytest.raises(AssertionError, match="did not happen"):
        until(lambda: len(project.attempts("calls")) > before, timeout_s=1.0)
    project.bfill("pools", "set", "api", "2").exits(0)
    going.wait().exits(0)
    attempts = project.attempts("calls")
    assert {one["outcome"] for one in attempts} == {"success"}
    starts = [seconds(one["started_at"]) for one in attempts]
    assert most_at_once([(one["started_at"], one["ended_at"]) for one in attempts[:before]]) == 4
    assert sum(1 for at in starts if grown_at < at < grown_at + 1) >= 3
    assert not [at for at in starts[:before] if at > held_at + 1]
    assert most_at_once([(one["started_at"], one["ended_at"]) for one in attempts[before:]]) == 2


def test_what_a_killed_process_held_is_free_once_what_it_started_has_ended(project: Project) -> None:
    """Its orphan still asks the system that the pool protects."""
    project.bfill("pools", "set", "api", "2").exits(0)
    project.write(
        "dags/shell.py",
        """\
        with DAG("shell", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="sleep", bash_command="sleep 3; touch {{ ds }}.end", pool="api")
        """,
    )
    daily(project, "calls", seconds=0.2)
    killed = start(project, "shell", 1)
    until(lambda: [one for one in leases(project) if one["used"] == 1])
    calls = start(project, "calls", 28)
    until(lambda: project.attempts("calls"))
    killed.signal(signal.SIGKILL)
    killed.wait()
    ended = project.folder / "dags" / "2024-01-01.end"
    assert not ended.exists()
    calls.wait().exits(0)
    ended_at = ended.stat().st_mtime
    mine = spans(project, "calls")
    assert most_at_once([span for span in mine if seconds(span[1]) < ended_at]) == 1
    assert most_at_once(mine) == 2


def test_a_limit_of_one_task_holds_over_all_processes_that_run_its_dag(project: Project) -> None:
    daily(project, "calls", pool="default_pool", seconds=0.15, more=", max_active_tis_per_dag=2")
    first = start(project, "calls", 10)
    going = project.start("run", "--dag", "calls", "--start", "2024-02-01", "--end", "2024-02-10", "--parallel", "8")
    first.wait().exits(0)
    going.wait().exits(0)
    assert most_at_once(spans(project, "calls")) == 2
    assert len(project.attempts("calls")) == 20


def test_where_settings_differ_the_smaller_size_holds_for_both(project: Project) -> None:
    daily(project, "calls", seconds=0.15)
    daily(project, "other", seconds=0.15)
    project.write("bfill.toml", "[pools]\napi = 1\n")
    calls = start(project, "calls", 12)
    until(lambda: project.attempts("calls"))
    project.write("bfill.toml", "[pools]\napi = 6\n")
    other = start(project, "other", 12)
    calls.wait().exits(0)
    other.wait().exits(0)
    last = project.attempts("calls")[-1]["ended_at"]
    both = [span for span in spans(project, "calls", "other") if span[0] < last]
    assert most_at_once(both) == 1


def test_a_pool_that_a_running_backfill_uses_is_not_deleted_without_yes(project: Project) -> None:
    project.bfill("pools", "set", "api", "1").exits(0)
    daily(project, "calls", seconds=0.4)
    going = start(project, "calls", 4)
    until(lambda: project.attempts("calls"))
    (project.folder / "dags" / "calls.py").unlink()
    project.bfill("pools", "delete", "api").says(7, "backfill bf-", "--yes")
    project.bfill("pools", "delete", "api", "--yes").exits(0)
    going.wait().exits(0)
    assert most_at_once(spans(project, "calls")) == 1, "it keeps the size it knew"


def test_the_list_says_who_has_the_slots_and_who_waits(project: Project) -> None:
    project.bfill("pools", "set", "api", "4").exits(0)
    daily(project, "calls", slots=3, seconds=3)
    going = start(project, "calls", 3)

    def listed() -> Any:
        (api,) = (one for one in project.bfill("pools", "list", "--json").data["pools"] if one["name"] == "api")
        return api if api["waiting"] == 2 else None

    api = until(listed)
    assert (api["slots"], api["taken"], api["free"], api["from"]) == (4, 3, 1, "store")
    (user,) = api["users"]
    assert (user["dag_id"], user["pid"], user["taken"], user["waiting"]) == ("calls", going.pid, 3, 2)
    going.signal(signal.SIGINT)
    going.signal(signal.SIGINT)
    going.wait()


def test_a_backfill_that_is_paused_leaves_its_slots_to_the_others(project: Project) -> None:
    project.bfill("pools", "set", "api", "2").exits(0)
    daily(project, "paused", seconds=0.2)
    daily(project, "other", seconds=0.2)
    first = start(project, "paused", 28)
    until(lambda: project.attempts("paused"))
    (row,) = project.rows("SELECT backfill_id FROM backfills")
    project.bfill("pause", row["backfill_id"]).exits(0)
    other = start(project, "other", 12)
    other.wait().exits(0)
    assert most_at_once(spans(project, "other")) == 2
    project.bfill("resume", row["backfill_id"]).exits(0)
    first.wait().exits(0)
    assert most_at_once(spans(project, "paused", "other")) == 2
    assert len(project.attempts("paused")) == 28
