"""SQL tasks: one transaction, values as bind parameters, the first result set as the result."""

from __future__ import annotations

import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from builders import make_dag, make_task
from engine.helpers import Tried, attempt, make_bench

from backfill_cli.core.states import Outcome
from backfill_cli.core.work import SqlWork, XComRef


def run_sql(folder: Path, *sql: str, url: str | None = None, **changes: Any) -> Tried:
    work = SqlWork(sql, "wh", changes.pop("parameters", {}))
    invocation = {name: changes.pop(name) for name in ("conf", "xcoms") if name in changes}
    task = make_task("a", work=work, **changes)
    bench = make_bench(make_dag(task), connections={"wh": url or f"sqlite:///{folder}/wh.db"})
    return attempt(task, folder, bench=bench, **invocation)


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(folder / "wh.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_the_first_result_set_is_the_result(tmp_path: Path) -> None:
    """Contract section 2: SQL pushes its first result set."""
    tried = run_sql(tmp_path, "CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, 'x'), (2, NULL)", "SELECT * FROM t")
    assert tried.report.xcoms == {"return_value": '[[1,"x"],[2,null]]'}
    assert "[bfill] 2 rows affected" in str(tried.log)


def test_statements_without_rows_push_nothing(tmp_path: Path) -> None:
    assert run_sql(tmp_path, "CREATE TABLE t (a)").report.xcoms == {}


def test_values_are_bind_parameters_whatever_they_contain(tmp_path: Path) -> None:
    """Contract section 3."""
    report = run_sql(
        tmp_path,
        "SELECT {{ conf.name }}, :given, '{{ ds }}'",
        conf={"name": "'; DROP TABLE t; --"},
        parameters={"given": XComRef("up")},
        xcoms={"up": {"return_value": '"{{ ds }}"'}},
    ).report
    assert json.loads(report.xcoms["return_value"]) == [["'; DROP TABLE t; --", "{{ ds }}", "2024-01-01"]]


def test_an_error_undoes_what_the_task_had_written(tmp_path: Path) -> None:
    run_sql(tmp_path, "CREATE TABLE t (a)")
    report = run_sql(tmp_path, "INSERT INTO t VALUES (1)", "INSERT INTO nowhere VALUES (1)").report
    assert (report.outcome, report.reason) == (Outcome.RETRY, "SQL: no such table: nowhere")
    assert rows(tmp_path, "SELECT * FROM t") == []


def test_at_most_a_thousand_rows_become_the_result(tmp_path: Path) -> None:
    """Contract section 2; the log says that there were more."""
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001) SELECT i FROM n"
    tried = run_sql(tmp_path, many)
    assert len(json.loads(tried.report.xcoms["return_value"])) == 1_000
    assert "more than 1,000 rows" in str(tried.log)


def test_bytes_become_text_that_json_can_hold(tmp_path: Path) -> None:
    assert run_sql(tmp_path, "SELECT x'00ff', 1.5").report.xcoms == {"return_value": '[["00ff",1.5]]'}


def test_a_connection_nobody_has_set_fails_at_once_with_near_names(tmp_path: Path) -> None:
    task = make_task("a", work=SqlWork(("SELECT 1",), "warehose"), retries=3)
    tried = attempt(task, tmp_path, bench=make_bench(make_dag(task), connections={"warehouse": "sqlite://"}))
    assert (tried.report.outcome, tried.report.reason) == (Outcome.FAILED, "connection 'warehose' is not set")
    assert "did you mean 'warehouse'?" in str(tried.log)


@pytest.mark.parametrize("url", ["nonsense", "nosuchdb://x/y"])
def test_a_url_that_is_none_fails_at_once(tmp_path: Path, url: str) -> None:
    report = run_sql(tmp_path, "SELECT 1", url=url, retries=3).report
    assert report.outcome is Outcome.FAILED
    assert str(report.reason).startswith("a connection is not a SQLAlchemy URL")


def test_sql_knows_the_execution_timeout(tmp_path: Path) -> None:
    """Section 6: per try; the database's own call returns first, the transaction is undone."""
    run_sql(tmp_path, "CREATE TABLE t (a)")
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n"
    begun = time.monotonic()
    report = run_sql(tmp_path, "INSERT INTO t VALUES (1)", *[slow] * 200, execution_timeout_s=0.1).report
    assert report.reason == "timed out after 0.1 s"
    assert time.monotonic() - begun < 10
    assert rows(tmp_path, "SELECT * FROM t") == []


def test_an_error_undoes_tables_made_and_dropped_too(tmp_path: Path) -> None:
    """Write, audit, publish needs it: a table that was swapped comes back when a check behind it fails."""
    run_sql(tmp_path, "CREATE TABLE live (a)", "INSERT INTO live VALUES (1)")
    swap = ("CREATE TABLE staging (a)", "DROP TABLE live", "ALTER TABLE staging RENAME TO live")
    run_sql(tmp_path, *swap, "SELECT * FROM absent")
    assert rows(tmp_path, "SELECT * FROM live") == [(1,)]
    assert rows(tmp_path, "SELECT name FROM sqlite_master") == [("live",)]


def test_a_database_that_is_read_only_can_be_read(tmp_path: Path) -> None:
    run_sql(tmp_path, "CREATE TABLE t (a)", "INSERT INTO t VALUES (7)")
    url = f"sqlite:///file:{tmp_path}/wh.db?mode=ro&uri=true"
    assert run_sql(tmp_path, "SELECT * FROM t", url=url).report.xcoms == {"return_value": "[[7]]"}


def test_parallel_dates_that_read_before_they_write_wait_for_each_other(tmp_path: Path) -> None:
    run_sql(tmp_path, "CREATE TABLE t (a)")
    with ThreadPoolExecutor(8) as pool:
        reports = [
            pool.submit(run_sql, tmp_path, "SELECT count(*) FROM t", "INSERT INTO t VALUES (1)") for _ in range(24)
        ]
        assert [one.result().report.outcome for one in reports] == [Outcome.SUCCESS] * 24
    assert rows(tmp_path, "SELECT count(*) FROM t") == [(24,)]
