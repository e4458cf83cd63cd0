"""Promise 17: nothing that is kept is ever code: no pickle, no eval, no unsafe YAML in the store or beside it.

Every text of a store, its settings, its logs and its folder are planted with what would run if anybody unpickled,
evaluated, rendered or imported it; then every command has its turn, and a file nobody has made says that nothing ran.
"""

from __future__ import annotations

import ast
import base64
import marshal
import os
import pickle
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from blackbox.world import Project

from promises import damage
from promises.batch import Batches
from promises.damage import Template
from promises.harness import ROOT, Trial, Trials, caught, mutated


class _Touch:
    """Unpickling it makes the canary."""

    def __init__(self, canary: Path) -> None:
        self._command = f"touch {canary}"

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self._command,)


def payloads(canary: Path) -> dict[str, str]:
    """Return what would run, by who would have to run it."""
    shell = f"touch {canary}"
    python = f"__import__('os').system('{shell}')"
    return {
        "pickle": pickle.dumps(_Touch(canary), 0).decode("ascii"),
        "pickle in base64": base64.b64encode(pickle.dumps(_Touch(canary))).decode(),
        "marshal in base64": base64.b64encode(marshal.dumps(compile(python, "x", "exec"))).decode(),
        "YAML": f'!!python/object/apply:os.system ["{shell}"]',
        "jsonpickle": '{"py/reduce": [{"py/function": "posix.system"}, {"py/tuple": ["' + shell + '"]}]}',
        "template": "{{ cycler.__init__.__globals__.os.system('" + shell + "') }}",
        "template of a macro": "{{ macros.datetime.__class__.__mro__[1].__subclasses__() }}" + f"{{{{ {python} }}}}",
        "Python": python,
        "f-string": f"{{{python}}}",
        "shell": f"$({shell})`{shell}`; {shell} #",
        "SQL": f"'); SELECT load_extension('{canary}'); --",
    }


JSON_ONLY = {("backfills", "request"), ("backfills", "planned"), ("audit_events", "details"), ("dag_versions", "tasks")}
"""Columns whose text has to be JSON for anybody to read on: there the payload becomes a value inside it, too."""


