"""Completion: the files are the app's, and in the real shells TAB finds what is there.

bash is on every machine; where zsh or fish is missing, their tests say so and are skipped.
"""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

import pytest

from backfill_cli import BackfillOptions, BackfillService
from backfill_cli.app.completing import DYNAMIC, Completer, Line
from backfill_cli.cli.completions import FILES, script
from backfill_cli.cli.completions.table import FLAGS, commands, values
from backfill_cli.store.peeking import Peek, SeenBackfill

ROOT = Path(__file__).parents[2]

DAG_FILE = """
from datetime import datetime
from backfill_cli import DAG, PythonOperator

def fail(local_ds):
    if local_ds == "2024-03-02":
        raise ValueError("late file")

with DAG("daily_sales", schedule="@daily", start_date=datetime(2024, 1, 1), timezone="Europe/Paris"):
    PythonOperator(task_id="extract", python_callable=lambda: None) >> PythonOperator(
        task_id="load", python_callable=fail
    )
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with two DAGs, one of which has run for three days and failed on one."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "dags").mkdir()
    (folder / "dags" / "sales.py").write_text(DAG_FILE, encoding="utf-8")
    (folder / "dags" / "stock.py").write_text(
        'from backfill_cli import DAG, EmptyOperator\nwith DAG("stock", schedule="@daily"):\n'
        '    EmptyOperator(task_id="count")\nraise SystemExit("this file must not run")\n',
        encoding="utf-8",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in [name for name in os.environ if name.startswith("BFILL_")]:
            patch.delenv(name)
        BackfillService().run(
            BackfillOptions(dag_id="dags/sales.py", start_date=date(2024, 3, 1), end_date=date(2024, 3, 3))
        )
    yield folder


@pytest.fixture
def ask(project: Path) -> Callable[..., list[str]]:
    """A function (kind, begun, words before it) → the words offered."""

    def call(kind: str, begun: str = "", *words: str) -> list[str]:
        completer = Completer(Line(words, begun), cwd=project, environ={}, now=datetime(2024, 5, 17, 12))
        return [one.word for one in completer.candidates(kind)]

    return call


# the files


@pytest.mark.parametrize("shell", FILES)
def test_the_files_are_what_the_app_writes(shell):
    path = ROOT / "completions" / FILES[shell]
    assert path.read_text(encoding="utf-8") == script(shell), "run: python -m backfill_cli.cli.completions"


@pytest.mark.parametrize("shell", FILES)
def test_the_command_prints_the_file_and_names_it_in_json(bfill, shell):
    assert bfill("completion", shell).out == script(shell)
    assert bfill("completion", shell, "--json").json["data"]["name"] == FILES[shell]


def test_an_unknown_shell_is_a_usage_error(bfill):
    ran = bfill("completion", "bsh")
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean 'bash'" in ran.err


def test_every_flag_with_a_value_says_how_it_is_completed_and_no_entry_is_left_over():
    used = {flag.names[-1] for one in commands() for flag in one.flags if flag.value is not None}
    assert used == set(FLAGS)


def test_every_kind_the_files_ask_for_is_answered():
    asked = {kind.name for kind in values(commands()) if kind.asked}
    assert asked == set(DYNAMIC)


# the candidates


def test_dags_come_from_the_files_and_none_of_them_runs(ask):
    assert ask("dags") == ["daily_sales", "stock"]
    assert ask("dags", "da") == ["daily_sales"]
    assert ask("dags", "dags/stock.py:") == ["dags/stock.py:stock"]


def test_a_digit_asks_for_scenarios(ask):
    found = ask("dags", "17.3.")
    assert found[:3] == ["17.3.1", "17.3.2", "17.3.3"]
    assert found == ask("scenarios", "17.3.")
    assert "control" in ask("tags")


def test_backfills_are_newest_first_and_their_notes_say_which(project, ask):
    completer = Completer(Line([], "bf-"), cwd=project, environ={}, now=datetime(2024, 5, 17))
    [one] = completer.candidates("backfills")
    assert one.note == "daily_sales failed 2024-03-01 … 2024-03-03"
    assert ask("targets", one.word) == [one.word]


def test_tasks_are_those_of_the_dag_or_the_backfill_on_the_line(ask):
    [backfill_id] = ask("backfills")
    assert ask("tasks", "", "reset", backfill_id) == ["extract", "load"]
    assert ask("tasks", "l", "reset", "--dag=daily_sales") == ["load"]
    assert ask("tasks", "", "reset", "--dag", "stock") == ["count"], "has never run: its file says it"
    assert ask("tasks", "", "reset") == []
    assert ask("tasks", "+l", "run", "--dag", "daily_sales") == ["+load"], "load and what comes before it"


def test_dates_offer_where_people_start_then_what_has_run_then_months_and_days(ask):
    assert ask("dates")[:5] == ["2024-05-17", "2024-05-16", "2024-05-01", "2024-04-01", "2024-01-01"]
    assert ask("dates", "", "run", "--dag", "daily_sales")[5:] == ["2024-03-02", "2024-03-03", "2024-03-01"]
    assert ask("dates", "2024-0") == [f"2024-0{month}-01" for month in range(1, 10)]
    assert len(ask("dates", "2024-02-")) == 29
    assert ask("dates", "2024-02-3") == ask("dates", "2024-13-") == []


def test_skip_takes_an_id_then_dates_that_are_still_to_do_each_once(project, ask, tmp_path, monkeypatch):
    [done] = ask("backfills")
    assert ask("skip-words", "", "skip") == [], "what has ended is not left out of"
    assert ask("skip-words", "", "skip", done) == [], "all of it is done"
    monkeypatch.chdir(project)
    store = str(tmp_path / "other.db")
    options = BackfillOptions(dag_id="dags/sales.py", start_date=date(2024, 4, 1), end_date=date(2024, 4, 3))
    plan = BackfillService(store=store).plan(options)
    assert ask("skip-words", "", "skip", "--store=" + store) == [plan.backfill_id]
    for name in (plan.backfill_id, "daily_sales"):
        words = ("skip", "--store=" + store, name)
        assert ask("skip-words", "", *words) == ["2024-04-01", "2024-04-02", "2024-04-03"]
    assert ask("skip-words", "2024-04-0", *words, "2024-04-02") == ["2024-04-01", "2024-04-03"]


def test_logs_take_an_id_then_a_date_then_a_task(ask):
    [backfill_id] = ask("backfills")
    assert ask("log-words", "", "logs") == [backfill_id]
    assert ask("log-words", "", "logs", backfill_id)[0] == "2024-03-02", "the failed date comes first"
    assert ask("log-words", "", "logs", "--dag", "daily_sales", "2024-03-02") == ["extract", "load"]


@pytest.mark.parametrize(
    ("command", "states"),
    [
        ("pause", {"running"}),
        ("resume", {"paused", "interrupted"}),
        ("cancel", {"running", "paused", "planned", "interrupted"}),
        ("set", {"running", "paused", "planned", "interrupted"}),
        ("skip", {"running", "paused", "planned", "interrupted"}),
        ("run", {"planned", "interrupted", "cancelled"}),
        ("rerun-failed", {"failed", "interrupted", "cancelled"}),
        ("status", {"running", "paused", "planned", "interrupted", "cancelled", "failed", "success"}),
    ],
)
def test_a_command_is_offered_the_backfills_it_does_something_with(project, monkeypatch, command, states):
    every = ("running", "paused", "planned", "interrupted", "cancelled", "failed", "success")
    seen = [SeenBackfill(f"bf-20240101-{state}", "d", state, None, None, "UTC") for state in every]
    monkeypatch.setattr(Peek, "backfills", lambda _: seen)
    completer = Completer(Line([command], ""), cwd=project, environ={}, now=datetime(2024, 5, 17))
    kind = f"{command}-words" if command in ("set", "skip") else "backfills"
    assert {one.word.rpartition("-")[2] for one in completer.candidates(kind)} == states


def test_set_takes_an_id_then_a_number(ask):
    [backfill_id] = ask("backfills")
    assert ask("set-words", "", "set", backfill_id)[:2] == ["parallel=1", "parallel=2"]
    assert ask("set-words", "parallel=1", "set", backfill_id) == ["parallel=1", "parallel=16"]
    assert ask("set-words", "", "set", backfill_id, "parallel=2") == []


def test_a_paused_backfill_whose_process_died_is_interrupted(project, ask, tmp_path):
    """Nobody would answer a resume; it is run on."""
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    with closing(sqlite3.connect(copy / ".bfill" / "bfill.db")) as store, store:
        store.execute("UPDATE backfills SET state = 'paused', owner = NULL")
    completer = Completer(Line(["resume"], ""), cwd=copy, environ={}, now=datetime(2024, 5, 17))
    [one] = completer.candidates("backfills")
    assert one.note.split()[1] == "interrupted"


def test_explain_takes_an_id_then_a_date_that_has_run_or_any_other(ask):
    [backfill_id] = ask("backfills")
    assert ask("date-words", "", "explain") == [backfill_id]
    dates = ask("date-words", "", "explain", "--dag", "daily_sales")
    assert dates[:3] == ["2024-03-02", "2024-03-03", "2024-03-01"]
    assert "2024-05-17" in dates, "today, though it has not run"
    assert ask("date-words", "", "explain", backfill_id, "2024-03-02") == []


@pytest.mark.parametrize("kind", DYNAMIC)
def test_without_a_project_nothing_goes_wrong_and_nothing_is_made(kind, tmp_path):
    completer = Completer(Line(["--dag", "x"], "zz"), cwd=tmp_path, environ={}, now=datetime(2024, 5, 17))
    assert completer.candidates(kind) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_broken_store_or_setting_gives_fewer_words_and_no_error(content, tmp_path):
    store = tmp_path / "x.db"
    store.write_bytes(content)
    (tmp_path / "bfill.toml").write_text("stoer = 1", encoding="utf-8")
    line = Line(["--store", str(store)], "")
    assert Completer(line, cwd=tmp_path, environ={}, now=datetime(2024, 5, 17)).candidates("backfills") == []
    (tmp_path / "bfill.toml").unlink()
    assert Completer(line, cwd=tmp_path, environ={}, now=datetime(2024, 5, 17)).candidates("backfills") == []
    assert store.read_bytes() == content


def test_names_that_a_shell_would_have_to_quote_are_not_offered(tmp_path):
    """What completion inserts is executed with the next Enter."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "d.py").write_text(
        'import backfill_cli\nDAG("$(touch x)")\nDAG("a b")\nDAG("good-1.x")\nDAG("-rf")\n', encoding="utf-8"
    )
    completer = Completer(Line([], ""), cwd=tmp_path, environ={}, now=datetime(2024, 5, 17))
    assert [one.word for one in completer.candidates("dags")] == ["good-1.x"]


