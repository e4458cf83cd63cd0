"""Contract section 8: the Python service, its options, results and refusals."""

from __future__ import annotations

import inspect
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import backfill_cli
from backfill_cli import (
    DAG,
    BackfillOptions,
    BackfillPreview,
    BackfillResult,
    BackfillService,
    BashOperator,
    BfillError,
    PythonOperator,
)
from blackbox.world import Project

DAYS = {"start_date": date(2024, 1, 1), "end_date": date(2024, 1, 3)}


@pytest.fixture
def service(inside: Project) -> BackfillService:
    return BackfillService(store=inside.store)


def made(fails_on: tuple[str, ...] = (), **options: Any) -> DAG:
    def work(ds: str) -> str:
        if ds in fails_on:
            raise RuntimeError("no data")
        return ds

    with DAG("made", schedule="@daily", start_date=datetime(2024, 1, 1), **options) as dag:
        PythonOperator(task_id="work", python_callable=work)
    return dag


def test_defaults_are_those_of_the_contract() -> None:
    given = {one.name: one.default for one in inspect.signature(BackfillOptions).parameters.values()}
    expected = {"dry_run": False, "rerun_failed": False, "reset_dag_run": False, "max_parallel_runs": 1}
    assert {key: given[key] for key in expected} == expected
    assert (given["start_date"], given["end_date"], given["conf"]) == (None, None, None)
    with pytest.raises(AttributeError):
        BackfillOptions(dag_id="x").dag_id = "y"  # type: ignore[misc]


NAMES = """DAG BashOperator EmptyOperator PythonOperator SQLOperator task dag chain cross_downstream TaskGroup SkipTask
    FailTask RetryLater RateLimited get_current_context resolve_date_macros BackfillOptions BackfillService
    BackfillResult BackfillPreview DateResult BfillError"""


def test_the_public_names_are_there() -> None:
    for name in NAMES.split():
        assert getattr(backfill_cli, name)
        assert name in backfill_cli.__all__


def test_resolve_date_macros_renders_one_string() -> None:
    resolve = backfill_cli.resolve_date_macros
    at = datetime(2024, 1, 31, tzinfo=UTC)
    assert resolve("{{ ds }} {{ prev_ds }} {{ next_ds }}", at, "@daily") == "2024-01-31 2024-01-30 2024-02-01"
    assert resolve("{{ nothing }} {{ ds_nodash }}", at, "@daily") == "{{ nothing }} 20240131"


def test_failed_dates_do_not_raise(service: BackfillService) -> None:
    result = service.backfill(BackfillOptions(dag=made(("2024-01-02",)), **DAYS))
    assert isinstance(result, BackfillResult)
    assert (result.completed, result.failed, result.exit_code, result.ok) == (2, 1, 1, False)
    bad = result.results[1]
    assert (bad.state, bad.run_id) == ("failed", "backfill__2024-01-02T00:00:00+00:00")
    assert "no data" in (bad.reason or "")


def test_a_preview_partitions_its_dates(service: BackfillService) -> None:
    service.backfill(BackfillOptions(dag=made(), start_date=date(2024, 1, 2), end_date=date(2024, 1, 2)))
    preview = service.backfill(BackfillOptions(dag=made(), dry_run=True, **DAYS))
    assert isinstance(preview, BackfillPreview)
    days = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    assert preview.dates == days
    assert preview.existing_runs == [days[1]]
    assert preview.new_runs == [days[0], days[2]]
    assert all(one.tzinfo is not None and one.utcoffset() == timedelta(0) for one in preview.dates)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"dag_id": "sales", "rerun_failed": True, "reset_dag_run": True, **DAYS}, 2),
        ({"rerun_failed": True, "reset_dag_run": True}, 2),
        ({"dag_id": "sales", "rerun_failed": True, "reset_dag_run": True, "dry_run": True, **DAYS}, 2),
        ({"dag_id": "sales", "max_parallel_runs": 0, **DAYS}, 2),
        ({"dag_id": "sales"}, 2),
        ({"dag_id": "sales", "start_date": date(2024, 1, 2), "end_date": date(2024, 1, 1)}, 2),
        ({"dag_id": "sales", "tasks": ("laod",), **DAYS}, 3),
        ({"dag_id": "sales", "reprocess": frozenset({"faild"}), **DAYS}, 2),
        ({"dag_id": "slaes", **DAYS}, 3),
        ({**DAYS}, 2),
        ({"dag_id": "sales", "dag": "both", **DAYS}, 2),
    ],
)
def test_refusals_raise_with_exit_code_and_hint_and_change_nothing(
    service: BackfillService, inside: Project, sales: Path, options: dict[str, Any], code: int
) -> None:
    with inside.unchanged(), pytest.raises(BfillError) as caught:
        service.backfill(BackfillOptions(**options))
    assert caught.value.exit_code == code
    assert caught.value.hint
    if options.get("reset_dag_run"):
        assert type(caught.value).__name__ == "UsageProblem"