def texts(store: Path) -> list[tuple[str, str]]:
    """Return every text column of every table."""
    with closing(sqlite3.connect(store)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return [
            (table, column[1])
            for table in tables
            if not table.startswith("sqlite_")
            for column in connection.execute(f"PRAGMA table_info('{table}')")
            if column[2] == "TEXT"
        ]


def plant(store: Path, table: str, column: str, payload: str, *, inside: bool) -> None:
    """Put a payload into a column of every row; keys get a number behind it, JSON keeps its shape when `inside`."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        if inside:
            change = f"json_set({column}, '$.conf', json_object('region', :text), '$.target', :text, '$.note', :text)"
        else:
            key = "rowid" if _has_rowid(connection, table) else "hex(randomblob(3))"
            change = f"CASE WHEN (SELECT count(*) FROM {table}) > 1 THEN :text || ' #' || {key} ELSE :text END"
        connection.execute(f"UPDATE {table} SET {column} = {change}", {"text": payload})
        connection.commit()


def _has_rowid(connection: sqlite3.Connection, table: str) -> bool:
    return not connection.execute("SELECT wr FROM pragma_table_list WHERE name = ?", (table,)).fetchone()[0]


@pytest.fixture(scope="module")
def template(new_project: Callable[[], Project]) -> Template:
    return damage.build(new_project())[0]


@pytest.fixture(scope="module")
def batches() -> Iterator[Batches]:
    with Batches() as made:
        yield made


def planted_column(trial: Trial, template: Template, batches: Batches, folder: Path, trials: Trials | None) -> None:
    """A case: one column planted with one payload, and some commands over it."""
    store = template.copy(folder)
    canary = folder.with_name("canary")
    table, column = trial.random.choice(texts(store))
    name, payload = trial.random.choice(list(payloads(canary).items()))
    inside = (table, column) in JSON_ONLY and trial.random.random() < 0.7
    plant(store, table, column, payload, inside=inside)
    commands = damage.some(damage.looking(template), trial.random, 4)
    commands += damage.some(damage.acting(template), trial.random, 2, always=())
    ended = damage.check_all(batches.run(folder, commands, store))
    assert not canary.exists(), f"{name} in {table}.{column} was executed by one of {[one.words for one in ended]}"
    if trials is not None:
        trials.see(f"{table}.{column}")
        trials.see("executed", 0)
        trials.see("a command stopped", any(one.code == 4 for one in ended))


@pytest.mark.promise(17, short=20, long=600)
def test_nothing_in_a_store_is_executed(trials: Trials, template: Template, batches: Batches, tmp_path: Path) -> None:
    for trial in trials:
        planted_column(trial, template, batches, tmp_path / "copy", trials)
    assert trials.count < 600 or {f"{table}.{column}" for table, column in texts(template.folder / damage.STORE)} <= {
        *trials.seen
    }


SETTINGS = """
timezone = "UTC"
[variables]
a = {payload}
[connections]
warehouse = {payload}
"""


@pytest.mark.promise(17, short=1, long=1)
@pytest.mark.parametrize("name", payloads(Path("x")))
def test_nothing_beside_a_store_is_executed(
    name: str, trials: Trials, template: Template, batches: Batches, tmp_path: Path
) -> None:
    """Settings, logs, and every name under which a program could look for a cache of its own."""
    for _ in trials:
        folder, canary = tmp_path / "copy", tmp_path / "canary"
        store = template.copy(folder)
        payload = payloads(canary)[name]
        (folder / "bfill.toml").write_text(SETTINGS.format(payload=f"'''{payload}'''"), encoding="utf-8")
        for log in (store.parent / "logs").rglob("*.log"):
            log.write_text(payload, encoding="utf-8")
        bytecode = b"\0" * 16 + marshal.dumps(compile(payloads(canary)["Python"], "x", "exec"))
        for place in (folder, folder / "dags", store.parent):
            (place / "__pycache__").mkdir(exist_ok=True)
            for cache in ("cache.pkl", "cache.pickle", ".cache", "bfill.yaml", "sitecustomize.py", "state.json"):
                if place != folder / "dags" or not cache.endswith(".py"):
                    (place / cache).write_text(payload, encoding="utf-8")
            for version in ("cpython-311", "cpython-312", "cpython-313"):
                (place / "__pycache__" / f"sales.{version}.pyc").write_bytes(bytecode)
        commands = damage.looking(template) + damage.acting(template)
        for one in batches.run(folder, commands, store):
            assert one.code in damage.KNOWN_CODES, one
            trials.see("commands")
        assert not canary.exists()


# the code itself

LOADERS = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle", "yaml"}
CALLS = {"eval", "exec", "compile", "__import__"}
ALLOWED = {
    ("loader/imports.py", "compile"): "a DAG file is its author's program, and is read from its source",
    ("loader/imports.py", "exec"): "the same; running it is what --dag asks for",
    ("app/crew.py", "pickle"): "what a shift says to the scheduler that forked it, over a socket only the two have",
}
"""Module and what it may use, with the reason.

Worker processes get their invocations through multiprocessing's pipes, which pickle: values bfill has just made,
between two processes of one command, and never a byte of a file. Jinja compiles templates inside its own sandbox.
"""


def used(path: Path) -> Iterator[str]:
    """Yield what a module uses of what could make code out of bytes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name.split(".")[0] for one in node.names if one.name.split(".")[0] in LOADERS)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in LOADERS:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            if called in CALLS or (called == "import_module" and path.parent.name == "store"):
                yield called


@pytest.mark.promise(17, short=1, long=1)
def test_no_module_can_make_code_out_of_what_is_kept(trials: Trials) -> None:
    package = ROOT / "backfill_cli"
    for _ in trials:
        found = {
            (str(path.relative_to(package)), one)
            for path in package.rglob("*.py")
            if "_scenarios" not in path.parts
            for one in used(path)
        }
        assert found == set(ALLOWED), found ^ set(ALLOWED)
        trials.see("modules", sum(1 for _ in package.rglob("*.py")))


@pytest.mark.promise(17, short=1, long=1)
def test_the_harness_sees_a_store_that_is_unpickled(trials: Trials, template: Template, tmp_path: Path) -> None:
    with Batches(mutated("xcoms-unpickled", tmp_path)) as batches:
        for _ in trials:

            def case(trial: Trial) -> None:
                store = template.copy(tmp_path / "copy")
                plant(store, "xcoms", "value", payloads(tmp_path / "canary")["pickle"], inside=False)
                batches.run(tmp_path / "copy", [("store", "check", "--json")], store)
                assert not (tmp_path / "canary").exists()

            trials.see("trials until it was caught", caught(case))
