"""`--events`, `--junit` and GitHub, from the flags to the files: whose they are, and what may go wrong with them."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from render import samples

from backfill_cli.cli.report_files import latest_log
from backfill_cli.errors import ConflictError, NotFoundError

ROOT = Path(__file__).parents[2]
RUN = ["run", "--dag", "d"]


def names(path: Path) -> list[str]:
    return [json.loads(line)["event"] for line in path.read_text(encoding="utf-8").splitlines()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def words(tmp_path):
    return [*RUN, "--events", str(tmp_path / "e.ndjson"), "--junit", str(tmp_path / "j.xml")]


@pytest.mark.parametrize("command", ["run", "rerun-failed"])
def test_both_commands_write_both_reports_and_still_show_the_result(bfill, tmp_path, command):
    ran = bfill(command, "--dag", "d", "--events", str(tmp_path / "e"), "--junit", str(tmp_path / "j"))
    assert ran.out == bfill(command, "--dag", "d").out
    assert names(tmp_path / "e")[-1] == "backfill_finished"
    assert ElementTree.parse(tmp_path / "j").getroot().tag == "testsuites"


def test_reports_are_this_users_alone_and_begun_anew(bfill, words, tmp_path):
    old = os.umask(0)
    try:
        bfill(*words)
        before = (tmp_path / "e.ndjson").read_text(), (tmp_path / "j.xml").read_text()
        (tmp_path / "e.ndjson").chmod(0o644)
        bfill(*words)
    finally:
        os.umask(old)
    assert mode(tmp_path / "e.ndjson") == mode(tmp_path / "j.xml") == 0o600
    assert len((tmp_path / "e.ndjson").read_text().splitlines()) == len(before[0].splitlines())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.ndjson", "j.xml"], "no temporary file is left"


def test_events_on_stdout_leave_it_to_them_and_show_the_result_on_stderr(bfill):
    ran = bfill(*RUN, "--events", "-")
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert events[0]["schema"] == "bfill-events/1"
    assert events[-1]["event"] == "backfill_finished"
    assert "finished with failures" in ran.err
    assert bfill(*RUN, "--events", "-", "-q").err == ""


def test_events_on_stdout_exclude_json(bfill, service):
    ran = bfill(*RUN, "--events", "-", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "events-and-json")
    assert not [call for call in service.calls if call[0] == "run"]


def test_json_goes_well_with_files(bfill, words, tmp_path):
    assert bfill(*words, "--json").json["command"] == "run"
    assert names(tmp_path / "e.ndjson")[0] == "backfill_started"


@pytest.mark.parametrize("flag", ["--events", "--junit"])
def test_a_dry_run_has_nothing_to_report(bfill, tmp_path, flag):
    ran = bfill(*RUN, "--dry-run", flag, str(tmp_path / "x"))
    assert (ran.code, list(tmp_path.iterdir())) == (2, [])


@pytest.mark.parametrize("flag", ["--events", "--junit"])
def test_a_file_that_is_no_report_is_never_overwritten(bfill, service, tmp_path, flag):
    """`--events .bfill/bfill.db` is one slip of the TAB key."""
    for name, content in (("sales.py", b"x = 1\n"), ("bfill.db", b"SQLite format 3\0"), ("deps.lock", b"{}")):
        (tmp_path / name).write_bytes(content)
        ran = bfill(*RUN, flag, str(tmp_path / name))
        assert (ran.code, (tmp_path / name).read_bytes()) == (2, content)
        assert "no earlier report" in ran.err
    assert not [call for call in service.calls if call[0] == "run"]


@pytest.mark.parametrize("flag", ["--events", "--junit"])
def test_links_folders_and_missing_folders_are_refused_before_anything_runs(bfill, service, tmp_path, flag):
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("link", "dangling", "", "no/such/x"):
        assert bfill(*RUN, flag, str(tmp_path / name)).code == 2, name
    assert not (tmp_path / "nowhere").exists()
    assert not [call for call in service.calls if call[0] == "run"]


def test_an_error_in_place_of_a_result_stands_in_both_reports(bfill, service, words, tmp_path):
    service.answers["run"] = ConflictError("being run", hint="wait", code="held")
    assert bfill(*words).code == 5
    assert names(tmp_path / "e.ndjson")[-1] == "backfill_aborted"
    [error] = ElementTree.parse(tmp_path / "j.xml").getroot().iter("error")
    assert (error.get("type"), error.get("message")) == ("held", "being run")


def test_an_interrupted_run_is_a_whole_report(bfill, service, words, tmp_path):
    service.answers["run"] = samples.run_interrupted
    assert bfill(*words).code == 130
    cases = list(ElementTree.parse(tmp_path / "j.xml").getroot().iter("testcase"))
    assert len(cases) == len(samples.run_interrupted().results)


def test_a_report_that_cannot_be_written_costs_an_exit_code_and_nothing_else(
    bfill, service, words, tmp_path, monkeypatch
):
    def gone(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    service.answers["run"] = samples.run_ok
    monkeypatch.setattr(os, "replace", gone)
    ran = bfill(*words)
    assert ran.code == 74
    assert "error: a report could not be written: --junit" in ran.err
    assert "finished" in ran.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.ndjson"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_behind_the_events_is_told_at_the_end(bfill, service):
    service.answers["run"] = samples.run_ok
    ran = bfill(*RUN, "--events", "/dev/full")
    assert ran.code == 74
    assert "No space left on device" in ran.err


def test_the_latest_log_is_that_of_the_highest_try(tmp_path):
    for name in ("load.2.log", "load.10.log", "load.9.log", "load.x.11.log", "reload.12.log", "load.log"):
        (tmp_path / name).touch()
    assert latest_log(tmp_path, "load") == str(tmp_path / "load.10.log")
    assert latest_log(tmp_path, "load.x") == str(tmp_path / "load.x.11.log")
    assert latest_log(tmp_path / "missing", "load") == ""


# GitHub


def test_outside_github_nothing_is_annotated(bfill, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert "::error" not in bfill(*RUN).err


def test_on_github_failures_are_annotations_on_stderr_and_the_step_has_a_summary(bfill, monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("# an earlier line\n", encoding="utf-8")
    ran = bfill(*RUN, "--json")
    assert ran.json["data"]["state"] == "failed", "stdout stays one document"
    assert "::error title=daily_sales load::" in ran.err
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("# an earlier line\n### ❌ bfill run")


def test_on_github_an_error_is_annotated_and_a_summary_that_cannot_be_written_is_passed_over(
    bfill, service, monkeypatch, tmp_path
):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "summary.md"))
    assert bfill(*RUN).code == 1
    service.answers["run"] = NotFoundError("there is no DAG 'd'", hint="known: a")
    assert "::error title=bfill run::there is no DAG 'd'%0Aknown: a\n" in bfill(*RUN).err


# in processes of their own, over a real store

DAG_FILE = """
import time
from datetime import datetime
from backfill_cli import DAG, BashOperator, PythonOperator

