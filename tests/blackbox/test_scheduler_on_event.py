"""`on_event` of a scheduler: told of what happens, also for months, and never in its way."""

from __future__ import annotations

import json
import signal
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from engine.helpers import is_alive
from engine.webhook_server import Inbox, closed_port, serving

from blackbox.test_scheduler_stays import SOON_S, ago, starts, stopped, write_dag
from blackbox.world import Project, until

SHIFT = ["backfill_started", "run_opened", "attempt_started", "attempt_ended", "run_finished", "backfill_finished"]


@pytest.fixture(autouse=True)
def warm(project: Project) -> None:
    project.bfill("--version").exits(0)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def named(inbox: Inbox, event: str) -> list[dict[str, Any]]:
    return [one for one in inbox.events if one["event"] == event]


def test_a_webhook_gets_exactly_what_events_writes_each_once(project: Project) -> None:
    """Also of shifts side by side: those of one shift come in their order, and the failed date is named."""
    write_dag(project)
    write_dag(project, "other")
    project.breaks("other", datetime.now().strftime("%Y-%m-%d"))
    with serving() as inbox:
        going = project.start("scheduler", "--on-event", inbox.url, "--events", "events.ndjson", "--json")
        until(lambda: len(named(inbox, "backfill_finished")) >= 6)
        ended = stopped(going)
    assert inbox.events == lines(project.folder / "events.ndjson")
    assert inbox.events[0]["schema"] == "bfill-events/1"
    assert (inbox.names[0], inbox.names[-1]) == ("scheduler_started", "scheduler_stopped")
    shifts: dict[str, list[str]] = {}
    for one in inbox.events:
        if "backfill_id" in one:
            shifts.setdefault(one["backfill_id"], []).append(one["event"])
    assert {tuple(one) for one in shifts.values()} == {tuple(SHIFT)}
    failed = [one for one in named(inbox, "run_finished") if one["state"] == "failed"]
    assert {one["dag_id"] for one in failed} == {"other"}
    assert "other is broken" in failed[0]["reason"]
    assert ended.problems == {}


def test_a_blocked_date_is_named_with_what_it_waits_for(project: Project) -> None:
    day, blocked = (datetime.now() - timedelta(days=number) for number in (2, 1))
    begin = f"datetime.fromisoformat('{day:%Y-%m-%d}')"
    write_dag(project, every='"@daily"', start=begin, catchup="True", default_args='{"depends_on_past": True}')
    project.breaks("tick", f"{day:%Y-%m-%d}")
    with serving() as inbox:
        project.bfill("scheduler", "--once", "--on-event", inbox.url).exits(1)
    (told,) = named(inbox, "run_blocked")
    assert told["logical_date"] == f"{blocked:%Y-%m-%d}T00:00:00+00:00"
    assert f"{day:%Y-%m-%d}" in told["reason"]
    (end,) = named(inbox, "backfill_finished")
    assert (told["dag_id"], told["backfill_id"]) == ("tick", end["backfill_id"])
    assert (end["failed"], end["blocked"]) == (1, 1)


def test_a_dead_webhook_is_told_once_and_delays_nothing(project: Project) -> None:
    """Measured: every date begins as soon as without it; no part of its address but the host is anywhere."""
    write_dag(project)
    url = f"http://ann:s3cret@127.0.0.1:{closed_port()}/T0K3N"
    going = project.start("scheduler", "--on-event", url, "--json")
    until(lambda: going.says("on_event error: http://127.0.0.1:"))
    until(lambda: len(starts(project)) >= 5)
    begun = time.monotonic()
    ended = stopped(going)
    assert time.monotonic() - begun < 9.0, "it waited for a dead one"
    assert ended.err.count("on_event") == 1
    assert max(start - due for due, start in starts(project)[1:]) < timedelta(seconds=SOON_S)
    assert "could not be delivered to http://127.0.0.1:" in ended.problems["on-event-failed"]
    for text in (ended.out, ended.err, project.bfill("audit", "--json").out):
        assert "s3cret" not in text
        assert "T0K3N" not in text


