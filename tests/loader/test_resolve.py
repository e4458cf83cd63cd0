"""The forms of --dag in the contract's order, and what is said when none or several fit (contract section 2)."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from dag_files import Write, line

from backfill_cli.core.invocations import DagRef
from backfill_cli.errors import DefinitionError, NotFoundError
from backfill_cli.loader import resolve, scenarios
from backfill_cli.loader.adhoc import adhoc_dag
from backfill_cli.loader.authoring import DAG
from backfill_cli.loader.folders import list_dags
from backfill_cli.loader.resolve import load_ref, resolve_dag, resolve_definition, resolve_object
from backfill_cli.loader.settings import Settings

ONE = 'with DAG("{0}", schedule="@daily"):\n    EmptyOperator(task_id="a")\n'


@pytest.fixture
def scenario_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write) -> Path:
    folder = tmp_path / "shipped"
    monkeypatch.setattr(scenarios, "scenario_folder", lambda: folder)
    text = 'DAG("the_bad_one")\n' + ONE.format("scenario_17_07_02")
    write(text, "shipped/17_07_02_backfill_without_idempotency.py")
    write(ONE.format("scenario_17_03_01"), "shipped/17_03_01_backfill_cli_subtask_1.py")
    return folder


@pytest.mark.parametrize(
    "target",
    [
        "17.7.2",
        "17_07_02",
        "17.07.02",
        "17_7_2",
        "17_07_02_backfill_without_idempotency",
        "17_07_02_backfill_without_idempotency.py",
    ],
)
@pytest.mark.usefixtures("scenario_folder")
def test_a_scenario_by_number_or_file_name(settings: Settings, target: str) -> None:
    """A scenario may define other DAGs as well; its own is the one of its number."""
    assert resolve_dag(target, settings=settings).dag.dag_id == "scenario_17_07_02"


@pytest.mark.usefixtures("scenario_folder")
def test_a_scenario_that_is_not_there_names_near_ones(settings: Settings) -> None:
    with pytest.raises(NotFoundError) as caught:
        resolve_dag("17.7.3", settings=settings)
    assert "'17.7.2'" in caught.value.hint


@pytest.mark.usefixtures("scenario_folder")
def test_a_scenario_goes_before_a_file_of_that_name(settings: Settings, write: Write) -> None:
    write(ONE.format("mine"), "17.7.2")
    assert resolve_dag("17.7.2", settings=settings).dag.dag_id == "scenario_17_07_02"


@pytest.mark.parametrize("target", ["flows/sales.py", "flows/sales.py:sales", "./flows/sales.py"])
def test_a_path_with_or_without_the_dag_id(settings: Settings, write: Write, target: str) -> None:
    path = write(ONE.format("sales"), "flows/sales.py")
    found = resolve_dag(target, settings=settings)
    assert (found.dag.dag_id, found.path) == ("sales", str(path))
    assert found.ref == DagRef(f"{path}:sales", "sales", found.dag.version)


def test_a_path_goes_before_a_dag_id(settings: Settings, write: Write) -> None:
    write(ONE.format("sales"), "dags/a.py")
    write(ONE.format("other"), "sales")
    assert resolve_dag("sales", settings=settings).dag.dag_id == "other"


def test_a_file_with_several_dags_and_no_name_lists_them(settings: Settings, write: Write) -> None:
    write('DAG("eu")\nDAG("us")\n')
    with pytest.raises(DefinitionError, match=r"sales\.py holds 2 DAGs: eu, us") as caught:
        resolve_dag("sales.py", settings=settings)
    assert caught.value.hint == "name one: --dag sales.py:eu"
    assert resolve_dag("sales.py:us", settings=settings).dag.dag_id == "us"


def test_a_name_that_is_not_in_the_file_hints_the_nearest(settings: Settings, write: Write) -> None:
    write(ONE.format("sales"))
    with pytest.raises(NotFoundError) as caught:
        resolve_dag("sales.py:sale", settings=settings)
    assert caught.value.hint == "did you mean 'sales'?"


def test_a_path_that_does_not_exist_hints_files_beside_it(settings: Settings, write: Write) -> None:
    write("", "flows/sales.py")
    with pytest.raises(NotFoundError, match=r"there is no DAG file 'flows/sale\.py'") as caught:
        resolve_dag("flows/sale.py", settings=settings)
    assert "flows/sales.py" in caught.value.hint


def test_a_dag_id_from_the_dags_folders(settings: Settings, write: Write) -> None:
    write(ONE.format("sales"), "dags/deep/one.py")
    write(ONE.format("costs"), "more/two.py")
    both = replace(settings, dags=(*settings.dags, Path("more").resolve()))
    assert resolve_dag("sales", settings=both).dag.dag_id == "sales"
    assert resolve_dag("costs", settings=both).dag.dag_id == "costs"


def test_a_dag_id_in_two_files_lists_them(settings: Settings, write: Write) -> None:
    write(ONE.format("sales"), "dags/one.py")
    write(ONE.format("sales"), "dags/two.py")
    with pytest.raises(DefinitionError, match=r"'sales' is defined in 2 files: dags/one\.py, dags/two\.py") as caught:
        resolve_dag("sales", settings=settings)
    assert caught.value.hint == "name one: --dag dags/one.py:sales"
    assert caught.value.exit_code == 3


def test_a_broken_file_does_not_hide_the_dag_of_another(settings: Settings, write: Write) -> None:
    write("1 / 0  # DAG\n", "dags/a_broken.py")
    write(ONE.format("sales"), "dags/sales.py")
    found = resolve_dag("sales", settings=settings)
    assert (found.dag.dag_id, found.warnings) == ("sales", ())


def test_an_unknown_dag_id_hints_near_ones_and_speaks_of_broken_files(settings: Settings, write: Write) -> None:
    write("1 / 0  # DAG\n", "dags/a_broken.py")
    write(ONE.format("sales"), "dags/sales.py")
    with pytest.raises(NotFoundError, match="there is no DAG 'slaes'") as caught:
        resolve_dag("slaes", settings=settings)
    assert "did you mean 'sales'?" in caught.value.hint
    assert "1 file does not load" in caught.value.hint


def test_an_unknown_dag_id_without_any_dag_says_where_was_looked(settings: Settings) -> None:
    with pytest.raises(NotFoundError) as caught:
        resolve_dag("sales", settings=settings)
    assert "dags" in caught.value.hint and "--dag FILE.py" in caught.value.hint


def test_a_module_and_a_name(settings: Settings, write: Write) -> None:
    """The name is a variable or a dag_id."""
    write("", "flows_pkg/__init__.py", head="")
    write("main = DAG('sales', schedule='@daily')\n", "flows_pkg/sales.py")
    for target in ("flows_pkg.sales:main", "flows_pkg.sales:sales"):
        assert resolve_dag(target, settings=settings).dag.dag_id == "sales"
    with pytest.raises(NotFoundError, match=r"module 'flows_pkg\.sales' has no DAG 'mian'") as caught:
        resolve_dag("flows_pkg.sales:mian", settings=settings)
    assert caught.value.hint == "did you mean 'main'?"
    with pytest.raises(NotFoundError, match=r"there is no module 'nowhere\.sales' to import"):
        resolve_dag("nowhere.sales:main", settings=settings)


def test_a_module_that_raises_is_explained(settings: Settings, write: Write) -> None:
    write("1 / 0\n", "broken_flow.py", head="")
    with pytest.raises(DefinitionError, match=r"broken_flow\.py:1: raises ZeroDivisionError"):
        resolve_dag("broken_flow:main", settings=settings)


def test_listing_shows_dags_and_errors_by_file(settings: Settings, write: Write) -> None:
    write("1 / 0  # DAG\n", "dags/a_broken.py")
    write('DAG("eu")\nDAG("us")\n', "dags/b.py")
    write("raise SystemExit  # never run: it does not mention the package\n", "dags/helper.py", head="")
    write('DAG("hidden")\n', "dags/.trash/c.py")
    listed = [(one.path.name, getattr(one.dag, "dag_id", str(one.dag))) for one in list_dags(settings)]
    assert listed == [
        ("a_broken.py", f"{line(1, 'dags/a_broken.py')}: raises ZeroDivisionError: division by zero"),
        ("b.py", "eu"),
        ("b.py", "us"),
    ]


def test_imports_of_the_found_dag_work_later_too(settings: Settings, write: Write) -> None:
    """Tasks import when they run; the file that was loaded last may be another one."""
    write("NAME = 'right'\n", "dags/one/shared_sales.py", head="")
    write("NAME = 'wrong'\n", "dags/two/shared_sales.py", head="")
    write(
        "def late():\n    import shared_sales\n    return shared_sales.NAME\n"
        "with DAG('one'):\n    PythonOperator(task_id='a', python_callable=late)\n",
        "dags/one/dag.py",
    )
    write("import shared_sales\nDAG('two')\n", "dags/two/dag.py")
    work = resolve_dag("one", settings=settings).dag.tasks["a"].work
    assert work.function() == "right"  # type: ignore[union-attr]


def test_the_settings_zone_counts_for_dags_that_name_none(settings: Settings, write: Write) -> None:
    write(ONE.format("sales"))
    paris = replace(settings, timezone="Europe/Paris")
    assert resolve_dag("sales.py", settings=paris).dag.timezone == "Europe/Paris"


def test_threads_get_the_object_that_was_loaded(settings: Settings, write: Write) -> None:
    """A process loads a DAG once and keeps that version to its end."""
    path = write(ONE.format("sales"))
    found = resolve_dag("sales.py", settings=settings)
    path.write_text("raise SystemExit")
    assert load_ref(found.ref, settings) is found.dag


def test_another_process_loads_the_same_version(settings: Settings, write: Write) -> None:
    write("def f(): ...\n" + ONE.format("sales") + "    PythonOperator(task_id='b', python_callable=f)\n")
    ref = resolve_dag("sales.py", settings=settings).ref
    code = (
        "import os; from pathlib import Path; from backfill_cli.core.invocations import DagRef\n"
        "from backfill_cli.loader.resolve import load_ref; from backfill_cli.loader.settings import load_settings\n"
        f"print(load_ref(DagRef(*{tuple(ref)!r}), load_settings(Path.cwd(), os.environ)).version)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ref.version


def test_a_file_that_changed_is_refused_by_a_worker(
    settings: Settings, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ONE.format("sales"))
    found = resolve_dag("sales.py", settings=settings)
    monkeypatch.setattr(resolve, "_loaded", {})  # what another process begins with
    assert load_ref(found.ref, settings).version == found.dag.version
    monkeypatch.setattr(resolve, "_loaded", {})
    write(ONE.format("sales") + '    EmptyOperator(task_id="b")\n')
    with pytest.raises(DefinitionError) as caught:
        load_ref(found.ref, settings)
    assert caught.value.code == "dag-changed"


def test_a_command_is_a_dag_and_its_definition_makes_it_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag, definition = adhoc_dag("etl.sh {{ ds }}", "@daily", None, "Europe/Paris")
    again, _ = adhoc_dag("etl.sh {{ ds }}", "@daily", None, "Europe/Paris")
    assert dag.dag_id == again.dag_id
    assert dag.dag_id.startswith("cmd-") and len(dag.dag_id) == len("cmd-") + 8
    assert [task.work.command for task in dag.tasks.values()] == ["etl.sh {{ ds }}"]  # type: ignore[union-attr]
    assert (dag.timezone, dag.path, dag.where) == ("Europe/Paris", None, None)
    found = resolve_dag(dag.dag_id, settings=settings, known_definition={dag.dag_id: definition}.get)
    assert (found.dag.version, found.definition) == (dag.version, definition)
    monkeypatch.setattr(resolve, "_loaded", {})
    assert load_ref(found.ref, settings).version == dag.version


def test_a_commands_id_depends_on_command_schedule_and_zone() -> None:
    asked = [("a", "@daily", "UTC"), ("b", "@daily", "UTC"), ("a", "@hourly", "UTC"), ("a", "@daily", "Europe/Paris")]
    assert len({adhoc_dag(command, schedule, None, zone)[0].dag_id for command, schedule, zone in asked}) == 4
    assert adhoc_dag("a", "@daily", "etl", "UTC")[0].dag_id == "etl"


def test_a_damaged_definition_is_explained(settings: Settings) -> None:
    with pytest.raises(DefinitionError, match="cannot be read"):
        resolve_definition('{"command": 3', settings=settings)


def test_a_dag_given_as_an_object_stays_in_its_process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    found = resolve_object(DAG("mine", schedule="@daily"), settings=settings)
    assert load_ref(found.ref, settings) is found.dag
    assert [note.code for note in found.warnings] == ["no-tasks"]
    monkeypatch.setattr(resolve, "_loaded", {})
    with pytest.raises(DefinitionError, match="exists only in the process"):
        load_ref(found.ref, settings)
