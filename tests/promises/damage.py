"""A store with something of everything in it, ways to damage a copy of it, and every command to try on that.

Owns the world of promise 6 and the two questions asked of it: did every command end in one clear line, and did a
command that found the store damaged leave it as it was.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

from blackbox.world import SALES, Project, sqlite, until

from promises.batch import Ended

RANGE = ("--dag", "sales", "--start", "2024-03-01", "--end", "2024-03-08")
ADHOC = ("--command", "echo {{ ds }} {{ dag_run.conf.region }}", "--schedule", "@daily", "--name", "adhoc")
KNOWN_CODES = frozenset({0, 1, 2, 3, 4, 5, 6, 7})
STORE = Path(".bfill") / "bfill.db"


@dataclass(frozen=True)
class Template:
    """A project whose store is copied for every trial; `ids` are its backfills, oldest first."""

    folder: Path
    ids: tuple[str, ...]
    heads: tuple[str, ...]

    def copy(self, folder: Path) -> Path:
        """Make a copy and return the store in it."""
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(self.folder, folder, symlinks=True)
        return folder / STORE


def build(project: Project) -> tuple[Template, Template]:
    """Fill a store: successes, failures, a repair, a reset, a plan, a --command with a conf, and a killed process.

    Returns:
        The store as the killed process left it, and as it is at rest, when another command has recovered that.
    """
    project.write("dags/sales.py", SALES)
    project.write(
        "dags/slow.py",
        """
        with DAG("slow", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="wait", bash_command="sleep 3")
        """,
    )
    project.breaks("load", "2024-03-03", "2024-03-05")
    project.bfill("run", *RANGE, "--parallel", "3", "--reason", "first").exits(1)
    project.mends("load", "2024-03-03")
    project.bfill("rerun-failed", *RANGE[:2], "--dates", "2024-03-03", "-q").exits(0)
    project.bfill("reset", "--dag", "sales", "--dates", "2024-03-07", "--yes").exits(0)
    words = ("run", *ADHOC, "--start", "2024-03-01", "--end", "2024-03-03", "--conf", '{"region": "eu", "n": [1, 2]}')
    project.bfill(*words).exits(0)
    project.bfill("plan", "--dag", "sales", "--start", "2024-03-09", "--end", "2024-03-11").exits(0)
    slow = project.start("run", "--dag", "slow", "--start", "2024-03-01", "--end", "2024-03-02")
    running = "SELECT 1 FROM task_instances i JOIN dags d ON d.dag = i.dag WHERE d.dag_id = 'slow'"
    until(lambda: project.rows(running))
    slow.signal(signal.SIGKILL)
    slow.wait()
    # Taken in, so that the whole store is one file.
    with closing(sqlite().connect(str(project.store))) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    killed = _template(project, "killed")
    project.bfill("reset", "--dag", "slow", "--start", "2024-03-01", "--end", "2024-03-02", "--yes").exits(0)
    return killed, _template(project, "rested")


def _template(project: Project, name: str) -> Template:
    kept = project.folder.with_name(name)
    shutil.copytree(project.folder, kept, symlinks=True)
    ids = tuple(row["backfill_id"] for row in project.rows("SELECT backfill_id FROM backfills ORDER BY backfill"))
    heads = tuple(f"{row['seq']}:{row['hash']}" for row in project.rows("SELECT seq, hash FROM audit_events"))
    return Template(kept, ids, heads)


def looking(template: Template) -> list[tuple[str, ...]]:
    """Return the command lines that only read, one of each kind."""
    first, adhoc = template.ids[0], template.ids[2]
    return [
        ("status", "--json"),
        ("status", first, "--json"),
        ("status", adhoc),
        ("status", *RANGE, "--json"),
        ("status", *RANGE, "--gaps"),
        ("plan", *RANGE, "--reprocess", "all", "--dry-run", "--json"),
        ("plan", *RANGE, "--end", "2024-03-12", "--dry-run"),
        ("run", template.ids[3], "--dry-run", "--json"),
        ("audit", "--json"),
        ("audit",),
        ("store", "check", "--json"),
        ("store", "check"),
        ("store", "prune", "--older-than", "0001-01-02", "--dry-run"),
        ("audit", "verify", "--json"),
        ("audit", "report", "--json"),
        ("audit", "report", "--format", "html"),
        ("logs", "--dag", "sales", "2024-03-03", "--json"),
        ("logs", adhoc, "2024-03-01"),
        ("dags", "list", "--json"),
        ("dags", "show", "sales", "--json"),
        ("__complete", "backfills", ""),
        ("__complete", "tasks", "", "logs", "--dag", "sales"),
        ("__complete", "dates", "", "logs", "--dag", "sales", "--start"),
        ("__complete", "log-words", "", "logs", first),
    ]


def acting(template: Template) -> list[tuple[str, ...]]:
    """Return the command lines that write, one of each kind."""
    return [
        ("plan", "--dag", "sales", "--start", "2024-03-12", "--end", "2024-03-13", "--json"),
        ("run", *RANGE, "--json"),
        ("run", template.ids[3], "--json"),
        ("run", *ADHOC, "--start", "2024-03-02", "--end", "2024-03-05", "--reprocess", "success"),
        ("run", template.ids[2]),
        ("rerun-failed", "--json"),
        ("rerun-failed", template.ids[0]),
        ("reset", *RANGE[:2], "--dates", "2024-03-02", "--yes", "--json"),
        ("store", "backup", "copy.db", "--yes", "--json"),
        ("store", "prune", "--older-than", "2100-01-01", "--dag", "adhoc", "--yes"),
        ("run", "--dag", "slow", "--start", "2024-03-01", "--end", "2024-03-01", "--task", "nothing*"),
    ]


def check_all(ended: Sequence[Ended]) -> list[Ended]:
    """AssertionError when a command crashed, or wrote although it said that the store is damaged; returns all."""
    for one in ended:
        assert one.code in KNOWN_CODES, one
        # On stdout a traceback may stand in the log of a task.
        assert "Traceback" not in one.err and "a bug in bfill" not in one.out + one.err, one
        assert not one.commits_after, f"wrote to a store it had found damaged: {one}"
        if one.code != 4 or "check" in one.words:
            continue
        assert one.commits or not one.wrote, f"changed a store that it refused: {one}"
        if "--json" in one.words:
            error = one.json["error"]
            assert error["kind"] == "store" and error["message"] and error["hint"], one
        else:
            # What a run has said of its progress stands before.
            *before, error, hint = one.err.splitlines()
            assert error.startswith("error: ") and hint.startswith("hint: "), one
            assert not before or one.words[0] in ("run", "rerun-failed"), one
    return list(ended)


CHECKS = {("store", "check", "--json"), ("audit", "verify", "--json")}


def told(ended: Sequence[Ended]) -> dict[tuple[str, ...], str]:
    """Return what each command that could do its work showed; reports name the moment they are made, so not theirs."""
    return {
        one.words: one.out
        for one in ended
        if one.code in (0, 1, 2, 3)
        and "check" not in one.words
        and "verify" not in one.words
        and "report" not in one.words
    }


def is_noticed(ended: Sequence[Ended]) -> bool:
    """Whether `store check` or `audit verify` says that the store is not what it was."""
    return any(one.code for one in ended if one.words in CHECKS)


def flip(store: Path, random: Random) -> tuple[int, int]:
    """Flip one bit of a used byte, most bytes of so small a store are zero; returns where, and which."""
    whole = bytearray(store.read_bytes())
    position = random.randrange(len(whole))
    while random.random() < 0.98 and whole[position] == 0:
        position = random.randrange(len(whole))
    bit = random.randrange(8)
    whole[position] ^= 1 << bit
    store.write_bytes(whole)
    return position, bit


def truncate(store: Path, random: Random) -> int:
    """Cut the file, at a page or anywhere; returns how many bytes are left."""
    size = store.stat().st_size
    left = random.randrange(size) if random.random() < 0.5 else random.randrange(size // 4096) * 4096
    with store.open("r+b") as file:
        file.truncate(left)
    return left


def some(
    commands: list[tuple[str, ...]], random: Random, count: int, *, always: Collection[tuple[str, ...]] = CHECKS
) -> list[tuple[str, ...]]:
    """Return so many of the commands, by chance, and those that always have their turn."""
    rest = [one for one in commands if one not in always]
    chosen = {*random.sample(rest, min(count, len(rest))), *always}
    return [one for one in commands if one in chosen]


def by_hand(store: Path, sql: str) -> None:
    """Change a store as somebody with a SQL prompt can, who knows how to get past STRICT."""
    with closing(sqlite3.connect(store)) as connection:
        connection.executescript(sql)
        connection.commit()


def _loose(table: str, change: str) -> str:
    """SQL that changes a table as if it were not STRICT and had no NOT NULL: both stand in its text alone."""
    return (
        "PRAGMA writable_schema = ON; CREATE TEMP TABLE kept AS SELECT name, sql FROM sqlite_schema; "
        "UPDATE sqlite_schema SET sql = replace(replace(sql, ', STRICT', ''), ' NOT NULL', '') "
        f"WHERE name = '{table}'; "
        f"UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE name = '{table}'; "
        "PRAGMA writable_schema = RESET; "
        f"{change}; "
        "PRAGMA writable_schema = ON; "
        f"UPDATE sqlite_schema SET sql = (SELECT k.sql FROM kept k WHERE k.name = '{table}') WHERE name = '{table}'; "
        "PRAGMA writable_schema = RESET;"
    )


_REQUEST = "UPDATE backfills SET request = json_{}(request, '$.{}'{})"

WRONG_ROWS = {
    "a state that is none": "UPDATE dag_runs SET state = 'done' WHERE logical_date % 172800 = 0",
    "a task state that is none": "UPDATE task_instances SET state = 'RUNNING'",
    "an outcome that is none": "UPDATE attempts SET outcome = ''",
    "an action that is none": "UPDATE backfill_dates SET action = 'delete'",
    "an outcome of a date that is none": "UPDATE backfill_dates SET outcome = 'skipped'",
    "a run type that is none": "UPDATE dag_runs SET run_type = '../x'",
    "a backfill state that is none": "UPDATE backfills SET state = 'x'",
    "a date after year 9999": "UPDATE dag_runs SET logical_date = 9000000000000 WHERE state = 'failed'",
    "an end before the start": "UPDATE dag_runs SET data_interval_end = logical_date - 1",
    "an instant after year 9999": "UPDATE attempts SET ended_at = 9000000000000000000",
    "the last microsecond": "UPDATE attempts SET started_at = 253402300799999999, ended_at = 253402300799999999",
    "the first microsecond": "UPDATE attempts SET started_at = -62135596800000000",
    "the last second": "UPDATE backfills SET last_date = 253402300799",
    "a huge try number": "UPDATE task_instances SET try_number = 9223372036854775807",
    "a negative try number": "UPDATE attempts SET try_number = -try_number",
    "a huge counter": "UPDATE backfills SET completed = 4611686018427387904",
    "a negative counter": "UPDATE backfills SET completed = -1",
    "huge counts": "UPDATE run_counts SET runs = 9223372036854775807",
    "negative counts": "UPDATE run_counts SET runs = -1",
    "counts that lie": "UPDATE run_counts SET runs = runs + 1",
    "a first date that lies": "UPDATE tasks SET first_date = first_date + 86400",
    "a version that is gone": "UPDATE dag_runs SET version = 99",
    "a task that is gone": "UPDATE attempts SET task = 99 WHERE task = 1",
    "a reason that is gone": "UPDATE backfill_dates SET reason = 99",
    "a DAG that is gone": "PRAGMA foreign_keys = OFF; DELETE FROM dags WHERE dag = 1",
    "a DAG without a version": "UPDATE dags SET version = NULL",
    "a DAG's name that is a path": "UPDATE dags SET dag_id = '../../../etc' WHERE dag = 1",
    "a DAG's name with a NUL": "UPDATE dags SET dag_id = CAST(x'610062' AS TEXT) WHERE dag = 1",
    "a task's name that is a path": "UPDATE tasks SET task_id = '/etc/passwd' WHERE task = 1",
    "a task of a version that never was": "UPDATE dag_versions SET tasks = replace(tasks, 'extract', 'extrakt')",
    "digests that are none": "UPDATE dag_versions SET tasks = '{\"a\": 1}'",
    "a definition that is none": "UPDATE dags SET definition = '{}' WHERE dag_id = 'adhoc'",
    "a request that is none": "UPDATE backfills SET request = '{'",
    "a request nested without end": "UPDATE backfills SET request = replace(hex(zeroblob(100000)), '00', '[')",
    "a request with too long a number": "UPDATE backfills SET request = '{\"first\":' || hex(zeroblob(5000)) || '}'",
    "a request without a key": _REQUEST.format("remove", "strict_templates", ""),
    "a request in no time zone": _REQUEST.format("set", "timezone", ", 'Mars/Olympus'"),
    "a request in a folder of zones": _REQUEST.format("set", "timezone", ", 'Europe'"),
    "a request for -1 dates together": _REQUEST.format("set", "parallel", ", -1"),
    "a request for 1e400 dates together": _REQUEST.format("set", "parallel", ", json('1e400')"),
    "a request with a list for a conf": _REQUEST.format("set", "conf", ", json('[1]')"),
    "a request with words for dates": _REQUEST.format("set", "dates", ", json('[\"x\"]')"),
    "a request with tasks that are numbers": _REQUEST.format("set", "tasks", ", json('[1]')"),
    "a request for chunks of -1 dates": _REQUEST.format("set", "shape", ", json('{\"sizes\": [-1]}')"),
    "a plan with an unknown action": "UPDATE backfills SET planned = '{\"delete\": 3}'",
    "a plan with a huge count": "UPDATE backfills SET planned = '{\"create\": 1' || hex(zeroblob(200)) || '}'",
    "a conf that is a list": "UPDATE dag_runs SET conf = '[]'",
    "a conf that is no JSON": "UPDATE dag_runs SET conf = '{\"region\": eu}'",
    "an XCom that is no JSON": "UPDATE xcoms SET value = 'O:1'",
    "details that are a list": "UPDATE audit_events SET details = '[]'",
    "details of other types": 'UPDATE audit_events SET details = \'{"counts": 1, "range": 5, "dag_id": [7]}\'',
    "a parent that is oneself": "UPDATE backfills SET parent_id = backfill_id",
    "parents in a circle": "UPDATE backfills SET parent_id = (SELECT o.backfill_id FROM backfills o WHERE o.backfill = "
    "CASE backfills.backfill WHEN 1 THEN 2 ELSE 1 END)",
    "a pool of -9 slots": "INSERT INTO pools (name, slots) VALUES ('api', -9)",
    "an owner nobody knows": "UPDATE dag_runs SET owner = '../../x'",
    "a pid that is text": _loose("owners", "UPDATE owners SET pid = 'x'"),
    "bytes that are no text": "UPDATE attempts SET reason = CAST(x'fffe' AS TEXT)",
    "bytes that are no text, in a name": "UPDATE tasks SET task_id = CAST(x'fffe' AS TEXT) WHERE task = 1",
    "text where a number is": _loose("dag_runs", "UPDATE dag_runs SET started_at = 'yesterday'"),
    "a blob where text is": _loose("dag_runs", "UPDATE dag_runs SET state = x'00ff'"),
    "a fraction where a number is": _loose("attempts", "UPDATE attempts SET ended_at = 1.5"),
    "NULL where none may be": _loose("dag_runs", "UPDATE dag_runs SET state = NULL"),
    "NULL in the chain": _loose("audit_events", "UPDATE audit_events SET details = NULL WHERE seq = 3"),
    "a blob in the head of the chain": _loose(
        "audit_events", "UPDATE audit_events SET hash = x'00' WHERE seq = (SELECT max(seq) FROM audit_events)"
    ),
    "a table that is gone": "DROP TABLE attempts",
    "a column that is gone": "ALTER TABLE backfills DROP COLUMN reason",
    "a view in a table's place": "ALTER TABLE xcoms RENAME TO old; CREATE VIEW xcoms AS SELECT * FROM old",
    "a trigger on a table": "CREATE TRIGGER t AFTER UPDATE ON dag_runs BEGIN DELETE FROM attempts; END",
    "a view that never ends": "DROP VIEW v_audit; CREATE VIEW v_audit AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL "
    "SELECT x + 1 FROM n) SELECT x FROM n",
}
"""What somebody, or a disk, can make of a row or of the schema; each must be noticed by a check."""
