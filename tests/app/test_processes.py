"""`--executor process` and `package.module:factory`, with real processes that really die.

A DAG in a file, a real store, real child processes. Times are short, and waits end by what happens, not by sleeping.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from backfill_cli import BackfillOptions, BackfillResult, BackfillService
from backfill_cli.errors import DefinitionError

DAG_FILE = """\
import os, signal, sys, time
from datetime import datetime, timedelta
from pathlib import Path
from backfill_cli import DAG, BashOperator, task

HERE = Path(__file__).parent

with DAG("work", schedule="@daily", start_date=datetime(2024, 1, 1), default_args={"retry_delay": timedelta(0)}) as dag:
    @task(**OPTIONS)
    def first(ds: str, try_number: int):
        BODY

    @task
    def second(got):
        print("got", got)
        return [got, os.getpid()]

    second(first()) >> BashOperator(task_id="third", bash_command="echo {{ ti.xcom_pull(task_ids='second')[0] }}")
"""

Run = Callable[..., BackfillResult]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(body: str, *, options: str = "{}", executor: str = "process", days: int = 1) -> BackfillResult:
        text = DAG_FILE.replace("BODY", body.strip().replace("\n", "\n        ")).replace("OPTIONS", options)
        (tmp_path / "work.py").write_text(text)
        service = BackfillService(store=tmp_path / "store.db", workers=2)
        result = service.backfill(
            BackfillOptions(
                dag_id=str(tmp_path / "work.py"),
                start_date=date(2024, 1, 1),
                end_date=date(2024, 1, days),
                max_parallel_runs=2,
                executor=executor,
            )
        )
        assert isinstance(result, BackfillResult)
        return result

    return run


def attempts(folder: Path, task_id: str = "first") -> list[tuple[int, str, str | None]]:
    with sqlite3.connect(folder / "store.db") as connection:
        rows = connection.execute(
            "select try_number, outcome, reason from v_attempts where task_id = ? order by logical_date, try_number",
            [task_id],
        ).fetchall()
    connection.close()
    return rows


def log_of(folder: Path, task_id: str, try_number: int = 1) -> str:
    return (folder / f"logs/work/backfill__2024-01-01T00:00:00+00:00/{task_id}.{try_number}.log").read_text()


def test_work_in_processes_has_the_same_states_xcoms_and_logs(work: Run, tmp_path: Path) -> None:
    result = work('print("here", os.getpid())\nos.system("echo from a child")\nreturn ds', days=3)
    assert (result.completed, result.failed) == (3, 0)
    assert log_of(tmp_path, "third") == "2024-01-01\n"
    assert "got 2024-01-01" in log_of(tmp_path, "second")
    inside = int(log_of(tmp_path, "first").split()[1])
    import os

    assert inside != os.getpid()


def test_a_worker_that_is_killed_is_lost_and_its_try_runs_again(work: Run, tmp_path: Path) -> None:
    """`lost` takes a new try number but no retry (semantics section 6); the other dates are not touched."""
    body = 'if ds == "2024-01-01" and try_number == 1:\n    os.kill(os.getpid(), signal.SIGKILL)\nreturn ds'
    result = work(body, days=2)
    assert (result.completed, result.failed) == (2, 0)
    assert attempts(tmp_path) == [
        (1, "lost", "lost: the worker process was ended by signal 9 (SIGKILL)"),
        (2, "success", None),
        (1, "success", None),
    ]


def test_a_worker_that_leaves_is_lost_and_after_three_losses_the_task_fails(work: Run, tmp_path: Path) -> None:
    result = work("os._exit(7)")
    assert (result.completed, result.failed) == (0, 1)
    assert [(number, outcome) for number, outcome, _ in attempts(tmp_path)] == [(1, "lost"), (2, "lost"), (3, "lost")]
    assert "left with exit status 7" in str(attempts(tmp_path)[0][2])


def test_a_timeout_ends_python_that_will_not_listen(work: Run, tmp_path: Path) -> None:
    """`time.sleep` sits in C code: in a thread it would go on for its 60 s; here the process ends."""
    began = time.monotonic()
    result = work("time.sleep(60)", options='{"execution_timeout": timedelta(seconds=0.2)}')
    assert time.monotonic() - began < 20
    assert result.failed == 1
    assert attempts(tmp_path) == [(1, "failed", "timed out after 0.2 s")]


def test_a_timeout_that_python_hears_is_reported_by_the_worker_itself(work: Run, tmp_path: Path) -> None:
    work("while True:\n    pass", options='{"execution_timeout": timedelta(seconds=0.2), "retries": 1}')
    assert attempts(tmp_path) == [(1, "retry", "timed out after 0.2 s"), (2, "failed", "timed out after 0.2 s")]


def test_one_task_may_choose_processes_for_itself(work: Run, tmp_path: Path) -> None:
    result = work('print("here", os.getpid())\nreturn ds', options='{"executor": "process"}', executor="thread")
    assert result.completed == 1
    import os

    assert int(log_of(tmp_path, "first").split()[1]) != os.getpid()


def test_somebody_elses_executor_gets_plain_values(work: Run, tmp_path: Path) -> None:
    """The seam for Dask: a factory of a `concurrent.futures.Executor` in other processes."""
    result = work("return ds", executor="other_executors:processes", days=2)
    assert (result.completed, result.failed) == (2, 0)
    assert "got 2024-01-01" in log_of(tmp_path, "second")


def test_a_dag_made_in_python_cannot_go_to_other_processes(tmp_path: Path) -> None:
    from datetime import datetime

    from backfill_cli import DAG, PythonOperator

    with DAG("here", schedule="@daily", start_date=datetime(2024, 1, 1)) as dag:
        PythonOperator(task_id="a", python_callable=len, op_args=["x"])
    options = BackfillOptions(dag=dag, start_date=date(2024, 1, 1), end_date=date(2024, 1, 1), executor="process")
    with pytest.raises(DefinitionError, match="exists only in this process") as caught:
        BackfillService(store=tmp_path / "store.db").backfill(options)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "store.db").exists()
