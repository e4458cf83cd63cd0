"""The size guard: one command does not run more dates than `max_runs` without being told so (contract section 5)."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from backfill_cli import DAG, BackfillOptions, BackfillResult, BackfillService, EmptyOperator
from backfill_cli.errors import RefusedError
from backfill_cli.loader.settings import load_settings


def options(**more: object) -> BackfillOptions:
    with DAG("sales", schedule="@daily", start_date=datetime(2020, 1, 1)) as dag:
        EmptyOperator(task_id="load")
    return BackfillOptions(dag=dag, start_date=date(2024, 1, 1), end_date=date(2024, 1, 10), **more)  # type: ignore[arg-type]


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackfillService:
    (tmp_path / "bfill.toml").write_text("max_runs = 9\n")
    monkeypatch.chdir(tmp_path)
    return BackfillService(settings=load_settings(tmp_path, {}))


def test_plan_shows_any_size_and_warns(service: BackfillService) -> None:
    plan = service.plan(options(dry_run=True))
    assert plan.total == 10
    assert [one.code for one in plan.warnings] == ["over-max-runs"]
    assert plan.warnings[0].message == "10 dates are more than the 9 that one command runs"


def test_run_refuses_more_and_names_the_flag_and_nothing_is_made(service: BackfillService, tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as caught:
        service.backfill(options())
    assert (caught.value.exit_code, caught.value.code) == (7, "over-max-runs")
    assert caught.value.hint == "add --max-runs 10, or take fewer: --limit 9"
    assert not (tmp_path / ".bfill").exists()


def test_the_flag_lifts_the_limit_and_dates_to_skip_do_not_count(service: BackfillService) -> None:
    first = service.backfill(options(max_runs=10))
    assert isinstance(first, BackfillResult)
    assert first.completed == 10
    again = service.backfill(options())
    assert isinstance(again, BackfillResult)
    assert (again.skipped, again.exit_code) == (10, 0)