def test_a_webhook_that_does_not_answer_holds_the_end_for_ten_seconds_at_most(project: Project) -> None:
    write_dag(project)
    with serving(delay_s=30.0) as inbox:
        going = project.start("scheduler", "--on-event", inbox.url, "--json")
        until(lambda: len(starts(project)) >= 3)
        begun = time.monotonic()
        ended = stopped(going)
        assert time.monotonic() - begun < 16.0
    assert max(start - due for due, start in starts(project)[1:]) < timedelta(seconds=SOON_S)
    assert list(ended.problems) == ["on-event-failed"]


def test_the_target_changes_with_the_settings_file(project: Project) -> None:
    """What cannot be told is a broken file; nobody at first, then one, then another, who gets a stream of its own."""
    write_dag(project)
    going = project.start("scheduler", env={"HOOK": "no URL"})
    until(lambda: starts(project))
    project.write("bfill.toml", 'on_event = "cat >> one"')
    until((project.folder / "one").exists)
    project.write("bfill.toml", 'on_event = "secret:HOOK"')
    until(lambda: going.says("settings error: on_event is 'secret:HOOK', and that variable holds no http(s) URL"))
    count = len(lines(project.folder / "one"))
    until(lambda: len(lines(project.folder / "one")) > count)
    with serving() as inbox:
        project.write("bfill.toml", f'on_event = "{inbox.url}/T0K3N"')
        until(lambda: named(inbox, "backfill_finished"))
        assert "T0K3N" not in stopped(going).err
    first = lines(project.folder / "one")
    for stream in (first, inbox.events):
        assert (stream[0]["event"], stream[0]["schema"]) == ("scheduler_started", "bfill-events/1")
    assert inbox.names[-1] == "scheduler_stopped"
    assert not {json.dumps(one) for one in first} & {json.dumps(one) for one in inbox.events}


def test_one_pass_tells_what_it_ran_and_what_is_broken_and_nothing_when_nothing_is_due(project: Project) -> None:
    write_dag(project, "one", every='"@daily"')
    write_dag(project, "two", every='"@daily"')
    project.write("dags/bad.py", "x = DAG(1 / 0)\n")
    with serving() as inbox:
        project.write("bfill.toml", f'on_event = "{inbox.url}"')
        project.bfill("scheduler", "--once", "--events", "events.ndjson").exits(3)
        assert inbox.events == lines(project.folder / "events.ndjson")
        assert sorted(inbox.names) == sorted([*SHIFT, *SHIFT, "scheduler_started", "dag_broken", "scheduler_stopped"])
        (project.folder / "dags/bad.py").unlink()
        count = len(inbox.events)
        project.bfill("scheduler", "--once", "--events", "events.ndjson").exits(0)
        assert len(inbox.events) == count, "nobody is told of nothing, every five minutes"
        assert [one["event"] for one in lines(project.folder / "events.ndjson")][-1] == "scheduler_stopped"
        write_dag(project, "three", every='"@daily"')
        project.bfill("scheduler", "--once", "--on-event", "").exits(0)
        assert len(inbox.events) == count, "'' is nobody"


def test_an_error_in_place_of_a_scheduler_is_an_event(project: Project) -> None:
    write_dag(project)
    with serving() as inbox:
        project.bfill("scheduler", "--on-event", inbox.url, "--until", "2024-01-01").says(2, "--until is over already")
    assert inbox.names == ["scheduler_started", "scheduler_aborted"]
    assert inbox.events[-1]["error"]["code"] == "reversed-stretch"
    project.bfill("scheduler", "--once", "--on-event", "ftp://ann:s3cret@x").says(2, "--on-event", "http(s) URL")


def test_of_a_killed_scheduler_nothing_stays_behind_and_nothing_is_told_twice(project: Project) -> None:
    write_dag(project, start=ago(20), catchup="True")
    with serving() as inbox:
        going = project.start("scheduler", "--on-event", inbox.url, session=True)
        until(lambda: named(inbox, "backfill_finished"))
        family = [int(pid) for pid in Path(f"/proc/{going.pid}/task/{going.pid}/children").read_text().split()]
        assert family
        going.signal(signal.SIGKILL)
        going.wait()
        until(lambda: not any(is_alive(pid) for pid in family))
        again = project.start("scheduler", "--on-event", inbox.url)
        count = len(inbox.events)
        until(lambda: len(inbox.events) > count + 10)
        stopped(again)
    told = [json.dumps(one) for one in inbox.events]
    assert len(told) == len(set(told))
