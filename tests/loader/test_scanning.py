"""What files seem to define, by pattern: for completion. Nothing of them runs."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.loader.scanning import dag_files, dag_ids_in, scan_dag_ids, scan_tags, scan_task_ids, task_ids_in

FILE = '''
"""A DAG("of_words", …) in a docstring is seen too: a guess too many costs nothing."""
import sys
from backfill_cli import DAG, BashOperator, dag, task

sys.exit("a file that runs would end here")

with DAG(
    "daily_sales",
    schedule="@daily",
) as one:
    BashOperator(task_id="load", bash_command="load.sh")

    @task
    def extract(): ...

    @task(task_id="tidy", retries=len((1, 2)))
    def clean(): ...

    @task.bash
    # a comment between the decorator and its function
    def publish(): ...

two = DAG(dag_id='weekly_stock', schedule="@weekly")
# DAG("commented_out")

@dag(schedule="@daily", start_date=datetime(2024, 1, 1))
def monthly():
    task_group()

@dag("by_position")
def function(): ...
'''


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def test_ids_are_found_in_every_form_a_file_may_write_them():
    assert [one for one in dag_ids_in(FILE) if one != "of_words"] == [
        *["daily_sales", "weekly_stock", "monthly", "by_position"],
    ]


def test_tasks_are_found_in_the_order_of_their_definition():
    assert task_ids_in(FILE) == ["load", "extract", "tidy", "publish"]


def test_a_file_that_does_not_parse_still_completes():
    broken = 'import backfill_cli\nwith DAG("half_written", schedule="@daily"\n    BashOperator(task_id="a"'
    assert (dag_ids_in(broken), task_ids_in(broken)) == (["half_written"], ["a"])


def test_folders_are_scanned_and_nothing_of_them_runs(tmp_path: Path):
    dags = tmp_path / "dags"
    file = write(dags, "team/sales.py", FILE)
    write(dags, "helper.py", 'DAG("no_mention_of_the_package")')
    write(dags, ".hidden.py", 'import backfill_cli\nDAG("hidden")')
    found = scan_dag_ids([dags])
    assert found["daily_sales"] == found["monthly"] == file
    assert "hidden" not in found and "no_mention_of_the_package" not in found
    assert scan_task_ids(file)[0] == "load"
    assert list(dag_files([dags, file])) == [file]


def test_what_cannot_be_read_defines_nothing(tmp_path: Path):
    assert scan_dag_ids([tmp_path / "missing"]) == {}
    assert scan_task_ids(tmp_path / "missing.py") == []


def test_tags_of_scenarios_are_read_from_their_list(tmp_path: Path):
    one = write(tmp_path, "a.py", 'TAGS = ["control", "beginner"]\n')
    two = write(tmp_path, "b.py", "TAGS: list[str] = [\n    'control',\n    'slow',\n]\n")
    assert scan_tags([one, two, write(tmp_path, "c.py", "x = 1")]) == ["beginner", "control", "slow"]


@given(st.text(alphabet="@dagDAGtsk()=\"' \n\\_.#,", max_size=400))
def test_any_text_is_scanned(text: str):
    dag_ids_in(text)
    task_ids_in(text)


def test_a_hostile_file_is_scanned_in_the_time_of_its_length():
    """Nested brackets in a decorator made a backtracking pattern take for ever."""
    began = time.process_time()
    for text in ("@dag(" + "(" * 5_000, "@dag(" + "()" * 5_000, '@task(\n"' * 2_000, "DAG(" * 20_000):
        dag_ids_in(text)
        task_ids_in(text)
    assert time.process_time() - began < 5
