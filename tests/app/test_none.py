"""A task that returns None: to those behind it its result is null, not missing (contract section 2)."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from backfill_cli import DAG, BackfillOptions, BackfillResult, BackfillService, BashOperator, PythonOperator


def test_a_none_renders_as_none_and_a_skipped_result_stays_missing(tmp_path: Path) -> None:
    pull = '{{ ti.xcom_pull(task_ids="NAME") }}'
    seen: list[object] = []
    with DAG("none", schedule="@daily", start_date=datetime(2024, 1, 1)) as dag:
        none = PythonOperator(task_id="none", python_callable=lambda: None)
        five = PythonOperator(task_id="five", python_callable=lambda: 5)
        quiet = PythonOperator(task_id="quiet", python_callable=lambda: 6, do_xcom_push=False)
        show = BashOperator(
            task_id="show",
            bash_command=f"echo '{pull.replace('NAME', 'none')}' '{pull.replace('NAME', 'quiet')}'",
        )
        last = PythonOperator(task_id="last", python_callable=lambda ti: seen.append(ti.xcom_pull()))
        five >> none >> quiet >> [show, last]
    options = BackfillOptions(dag=dag, start_date=date(2024, 1, 1), end_date=date(2024, 1, 1))
    result = BackfillService(store=tmp_path / "store.db").backfill(options)
    assert isinstance(result, BackfillResult)
    assert result.exit_code == 0
    log = next((tmp_path / "logs").rglob("show.1.log")).read_text()
    assert log == 'None {{ ti.xcom_pull(task_ids="quiet") }}\n'
    assert seen == [5], "a pull that names no task takes the last that pushed something"
