"""`--task`: a part of a DAG runs, and the ledger stays per task (contract section 5, `SELECT`)."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from backfill_cli import BackfillOptions, BackfillResult, BackfillService
from backfill_cli.errors import NotFoundError

DAG_FILE = """\
from datetime import datetime
from pathlib import Path
from backfill_cli import DAG, task

def noted(name):
    @task(task_id=name)
    def work(ds: str):
        with open("ran.txt", "a") as file:
            file.write(name + " ")
        if name in Path("broken").read_text():
            raise RuntimeError("HTTP 503")
    return work()

with DAG("sales", schedule="@daily", start_date=datetime(2024, 1, 1)) as dag:
    extract, clean, load, report = (noted(one) for one in ("extract", "clean", "load", "report"))
    extract >> clean >> load
    extract >> report
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sales.py").write_text(DAG_FILE)
    (tmp_path / "broken").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def service(folder: Path) -> BackfillService:
    return BackfillService(store=folder / "store.db", workers=1)


def run(folder: Path, *tasks: str, days: int = 1, **more: object) -> BackfillResult:
    options = BackfillOptions(
        dag_id="sales.py",
        start_date=date(2024, 1, 1),
        end_date=date(2024, 1, days),
        tasks=tasks,
        **more,  # type: ignore[arg-type]
    )
    result = service(folder).backfill(options)
    assert isinstance(result, BackfillResult)
    return result


def ran(folder: Path) -> list[str]:
    """What has run since the last look."""
    file = folder / "ran.txt"
    words = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return words


def states(folder: Path) -> tuple[str, dict[str, str]]:
    (view,) = service(folder).status(BackfillOptions(dag_id="sales.py")).runs
    return view.state, {task_id: one.state for task_id, one in view.tasks.items()}


@pytest.mark.parametrize(
    ("select", "runs"),
    [
        (("load",), ["load"]),
        (("+load",), ["extract", "clean", "load"]),
        (("clean+",), ["clean", "load"]),
        (("extract", "load"), ["extract", "load"]),
        (("*e*t*",), ["extract", "report"]),
    ],
)
def test_a_selection_runs_those_tasks_in_their_order(folder: Path, select: tuple[str, ...], runs: list[str]) -> None:
    """`extract, load` keeps its order through `clean`, which is left out."""
    assert run(folder, *select).exit_code == 0
    assert ran(folder) == runs


def test_a_date_with_tasks_left_is_partial_and_goes_on_with_the_next_run(folder: Path) -> None:
    result = run(folder, "+clean")
    assert (result.completed, result.results[0].state, result.results[0].reason) == (1, "success", "partial")
    state, tasks = states(folder)
    assert state == "partial"
    assert tasks == {"extract": "success", "clean": "success", "load": "scheduled", "report": "scheduled"}
    ran(folder)
    assert run(folder).completed == 1
    assert sorted(ran(folder)) == ["load", "report"]
    assert states(folder)[0] == "success"


def test_what_is_done_does_not_run_again_when_it_is_selected_again(folder: Path) -> None:
    run(folder, "extract")
    ran(folder)
    assert run(folder, "extract").completed == 1
    assert ran(folder) == []


def test_reprocess_clears_the_selected_tasks_alone(folder: Path) -> None:
    run(folder)
    ran(folder)
    assert run(folder, "load", reprocess=frozenset({"success"})).completed == 1
    assert ran(folder) == ["load"]
    assert states(folder) == ("success", dict.fromkeys(("extract", "clean", "load", "report"), "success"))


def test_a_selected_task_that_fails_fails_the_date_and_rerun_failed_repairs_that_part(folder: Path) -> None:
    (folder / "broken").write_text("clean")
    result = run(folder, "+clean")
    assert (result.failed, result.exit_code) == (1, 1)
    (folder / "broken").write_text("")
    ran(folder)
    repaired = service(folder).rerun_failed(BackfillOptions(backfill_id=result.backfill_id))
    assert repaired.completed == 1
    assert ran(folder) == ["clean"]
    assert states(folder)[0] == "partial"


def test_a_failed_task_outside_the_selection_keeps_the_dag_run_failed(folder: Path) -> None:
    """The dag_run is what all of its tasks are; the selected part did its work."""
    (folder / "broken").write_text("report")
    run(folder)
    ran(folder)
    assert run(folder, "load", reprocess=frozenset({"all"}), reset_dag_run=True).completed == 1
    assert ran(folder) == ["load"]
    assert states(folder)[0] == "failed"


def test_an_unknown_task_is_refused_with_the_nearest_and_nothing_is_made(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="task 'laod' is not in DAG 'sales'") as caught:
        run(folder, "laod")
    assert caught.value.hint == "did you mean 'load'?"
    assert not (folder / "store.db").exists()
