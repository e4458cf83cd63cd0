"""What a store's documents may hold is what the commands write into them, no more and no less."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from store_builders import REQUEST

from backfill_cli import DAG, BackfillOptions, BackfillService, EmptyOperator
from backfill_cli.errors import DefinitionError
from backfill_cli.loader import options
from backfill_cli.store import documents


def test_a_stored_request_has_the_keys_that_are_checked(tmp_path: Path) -> None:
    """A key that `app/claiming.request_of` adds and nobody checks would be believed whatever it holds."""
    with DAG("sales", schedule="@daily") as dag:
        EmptyOperator(task_id="load")
    path = tmp_path / "bfill.db"
    days = {"start_date": date(2024, 3, 1), "end_date": date(2024, 3, 2)}
    BackfillService(store=path).plan(BackfillOptions(dag=dag, conf={"region": "eu"}, **days))
    with closing(sqlite3.connect(path)) as connection:
        (text,) = connection.execute("SELECT request FROM backfills").fetchone()
    assert json.loads(text).keys() == documents.REQUEST.keys()
    assert documents.request(text) == json.loads(text)


def test_a_request_of_an_older_store_says_what_its_missing_keys_mean() -> None:
    newest = {
        **REQUEST,
        "shape": {"chunk": "7d", "sizes": [], "failures": "stop", "pilot": 0, "spread": True, "ramp": False},
    }
    assert documents.request(json.dumps(newest)) == newest
    older = {key: value for key, value in REQUEST.items() if key not in documents.OLDER}
    assert documents.request(json.dumps(older)) == {**older, **documents.OLDER}
    with pytest.raises(ValueError, match="shape"):
        documents.request(json.dumps({**newest, "shape": {"chunk": "7d"}}))


@pytest.mark.parametrize("text", ["a", "a.b-c_d", "Ж", "9", "x" * options.LONGEST_ID])
def test_what_the_loader_lets_a_dag_be_called_can_be_read_again(text: str) -> None:
    options.check_id("dag_id", text, "sales.py:1")
    assert documents.name(text) == text


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "a b", "a\0", "a\n", "x" * (options.LONGEST_ID + 1), "Ж" * 121])
def test_a_name_the_loader_would_refuse_is_damage(text: str) -> None:
    with pytest.raises(DefinitionError):
        options.check_id("dag_id", text, "sales.py:1")
    with pytest.raises(ValueError):
        documents.name(text)


def test_a_confs_text_is_read_once_for_all_runs_that_share_it() -> None:
    documents.conf_text.cache_clear()
    for _ in range(5):
        documents.conf_text('{"region": "eu"}')
    assert documents.conf_text.cache_info().misses == 1
