"""Bad input: the exit code and the two lines of the contract, and nothing changed. Stores, conf, broken writing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from blackbox.world import SALES, Forker, Project, connect

DAY = ("--dag", "sales", "--dates", "2024-01-01")


@pytest.fixture
def done(new_project: Callable[[], Project]) -> Project:
    """One date of `sales` has run."""
    project = new_project()
    project.write("dags/sales.py", SALES)
    project.bfill("run", *DAY, "-q").exits(0)
    return project


def spoil(store: Path, *statements: str) -> None:
    with closing(connect(store, write=True)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


COMMANDS = (("run", "--dag", "sales", "--dates", "2024-01-02"), ("status",), ("plan", *DAY), ("audit",))


def refuses(project: Project, *words: str) -> None:
    for command in COMMANDS:
        with project.unchanged():
            project.bfill(*command).says(4, *words)


def test_a_folder_is_no_store(project: Project) -> None:
    project.write("dags/sales.py", SALES)
    project.store.mkdir(parents=True)
    refuses(project, str(project.store))


def test_a_file_of_something_else_is_no_store(project: Project) -> None:
    project.write("dags/sales.py", SALES)
    project.write(".bfill/bfill.db", "this is a text " * 100, head="")
    refuses(project, str(project.store))


def test_a_database_of_something_else_is_no_store(project: Project) -> None:
    project.write("dags/sales.py", SALES)
    project.store.parent.mkdir()
    spoil(project.store, "CREATE TABLE other (a)")
    refuses(project, str(project.store))


def test_a_truncated_store_is_refused(done: Project) -> None:
    content = done.store.read_bytes()
    done.store.write_bytes(content[: len(content) // 2])
    refuses(done, str(done.store))


def test_a_newer_store_is_refused(done: Project) -> None:
    spoil(done.store, "PRAGMA user_version = 999")
    refuses(done, str(done.store), "999")


def test_a_store_of_another_kind_is_refused(project: Project) -> None:
    project.write("dags/sales.py", SALES)
    project.env["BFILL_STORE"] = "mysql://user:hunter2@host/db"
    for command in COMMANDS:
        with project.unchanged():
            assert "hunter2" not in project.bfill(*command).says(4, "mysql").err


def test_a_link_in_place_of_the_store_is_refused(done: Project) -> None:
    done.store.rename(done.folder / "elsewhere.db")
    done.store.symlink_to(done.folder / "elsewhere.db")
    refuses(done, "link")


@pytest.fixture
def guest(forker: Forker) -> Iterator[Project]:
    """A project that belongs to another user than the tests, who must be root to change places."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    base = Path(tempfile.mkdtemp(prefix="bfill-guest-"))
    base.chmod(0o755)
    (base / "work" / "dags").mkdir(parents=True)
    (base / "streams").mkdir()
    for path in (base / "work", base / "work" / "dags", base / "streams"):
        os.chown(path, 65534, 65534)
    yield Project(forker, base / "work", base / "streams", uid=65534)
    (base / "work").chmod(0o755)
    shutil.rmtree(base)


def test_a_folder_that_cannot_be_written_is_refused_and_reading_works(guest: Project) -> None:
    guest.write("dags/sales.py", SALES)
    guest.bfill("run", *DAY, "-q").exits(0)
    guest.store.parent.chmod(0o500)
    guest.store.chmod(0o400)
    with guest.unchanged():
        guest.bfill("run", "--dag", "sales", "--dates", "2024-01-02").says(4, str(guest.store))
        assert len(guest.bfill("status", "--json").exits(0).data["backfills"]) == 1
    guest.folder.chmod(0o555)
    with guest.unchanged():
        guest.bfill("run", *DAY, env={"BFILL_STORE": "new/bfill.db"}).says(4, "new")
        guest.bfill("status", env={"BFILL_STORE": "new/bfill.db"}).exits(0)


