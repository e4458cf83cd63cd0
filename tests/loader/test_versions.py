"""When a task is another version of itself: what changes its digest and what leaves it (style.md 7, `stale`)."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from dag_files import Load, Write

from backfill_cli.core.graph import Dag
from backfill_cli.loader.authoring import DAG
from backfill_cli.loader.files import load_file
from backfill_cli.loader.operators import BashOperator, PythonOperator
from backfill_cli.loader.resolve import resolve_dag
from backfill_cli.loader.settings import Settings
from backfill_cli.loader.versions import with_settings, without_password

BASE = """\
import json
LIMIT = 3
RATES = {"eu": 1.5, "us": [1, 2]}
UNUSED = 1
def helper(x):
    return x + LIMIT
def other(x):
    return x
class Tool:
    size = 2
    def use(self):
        return helper(self.size)
def outer(x):
    return helper(x)
with DAG("sales", schedule="@daily", start_date=datetime(2024, 1, 1), params={"p": 1}):
    @task(retries=1)
    def extract(ds, n=LIMIT):
        rows = [outer(one) for one in RATES]
        return json.dumps(rows), Tool().use(), (lambda y: y + 1)(2)
    BashOperator(task_id="shell", bash_command="load.sh {{ ds }}") << extract()
"""


def changed(base: Dag, other: Dag) -> set[str]:
    """Tasks whose digests differ; `dag` when the version does."""
    names = {task_id for task_id, task in base.tasks.items() if other.tasks[task_id].digest != task.digest}
    return names | ({"dag"} if base.version != other.version else set())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "# the limit\nLIMIT    =   3  # three"),
        ("    return x + LIMIT", '    """Add the limit."""\n    # reason\n    return (x +\n        LIMIT)'),
        ("UNUSED = 1", "UNUSED = 2"),
        ("def other(x):\n    return x", "def other(x):\n    return -x"),
        ("@task(retries=1)", "@task(retries=5, pool='p', execution_timeout=60)"),
        ("start_date=datetime(2024, 1, 1)", "start_date=datetime(2023, 1, 1), max_active_runs=2, tags=['x']"),
        ('RATES = {"eu": 1.5, "us": [1, 2]}', 'RATES = {"us": [1, 2], "eu": 1.5}'),
        ("import json", "import json, os"),
        ("def helper", "def unrelated(): ...\n\n\ndef helper"),
    ],
)
def test_what_changes_no_result_changes_no_digest(load: Load, old: str, new: str) -> None:
    base = load(BASE)
    assert BASE.count(old)
    assert changed(base, load(BASE.replace(old, new))) == set()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("LIMIT = 3", "LIMIT = 4", {"extract", "dag"}),
        ("return x + LIMIT", "return x - LIMIT", {"extract", "dag"}),
        ("size = 2", "size = 3", {"extract", "dag"}),
        ("return helper(self.size)", "return helper(-self.size)", {"extract", "dag"}),
        ('"us": [1, 2]', '"us": [1, 3]', {"extract", "dag"}),
        ("y + 1", "y + 2", {"extract", "dag"}),
        ("extract(ds, n=LIMIT)", "extract(ts, n=LIMIT)", {"extract", "dag"}),
        ("load.sh {{ ds }}", "load.sh {{ ts }}", {"shell", "dag"}),
        (" << extract()", "; extract()", {"shell", "dag"}),
        ('"@daily"', '"@hourly"', {"dag"}),
        ('schedule="@daily"', 'schedule="@daily", timezone="Europe/Paris"', {"dag"}),
        ('{"p": 1}', '{"p": 2}', {"dag"}),
        ("@task(retries=1)", "@task(retries=1, trigger_rule='all_done')", {"extract", "dag"}),
        ("@task(retries=1)", "@task(retries=1, depends_on_past=True)", {"extract", "dag"}),
        ("@task(retries=1)", "@task(retries=1, params={'a': 1})", {"extract", "dag"}),
    ],
)
def test_what_changes_results_changes_the_digest(load: Load, old: str, new: str, expected: set[str]) -> None:
    base = load(BASE)
    assert BASE.count(old)
    assert changed(base, load(BASE.replace(old, new))) == expected


def test_a_digest_is_the_same_in_another_process_and_under_another_file_name(write: Write) -> None:
    """Sets and hashes differ from process to process; digests must not."""
    text = BASE.replace("UNUSED = 1", "NAMES = {'a', 'b', 'c'}").replace("n=LIMIT", "n=NAMES")
    one = load_file(write(text), timeout_s=5)[0].version
    path = write(text, "deep/renamed.py")
    code = (
        "from pathlib import Path; from backfill_cli.loader.files import load_file; "
        f"print(load_file(Path({str(path)!r}), timeout_s=10)[0].version)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == one
    assert len(one) == 16 and int(one, 16)


def test_helpers_in_files_beside_the_dag_count(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "import shared_sales\nfrom shared_sales import two\n"
        "with DAG('a'):\n    @task\n    def f():\n        return shared_sales.one() + two()\n    f()\n"
    )
    seen = set()
    for one, two in (("1", "2"), ("1", "3"), ("2", "2")):
        write(f"def one():\n    return {one}\ndef two():\n    return {two}\n", f"v{one}{two}/shared_sales.py", head="")
        seen.add(load_file(write(text, f"v{one}{two}/sales.py"), timeout_s=5)[0].version)
    assert len(seen) == 3


def test_functions_that_call_each_other_have_a_digest(load: Load) -> None:
    text = (
        "def even(n):\n    return n == 0 or odd(n - 1)\ndef odd(n):\n    return n != 0 and even(n - {0})\n"
        "with DAG('a'):\n    PythonOperator(task_id='t', python_callable=even, op_args=[4])\n"
    )
    assert load(text.format(1)).version == load(text.format(1)).version != load(text.format(2)).version


def test_closures_partials_methods_and_operators_count(load: Load) -> None:
    text = """\
