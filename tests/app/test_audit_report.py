"""`bfill audit report` over a real store: a success, failures and their repair, a reset, a kill, another version."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import pytest
from blackbox.world import SALES, Forker, Project, Ran, connect, until

from backfill_cli.app.proving import verdict_of
from backfill_cli.core.histories import HistoryPage
from backfill_cli.core.ports import Reader
from backfill_cli.store.opening import open_store

WAITS = """\
with DAG("waits", schedule="@daily", start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="hold", bash_command="touch ../at.{{ ds }}; while test ! -e ../go; do sleep 0.02; done")
"""
HELD = ("run", "--dag", "waits", "--start", "2024-01-01", "--end", "2024-01-02")
EVIL = '=HYPERLINK("http://evil.example"),<script>alert(1)</script>|\x1b[2J'
FORMATS = ("md", "html", "json", "csv")


class Story:
    """What happened, and the ids it happened under."""

    def __init__(self, project: Project) -> None:
        self.project = project
        project.write("dags/sales.py", SALES)
        project.write("dags/waits.py", WAITS)
        project.breaks("load", "2024-01-03", "2024-01-05")
        week = ("--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-07")
        self.failed = project.bfill("run", *week, "--reason", "OPS-1", "--json").exits(1).data["backfill_id"]
        project.mends("load", "2024-01-03")
        words = ("rerun-failed", "--reason", EVIL, "--json")
        self.repair = project.bfill(*words, env={"SUDO_USER": "ana"}).exits(1).data["backfill_id"]
        ci = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "17"}
        project.bfill("reset", "--dag", "sales", "--dates", "2024-01-02", "-y", "-q", env=ci).exits(0)
        # A period's bounds are whole seconds: what follows lies in a later one.
        self.later = int(time.time()) + 1
        until(lambda: time.time() >= self.later)
        self.killed = self._kill()
        project.write("dags/sales.py", SALES.replace('print("loaded"', 'print("stored"'))
        again = ("run", "--dag", "sales", "--dates", "2024-01-01", "--reprocess", "stale", "--reset-dag-run", "--json")
        self.stale = project.bfill(*again).exits(0).data["backfill_id"]

    def _kill(self) -> str:
        going = self.project.start(*HELD)
        until((self.project.folder / "at.2024-01-01").exists)
        until(lambda: self.project.rows("SELECT 1 AS one FROM task_instances WHERE state = 'running'"))
        going.signal(signal.SIGKILL)
        going.wait()
        self.project.write("go", "")
        killed: str = self.project.bfill(*HELD, "--json").exits(0).data["backfill_id"]
        return killed

    def report(self, *words: str, code: int = 0) -> dict[str, Any]:
        return self.project.bfill("audit", "report", *words, "--json").exits(code).data


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    base = tmp_path_factory.mktemp("audited")
    (base / "work" / "dags").mkdir(parents=True)
    (base / "streams").mkdir()
    forker = Forker()
    yield Story(Project(forker, base / "work", base / "streams"))
    forker.close()


@pytest.fixture
def tampered(story: Story, tmp_path: Path) -> Project:
    """The same project with a copy of its store in which entry 2 was rewritten."""
    copytree(story.project.store.parent, tmp_path / "bad")
    with closing(connect(tmp_path / "bad" / "bfill.db", write=True)) as connection:
        connection.execute("UPDATE audit_events SET reason = 'nothing to see here' WHERE seq = 2")
        connection.commit()
    return replace(story.project, env={"BFILL_STORE": str(tmp_path / "bad" / "bfill.db")}, started=1_000)


@pytest.fixture(scope="module")
def data(story: Story) -> dict[str, Any]:
    return story.report()


# what the report says


def test_the_verdict_is_that_of_verify_and_the_heads_join_up(story: Story, data: dict[str, Any]) -> None:
    verified = story.project.bfill("audit", "verify", "--json").exits(0).data
    assert data["verdict"] == {"holds": True, **verified}
    assert data["heads"] == {"opening": "", "closing": verified["head"], "chain": verified["head"]}
    assert data["entries"] == verified["checked"]
    events = story.project.bfill("audit", "--json").data["events"]
    assert (data["first_at"], data["last_at"]) == (events[0]["at"], events[-1]["at"])


def test_who_acted_with_sudo_hosts_and_ci_jobs(data: dict[str, Any]) -> None:
    actors = {one["sudo_from"]: one for one in data["actors"]}
    assert set(actors) == {None, "ana"}
    assert actors["ana"]["entries"] == 2
    assert actors["ana"]["actor"].endswith("(sudo ana)")
    assert actors[None]["ci_jobs"] == {"github GITHUB_RUN_ID=17": 1}
    assert sum(actors[None]["hosts"].values()) == actors[None]["entries"] == data["entries"] - 2


def test_what_was_done_by_action_and_outcome(data: dict[str, Any]) -> None:
    assert {(one["action"], one["outcome"]): one["entries"] for one in data["operations"]} == {
        ("run", "started"): 3,
        ("run", "failed"): 1,
        ("run", "resumed"): 1,
        ("run", "success"): 2,
        ("rerun-failed", "started"): 1,
        ("rerun-failed", "failed"): 1,
        ("recover", "interrupted"): 1,
        ("reset", "cleared"): 1,
    }


def test_each_backfill_with_its_counts_people_and_repairs(story: Story, data: dict[str, Any]) -> None:
    found = {one["backfill_id"]: one for one in data["backfills"]}
    assert list(found) == [story.failed, story.repair, story.killed, story.stale]
    first, repair, killed = found[story.failed], found[story.repair], found[story.killed]
    assert (first["state"], first["command"], first["reasons"]) == ("failed", "run", ["OPS-1"])
    assert (first["counts"]["total"], first["counts"]["completed"], first["counts"]["failed"]) == (7, 5, 2)
    assert (first["start"], first["end"]) == ("2024-01-01T00:00:00+00:00", "2024-01-07T00:00:00+00:00")
    assert (first["parent_id"], first["repaired_by"]) == (None, [story.repair])
    assert (repair["parent_id"], repair["command"], repair["reasons"]) == (story.failed, "rerun-failed", [EVIL])
    assert first["tries"] == {"failed": 2, "success": 12}
    assert [(one["action"], one["outcome"]) for one in killed["entries"]] == [
        ("run", "started"),
        ("recover", "interrupted"),
        ("run", "resumed"),
        ("run", "success"),
    ]
    shown = story.project.bfill("status", story.failed, "--json").data["backfill"]
    assert (first["started_at"], first["ended_at"]) == (shown["started_at"], shown["ended_at"])


def test_failures_by_cause_and_what_repaired_them(story: Story, data: dict[str, Any]) -> None:
    causes = {one["reason"]: one for one in data["failures"]}
    assert set(causes) == {"RuntimeError: load is broken"}
    (cause,) = causes.values()
    assert (cause["dag_id"], cause["task_id"], cause["tries"], cause["total_dates"]) == ("sales", "load", 3, 2)
    assert cause["dates"] == ["2024-01-03T00:00:00+00:00", "2024-01-05T00:00:00+00:00"]
    assert [(one["backfill_id"], one["how"], one["dates"]) for one in cause["repairs"]] == [
        (story.repair, "rerun-failed", 1)
    ]
    assert cause["unrepaired"] == 1


def test_versions_with_their_first_instants(story: Story, data: dict[str, Any]) -> None:
    sales = [one for one in data["versions"] if one["dag_id"] == "sales"]
    assert [(one["tasks"], one["backfills"], one["tries"]) for one in sales] == [(2, 2, 16), (2, 1, 2)]
    stored = story.project.rows(
        "SELECT v.digest, v.first_seen_at FROM dag_versions v JOIN dags d ON d.dag = v.dag WHERE d.dag_id = 'sales'"
        " ORDER BY v.version"
    )
    assert [one["version"] for one in sales] == [row["digest"] for row in stored]
    assert sales[0]["first_seen_at"] < sales[1]["first_seen_at"]
    (last,) = (one for one in data["backfills"] if one["backfill_id"] == story.stale)
    assert last["dag_versions"] == [sales[1]["version"]]


def test_what_ran_again_after_the_kill(story: Story, data: dict[str, Any]) -> None:
    (again,) = data["reexecuted"]
    assert (again["dag_id"], again["task_id"], again["logical_date"]) == ("waits", "hold", "2024-01-01T00:00:00+00:00")
    assert (again["lost_try"], again["outcome"]) == (1, "success")
    assert again["backfill_id"] == again["redone_by"] == story.killed
    assert again["lost_at"] <= again["redone_at"]
    assert "vanished" in again["reason"]


def test_resets_by_command_and_by_run(story: Story, data: dict[str, Any]) -> None:
    cleared, run = data["resets"]
    assert (cleared["command"], cleared["target"], cleared["task_instances"]) == ("reset", "sales", 2)
    assert (cleared["start"], cleared["end"], cleared["dates"]) == (
        "2024-01-02T00:00:00+00:00",
        "2024-01-02T00:00:00+00:00",
        1,
    )
    assert (run["command"], run["target"], run["dates"]) == ("run --reset-dag-run", story.stale, 1)


# filters


def test_one_dag(story: Story) -> None:
    found = story.report("--dag", "waits")
    assert [one["backfill_id"] for one in found["backfills"]] == [story.killed]
    assert (found["failures"], found["resets"], len(found["reexecuted"])) == ([], [], 1)
    assert {one["dag_id"] for one in found["versions"]} == {"waits"}


def test_one_backfill_shows_who_repaired_it(story: Story) -> None:
    found = story.report("--target", story.failed)
    assert [one["backfill_id"] for one in found["backfills"]] == [story.failed]
    assert found["failures"][0]["repairs"][0]["backfill_id"] == story.repair
    assert (found["failures"][0]["tries"], found["entries"]) == (2, 2)


@pytest.mark.parametrize("name", ["ana", "USER (sudo ana)"])
def test_one_person_behind_sudo_or_as_recorded(story: Story, data: dict[str, Any], name: str) -> None:
    user = next(one["actor"] for one in data["actors"] if one["sudo_from"] is None)
    found = story.report("--actor", name.replace("USER", user))
    assert [one["backfill_id"] for one in found["backfills"]] == [story.repair]
    assert (found["entries"], found["resets"]) == (2, [])


def test_periods_join_at_their_heads_and_share_nothing(story: Story, data: dict[str, Any]) -> None:
    middle = datetime.fromtimestamp(story.later, UTC)
    early = story.report("--until", (middle - timedelta(seconds=1)).isoformat())
    late = story.report("--since", middle.isoformat())
    assert (early["entries"], late["entries"]) == (5, data["entries"] - 5)
    assert early["heads"]["closing"] == late["heads"]["opening"]
    assert late["heads"]["closing"] == data["heads"]["chain"] == early["heads"]["chain"]
    assert [one["backfill_id"] for one in late["backfills"]] == [story.killed, story.stale]
    assert (late["failures"], len(early["reexecuted"]), len(late["resets"])) == ([], 0, 1)
    quiet = story.report("--since", "2100-01-01")
    assert (quiet["entries"], quiet["heads"]["opening"], quiet["heads"]["closing"]) == (
        0,
        data["heads"]["chain"],
        data["heads"]["chain"],
    )


def test_a_period_without_entries_is_an_empty_report(story: Story) -> None:
    ran = story.project.bfill("audit", "report", "--until", "2001-01-01", "--json").exits(0)
    assert (ran.data["entries"], ran.data["backfills"]) == (0, [])
    assert "nothing-recorded" in ran.problems


def test_an_unknown_dag_gets_the_nearest_name(story: Story) -> None:
    ran = story.project.bfill("audit", "report", "--dag", "sale", "--json").exits(0)
    assert "'sales'" in ran.problems["unknown-dag"]


def test_without_a_store_the_report_is_empty_and_makes_none(story: Story, tmp_path: Path) -> None:
    story.project.bfill("audit", "report", env={"BFILL_STORE": str(tmp_path / "no" / "bfill.db")}).exits(0)
    assert list(tmp_path.iterdir()) == []


def test_the_report_only_reads(story: Story) -> None:
    with story.project.unchanged():
        story.project.bfill("audit", "report", "-q").exits(0)


def test_a_plan_that_was_replaced_and_one_that_waits(story: Story, tmp_path: Path) -> None:
    env = {"BFILL_STORE": str(tmp_path / "bfill.db")}
    for _ in range(2):
        story.project.bfill("plan", "--dag", "sales", "--dates", "2024-01-01", "-q", env=env).exits(0)
    found = story.project.bfill("audit", "report", "--json", env=env).exits(0).data["backfills"]
    assert [(one["state"], one["command"]) for one in found] == [("replaced", "plan"), ("planned", "plan")]


# a chain that does not hold


@pytest.mark.parametrize("name", FORMATS)
def test_a_tampered_chain_is_reported_whole_with_6_and_names_the_entry(
    story: Story, tampered: Project, name: str
) -> None:
    ran = tampered.bfill("audit", "report", "--format", name).exits(6)
    assert "entry 2 was changed after it was written" in ran.out
    assert "entry 2 was changed" in ran.err
    for backfill_id in (story.failed, story.repair, story.killed):
        assert backfill_id in ran.out


def test_a_tampered_chain_in_the_envelope(tampered: Project) -> None:
    ran = tampered.bfill("audit", "report", "--json").exits(6)
    assert (ran.data["verdict"]["holds"], ran.data["verdict"]["first_bad"]) == (False, 2)
    assert "chain-broken" in ran.problems


def test_a_tampered_chain_is_6_also_into_a_file_and_quietly(tampered: Project, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    ran = tampered.bfill("audit", "report", "--out", str(path), "-q").exits(6)
    assert ran.out == ran.err == ""
    assert 'class="verdict bad"' in path.read_text()


def test_a_backfill_that_was_removed_from_the_store_stays_in_the_report(tampered: Project, story: Story) -> None:
    with closing(connect(Path(tampered.env["BFILL_STORE"]), write=True)) as connection:
        connection.execute("UPDATE backfills SET backfill_id = 'gone' WHERE backfill_id = ?", (story.failed,))
        connection.commit()
    found = tampered.bfill("audit", "report", "--json").exits(6).data["backfills"]
    (gone,) = (one for one in found if one["backfill_id"] == story.failed)
    assert (gone["state"], gone["dag_id"], gone["counts"]) == ("not in the store", "sales", {})


def test_tampered_attempts_are_found_by_the_report(story: Story, tmp_path: Path) -> None:
    copytree(story.project.store.parent, tmp_path / "bad")
    with closing(connect(tmp_path / "bad" / "bfill.db", write=True)) as connection:
        connection.execute("UPDATE attempts SET outcome = 'success' WHERE outcome = 'failed'")
        connection.commit()
    env = {"BFILL_STORE": str(tmp_path / "bad" / "bfill.db")}
    ran = story.project.bfill("audit", "report", "--json", env=env).exits(6)
    verdict = ran.data["verdict"]
    assert verdict["finding"].startswith("dag_run sales ")
    changed = {one["target"] for one in verdict["findings"] if one["code"] == "attempts-changed"}
    assert story.failed in changed


class Counting:
    """A reader that counts the tries it hands out."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.tries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def history(self) -> Any:
        history = self._reader.history()
        methods = {name: getattr(history, name) for name in dir(history) if not name.startswith("_")}
        return SimpleNamespace(**{**methods, "histories": self._histories})

    def _histories(self, *args: Any, **kwargs: Any) -> Iterator[HistoryPage]:
        for page in self._reader.history().histories(*args, **kwargs):
            self.tries += len(page.attempts)
            yield page


