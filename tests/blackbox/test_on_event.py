"""`on_event`: each event of a run to a webhook or a command, which can neither hold the run nor fail it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from engine.helpers import is_alive, wait_until
from engine.webhook_server import closed_port, serving

from blackbox.conftest import Bfill
from blackbox.world import Project

RUN = ("run", "--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-02")


@pytest.fixture(autouse=True)
def with_dag(sales: Path) -> None:
    """Every test here runs the DAG `sales`."""


def test_a_webhook_gets_exactly_what_events_writes(project: Project, bfill: Bfill) -> None:
    project.breaks("load", "2024-01-02")
    with serving() as inbox:
        ran = bfill(*RUN, "--on-event", inbox.url, "--events", "events.ndjson", "--json").exits(1)
    lines = (project.folder / "events.ndjson").read_text().splitlines()
    assert inbox.events == [json.loads(line) for line in lines]
    assert inbox.events[0]["schema"] == "bfill-events/1"
    assert (inbox.names[0], inbox.names[-1]) == ("backfill_started", "backfill_finished")
    assert "on-event-failed" not in ran.problems


def test_the_file_the_environment_and_the_flag(project: Project, bfill: Bfill) -> None:
    """A flag beats the environment, the environment the file, and an empty flag is nobody."""
    project.write("bfill.toml", 'on_event = "cat >> file.out"')
    project.write("sub/x", "")
    bfill(*RUN, cwd=project.folder / "sub").exits(0)
    got = (project.folder / "file.out").read_text().splitlines()  # beside bfill.toml, wherever one types
    assert json.loads(got[0])["event"] == "backfill_started"
    bfill(*RUN, env={"BFILL_ON_EVENT": "cat >> env.out"}).exits(0)
    bfill(*RUN, "--on-event", "cat >> flag.out", env={"BFILL_ON_EVENT": "cat >> env.out"}).exits(0)
    bfill(*RUN, "--on-event", "").exits(0)
    assert len((project.folder / "file.out").read_text().splitlines()) == len(got)
    for name in ("env.out", "flag.out"):
        last = (project.folder / name).read_text().splitlines()[-1]
        assert json.loads(last)["event"] == "backfill_finished"
    bfill("plan", *RUN[1:], "--dry-run").exits(0)
    bfill("run", *RUN[1:], "--dry-run").exits(0)
    assert len((project.folder / "file.out").read_text().splitlines()) == len(got)


def test_rerun_failed_tells_as_well(project: Project, bfill: Bfill) -> None:
    project.breaks("load", "2024-01-02")
    bfill(*RUN).exits(1)
    project.mends("load", "2024-01-02")
    with serving() as inbox:
        bfill("rerun-failed", "--on-event", inbox.url).exits(0)
    assert inbox.names[-1] == "backfill_finished"


def test_an_error_in_place_of_a_run_is_an_event(project: Project, bfill: Bfill) -> None:
    with serving() as inbox:
        bfill("run", "--dag", "slaes", "--last", "2d", "--on-event", inbox.url).says(3, "slaes")
    assert inbox.names == ["backfill_aborted"]


def test_a_server_that_fails_first_gets_every_event_once_it_works(bfill: Bfill) -> None:
    with serving(lambda number: 500 if number in (0, 1, 4) else 200) as inbox:
        ran = bfill(*RUN, "--on-event", inbox.url, "--json").exits(0)
    assert inbox.names[0] == "backfill_started"
    assert inbox.names.count("run_finished") == 2
    assert "on-event-failed" not in ran.problems


def test_what_does_not_arrive_is_one_warning_and_changes_nothing(project: Project, bfill: Bfill) -> None:
    """A closed port, a server that refuses, a command that fails: exit 0, one problem, and no secret in it."""
    url = f"http://ann:s3cret@127.0.0.1:{closed_port()}/T0K3N"
    ran = bfill(*RUN, "--on-event", url, "--json").exits(0)
    assert list(ran.problems) == ["on-event-failed"]
    assert "14 of 14 events could not be delivered to http://127.0.0.1:" in ran.problems["on-event-failed"]
    assert "Connection refused" in ran.problems["on-event-failed"]
    audit = bfill("audit", "--json").out
    assert "--on-event" in audit
    assert "s3cret" not in ran.out + ran.err + audit
    assert "T0K3N" not in ran.out + ran.err + audit
    for path in project.folder.rglob("*"):
        assert path.is_dir() or b"s3cret" not in path.read_bytes(), path
    ran = bfill(*RUN, "--reprocess", "all", "--on-event", "echo no channel; exit 1").exits(0)
    assert ran.err.count("warning: ") == 1
    assert "could not be delivered to the command of on_event: exit code 1: no channel" in ran.err
    with serving(lambda _number: 404) as inbox:
        assert "HTTP 404 Not Found" in bfill(*RUN, "--on-event", inbox.url, "--json").problems["on-event-failed"]


def test_a_secret_reference_names_a_variable_with_a_url(project: Project, bfill: Bfill) -> None:
    project.write("bfill.toml", 'on_event = "secret:HOOK"')
    bfill(*RUN).says(3, "HOOK, which is not set")
    bfill(*RUN, env={"HOOK": "touch ran-it"}).says(3, "holds no http(s) URL")
    assert not (project.folder / "ran-it").exists()
    with serving() as inbox:
        bfill(*RUN, env={"HOOK": f"{inbox.url}/T0K3N"}).exits(0)
    assert inbox.names[-1] == "backfill_finished"


def test_what_cannot_be_a_target_is_refused_without_showing_it(project: Project, bfill: Bfill) -> None:
    for target in ("ftp://ann:s3cret@example.com", "https://", "https:// x/s3cret", "file:///s3cret"):
        ran = bfill(*RUN, "--on-event", target).says(2, "--on-event", "http(s) URL")
        assert "s3cret" not in ran.err
    project.write("bfill.toml", 'on_event = "ftp://ann:s3cret@example.com"')
    ran = bfill(*RUN).says(3, "bfill.toml:1: on_event: ", "ftp://", "it takes an http(s) URL")
    assert "s3cret" not in ran.err
    project.write("bfill.toml", "on_event = 3")
    bfill(*RUN).says(3, "a int in its place")


def test_with_a_dry_run_there_is_nothing_to_tell(bfill: Bfill) -> None:
    bfill(*RUN, "--dry-run", "--on-event", "cat").says(2, "--on-event does not go with --dry-run")


def test_a_command_that_hangs_holds_neither_the_dates_nor_the_process_for_long(project: Project, bfill: Bfill) -> None:
    """The dates are done at once; the end waits for ten seconds, and then nothing of the command is left."""
    begun = time.monotonic()
    ran = bfill(*RUN, "--on-event", "echo $$ >> pids; exec sleep 60", "--json").exits(0)
    assert time.monotonic() - begun < 20
    assert ran.data["duration_s"] < 2.0
    assert ran.data["completed"] == 2
    assert "14 of 14 events" in ran.problems["on-event-failed"]
    for pid in (project.folder / "pids").read_text().split():
        wait_until(lambda pid=pid: not is_alive(int(pid)))