def test_start_and_end_may_be_dates_datetimes_or_none(service: BackfillService) -> None:
    def dates(**given: Any) -> list[datetime]:
        preview = service.backfill(BackfillOptions(dag=made(timezone="Europe/Paris"), dry_run=True, **given))
        assert isinstance(preview, BackfillPreview)
        return preview.dates

    second = datetime(2024, 1, 1, 23, tzinfo=UTC)
    assert dates(start_date=date(2024, 1, 2), end_date=date(2024, 1, 2)) == [second]
    assert dates(start_date=datetime(2024, 1, 2), end_date=datetime(2024, 1, 2)) == [second]
    assert dates(start_date=second, end_date=second) == [second]
    assert dates(end_date=date(2024, 1, 1)) == [second - timedelta(days=1)]


def test_conf_reaches_the_tasks_and_stays_with_the_run(service: BackfillService, inside: Project) -> None:
    with DAG("conf", schedule="@daily", start_date=datetime(2024, 1, 1)) as dag:
        BashOperator(task_id="only", bash_command="echo {{ dag_run.conf.region }}")
    options = {"dag": dag, "start_date": date(2024, 1, 1), "end_date": date(2024, 1, 1)}
    service.backfill(BackfillOptions(conf={"region": "eu"}, **options))
    assert inside.xcoms("conf") == {("only", "return_value"): "eu"}
    with pytest.raises(BfillError) as caught:
        service.backfill(BackfillOptions(conf={"region": "us"}, **options))
    assert caught.value.exit_code == 7
    service.backfill(BackfillOptions(reset_dag_run=True, **options))
    assert inside.xcoms("conf") == {("only", "return_value"): "eu"}


@pytest.mark.parametrize("conf", [["region"], {"a": {1}}, {"a": float("nan")}, {"a": "\udc80"}, {1: "a", "b": 2}])
def test_a_conf_that_json_cannot_hold_is_refused(service: BackfillService, conf: Any) -> None:
    with pytest.raises(BfillError, match="conf") as caught:
        service.backfill(BackfillOptions(dag=made(), conf=conf, **DAYS))
    assert (caught.value.exit_code, caught.value.code) == (3, "bad-conf")
    assert caught.value.hint


def test_dag_id_takes_all_forms_of_dag(service: BackfillService, inside: Project, sales: Path) -> None:
    for form in ("sales", "dags/sales.py", "dags/sales.py:sales", str(sales)):
        preview = service.backfill(BackfillOptions(dag_id=form, dry_run=True, **DAYS))
        assert isinstance(preview, BackfillPreview)
        assert len(preview.dates) == 3


def test_both_faces_see_one_store(service: BackfillService, inside: Project, sales: Path) -> None:
    result = service.backfill(BackfillOptions(dag_id="sales", **DAYS))
    assert isinstance(result, BackfillResult)
    shown = inside.bfill("status", str(result.backfill_id), "--json").exits(0).data
    assert (shown["completed"], shown["backfill"]["state"]) == (3, "success")
    data = inside.bfill("run", "--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-03", "--json").data
    assert set(result.data()) == set(data)
    assert data["skipped"] == 3


def test_a_program_that_uses_the_service_keeps_its_streams_and_signals(
    service: BackfillService, capfd: pytest.CaptureFixture[str]
) -> None:
    import signal

    before = signal.getsignal(signal.SIGTERM)
    service.backfill(BackfillOptions(dag=made(), **DAYS))
    print("mine")
    assert capfd.readouterr().out == "mine\n"
    assert signal.getsignal(signal.SIGTERM) is before