with DAG("d", schedule="@daily", start_date=datetime(2024, 1, 1)):
    PythonOperator(task_id="say", python_callable=lambda: print("spoken")) >> BashOperator(
        task_id="shout", bash_command="echo shouted; echo shouted >&2; sleep 0.05"
    )
"""


@pytest.fixture
def world(tmp_path):
    """A function (shell line) → the finished process; `bfill` is the one under test."""
    (tmp_path / "d.py").write_text(DAG_FILE, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BFILL_", "GITHUB_"))}

    def run(line: str, **more) -> subprocess.CompletedProcess[str]:
        line = line.replace("bfill ", f"{sys.executable} -m backfill_cli ")
        return subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **more,
        )

    return run


RANGE = "--dag d.py --start 2024-03-01 --end 2024-03-10"


def test_what_tasks_print_never_gets_between_the_events(world):
    ran = world(f"bfill run {RANGE} --events -")
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 0
    assert [one["event"] for one in events].count("attempt_ended") == 20
    assert [one["event"] for one in events].count("run_finished") == 10
    assert events[-1]["completed"] == 10


def test_a_reader_of_events_that_leaves_loses_nothing_of_the_backfill(world):
    ran = world(f"bfill run {RANGE} --events - | head -1; echo ${{PIPESTATUS[0]}}")
    assert ran.stdout.splitlines()[-1] == "0"
    status = json.loads(world("bfill status --dag d.py --start 2024-03-01 --end 2024-03-10 --json").stdout)
    assert status["data"]["counts"] == {"success": 10}


def test_events_go_into_a_process_substitution_and_a_pipe_with_a_name(world):
    ran = world(f"bfill run {RANGE} -q --events >(wc -l >count); sleep 0.3; cat count")
    assert int(ran.stdout) >= 42
    named = f"mkfifo p; cat p > got & bfill run {RANGE} -q --reprocess all --events p; wait; wc -l < got"
    assert int(world(named).stdout) >= 42


def test_events_can_be_followed_while_it_runs_and_a_stop_is_in_both_reports(tmp_path, world):
    process = subprocess.Popen(
        [
            *[sys.executable, "-m", "backfill_cli", "run", *RANGE.replace("03-10", "06-30").split(), "-q"],
            *["--events", "e.ndjson", "--junit", "j.xml"],
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    events, end = tmp_path / "e.ndjson", time.monotonic() + 30
    while not (events.exists() and "attempt_ended" in events.read_text()) and time.monotonic() < end:
        time.sleep(0.02)
    assert process.poll() is None, "it is still running while its events can be read"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert names(events)[-1] == "backfill_finished"
    assert "stopping" in names(events)
    root = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert len(list(root.iter("testcase"))) == 122
    assert int(root.get("skipped")) > 0
