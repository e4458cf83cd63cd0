"""A scheduled run arrives while a backfill of another process has all slots of its pool: the next free are its own."""

from __future__ import annotations

import pytest

from blackbox.test_shared_pools import seconds
from blackbox.world import Project, most_at_once, until

DAG_FILE = """\
with DAG("{dag_id}", schedule="@daily", start_date=datetime(2024, 1, {first}), catchup=True, max_active_runs=8):
    @task(pool="api", pool_slots={slots})
    def call(ds: str):
        time.sleep({seconds})
    call()
"""
HANDOVER_S = 0.9
"""Half a second until the backfill looks, and what a busy machine adds; what it frees after that is not its own."""


def starts(project: Project, dag_id: str) -> list[float]:
    return [seconds(one["started_at"]) for one in project.attempts(dag_id)]


def arrive(project: Project, dates: int, took: float, slots: int = 1) -> tuple[list[float], list[float], float]:
    """Let due dates of a DAG arrive beside a backfill; starts of both, and when the first asked for slots."""
    project.bfill("pools", "set", "api", "2").exits(0)
    project.write("dags/past.py", DAG_FILE.format(dag_id="past", first=1, seconds=took, slots=1))
    project.write("dags/due.py", DAG_FILE.format(dag_id="due", first=11 - dates, seconds=took, slots=slots))
    past = project.start("run", "--dag", "past", "--start", "2024-01-01", "--end", "2024-01-28", "--parallel", "8")
    until(lambda: len(project.attempts("past")) >= 2)
    (owner,) = project.rows("SELECT owner FROM pool_leases WHERE slots = 2")
    due = project.start("scheduler", "--once", "--dag", "due", "--now", "2024-01-11T00:00Z")
    query = "SELECT wanted FROM pool_leases WHERE pool = 'api' AND owner <> ? AND wanted > 0"
    until(lambda: project.rows(query, owner["owner"]))
    asked_at = project.rows("SELECT max(started_at) AS at FROM owners")[0]["at"] / 1_000_000
    due.wait().exits(0)
    past.wait().exits(0)
    spans = [(one["started_at"], one["ended_at"]) for name in ("past", "due") for one in project.attempts(name)]
    assert most_at_once(spans) == 2
    assert len(starts(project, "due")) == dates
    return starts(project, "past"), starts(project, "due"), asked_at


@pytest.mark.parametrize(("dates", "slots"), [(6, 1), (3, 2)])
def test_a_scheduled_run_has_the_next_slots_though_a_backfill_holds_them_all(
    project: Project, dates: int, slots: int
) -> None:
    """Also when its tasks need more than becomes free at once."""
    past, due, asked_at = arrive(project, dates, took=0.4, slots=slots)
    assert due[0] - asked_at < HANDOVER_S + 0.4
    assert most_at_once([(one["started_at"], one["ended_at"]) for one in project.attempts("due")]) == 2 // slots
    assert not [at for at in past if asked_at + HANDOVER_S < at < due[-1]], "the backfill waits for all of them"
    assert len([at for at in past if at > due[-1]]) > 10, "it had much left to do"


def test_without_the_policy_both_have_their_part(project: Project) -> None:
    project.write("bfill.toml", "scheduled_first = false\n")
    past, due, asked_at = arrive(project, dates=6, took=0.4)
    assert len([at for at in past if asked_at + HANDOVER_S < at < due[-1]]) >= 3