from functools import partial
def make(k):
    def inner():
        return k
    return inner
class Job:
    def __init__(self, size): self.size = size
    def run(self): return self.size
class Op(BaseOperator):
    def __init__(self, *, path, **options):
        super().__init__(**options)
        self.path = path
    def execute(self, context):
        return self.path
with DAG("a"):
    PythonOperator(task_id="closure", python_callable=make(1))
    PythonOperator(task_id="partial", python_callable=partial(max, 1, 2))
    PythonOperator(task_id="method", python_callable=Job(1).run)
    Op(task_id="operator", path="x", retries=1)
"""
    base = load(text)
    assert changed(base, load(text.replace("make(1)", "make(2)"))) == {"closure", "dag"}
    assert changed(base, load(text.replace("max, 1, 2", "max, 1, 3"))) == {"partial", "dag"}
    assert changed(base, load(text.replace("Job(1)", "Job(2)"))) == {"method", "dag"}
    assert changed(base, load(text.replace("return self.size", "return -self.size"))) == {"method", "dag"}
    assert changed(base, load(text.replace('path="x"', 'path="y"'))) == {"operator", "dag"}
    assert changed(base, load(text.replace("return self.path", "return [self.path]"))) == {"operator", "dag"}
    assert changed(base, load(text.replace("retries=1", "retries=2"))) == set()


def test_a_function_without_source_has_a_digest_of_its_code() -> None:
    def version(text: str) -> str:
        scope: dict[str, object] = {}
        exec(compile(text, str(Path(__file__).parent / "<nowhere>"), "exec"), scope)
        with DAG("a") as dag:
            PythonOperator(task_id="t", python_callable=scope["f"])  # type: ignore[arg-type]
        return dag.compile().version

    assert version("def f(): return 1") == version("def f(): return 1") != version("def f(): return 2")


def test_a_schedule_object_counts_by_its_code(load: Load) -> None:
    text = """\
class Ends:
    hour = 1
    def intervals(self, start, end):
        return []
DAG("a", schedule=Ends())
"""
    assert load(text).version == load(text).version
    assert load(text).version != load(text.replace("hour = 1", "hour = 2")).version


@pytest.fixture
def shell() -> Dag:
    with DAG("a") as dag:
        BashOperator(task_id="t", bash_command="x {{ var.value.region }} {{ conn.wh }}")
        BashOperator(task_id="u", bash_command="y")
    return dag.compile()


def test_connections_and_variables_a_task_names_count(shell: Dag) -> None:
    """Style section 7: stale is a success under another version of the DAG, its connections or variables."""
    base = with_settings(shell, {"wh": "pg://me:secret@db/a"}, {"region": "eu"})
    assert changed(base, with_settings(shell, {"wh": "pg://me:secret@db/b"}, {"region": "eu"})) == {"t", "dag"}
    assert changed(base, with_settings(shell, {"wh": "pg://me:secret@db/a"}, {"region": "us"})) == {"t", "dag"}
    assert changed(base, with_settings(shell, {"wh": "pg://me:rotated@db/a"}, {"region": "eu"})) == set()
    assert (
        changed(base, with_settings(shell, {"wh": "pg://me:secret@db/a", "x": "y"}, {"region": "eu", "z": ""})) == set()
    )
    reference = with_settings(shell, {"wh": "secret:ONE"}, {})
    assert changed(reference, with_settings(shell, {"wh": "secret:TWO"}, {})) == {"t", "dag"}


def test_a_dag_that_names_none_is_left_as_it_is(load: Load) -> None:
    dag = load(BASE)
    assert with_settings(dag, {"wh": "pg://db"}, {"region": "eu"}) is dag


def test_resolving_takes_the_settings_into_the_version(settings: Settings, write: Write) -> None:
    write("with DAG('a'):\n    BashOperator(task_id='t', bash_command='{{ var.value.region }}')\n")
    one = resolve_dag("sales.py", settings=replace(settings, variables={"region": "eu"}))
    two = resolve_dag("sales.py", settings=replace(settings, variables={"region": "us"}))
    assert one.ref.version == one.dag.version != two.dag.version


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:p%40ss@db:5432/x", "postgresql://me@db:5432/x"),
        ("postgresql://:pw@db/x", "postgresql://@db/x"),
        ("sqlite:////a:b@c.db", "sqlite:////a:b@c.db"),
    ],
)
def test_a_password_is_left_out_of_a_url(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_the_environment_and_other_peoples_objects_are_no_part_of_a_version(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`os.environ` differs between two shells: a digest over its content would make every success stale."""
    source = """\
import logging
import os
from os import environ
log = logging.getLogger(__name__)
with DAG("sales", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def extract(ds):
        log.info("%s %s", os.environ.get("FAIL"), environ.get("SLEEP"))
    extract()
"""
    before = load(source)
    monkeypatch.setenv("FAIL", "2024-01-04")
    logging.getLogger("other").setLevel("DEBUG")
    assert load(source).version == before.version
