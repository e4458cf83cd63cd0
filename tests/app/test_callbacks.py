"""Callbacks: which are called, when, how often, and with what (contract section 2, `on_*_callback`)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backfill_cli import DAG, BackfillOptions, BackfillResult, BackfillService, Context, PythonOperator, SkipTask

Heard = list[tuple[str, str, Any]]


@pytest.fixture
def heard() -> Heard:
    return []


def notes(heard: Heard, kind: str) -> Callable[[Context], None]:
    def callback(context: Context) -> None:
        heard.append((kind, context["ds"], context.get("reason")))

    return callback


def run(dag: DAG, folder: Path, last: int = 2) -> BackfillResult:
    options = BackfillOptions(dag=dag, start_date=date(2024, 1, 1), end_date=date(2024, 1, last))
    result = BackfillService(store=folder / "store.db").backfill(options)
    assert isinstance(result, BackfillResult)
    return result


def make(work: Callable[..., object], *, dag: dict[str, Any] | None = None, task: dict[str, Any] | None = None) -> DAG:
    with DAG("calls", schedule="@daily", start_date=datetime(2024, 1, 1), **(dag or {})) as made:
        PythonOperator(task_id="work", python_callable=work, retry_delay=timedelta(0), **(task or {}))
    return made


def fails_on_the_second(ds: str) -> None:
    if ds == "2024-01-02":
        raise RuntimeError("HTTP 503")


def test_a_dags_callbacks_are_called_once_for_each_run_that_ended_with_its_reason(heard: Heard, tmp_path: Path) -> None:
    calls = {"on_success_callback": notes(heard, "success"), "on_failure_callback": notes(heard, "failure")}
    run(make(fails_on_the_second, dag=calls), tmp_path)
    assert heard == [("success", "2024-01-01", None), ("failure", "2024-01-02", "work: RuntimeError: HTTP 503")]


def test_a_tasks_failure_callback_is_called_after_its_last_try_only(heard: Heard, tmp_path: Path) -> None:
    calls = {
        "on_execute_callback": notes(heard, "execute"),
        "on_retry_callback": notes(heard, "retry"),
        "on_failure_callback": notes(heard, "failure"),
        "retries": 1,
    }
    run(make(fails_on_the_second, task=calls), tmp_path)
    second = [(kind, reason) for kind, ds, reason in heard if ds == "2024-01-02"]
    because = "RuntimeError: HTTP 503"
    assert second == [("execute", None), ("retry", because), ("execute", None), ("failure", because)]


def test_a_failure_callback_gets_the_exception(tmp_path: Path) -> None:
    seen: list[BaseException] = []
    run(
        make(fails_on_the_second, task={"on_failure_callback": lambda context: seen.append(context["exception"])}),
        tmp_path,
    )
    assert [type(one) for one in seen] == [RuntimeError]


def test_a_skip_has_a_callback_of_its_own(heard: Heard, tmp_path: Path) -> None:
    def skips() -> None:
        raise SkipTask("nothing today")

    run(make(skips, task={"on_skipped_callback": notes(heard, "skipped")}), tmp_path, last=1)
    assert heard == [("skipped", "2024-01-01", "nothing today")]


def test_a_callback_that_raises_changes_nothing_and_is_noted_in_the_log(tmp_path: Path) -> None:
    def breaks(_context: Context) -> None:
        raise ValueError("no webhook")

    result = run(make(lambda: None, dag={"on_success_callback": breaks}), tmp_path, last=1)
    assert result.exit_code == 0
    log = next((tmp_path / "logs").rglob("dag.callbacks.log")).read_text()
    assert log == "[bfill] callback breaks failed: ValueError('no webhook')\n"
