"""What status, dags and the service say about things that have moved on since: repairs, bounds, files elsewhere."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from backfill_cli import BackfillOptions, BackfillResult, BackfillService
from backfill_cli.errors import NotFoundError, UsageProblem

DAG_FILE = """\
from datetime import datetime
from pathlib import Path
from backfill_cli import DAG, task

with DAG("sales", schedule="@daily", start_date=datetime(2024, 1, 1), end_date=datetime(2024, 1, 5)) as dag:
    @task
    def load(ds: str):
        if ds in Path("broken").read_text():
            raise RuntimeError("HTTP 503")
    load()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sales.py").write_text(DAG_FILE)
    (tmp_path / "broken").write_text("2024-01-02 2024-01-03")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def service(folder: Path) -> BackfillService:
    return BackfillService(store=folder / "store.db")


def run(folder: Path, first: int = 1, last: int = 3, **more: object) -> BackfillResult:
    days = {"start_date": date(2024, 1, first), "end_date": date(2024, 1, last)}
    result = service(folder).backfill(BackfillOptions(dag_id="sales.py", **days, **more))  # type: ignore[arg-type]
    assert isinstance(result, BackfillResult)
    return result


def test_status_names_what_repaired_a_backfill_and_says_when_something_is_still_broken(folder: Path) -> None:
    """Contract section 1: the old one keeps its result, and status says what repaired it, whoever did."""
    first = run(folder)
    again = run(folder)
    (folder / "broken").write_text("2024-01-03")
    repair = service(folder).rerun_failed(BackfillOptions(backfill_id=again.backfill_id))
    assert (repair.completed, repair.failed) == (1, 1)
    view = service(folder).status(BackfillOptions(backfill_id=first.backfill_id)).backfill
    assert view is not None
    assert (view.state, view.row.failed, view.repaired_by, view.is_broken) == ("failed", 2, (repair.backfill_id,), True)

    (folder / "broken").write_text("")
    last = service(folder).rerun_failed(BackfillOptions())
    view = service(folder).status(BackfillOptions(backfill_id=first.backfill_id)).backfill
    assert view is not None
    assert (view.state, view.repaired_by, view.is_broken) == ("failed", (repair.backfill_id, last.backfill_id), False)


def test_an_id_outside_the_dags_folders_is_found_where_it_last_ran(folder: Path) -> None:
    with pytest.raises(NotFoundError):
        service(folder).status(BackfillOptions(dag_id="sales"))
    run(folder, 1, 1)
    assert service(folder).status(BackfillOptions(dag_id="sales")).counts == {"success": 1}


def test_dags_show_keeps_to_the_dags_own_bounds(folder: Path) -> None:
    shown = service(folder).show_dag("sales.py")
    assert shown.last_complete is not None
    assert shown.data()["last_complete"]["start"] == "2024-01-05T00:00:00+00:00"
    assert shown.next_interval is None


def test_a_date_as_text_is_a_usage_problem(folder: Path) -> None:
    with pytest.raises(UsageProblem, match="start_date is '2024-01-01', a str"):
        service(folder).plan(BackfillOptions(dag_id="sales.py", start_date="2024-01-01"))  # type: ignore[arg-type]


def test_rerun_failed_has_nothing_to_do_where_nothing_has_failed(folder: Path) -> None:
    """Contract section 4: an empty selection is not an error; a nightly script may always call it."""
    result = service(folder).rerun_failed(BackfillOptions())
    assert (result.exit_code, result.total_dates, result.backfill_id) == (0, 0, None)
    assert [one.code for one in result.problems] == ["nothing-failed"]
    assert not (folder / "store.db").exists()
    run(folder, 1, 1)
    assert service(folder).rerun_failed(BackfillOptions(dag_id="sales.py")).dag_id == "sales"


def test_validate_alone_checks_as_much_as_validate_with_a_name(folder: Path) -> None:
    (folder / "dags").mkdir()
    text = DAG_FILE.replace("@task\n", "@task(pool='warehous')\n")
    (folder / "dags" / "sales.py").write_text(text)
    (one,) = service(folder).validate().dags
    assert (one.code, one.error) == ("unknown-pool", "task 'load' uses pool 'warehous', which does not exist")


def test_a_plan_with_nothing_to_run_is_not_stored(folder: Path) -> None:
    """Stored, a bare `bfill run` would find two that wait, or one that does nothing."""
    run(folder, 1, 1)
    options = BackfillOptions(dag_id="sales.py", start_date=date(2024, 1, 1), end_date=date(2024, 1, 1))
    plan = service(folder).plan(options)
    assert (plan.to_run, plan.backfill_id) == (0, None)
    assert len(service(folder).status(BackfillOptions()).backfills) == 1
