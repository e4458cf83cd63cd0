"""A real server that refuses above so many requests at once: the number of dates at once settles there."""

from __future__ import annotations

import json
import signal
import time
from datetime import datetime
from typing import Any

import pytest

from blackbox.throttled_server import Throttled
from blackbox.world import Project, until

DATES = 300


@pytest.fixture(autouse=True)
def pool(calls: Project) -> None:
    calls.write("bfill.toml", "[pools]\napi = 100\n")


def run(*words: str, dates: int = DATES) -> tuple[str, ...]:
    return (
        "run",
        "--dag",
        "calls",
        "--start",
        "2021-01-01",
        "--limit",
        str(dates),
        "--parallel",
        "32",
        "--task",
        "call",
        *words,
    )


def events(project: Project) -> list[dict[str, Any]]:
    path = project.folder / "events.ndjson"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def reasons(project: Project) -> list[str]:
    return [one["reason"] for one in events(project) if one["event"] == "parallel_changed"]


def settled(project: Project) -> float:
    """The dates at once on the average of time, over the later half of a run."""
    told = events(project)
    began, ended = (datetime.fromisoformat(told[end]["at"]).timestamp() for end in (0, -1))
    middle = (began + ended) / 2
    steps = [(datetime.fromisoformat(one["at"]).timestamp(), one) for one in told if one["event"] == "parallel_changed"]
    total, number, since = 0.0, 1, began
    for at, one in [*steps, (ended, {"parallel": 0})]:
        total += number * max(0.0, at - max(since, middle))
        number, since = one["parallel"], at
    return total / (ended - middle)


@pytest.mark.parametrize("most", [4, 10])
def test_it_settles_near_what_the_server_bears(calls: Project, server: Throttled, most: int) -> None:
    server.most, server.takes_s = most, 0.1
    server.refusal = {"Retry-After": "0"}
    calls.bfill(*run("--parallel-min", "1", "--events", "events.ndjson")).exits(0)
    assert 0.65 * most <= settled(calls) <= 1.25 * most
    refused, served = len(server.times(429)), len(server.times(200))
    assert served == DATES
    assert refused < DATES / 4
    assert any("429" in why for why in reasons(calls))


def test_without_it_most_requests_are_refused(calls: Project, server: Throttled) -> None:
    """What it spares the server: 32 dates at once against a server that bears 4."""
    server.most, server.takes_s = 4, 0.1
    server.refusal = {"Retry-After": "0"}
    calls.bfill(*run()).exits(0)
    assert len(server.times(429)) > DATES


def test_latency_above_its_target_makes_it_fewer(calls: Project, server: Throttled) -> None:
    """A server that does not refuse, but takes longer the more ask at once: 0.04 s each, so 0.2 s for five."""
    server.takes_s = 0.0
    server.slows_s = 0.04
    words = ("--parallel-min", "1", "--target-latency", "200ms", "--events", "events.ndjson")
    calls.bfill(*run(*words, dates=100)).exits(0)
    assert any("half of the tries took more than" in why for why in reasons(calls))
    assert 2 <= settled(calls) <= 7


def test_a_probe_that_says_no_makes_it_fewer(calls: Project, server: Throttled) -> None:
    server.takes_s = 0.2
    probe = f"test ! -e {calls.folder}/busy"
    going = calls.start(*run("--parallel-min", "1", "--probe", probe, "--events", "events.ndjson", dates=2_000))
    while not any(one.get("parallel") == 32 for one in events(calls)[1:]):
        time.sleep(0.02)
    calls.write("busy", "")
    until = time.monotonic() + 8
    while "the probe: exit status 1" not in reasons(calls):
        assert time.monotonic() < until
        time.sleep(0.05)
    going.signal(signal.SIGTERM)
    assert going.wait(10).code == 143


def test_behind_a_pause_it_goes_on_with_the_number_it_had_found(calls: Project, server: Throttled) -> None:
    """And while it is paused, nobody is asked how it is."""
    server.takes_s = 0.1
    probe = f"echo . >>{calls.folder}/asked"
    going = calls.start(*run("--parallel-min", "1", "--probe", probe, "--events", "events.ndjson", dates=2_000))
    until(lambda: any(one.get("parallel") == 16 for one in events(calls)))
    (row,) = calls.rows("SELECT backfill_id FROM backfills")
    calls.bfill("pause", row["backfill_id"]).exits(0)
    until(lambda: not server.busy)
    changes, asked, probed = reasons(calls), len(server.asked), (calls.folder / "asked").read_text()
    time.sleep(2.5)
    assert (reasons(calls), len(server.asked), (calls.folder / "asked").read_text()) == (changes, asked, probed)
    found = [one["parallel"] for one in events(calls) if one["event"] == "parallel_changed"][-1]
    calls.bfill("resume", row["backfill_id"]).exits(0)
    until(lambda: server.busy >= min(found, 16))
    until(lambda: len((calls.folder / "asked").read_text()) > len(probed))
    going.signal(signal.SIGTERM)
    assert going.wait(20).code == 143


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--parallel-min", "64"), "--parallel-min 64"),
        (("--parallel-min", "0"), "--parallel-min 0"),
        (("--target-latency", "2s"), "--target-latency"),
        (("--parallel-min", "1", "--target-latency", "soon"), "soon"),
        (("--parallel-min", "1", "--target-latency", "1h30"), "1h30"),
        (("--parallel-min", "1", "--target-latency", "9" * 400), "999"),
        (("--probe", "true"), "--probe"),
    ],
)
def test_what_does_not_go_together_is_refused(calls: Project, words: tuple[str, ...], told: str) -> None:
    calls.bfill(*run(*words)).says(2, told)
