"""A real server that breaks and recovers: it is left alone, asked once, and taken up again; so is its health."""

from __future__ import annotations

import json
import re
import time

import pytest

from blackbox.throttled_server import Throttled
from blackbox.world import Project

RUN = ("run", "--dag", "calls", "--start", "2024-01-01", "--limit", "8", "--parallel", "8")


@pytest.fixture(autouse=True)
def pool(calls: Project) -> None:
    calls.write("bfill.toml", '[pools.api]\nslots = 1\nbreaker = {failures = 3, cooldown = "2s"}\n')
    calls.env["RETRIES"] = "5"


def broken_for(server: Throttled, requests: int) -> None:
    """Let the first requests fail with 500."""
    server.answer = lambda path: (
        200 if path == "/" and len([one for one in server.asked if one.path == "/"]) >= requests else 500,
        {},
    )


def test_a_broken_system_is_left_alone_then_probed_by_one_task_until_it_answers(
    calls: Project, server: Throttled
) -> None:
    broken_for(server, 4)
    ran = calls.bfill(*RUN, "--events", "events.ndjson", "--json").exits(0)
    broken, fine = server.times(500), server.times(200)
    assert (len(broken), len(fine)) == (4, 8)
    assert broken[3] - broken[2] >= 1.9, "the first probe came before the cooldown was over"
    assert fine[0] - broken[3] >= 1.9
    assert fine[7] - fine[0] < 1.5, "closed, the rest goes on at once"
    free = [row["started_at"] for row in calls.attempts("calls", "free")]
    assert max(free) < max(row["started_at"] for row in calls.attempts("calls", "call"))
    lines = (calls.folder / "events.ndjson").read_text().splitlines()
    told = [one for one in map(json.loads, lines) if one["event"].startswith("breaker")]
    assert [one["event"] for one in told] == [
        "breaker_opened",
        "breaker_half_open",
        "breaker_opened",
        "breaker_half_open",
        "breaker_closed",
    ]
    assert told[0]["pool"] == "api"
    assert told[0]["reason"] == "3 × HTTPError: HTTP Error 500: Internal Server Error"
    assert re.search(r"the circuit breaker of pool api, open, in [12].\d s \(3 × HTTPError: HTTP Error 500", ran.err)
    assert "pool api opened 2 times" in ran.problems["breaker-opened"]
    assert sum(row["outcome"] == "retry" for row in calls.attempts("calls", "call")) == 4, "tries are used as always"


def test_a_cooldown_may_be_shorter_than_a_second(calls: Project, server: Throttled) -> None:
    calls.write("bfill.toml", '[pools.api]\nslots = 1\nbreaker = {failures = 3, cooldown = "300ms"}\n')
    broken_for(server, 4)
    ran = calls.bfill(*RUN).exits(0)
    assert "breaker_opened pool=api cooldown_s=0.3 " in ran.err
    broken, fine = server.times(500), server.times(200)
    assert 0.28 <= broken[3] - broken[2] < 1
    assert 0.28 <= fine[0] - broken[3] < 1


def test_without_a_breaker_everybody_hammers_on(calls: Project, server: Throttled) -> None:
    """What the breaker spares: the same server, asked by each task until its tries are used up."""
    calls.write("bfill.toml", "[pools]\napi = 1\n")
    broken_for(server, 1_000)
    calls.bfill(*RUN).exits(1)
    assert len(server.times(500)) == 48


@pytest.mark.parametrize("kind", ["address", "command"])
def test_health_is_asked_before_anything_starts(calls: Project, server: Throttled, kind: str) -> None:
    address = f"{server.url}/health"
    health = address if kind == "address" else f"test -e {calls.folder}/well"
    calls.write(
        "bfill.toml",
        f'[pools.api]\nslots = 1\nbreaker = {{failures = 3, cooldown = "1s"}}\nhealth = "{health}"\n',
    )
    well = [False]
    server.answer = lambda path: (200 if path == "/" or well[0] else 500, {})
    going = calls.start(*RUN)
    while not going.says("(health check: "):
        time.sleep(0.02)
    assert not server.times(200)
    well[0] = True
    calls.write("well", "")
    well_at = time.time()
    going.wait().exits(0)
    assert len(server.times(200)) == 8
    assert server.times(200)[0] - well_at < 2.5
    if kind == "address":
        assert server.times(200, "/health")[0] < server.times(200)[0]


def test_status_tells_of_a_breaker_from_another_terminal(calls: Project, server: Throttled) -> None:
    broken_for(server, 1_000)
    calls.write("bfill.toml", '[pools.api]\nslots = 1\nbreaker = {failures = 1, cooldown = "1h"}\n')
    going = calls.start(*RUN, "--max-duration", "6s")
    while not going.says("breaker_opened"):
        time.sleep(0.02)
    until = time.monotonic() + 4
    while "circuit breaker of pool api" not in (out := calls.bfill("status", "--dag", "calls").out):
        assert time.monotonic() < until, out
        time.sleep(0.2)
    going.wait(20).exits(1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("breaker = 5", "breaker = 5"),
        ("breaker = {failures = 0}", "failures = 0"),
        ('breaker = {cooldown = "soon"}', "cooldown = 'soon'"),
        ('breaker = {cooldown = "0ms"}', "cooldown = '0ms'"),
        ("breaker = {cooldown = 1e300}", "cooldown = 1e+300"),
        ('breaker = {cooldown = "367d"}', "cooldown = '367d'"),
        ("health = 1", "health = 1"),
    ],
)
def test_a_rule_that_is_none_is_refused_with_its_place(calls: Project, text: str, told: str) -> None:
    calls.write("bfill.toml", f"[pools.api]\n{text}\n")
    calls.bfill(*RUN).says(3, "bfill.toml:1", told)