def test_a_tampered_chain_is_found_with_6(done: Project) -> None:
    spoil(done.store, "UPDATE audit_events SET actor = 'nobody' WHERE seq = 1")
    ran = done.bfill("audit", "verify", "--json").exits(6)
    assert ran.data["first_bad"] == 1
    assert done.bfill("audit", "verify").code == 6


def test_tampered_attempts_are_found_with_6(done: Project) -> None:
    spoil(done.store, "UPDATE attempts SET outcome = 'failed'")
    assert "attempts" in done.bfill("audit", "verify", "--json").exits(6).data["finding"]


def test_a_removed_entry_is_found_with_6(done: Project) -> None:
    spoil(done.store, "DELETE FROM audit_events WHERE seq = 1")
    done.bfill("audit", "verify").exits(6)


@pytest.mark.parametrize(
    ("conf", "told"),
    [
        ('{"a": }', "line 1"),
        ("[1, 2]", "object"),
        ("nothing", "JSON"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1, "a": 2}', "'a'"),
        ("@missing.json", "missing.json"),
        ("@dags", "dags"),
        ("", "--conf"),
    ],
)
def test_conf_that_is_none_is_refused(project: Project, sales: Path, conf: str, told: str) -> None:
    with project.unchanged():
        project.bfill("run", *DAY, "--conf", conf).says(3, told)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("run", *DAY, "--no-such-flag"), 2, "--no-such-flag"),
        (("runn", *DAY), 2, "run"),
        (("run", *DAY, "--parallel", "many"), 2, "many"),
        (("status", "nothing-like-it"), 3, "nothing-like-it"),
        (("rerun-failed", "nothing-like-it"), 3, "nothing-like-it"),
        (("reset", "nothing-like-it", "--yes"), 3, "nothing-like-it"),
        (("reset",), 2, "--dag"),
        (("reset", "--dag", "sales"), 2, "--start"),
        (("status", "--start", "2024-01-01"), 2, "--dag"),
        (("status", "--dag", "sales", "--last", "3d", "--where", "lost"), 2, "lost"),
        (("logs", "nothing-like-it", "2024-01-01"), 3, "nothing-like-it"),
        (("logs", "--dag", "sales", "yesterday"), 2, "yesterday"),
        (("audit", "--since", "yesterday"), 2, "yesterday"),
        (("dags", "show", "../../etc/passwd"), 3, "passwd"),
        (("run", "--dag", "dags", "--last", "3d"), 3, "dags"),
        (("run", "--dag", "", "--last", "3d"), 3, "''"),
        (("run", "--dag", "sales\x1b[31m", "--last", "3d"), 3, "sales"),
        (("run", "--dag", "sales", "--start", "0000-01-01", "--end", "2024-01-01"), 2, "0000-01-01"),
    ],
)
def test_words_that_make_no_command_are_refused(
    project: Project, sales: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    with project.unchanged():
        ran = project.bfill(*words).says(code, told)
    assert "\x1b" not in ran.err


def test_a_refused_command_leaves_an_existing_store_as_it_was(done: Project) -> None:
    for code, words in (
        (2, ("run", "--dag", "sales", "--start", "2024-01-09", "--end", "2024-01-01")),
        (3, ("run", "--dag", "slaes", "--last", "3d")),
        (3, ("run", "bf-20240101-zzzz")),
        (7, ("reset", *DAY)),
        (7, ("run", *DAY, "--conf", "a=1")),
        (3, ("run", *DAY, "--conf", "{")),
        (3, ("rerun-failed", "bf-20240101-none")),
        (2, ("run",)),
    ):
        with done.unchanged():
            done.bfill(*words).says(code)


def test_a_schedule_object_that_raises_is_told_with_its_file(project: Project) -> None:
    project.write(
        "dags/odd.py",
        """\
        class Odd:
            def __getattr__(self, name):
                raise RuntimeError("odd " + name)
        with DAG("odd", schedule=Odd()):
            EmptyOperator(task_id="a")
        """,
    )
    with project.unchanged():
        project.bfill("run", "--dag", "dags/odd.py", "--last", "3d").says(3, "dags/odd.py:", "odd")