def test_verifying_reads_each_try_once_however_many_backfills_went_over_its_date(story: Story) -> None:
    """Three backfills went over some of the dates; a year of nightly reruns would go over each hundreds of times."""

    def read(reader: Reader) -> int:
        counting = Counting(reader)
        assert not verdict_of(counting).finding  # type: ignore[arg-type]
        return counting.tries

    with closing(open_store(str(story.project.store), write=False)) as store:
        assert store.read(read) == len(story.project.rows("SELECT 1 AS one FROM attempts"))


# formats and files


def ask(story: Story, *words: str) -> Ran:
    return story.project.bfill("audit", "report", *words)


def test_markdown_is_the_default_and_hostile_reasons_are_shown_as_text(story: Story) -> None:
    ran = ask(story).exits(0)
    assert ran.out.startswith("# Audit report\n\n**✓ The audit chain holds.**")
    assert "<script>" not in ran.out
    assert "\x1b" not in ran.out
    assert ran.err == ""


def test_html_and_csv_disarm_the_same_reason(story: Story) -> None:
    page = ask(story, "--format", "html").exits(0).out
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    text = ask(story, "--format", "csv").exits(0).out
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    (repair,) = (row for row in rows if row["section"] == "backfill" and row["target"] == story.repair)
    assert repair["reason"].startswith("'=HYPERLINK")
    assert (repair["count"], repair["failed"], repair["parent_id"]) == ("2", "1", story.failed)


