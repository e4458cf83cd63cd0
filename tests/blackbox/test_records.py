"""Contract section 1: words, ids and records, as the store and the JSON show them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

import pytest

from blackbox.world import SALES, Project, connect, sqlite

WEEK = ("--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-07")
STATES = {
    "task_instances": "scheduled queued running success failed skipped upstream_failed up_for_retry removed",
    "dag_runs": "queued running success failed",
    "backfills": "planned running paused success failed cancelled interrupted",
}


class Week:
    """Seven dates: two fail, are run again, and one of them fails once more."""

    def __init__(self, project: Project) -> None:
        self.project = project
        project.write("dags/sales.py", SALES)
        project.breaks("load", "2024-01-03", "2024-01-05")
        project.breaks("extract", "2024-01-06")
        self.first = project.bfill("run", *WEEK, "--json").exits(1).data
        project.mends("load", "2024-01-03")
        self.second = project.bfill("rerun-failed", "--json").exits(1).data

    def outcomes(self, backfill_id: str) -> dict[str, Any]:
        rows = self.project.rows(
            "SELECT strftime('%Y-%m-%d', b.logical_date, 'unixepoch') AS day, b.action, b.outcome FROM backfill_dates b"
            " JOIN backfills f ON f.backfill = b.backfill WHERE f.backfill_id = ?",
            backfill_id,
        )
        return {row["day"][-2:]: (row["action"], row["outcome"]) for row in rows}


@pytest.fixture(scope="module")
def week(new_project: Callable[[], Project]) -> Week:
    return Week(new_project())


def test_states_are_the_words_of_the_contract(week: Week) -> None:
    for table, words in STATES.items():
        found = {row["state"] for row in week.project.rows(f"SELECT DISTINCT state FROM {table}")}
        assert found <= set(words.split()), table
        assert found, table
    assert week.project.instances("sales", "2024-01-06") == {"extract": "failed", "load": "upstream_failed"}


def test_a_run_id_is_the_run_type_and_the_logical_date(week: Week) -> None:
    ids = [row["run_id"] for row in week.project.rows("SELECT run_id FROM v_dag_runs")]
    assert ids == [f"backfill__2024-01-0{day}T00:00:00+00:00" for day in range(1, 8)]
    assert [one["run_id"] for one in week.first["results"]] == ids


def test_a_backfill_id_is_short_sortable_and_readable(week: Week) -> None:
    for data in (week.first, week.second):
        assert re.fullmatch(r"bf-\d{8}-[a-z0-9]{4}", data["backfill_id"])


def test_a_dag_run_is_unique_though_several_backfills_work_on_it(week: Week) -> None:
    rows = week.project.rows("SELECT logical_date, count(*) AS n FROM v_dag_runs GROUP BY logical_date")
    assert [row["n"] for row in rows] == [1] * 7
    with connect(week.project.store, write=True) as connection, pytest.raises(sqlite().IntegrityError):
        connection.execute(
            "INSERT INTO dag_runs (dag, logical_date, data_interval_end, run_type, state, version)"
            " SELECT dag, logical_date, data_interval_end, run_type, state, version FROM dag_runs LIMIT 1"
        )


def test_an_outcome_is_set_when_the_backfill_finishes_the_date_and_never_changes(week: Week) -> None:
    assert week.outcomes(week.first["backfill_id"]) == {
        "01": ("create", "success"),
        "02": ("create", "success"),
        "03": ("create", "failed"),
        "04": ("create", "success"),
        "05": ("create", "failed"),
        "06": ("create", "failed"),
        "07": ("create", "success"),
    }
    assert week.outcomes(week.second["backfill_id"]) == {
        "03": ("rerun", "success"),
        "05": ("rerun", "failed"),
        "06": ("rerun", "failed"),
    }


def test_rerun_failed_makes_a_backfill_with_a_parent_and_the_old_one_keeps_its_result(week: Week) -> None:
    old, new = week.first["backfill_id"], week.second["backfill_id"]
    assert (week.second["parent_id"], week.first["parent_id"]) == (old, None)
    shown = week.project.bfill("status", old, "--json").exits(0).data
    assert (shown["completed"], shown["failed"], shown["backfill"]["state"]) == (4, 3, "failed")
    assert shown["backfill"]["repaired_by"] == [new]
    assert new in week.project.bfill("status", old).exits(0).out


def test_the_tables_hold_epochs_and_the_views_iso_text(week: Week) -> None:
    (run,) = week.project.rows("SELECT * FROM dag_runs ORDER BY logical_date LIMIT 1")
    assert (run["logical_date"], run["data_interval_end"]) == (1704067200, 1704153600)
    assert 1_600_000_000_000_000 < run["started_at"] <= run["ended_at"] < 4_000_000_000_000_000
    (view,) = week.project.rows("SELECT * FROM v_dag_runs ORDER BY logical_date LIMIT 1")
    assert view["logical_date"] == "2024-01-01T00:00:00+00:00"
    assert view["data_interval_end"] == "2024-01-02T00:00:00+00:00"
    instant = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")
    assert instant.fullmatch(view["started_at"])
    for attempt in week.project.attempts("sales"):
        assert instant.fullmatch(attempt["started_at"])
        assert attempt["started_at"] <= attempt["ended_at"]
        assert instant.fullmatch(attempt["logical_date"])
    for event in week.project.rows("SELECT * FROM v_audit"):
        assert instant.fullmatch(event["at"])


def test_plan_stores_dates_and_no_dag_run(project: Project) -> None:
    project.write("dags/sales.py", SALES)
    data = project.bfill("plan", *WEEK, "--json").exits(0).data
    assert data["backfill_id"]
    (row,) = project.rows("SELECT state, started_at FROM backfills")
    assert row == {"state": "planned", "started_at": None}
    assert project.rows("SELECT count(*) AS n FROM backfill_dates") == [{"n": 7}]
    assert project.runs("sales") == {}
    assert project.rows("SELECT outcome FROM backfill_dates WHERE outcome IS NOT NULL") == []


def test_every_change_stands_in_the_audit_chain_and_the_chain_verifies(week: Week) -> None:
    events = week.project.bfill("audit", "--json").exits(0).data["events"]
    assert [(one["action"], one["outcome"]) for one in events] == [
        ("run", "started"),
        ("run", "failed"),
        ("rerun-failed", "started"),
        ("rerun-failed", "failed"),
    ]
    assert [one["seq"] for one in events] == [1, 2, 3, 4]
    started = events[0]["details"]
    assert started["uid"] == os.getuid()
    assert started["cwd"] == str(week.project.folder)
    assert started["command"][1:] == ["run", *WEEK, "--json"]
    assert started["dag_version"]
    verdict = week.project.bfill("audit", "verify", "--json").exits(0).data
    assert (verdict["checked"], verdict["finding"]) == (4, None)
    assert week.second["audit_head"] == verdict["head"]


def test_a_naive_date_is_wall_time_in_the_dags_zone_and_the_plan_echoes_it(project: Project) -> None:
    project.write(
        "dags/paris.py",
        """\
        with DAG("paris", schedule="@daily", start_date=datetime(2024, 1, 1), timezone="Europe/Paris"):
            EmptyOperator(task_id="tick")
        """,
    )
    data = project.bfill("plan", "--dag", "paris", "--start", "2024-01-01", "--end", "2024-01-02T00:00", "--json").data
    assert [one["logical_date"] for one in data["runs"]] == ["2023-12-31T23:00:00+00:00", "2024-01-01T23:00:00+00:00"]
    assert data["timezone"] == "Europe/Paris"
    screen = project.bfill("plan", "--dag", "paris", "--start", "2024-01-01", "--end", "2024-01-02", "--dry-run").out
    assert "2024-01-01" in screen
    assert "Europe/Paris" in screen


def test_an_ambiguous_start_is_the_first_and_an_ambiguous_end_the_second(project: Project) -> None:
    project.write(
        "dags/berlin.py",
        """\
        with DAG("berlin", schedule="@hourly", start_date=datetime(2024, 1, 1), timezone="Europe/Berlin"):
            EmptyOperator(task_id="tick")
        """,
    )

    def dates(start: str, end: str) -> list[str]:
        ran = project.bfill("plan", "--dag", "berlin", "--start", start, "--end", end, "--dry-run", "--json")
        return [one["logical_date"][11:16] for one in ran.data["runs"]]

    # 02:00 to 03:00 happens twice on 2024-10-27, and not at all on 2024-03-31.
    assert dates("2024-10-27T02:00", "2024-10-27T02:00") == ["00:00", "01:00"]
    assert dates("2024-10-27T02:00+01:00", "2024-10-27T02:00") == ["01:00"]
    assert dates("2024-03-31T02:00", "2024-03-31T02:00") == ["01:00"]


def test_the_store_is_private_whatever_the_umask(project: Project) -> None:
    project.write("dags/sales.py", SALES)
    project.bfill("run", "--dag", "sales", "--dates", "2024-01-01", umask=0).exits(0)
    modes = {path: path.stat().st_mode & 0o777 for path in project.store.parent.rglob("*")}
    assert project.store.parent.stat().st_mode & 0o777 == 0o700
    assert modes[project.store] == 0o600
    assert {mode & 0o077 for mode in modes.values()} == {0}


def test_an_audit_entry_says_who_where_and_why(project: Project) -> None:
    project.write("dags/sales.py", SALES)
    ci = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "77", "SUDO_USER": "alice"}
    project.bfill("run", "--dag", "sales", "--dates", "2024-01-01", "--reason", "late file", env=ci).exits(0)
    started, ended = project.rows("SELECT * FROM v_audit ORDER BY seq")
    assert (started["reason"], ended["reason"]) == ("late file", "late file")
    assert "alice" in started["actor"]
    details = json.loads(started["details"])
    assert details["ci"]["GITHUB_RUN_ID"] == "77"
    assert details["counts"]["create"] == 1
