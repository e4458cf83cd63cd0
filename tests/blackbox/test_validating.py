"""`dags validate`, and what one DAG that cannot be does to its neighbours: nothing."""

from __future__ import annotations

from blackbox.world import Project

SEVERAL = """\
with DAG("sound", schedule="@daily", start_date=datetime(2024, 1, 1)):
    EmptyOperator(task_id="a")
with DAG("never", schedule="0 0 30 2 *", start_date=datetime(2024, 1, 1)):
    EmptyOperator(task_id="a")
with DAG("round", schedule="@daily", start_date=datetime(2024, 1, 1)):
    x, y = EmptyOperator(task_id="x"), EmptyOperator(task_id="y")
    x >> y >> x
with DAG("unsafe", schedule="@daily", start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="a", bash_command="eval {{ ti.xcom_pull('b') }}")
with DAG("also_sound", schedule="@daily", start_date=datetime(2024, 1, 1)):
    EmptyOperator(task_id="a")
"""
DAY = ("--dates", "2024-01-01")


def verdicts(project: Project, *targets: str) -> dict[str | None, str | None]:
    """dag_id → code of its error."""
    found = project.bfill("dags", "validate", *targets, "--json")
    data = found.exits(3 if found.code else 0).data
    assert data["broken"] == sum(one["error"] is not None for one in data["dags"])
    return {
        one["dag_id"] or one["path"].rpartition(":")[2]: one["error"] and one["error"]["code"] for one in data["dags"]
    }


def test_a_dag_that_cannot_be_hides_none_of_its_file(project: Project) -> None:
    project.write("dags/several.py", SEVERAL)
    expected = {"sound": None, "never": "never-fires", "round": "cycle", "unsafe": "unsafe-place", "also_sound": None}
    assert verdicts(project) == expected
    assert verdicts(project, "dags/several.py") == expected
    for target in ("also_sound", "dags/several.py:sound"):
        project.bfill("run", "--dag", target, *DAY).exits(0)
    listed = project.bfill("dags", "list", "--json").exits(0).data["dags"]
    assert {one["dag_id"]: one["error"] is None for one in listed}["also_sound"]
    project.bfill("run", "--dag", "never", *DAY).says(3, "never fires", "several.py:10")
    project.bfill("run", "--dag", "dags/several.py", *DAY).says(3, "5 DAGs", "also_sound")


def test_a_dag_id_of_two_files_is_an_error_of_both(project: Project) -> None:
    """`--dag ID` could mean either, and refuses; whoever validates must hear of it before."""
    for name in ("one", "two"):
        project.write(f"dags/{name}.py", 'with DAG("twice", schedule="@daily"):\n    EmptyOperator(task_id="a")\n')
    project.write("dags/three.py", 'with DAG("once", schedule="@daily"):\n    EmptyOperator(task_id="a")\n')
    data = project.bfill("dags", "validate", "--json").exits(3).data
    told = sorted((one["dag_id"], one["error"]["message"]) for one in data["dags"] if one["error"])
    assert told == [
        ("twice", "dag_id 'twice' is defined in dags/one.py as well"),
        ("twice", "dag_id 'twice' is defined in dags/two.py as well"),
    ]
    assert {one["dag_id"] for one in data["dags"]} == {"once", "twice"}
    project.bfill("plan", "--dag", "twice", *DAY).says(3, "defined in 2 files")
    project.bfill("dags", "validate", "dags/one.py:twice").exits(0)


def test_a_module_that_cannot_be_imported_is_said_to_be_that(project: Project) -> None:
    for command in (("plan", "--dag", "nowhere.jobs:nightly", *DAY), ("run", "--dag", "nowhere:nightly", *DAY)):
        ran = project.bfill(*command).says(3, "no module 'nowhere", "install it")
        assert "no DAG is defined" not in ran.err
    project.write("pkg/__init__.py", "import not_installed_here\n", head="")
    project.write("pkg/jobs.py", "", head="")
    project.bfill("plan", "--dag", "pkg.jobs:nightly", *DAY).says(3, "pkg/__init__.py:1", "not_installed_here")
