"""Each way a DAG file can be wrong is one clear line with the place in the user's file (issue point 4)."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from dag_files import Load, Refused, Write, line

from backfill_cli.errors import CycleError, DefinitionError, ScheduleError
from backfill_cli.loader.files import load_file


def test_an_exception_names_the_line_of_the_user_and_its_text(refused: Refused) -> None:
    error = refused("prices = {}\nprices['eu']\n")
    assert (str(error), error.code) == (f"{line(2)}: raises KeyError: 'eu'", "raises")


def test_an_exception_in_a_library_names_the_line_that_called_it(refused: Refused) -> None:
    error = refused("import json\n\njson.loads('{')\n")
    assert error.where == line(3)
    assert "JSONDecodeError" in error.message


def test_an_exception_in_a_file_beside_it_names_that_file(write: Write, refused: Refused) -> None:
    write("def rate():\n    return 1 / 0\n", "rates.py", head="")
    assert str(refused("import rates\nrates.rate()\n")) == "rates.py:2: raises ZeroDivisionError: division by zero"


def test_an_exception_of_many_lines_is_one_line(refused: Refused) -> None:
    assert refused("raise ValueError('one\\ntwo')\n").message == "raises ValueError: one two"


def test_a_missing_module_says_what_to_install(refused: Refused) -> None:
    error = refused("import no_such_module\n")
    assert "no_such_module" in error.message and "install" in error.hint


def test_a_syntax_error_names_its_line(refused: Refused) -> None:
    error = refused("\nwith DAG('a' as d:\n    pass\n")
    assert (error.where, error.code) == (line(2), "syntax-error")


def test_a_null_byte_is_a_definition_error(write: Write) -> None:
    path = write("", head="")
    path.write_bytes(b"a = 1\0")
    with pytest.raises(DefinitionError, match=r"^sales.py:1: is not Python"):
        load_file(path, timeout_s=5)


@pytest.mark.parametrize("leave", ["import sys; sys.exit(3)", "raise SystemExit(3)", "exit(3)"])
def test_sys_exit_says_where_it_stands(refused: Refused, leave: str) -> None:
    error = refused(f"\n{leave}\n")
    assert (error.where, error.code) == (line(2), "exits")
    assert "3" in error.message and "__main__" in error.hint


@pytest.mark.parametrize(
    "hang",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "while True:\n    try: pass\n    except Exception: pass",
        "import time\ntry: time.sleep(60)\nexcept BaseException: pass\ntime.sleep(60)",
    ],
)
def test_a_hang_ends_after_the_time_limit(refused: Refused, hang: str) -> None:
    """The last one swallows the first alarm: the alarm repeats."""
    before = signal.getsignal(signal.SIGALRM)
    error = refused(hang, timeout_s=0.05)
    assert error.code == "slow-definition"
    assert error.where is not None and error.where.startswith("sales.py:")
    assert "0.05 s" in error.message and "import_timeout_s" in error.hint
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_keyboard_interrupt_passes_through(write: Write) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_file(write("raise KeyboardInterrupt\n"), timeout_s=5)


def test_a_cycle_shows_its_path_and_a_line_on_it(refused: Refused) -> None:
    error = refused("""\
        with DAG("a") as d:
            one = EmptyOperator(task_id="one")
            two = EmptyOperator(task_id="two")
            three = EmptyOperator(task_id="three")
            one >> two >> three >> one
    """)
    assert isinstance(error, CycleError)
    assert error.where == line(2)
    path = error.message.rpartition(": ")[2].split(" >> ")
    assert path[0] == path[-1] and len(path) == 4
    edges = {("one", "two"), ("two", "three"), ("three", "one")}
    assert set(pairwise(path)) == edges


def test_a_task_after_itself_is_a_cycle(refused: Refused) -> None:
    assert isinstance(refused('with DAG("a"):\n    t = EmptyOperator(task_id="t")\n    t >> t\n'), CycleError)


def test_a_duplicate_task_id_names_the_second_line(refused: Refused) -> None:
    error = refused("""\
        with DAG("a"):
            EmptyOperator(task_id="load")
            EmptyOperator(task_id="load")
    """)
    assert str(error) == f"{line(3)}: task_id 'load' is used twice in DAG 'a'"


def test_a_bad_zone_names_the_line_of_the_dag(refused: Refused) -> None:
    error = refused('\nDAG("a", schedule="@daily", timezone="Europe/Pariss")\n')
    assert isinstance(error, ScheduleError)
    assert error.where == line(2)
    assert "Europe/Pariss" in error.message and "Europe/Paris" in error.hint


def test_a_cron_that_never_fires_names_the_line_of_the_dag(refused: Refused) -> None:
    """As in screens.md."""
    error = refused('with DAG("a", schedule="0 0 30 2 *"):\n    pass\n')
    assert str(error) == f"{line(1)}: schedule '0 0 30 2 *' never fires"
    assert error.hint


def test_an_end_before_the_start_is_refused(refused: Refused) -> None:
    error = refused('DAG("a", start_date=datetime(2024, 2, 1), end_date=datetime(2024, 1, 1))\n')
    assert error.where == line(1) and "before" in error.message


def test_a_file_without_a_dag_says_so(refused: Refused) -> None:
    assert str(refused("")) == "sales.py: holds no DAG"


def test_a_dag_function_that_is_never_called_is_named(refused: Refused) -> None:
    error = refused("@dag(schedule='@daily')\ndef sales():\n    EmptyOperator(task_id='a')\n")
    assert "sales()" in error.hint


def test_two_dags_of_one_id_in_a_file_are_refused(refused: Refused) -> None:
    error = refused('DAG("a")\nDAG("a")\n')
    assert error.where == line(2) and error.code == "duplicate-dag"


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"cannot read none.py: No such file"):
        load_file(tmp_path / "none.py", timeout_s=5)


def test_a_file_may_hold_several_dags_bound_to_names_or_not(write: Write) -> None:
    path = write("""\
        def make(name):
            with DAG(name):
                EmptyOperator(task_id="a")
        for region in ("eu", "us"):
            make(region)
        third = DAG("third")
    """)
    assert [dag.dag_id for dag in load_file(path, timeout_s=5)] == ["eu", "us", "third"]


def test_dags_of_an_imported_dag_file_belong_to_that_file(write: Write) -> None:
    write('shared = 1\nDAG("theirs")\n', "other.py")
    path = write('from other import shared\nDAG("mine")\n')
    assert [dag.dag_id for dag in load_file(path, timeout_s=5)] == ["mine"]


def test_a_factory_in_another_file_makes_dags_of_the_caller(write: Write) -> None:
    write("def make(name):\n    return DAG(name)\n", "factory.py")
    path = write('from factory import make\nmake("mine")\n')
    (dag,) = load_file(path, timeout_s=5)
    assert (dag.dag_id, dag.path) == ("mine", str(path))


def test_helpers_of_one_name_in_two_folders_do_not_meet(write: Write) -> None:
    for region in ("eu", "us"):
        write(f"NAME = '{region}'\n", f"{region}/shared_sales.py", head="")
        write("import shared_sales\nDAG(shared_sales.NAME)\n", f"{region}/sales.py")
    names = [load_file(Path(f"{region}/sales.py"), timeout_s=5)[0].dag_id for region in ("eu", "us", "eu")]
    assert names == ["eu", "us", "eu"]


def test_a_dag_file_named_like_a_library_does_not_hide_it(write: Write) -> None:
    """bfill imports late: `rich.py` in the folder of DAGs must not become what it prints with."""
    path = write('DAG("a")\n', "rich.py")
    code = (
        "from pathlib import Path; from backfill_cli.loader.files import load_file; "
        f"load_file(Path({str(path)!r}), timeout_s=10); import rich.console; print('found')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", check=True)
    assert done.stdout == "found\n"


def test_a_package_beside_the_file_can_be_imported(write: Write) -> None:
    """Scenarios write `from _shared import warehouse`."""
    write("", "_shared/__init__.py", head="")
    write("NAME = 'wh'\n", "_shared/warehouse.py", head="")
    path = write("from _shared import warehouse\nDAG(warehouse.NAME)\n")
    assert load_file(path, timeout_s=5)[0].dag_id == "wh"


def test_dataclasses_and_annotations_work_at_the_top_level(load: Load) -> None:
    """They look their module up in sys.modules."""
    dag = load("""\
        from dataclasses import dataclass
        from typing import ClassVar, get_type_hints
        @dataclass
        class Row:
            day: "datetime"
            kind: "ClassVar[int]" = 1
        get_type_hints(Row)
        DAG(Row(1).__class__.__name__)
    """)
    assert dag.dag_id == "Row"


def test_stdout_of_a_file_and_of_its_children_goes_to_stderr(write: Write) -> None:
    """`--json` must stay one document on stdout."""
    path = write("import os\nprint('loud')\nos.system('echo child')\nDAG('a')\n")
    code = (
        "from pathlib import Path; from backfill_cli.loader.files import load_file; "
        f"print(load_file(Path({str(path)!r}), timeout_s=10)[0].dag_id)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "a\n"
    assert "loud" in done.stderr and "child" in done.stderr


def test_a_file_loads_outside_the_main_thread_too(write: Write) -> None:
    """Without the time limit: alarms reach the main thread alone. Services load DAGs where they please."""
    found: list[str] = []
    path = write('DAG("a")\n')
    thread = threading.Thread(target=lambda: found.append(load_file(path, timeout_s=5)[0].dag_id))
    thread.start()
    thread.join()
    assert found == ["a"]


def test_a_bad_schedule_object_is_explained(refused: Refused) -> None:
    error = refused("class S: pass\nDAG('a', schedule=S())\n")
    assert error.where == line(2)
