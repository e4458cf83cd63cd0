"""`store check`, `store backup` and `store prune`, from outside."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from blackbox.world import Project, connect, sqlite, until

MARCH = ("--dag", "sales", "--start", "2024-03-01", "--end", "2024-03-04")
LONG_AGO = ("--older-than", "2100-01-01")
"""Everything that has ended did so before it."""


@pytest.fixture
def done(project: Project, sales: Path) -> Project:
    """Four dates of `sales`, of which the third has failed."""
    project.breaks("load", "2024-03-03")
    project.bfill("run", *MARCH, "-q").exits(1)
    return project


def codes(data: dict[str, Any]) -> set[str]:
    return {one["code"] for one in data["findings"]}


def counts(project: Project, *tables: str) -> dict[str, int]:
    return {table: project.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in tables}


# check


def test_a_sound_store_passes_and_nothing_is_changed(done: Project) -> None:
    with done.unchanged():
        data = done.bfill("store", "check", "--json").exits(0).data
    assert {one["state"] for one in data["parts"]} == {"ok"}
    assert [one["name"] for one in data["parts"]] == [
        *["file", "place", "schema", "pages", "rows", "counters", "leftovers", "history"]
    ]
    assert data["facts"]["rows"]["dag_runs"] == 4
    assert data["audit_head"] == done.bfill("audit", "--json").data["head"]


def test_a_store_that_is_not_there_is_not_made(project: Project) -> None:
    with project.unchanged():
        ran = project.bfill("store", "check", "--json").exits(4)
    assert codes(ran.data) == {"no-store"}
    assert [one["state"] for one in ran.data["parts"]].count("not reached") == 6


def test_who_else_could_look_is_told_and_is_no_damage(done: Project) -> None:
    done.store.chmod(0o644)
    (done.store.parent / "logs").chmod(0o755)
    data = done.bfill("store", "check", "--json").exits(0).data
    told = [one["message"] for one in data["findings"] if one["code"] == "exposed-mode"]
    assert len(told) == 2
    assert "0644" in told[1] and "bfill.db" in told[1]


def test_a_changed_counter_is_damage(done: Project) -> None:
    with closing(sqlite3.connect(done.store)) as by_hand:
        by_hand.execute("UPDATE run_counts SET runs = runs + 1 WHERE state = 'success'")
        by_hand.commit()
    assert codes(done.bfill("store", "check", "--json").exits(4).data) == {"counts"}


def test_a_changed_result_is_broken_history_and_not_damage(done: Project) -> None:
    """The row is one bfill could have written; only its digest knows better."""
    with closing(sqlite3.connect(done.store)) as by_hand:
        by_hand.execute("UPDATE attempts SET reason = 'disk full' WHERE outcome = 'failed'")
        by_hand.commit()
    ran = done.bfill("store", "check", "--json").exits(6)
    assert {one["severity"] for one in ran.data["findings"]} == {"history"}
    assert done.bfill("audit", "verify").code == 6


def test_a_killed_process_is_a_note(project: Project, sales: Path) -> None:
    project.write(
        "dags/slow.py",
        'with DAG("slow", schedule="@daily"):\n    BashOperator(task_id="wait", bash_command="sleep 3")\n',
    )
    going = project.start("run", "--dag", "slow", "--start", "2024-03-01", "--end", "2024-03-01")
    until(lambda: project.rows("SELECT 1 FROM owners"))
    going.signal(signal.SIGKILL)
    going.wait()
    data = project.bfill("store", "check", "--json").exits(0).data
    assert "dead-owner" in codes(data)
    assert {one["severity"] for one in data["findings"]} == {"note"}


def test_an_unfinished_change_is_looked_at_in_a_copy(done: Project) -> None:
    """A hot journal has to be rolled back before anybody can read: a check does that elsewhere."""
    pid = os.fork()
    if pid == 0:
        writer = sqlite().connect(str(done.store), isolation_level=None)
        writer.execute("PRAGMA cache_size = 1")  # so that pages are written before the commit
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE dag_runs SET reason = 'x'")
        writer.execute("UPDATE attempts SET reason = hex(randomblob(3000))")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert done.store.with_name("bfill.db-journal").stat().st_size > 512
    with done.unchanged():
        data = done.bfill("store", "check", "--json").exits(0).data
    assert "unfinished" in codes(data)
    assert data["store"] == str(done.store)
    assert not [one for one in data["parts"] if one["state"] == "not reached"]


# backup


def test_a_backup_is_a_store_of_its_own(done: Project) -> None:
    data = done.bfill("store", "backup", "copy.db", "--json", umask=0o000).exits(0).data
    copy = done.folder / "copy.db"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert data["bytes"] == copy.stat().st_size
    assert data["audit_head"] == done.bfill("audit", "--json").data["head"]
    assert sorted(one.name for one in done.folder.glob("*copy.db*")) == ["copy.db", "copy.db.heads"]
    done.bfill("store", "check", "--store", "copy.db").exits(0)
    done.bfill("audit", "verify", "--store", "copy.db", "--expect-head", data["audit_head"]).exits(0)
    with closing(connect(done.store)) as ours, closing(connect(copy)) as theirs:
        for table in ("dag_runs", "attempts", "audit_events", "backfill_dates", "xcoms", "meta"):
            rows = f"SELECT * FROM {table}"
            assert ours.execute(rows).fetchall() == theirs.execute(rows).fetchall()


def test_a_backup_changes_neither_the_store_nor_its_chain(done: Project) -> None:
    before = done.fingerprint()
    done.bfill("store", "backup", "copy.db").exits(0)
    after = done.fingerprint()
    assert {name for name in after if after[name] != before.get(name)} == {"copy.db", "copy.db.heads"}


def test_a_backup_overwrites_only_with_yes(done: Project) -> None:
    copy = done.write("copy.db", "mine")
    done.bfill("store", "backup", "copy.db").says(7, "copy.db exists", "--yes")
    assert copy.read_text() == "mine"
    done.bfill("store", "backup", "copy.db", "--yes").exits(0)
    done.bfill("store", "check", "--store", "copy.db", "-q").exits(0)


@pytest.mark.parametrize("target", [".bfill/bfill.db", ".bfill/bfill.db-wal", "nowhere/copy.db", "dags", "link.db"])
def test_a_backup_goes_to_a_plain_file_that_is_not_the_store(done: Project, target: str) -> None:
    (done.folder / "link.db").symlink_to("elsewhere.db")
    with done.unchanged():
        done.bfill("store", "backup", target, "--yes").says(2, Path(target).name)


def test_a_damaged_store_has_no_backup(done: Project) -> None:
    """What stood at the place still stands there."""
    whole = bytearray(done.store.read_bytes())
    for page in range(4, len(whole) // 4096):
        whole[page * 4096 : page * 4096 + 8] = b"\xff" * 8
    done.store.write_bytes(whole)
    done.write("copy.db", "the backup of yesterday")
    done.bfill("store", "backup", "copy.db", "--yes").says(4, "damaged")
    assert (done.folder / "copy.db").read_text() == "the backup of yesterday"
    assert not list(done.folder.glob(".copy.db*"))


def test_a_backup_made_while_others_write_is_of_one_instant(project: Project) -> None:
    project.write(
        "dags/many.py",
        'with DAG("many", schedule="@hourly", start_date=datetime(2024, 1, 1)):\n    EmptyOperator(task_id="one")\n',
    )
    going = project.start("run", "--dag", "many", "--start", "2024-01-01", "--end", "2024-03-31", "--parallel", "8")
    until(lambda: project.rows("SELECT 1 FROM attempts LIMIT 1"))
    for number in range(3):
        project.bfill("store", "backup", f"copy{number}.db", "-q").exits(0)
    going.wait()
    for number in range(3):
        ran = project.bfill("store", "check", "--store", f"copy{number}.db", "--json").exits(0)
        assert {one["severity"] for one in ran.data["findings"]} <= {"note", "warning"}, ran
    project.bfill("audit", "verify").exits(0)


def test_a_backup_put_back_goes_on_where_it_was_made(done: Project) -> None:
    done.bfill("store", "backup", "copy.db").exits(0)
    done.mends("load", "2024-03-03")
    done.bfill("rerun-failed", *MARCH, "-q").exits(0)
    for end in ("", ".heads"):
        shutil.copyfile(done.folder / f"copy.db{end}", done.store.with_name(done.store.name + end))
    assert done.runs("sales")["2024-03-03"] == "failed"
    done.bfill("audit", "verify").exits(0)
    done.bfill("rerun-failed", *MARCH, "-q").exits(0)


# prune


def test_a_prune_keeps_the_ledger_and_the_chain(done: Project) -> None:
    kept = ("dag_runs", "task_instances", "backfills", "run_counts")
    before = counts(done, *kept)
    data = done.bfill("store", "prune", *LONG_AGO, "--yes", "--json", "--reason", "policy").exits(0).data
    assert data["total"] == {"dates": 3, "attempts": 6, "xcoms": 3, "backfills": 0, "planned_dates": 0, "logs": 3}
    assert counts(done, *kept) == before
    assert done.runs("sales")["2024-03-03"] == "failed"
    done.bfill("audit", "verify").exits(0)
    done.bfill("store", "check").exits(0)
    again = done.bfill("run", *MARCH, "--json")
    assert again.code == 1
    assert again.json["data"]["completed"] == 0, "what is done is still known"


def test_a_failed_date_keeps_what_its_repair_needs(done: Project) -> None:
    done.bfill("store", "prune", *LONG_AGO, "--yes", "-q").exits(0)
    assert [one["logical_date"][:10] for one in done.attempts("sales")] == ["2024-03-03", "2024-03-03"]
    assert done.xcoms("sales", "2024-03-03") == {("extract", "return_value"): {"ds": "2024-03-03"}}
    assert "broken" in done.log("sales", "2024-03-03", "load")
    done.mends("load", "2024-03-03")
    ran = done.bfill("rerun-failed", "--json").exits(0)
    assert ran.data["completed"] == 1
    assert done.tries("sales", "extract") == {"2024-03-03": ["success"]}, "extract did not run again"


def test_planned_dates_go_when_nothing_is_left_to_repair(done: Project) -> None:
    done.mends("load", "2024-03-03")
    done.bfill("rerun-failed", "-q").exits(0)
    data = done.bfill("store", "prune", *LONG_AGO, "--yes", "--json").exits(0).data
    assert (data["total"]["backfills"], data["total"]["planned_dates"]) == (2, 5)
    assert counts(done, "backfill_dates", "attempts", "xcoms") == {"backfill_dates": 0, "attempts": 0, "xcoms": 0}
    assert not list((done.store.parent / "logs").rglob("*.log"))
    done.bfill("audit", "verify").exits(0)
    done.bfill("status").exits(0)
    ran = done.bfill("run", *MARCH, "--reprocess", "success", "--json").exits(0)
    assert ran.data["completed"] == 4
    assert {one["try_number"] for one in done.attempts("sales", "extract")} == {2}, "tries go on counting"


def test_the_chain_says_what_went_and_why(done: Project) -> None:
    done.bfill("store", "prune", *LONG_AGO, "--yes", "-q", "--reason", "policy").exits(0)
    (event,) = done.bfill("audit", "--action", "prune", "--json").exits(0).data["events"]
    assert (event["target"], event["reason"], event["outcome"]) == ("sales", "policy", "removed")
    assert event["details"]["attempts"] == 6
    assert len(event["details"]["removed_digest"]) == 64


def test_a_dry_run_counts_the_same_and_removes_nothing(done: Project) -> None:
    with done.unchanged():
        dry = done.bfill("store", "prune", *LONG_AGO, "--dry-run", "--json").exits(0).data
    real = done.bfill("store", "prune", *LONG_AGO, "--yes", "--json").exits(0).data
    assert dry["total"] == real["total"]
    assert dry["dry_run"] and dry["freed_bytes"] is None


def test_a_second_prune_finds_nothing(done: Project) -> None:
    done.bfill("store", "prune", *LONG_AGO, "--yes", "-q").exits(0)
    with done.unchanged():
        assert done.bfill("store", "prune", *LONG_AGO, "--yes", "--json").exits(0).data["dags"] == []


def test_what_is_younger_stays(done: Project) -> None:
    with done.unchanged():
        for age in ("1h", "2w", "2024-01-01"):
            assert done.bfill("store", "prune", "--older-than", age, "--yes", "--json").exits(0).data["dags"] == []


def test_a_prune_asks(done: Project) -> None:
    with done.unchanged():
        done.bfill("store", "prune", *LONG_AGO).says(7, "6 tries", "3 XComs", "3 logs", "--yes")


@pytest.mark.parametrize("age", ["90", "d", "0d", "-1d", "soon", "2024-13-01"])
def test_an_age_that_is_none_is_refused(done: Project, age: str) -> None:
    done.bfill("store", "prune", f"--older-than={age}", "--yes").says(2, age)


def test_an_unknown_dag_is_refused(done: Project) -> None:
    done.bfill("store", "prune", *LONG_AGO, "--dag", "salse").says(3, "salse", "sales")


def test_a_history_that_does_not_verify_is_not_pruned(done: Project) -> None:
    """It would be attested anew, as if it had always been so."""
    with closing(sqlite3.connect(done.store)) as by_hand:
        by_hand.execute("UPDATE attempts SET reason = 'disk full' WHERE outcome = 'failed'")
        by_hand.commit()
    with done.unchanged():
        done.bfill("store", "prune", *LONG_AGO, "--yes").says(6, "does not verify")


def test_dates_that_are_being_run_are_not_pruned(project: Project) -> None:
    project.write(
        "dags/sales.py",
        """
        with DAG("sales", schedule="@daily", start_date=datetime(2024, 1, 1)):
            @task
            def wait(ds: str):
                while ds == "2024-03-04" and not (Path(__file__).parent / "go").exists():
                    time.sleep(0.02)
            wait()
        """,
    )
    going = project.start("run", *MARCH)
    until(lambda: len(project.attempts("sales")) == 3)
    project.bfill("store", "prune", *LONG_AGO, "--yes").says(5, "being run")
    project.write("dags/go", "")
    going.wait().exits(0)
    project.bfill("store", "prune", *LONG_AGO, "--yes", "-q").exits(0)


def test_a_link_among_the_logs_is_not_followed(done: Project) -> None:
    outside = done.write("outside/load.1.log", "not of bfill")
    logs = done.store.parent / "logs" / "sales"
    (logs / "backfill__2024-03-01T00:00:00+00:00").rename(done.folder / "moved")
    (logs / "backfill__2024-03-01T00:00:00+00:00").symlink_to(outside.parent)
    done.bfill("store", "prune", *LONG_AGO, "--yes", "-q").exits(0)
    assert outside.exists()