def test_a_store_that_is_being_written_answers_with_what_is_committed(project, tmp_path):
    """A TAB beside a running backfill: the journal is a WAL then, and somebody holds the write lock."""
    from backfill_cli.store.opening import open_store

    shutil.copytree(project, tmp_path / "copy")
    location = str(tmp_path / "copy" / ".bfill" / "bfill.db")
    store = open_store(location, write=True)
    try:

        def work(writer: object) -> list[str]:
            line = Line(["--store", location], "bf-")
            completer = Completer(line, cwd=tmp_path, environ={}, now=datetime(2024, 5, 17))
            return [one.word for one in completer.candidates("backfills")]

        assert len(store.write(work)) == 1
    finally:
        store.close()


def test_looking_changes_not_a_byte_of_the_project(project, ask):
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    for kind in DYNAMIC:
        ask(kind, "", "run", "--dag", "daily_sales")
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


# the shells


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """`bfill` under test on the PATH; run by a person it shows its words instead of doing anything."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "bfill").write_text(
        f'#!/bin/sh\n[ "$1" = __complete ] && exec "{sys.executable}" -m backfill_cli "$@"\n'
        "printf '<'; printf '[%s]' \"$@\"; printf '>\\n'\n"
    )
    (tools / "bfill").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BFILL_")}
    return {
        **kept,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "PS1": "$ ",
        "LC_ALL": "C.UTF-8",
    }


class Terminal:
    """A shell with a person at its keyboard."""

    def __init__(self, argv: list[str], environ: dict[str, str], cwd: Path) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(argv[0], argv, environ)

    def type(self, text: str, until: str, *, within_s: float = 30) -> str:
        """Type, and return what came back up to a text that must come."""
        os.write(self.fd, text.encode())
        seen, end = "", time.monotonic() + within_s
        while until not in seen:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{until!r} never came: {seen!r}"
            seen += os.read(self.fd, 65_536).decode("utf-8", "replace")
        return seen

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


LINES = [
    ("bfill sta\t", "[status]"),
    ("bfill run --dag da\t", "[run][--dag][daily_sales]"),
    ("bfill run --dag=da\t", "[run][--dag=daily_sales]"),
    ("bfill plan --dag dags/sto\t", "[plan][--dag][dags/stock.py]"),
    ("bfill plan --dag dags/stock.py:\t", "[plan][--dag][dags/stock.py:stock]"),
    ("bfill status --where upst\t", "[status][--where][upstream_failed]"),
    ("bfill status --where failed,sca\t", "[status][--where][failed,sca]"),
    ("bfill status --where failed,sch\t", "[status][--where][failed,scheduled]"),
    ("bfill plan --reprocess failed,st\t", "[plan][--reprocess][failed,stale]"),
    ("bfill reset --dag daily_sales --task e\t", "[reset][--dag][daily_sales][--task][extract]"),
    ("bfill logs --dag daily_sales 2024-03-02 lo\t", "[logs][--dag][daily_sales][2024-03-02][load]"),
    ("bfill audit ver\t", "[audit][verify]"),
    ("bfill scenario run 17.3.1\t", "[scenario][run][17.3.1]"),
    ("bfill run --ignore-f\t", "[run][--ignore-first-depends-on-past]"),
    ("bfill run --dates 2024-03-01,2024-02-29\t", "[run][--dates][2024-03-01,2024-02-29]"),
    ("bfill completion fi\t", "[completion][fish]"),
    ("bfill run --command 'a b' --schedule @d\t", "[run][--command][a b][--schedule][@daily]"),
]

START = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        f"bind 'set bell-style none'; source {ROOT}/completions/bfill.bash",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        f"fpath=({ROOT}/completions $fpath); autoload -U compinit; compinit -u -D; unsetopt beep",
    ),
}


@pytest.mark.parametrize("shell", [pytest.param(one, marks=needs(one)) for one in START])
def test_tab_finishes_the_word_in_a_real_shell(shell, project, environ):
    argv, setup = START[shell]
    terminal = Terminal(argv, environ, project)
    try:
        terminal.type(f"{setup}; echo rea''dy\n", until="ready\r\n")
        for typed, words in LINES:
            assert f"<{words}>" in terminal.type(typed + "\n", until=">\r\n"), typed
        [backfill_id] = Completer(Line([], ""), cwd=project, environ={}, now=datetime.now()).candidates("backfills")
        assert f"<[status][{backfill_id.word}]>" in terminal.type("bfill status bf-\t\n", until=">\r\n")
    finally:
        terminal.close()


@needs("fish")
def test_tab_finds_the_words_in_fish(project, environ):
    def offered(line: str) -> list[str]:
        ran = subprocess.run(
            ["fish", "--no-config", "-c", f"source {ROOT}/completions/bfill.fish; complete -C $argv[1]", "--", line],
            env=environ,
            cwd=project,
            capture_output=True,
            text=True,
            check=True,
        )
        return [one.partition("\t")[0] for one in ran.stdout.splitlines()]

    for typed, words in LINES:
        wanted = words.strip("[]").split("][")[-1]
        begun = typed.rstrip("\t").split()[-1]
        if begun != wanted and "sca" not in wanted:
            assert wanted in offered(typed.rstrip("\t")), typed
    assert offered("bfill run --dag ") == ["daily_sales", "stock"]
    assert (
        offered("bfill status bf-") == [one for one in offered("bfill rerun-failed bf-") if one.startswith("bf-")] != []
    )


@needs("bash")
def test_bash_completes_inside_a_line_with_what_stands_before_the_cursor(project, environ):
    """COMP_POINT may stand in the middle of a word; what is behind it does not count."""
    code = f"""
source {ROOT}/completions/bfill.bash
COMP_LINE='bfill run --dag daXX --limit 3'; COMP_POINT=18
COMP_WORDS=(bfill run --dag daXX --limit 3); COMP_CWORD=3
_bfill 2>/dev/null; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    ran = subprocess.run(["bash", "-c", code], env=environ, cwd=project, capture_output=True, text=True, check=True)
    assert ran.stdout == "daily_sales\n"
