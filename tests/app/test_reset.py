"""What `reset` asks, and in which zone it speaks."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from backfill_cli import BackfillOptions, BackfillService
from backfill_cli.errors import RefusedError

DAG_FILE = """\
from datetime import datetime
from backfill_cli import DAG, task

with DAG("sales", schedule="@daily", start_date=datetime(2024, 1, 1), timezone="Europe/Paris") as dag:
    @task
    def load():
        pass
    @task
    def check():
        pass
    load() >> check()
"""


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackfillService:
    """Three dates have run."""
    (tmp_path / "sales.py").write_text(DAG_FILE)
    monkeypatch.chdir(tmp_path)
    service = BackfillService(store=tmp_path / "store.db")
    service.run(days(1, 3))
    return service


def days(first: int, last: int) -> BackfillOptions:
    return BackfillOptions(dag_id="sales.py", start_date=date(2024, 1, first), end_date=date(2024, 1, last))


def asked(service: BackfillService, options: BackfillOptions, *tasks: str) -> str:
    """The question, which is answered with no."""
    questions: list[str] = []
    with pytest.raises(RefusedError) as refused:
        service.reset(options, tasks=tasks, confirm=lambda question: bool(questions.append(question)))
    assert refused.value.code == "not-confirmed"
    (question,) = questions
    return question


def test_it_asks_with_counts_and_the_dates_of_the_dags_zone(service: BackfillService) -> None:
    assert asked(service, days(1, 3)) == "Clear 6 task instances of 3 dates of sales (2024-01-01 … 2024-01-03)?"
    assert asked(service, days(2, 2), "load") == "Clear 1 task instance of 1 date of sales (2024-01-02)?"


def test_without_anybody_to_ask_the_refusal_says_the_same(service: BackfillService) -> None:
    with pytest.raises(RefusedError, match=r"this would clear 2 task instances of 1 date of sales \(2024-01-03\)$"):
        service.reset(days(3, 3))


def test_the_result_knows_the_dags_zone_so_that_the_screen_shows_the_dates_that_were_typed(
    service: BackfillService,
) -> None:
    """The logical date of 2 January in Paris is 23:00 UTC of the first."""
    result = service.reset(days(2, 2), confirm=lambda _: True)
    assert [one.isoformat() for one in result.dates] == ["2024-01-01T23:00:00+00:00"]
    assert result.timezone == "Europe/Paris"
    assert service.reset(days(5, 6)).timezone == "Europe/Paris"