def test_json_alone_is_the_data_of_the_envelope(story: Story) -> None:
    alone, data = json.loads(ask(story, "--format", "json").exits(0).out), story.report()
    assert (alone.pop("schema"), alone.pop("report")) == ("bfill/1", "audit")
    assert alone | {"generated_at": ""} == data | {"generated_at": ""}


def test_on_a_terminal_a_broken_chain_stands_on_top_in_red(tampered: Project) -> None:
    import pty

    ours, theirs = pty.openpty()
    env = {**os.environ, **tampered.env, "TERM": "xterm", "COLUMNS": "100"}
    env.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "backfill_cli", "audit", "report"]
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, cwd=tampered.folder, env=env)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65_536):
            shown += chunk
    except OSError:  # Linux says so when the other side has left
        pass
    os.close(ours)
    assert process.wait(30) == 6
    first = shown.decode().splitlines()[2]
    assert re.fullmatch(r"\x1b\[1;31m\*\*✗ The audit chain is broken at entry 2\.\*\*.*\x1b\[0m", first)


@pytest.mark.parametrize(
    ("name", "start"), [("a.html", "<!doctype"), ("a.csv", '"section"'), ("a.json", "{"), ("a", "#")]
)
def test_a_file_is_private_whatever_the_umask_and_its_name_says_the_format(
    story: Story, tmp_path: Path, name: str, start: str
) -> None:
    path = tmp_path / name
    ran = story.project.bfill("audit", "report", "--out", str(path), umask=0).exits(0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text(encoding="utf-8").startswith(start)
    assert ran.out.startswith("The audit chain holds")
    assert str(path) in ran.out
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_format_beats_the_name_and_a_file_is_replaced_and_made_private(story: Story, tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_text("old")
    path.chmod(0o644)
    ask(story, "--format", "csv", "--out", str(path)).exits(0)
    assert path.read_text().startswith('"section"')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_and_the_envelope_together(story: Story, tmp_path: Path) -> None:
    ran = ask(story, "--out", str(tmp_path / "a.csv"), "--json").exits(0)
    assert ran.data["entries"] > 0
    assert (tmp_path / "a.csv").read_bytes().endswith(b'"\r\n')


def test_no_link_is_followed_and_nothing_but_a_plain_file_is_replaced(story: Story, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    (tmp_path / "link").symlink_to(kept)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name, word in (("link", "symbolic link"), ("dangling", "symbolic link"), ("pipe", "pipe"), (".", "folder")):
        ask(story, "--out", str(tmp_path / name)).says(2, word)
    ask(story, "--out", str(tmp_path / "no" / "a.md")).says(2, "there is no folder")
    assert kept.read_text() == "kept"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["dangling", "kept", "link", "pipe"]


def test_the_store_is_never_overwritten(story: Story) -> None:
    with story.project.unchanged():
        for name in ("bfill.db", "bfill.db-wal"):
            ask(story, "--out", str(story.project.store.with_name(name))).says(2, "is the store")


def test_what_contradicts_itself_is_refused(story: Story) -> None:
    ask(story, "--format", "pdf").says(2, "'pdf'", "md, html, json, csv")
    ask(story, "--format", "htm").says(2, "did you mean 'html'")
    ask(story, "--out", "").says(2, "--out needs a name")
    assert ask(story, "--json", "--format", "csv").exits(2).json["error"]["code"] == "two-outputs"
    ask(story, "--since", "soon").says(2, "'soon' is not a date")
