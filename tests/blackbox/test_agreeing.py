"""Two real processes of one store and a real server: what it says to one of them both hear, also after a kill."""

from __future__ import annotations

import re
import signal
import time
from contextlib import closing
from itertools import pairwise

import pytest

from blackbox.throttled_server import Throttled
from blackbox.world import Going, Project, connect, until

HEARD_S = 0.9
"""Half a second until the other process looks, and what a busy machine adds."""

A, B = "/a", "/b"


def start(project: Project, server: Throttled, path: str, days: int, *words: str) -> Going:
    """A backfill of dates of its own, whose requests go to a path of its own."""
    year = 2021 if path == A else 2022
    dates = ("--start", f"{year}-01-01", "--limit", str(days), "--parallel", "2", "--task", "call")
    return project.start("run", "--dag", "calls", *dates, *words, env={"URL": f"{server.url}{path}"})


def times(server: Throttled, path: str, *statuses: int) -> list[float]:
    return sorted(one.at for one in server.asked if one.path == path and (not statuses or one.status in statuses))


def settings(project: Project, rules: str = "", slots: int = 4) -> None:
    project.write("bfill.toml", f"[pools.api]\nslots = {slots}\n{rules}\n")


def breaker(project: Project, failures: int, cooldown: str, retries: int = 9) -> None:
    settings(project, f'breaker = {{failures = {failures}, cooldown = "{cooldown}"}}')
    project.env["RETRIES"] = str(retries)


def states(project: Project) -> list[tuple[str, int]]:
    return [(one["state"], one["failures"]) for one in project.rows("SELECT state, failures FROM circuits")]


def refusing(server: Throttled, path: str, seconds: int) -> None:
    """Refuse the first request to a path, with the seconds to wait; serve all others."""

    def answer(asked: str) -> tuple[int, dict[str, str]]:
        return (429, {"Retry-After": str(seconds)}) if asked == path and not times(server, path) else (200, {})

    server.answer = answer
    server.takes_s = 0.05


def broken_for(server: Throttled, requests: int) -> None:
    server.answer = lambda _path: (500 if len(server.asked) < requests else 200, {})


def test_both_wait_when_one_is_told_to(calls: Project, server: Throttled) -> None:
    """A 429 with Retry-After: 3, said to one process, holds the pool for the other one as well."""
    settings(calls)
    refusing(server, A, 3)
    other = start(calls, server, B, 100)
    until(lambda: len(times(server, B)) > 10)
    told = start(calls, server, A, 4)
    until(lambda: times(server, A, 429))
    (refused,) = times(server, A, 429)
    until(lambda: "which said wait to bf-" in calls.bfill("status", "--dag", "calls").out)
    told.wait().exits(0)
    ran = other.wait().exits(0)
    assert re.search(r"pool api, which said wait to bf-\S+, in [12]\.\d s \(HTTPError: HTTP Error 429", ran.err)
    assert not [at for at in times(server, B) if refused + HEARD_S < at < refused + 2.95]
    assert [at for at in times(server, B) if at < refused]
    assert len([at for at in times(server, B) if refused + 3 <= at]) > 20, "it had much left to do"
    assert [row["outcome"] for row in calls.attempts("calls")].count("deferred") == 1
    calls.bfill("store", "check").exits(0)


def test_what_was_said_to_a_process_that_was_killed_holds_for_the_next(calls: Project, server: Throttled) -> None:
    settings(calls)
    refusing(server, A, 4)
    told = start(calls, server, A, 4)
    until(lambda: calls.rows("SELECT 1 FROM deferrals"))
    told.signal(signal.SIGKILL)
    told.wait()
    (refused,) = times(server, A, 429)
    start(calls, server, B, 2).wait().exits(0)
    assert min(times(server, B)) >= refused + 4
    assert not calls.bfill("run", "--dag", "calls", "--start", "2021-01-01", "--limit", "4", "--task", "call").code


def test_in_the_default_pool_each_finds_out_for_itself(calls: Project, server: Throttled) -> None:
    """Its tasks may ask different systems."""
    text = (calls.folder / "dags/calls.py").read_text(encoding="utf-8").replace('pool="api", ', "")
    (calls.folder / "dags/calls.py").write_text(text, encoding="utf-8")
    refusing(server, A, 3)
    told = start(calls, server, A, 1)
    until(lambda: times(server, A, 429))
    began = time.time()
    start(calls, server, B, 4).wait().exits(0)
    assert max(times(server, B)) < began + 2
    told.wait().exits(0)
    assert calls.rows("SELECT * FROM deferrals") == []


def test_failures_of_two_processes_add_up_and_one_of_them_probes(calls: Project, server: Throttled) -> None:
    """Six in a row, of which neither has had six, open the breaker for both; then one request at a time."""
    breaker(calls, failures=6, cooldown="2s")
    broken_for(server, 1_000)
    server.takes_s = 0.3
    going = [start(calls, server, path, 6, "--workers", "1") for path in (A, B)]
    until(lambda: calls.rows("SELECT 1 FROM circuits WHERE state = 'open' AND why LIKE 'the probe failed%'"))
    broken_for(server, 0)
    ran = [one.wait().exits(0) for one in going]
    asked = sorted(server.asked)
    broken = [one for one in asked if one.status == 500]
    assert len(broken) in (7, 8), "the sixth, one that had begun by then, and the probe that failed"
    assert {one.path for one in broken[:6]} == {A, B}
    gaps = [one for before, one in pairwise(asked) if one.at - before.at > 1.5]
    assert gaps == asked[len(broken) - 1 : len(broken) + 1], "each cooldown is a gap, and one asks behind it"
    probe, rest = asked[len(broken)], asked[len(broken) + 1 :]
    assert rest[0].at - probe.at >= 0.29, "nobody else asked while it probed"
    assert any(re.search(r"breaker_opened pool=api cooldown_s=2.0 by=bf-\S+ 6 × HTTPError", one.err) for one in ran)
    assert all("breaker_closed pool=api" in one.err for one in ran)
    assert states(calls) == []


def test_a_breaker_that_opened_is_open_after_a_kill_and_for_everybody(calls: Project, server: Throttled) -> None:
    breaker(calls, failures=3, cooldown="6s")
    broken_for(server, 3)
    opened = start(calls, server, A, 6, "--workers", "1")
    until(lambda: states(calls) == [("open", 0)])
    opened.signal(signal.SIGKILL)
    opened.wait()
    last, server.takes_s = max(server.asked).at, 0.3
    going = [start(calls, server, B, 6), start(calls, server, A, 6)]
    until(lambda: "opened by bf-" in calls.bfill("status", "--dag", "calls").out)
    for one in going:
        assert "breaker_opened pool=api cooldown_s=6.0" in one.wait().exits(0).err
    after = [one.at for one in sorted(server.asked)][3:]
    assert len(after) == 12
    assert after[0] - last >= 5.9
    assert after[1] - after[0] >= 0.29, "nobody else asked while one probed"
    assert states(calls) == []


def test_the_probe_of_a_process_that_is_killed_is_taken_over(calls: Project, server: Throttled) -> None:
    breaker(calls, failures=1, cooldown="5s")
    broken_for(server, 1)
    going = {A: start(calls, server, A, 3, "--workers", "1")}
    until(lambda: states(calls) == [("open", 0)])
    going[B] = start(calls, server, B, 3, "--workers", "1")
    until(lambda: going[B].says("opened by bf-"))
    server.takes_s = 60
    until(lambda: server.busy)
    (prober,) = (one["pid"] for one in calls.rows("SELECT o.pid FROM circuits c JOIN owners o ON o.owner = c.prober"))
    server.takes_s = 0
    (killed,) = [path for path, one in going.items() if one.pid == prober]
    left = B if killed == A else A
    until(lambda: going[left].says("half open: a task of bf-"))
    going[killed].signal(signal.SIGKILL)
    going[killed].wait()
    going[left].wait().exits(0)
    assert len(times(server, left, 200)) == 3


def test_a_probe_is_left_to_who_may_send_it(calls: Project, server: Throttled) -> None:
    """A paused backfill does not keep the others from probing."""
    breaker(calls, failures=3, cooldown="3s")
    broken_for(server, 3)
    paused = start(calls, server, A, 6, "--workers", "1")
    until(lambda: states(calls) == [("open", 0)])
    (one,) = calls.rows("SELECT backfill_id FROM backfills")
    calls.bfill("pause", one["backfill_id"]).exits(0)
    assert states(calls) == [("open", 0)]
    until(lambda: time.time() > max(server.asked).at + 4)
    start(calls, server, B, 3).wait().exits(0)
    assert len(times(server, B, 200)) == 3
    calls.bfill("resume", one["backfill_id"]).exits(0)
    paused.wait().exits(0)


def test_what_is_stored_of_a_clock_that_was_set_back_holds_nobody_for_long(calls: Project, server: Throttled) -> None:
    breaker(calls, failures=3, cooldown="1s")
    start(calls, server, A, 1).wait().exits(0)
    year = int((time.time() + 365 * 86_400) * 1_000_000)
    with closing(connect(calls.store, write=True)) as connection, connection:
        connection.execute("INSERT INTO deferrals VALUES ('api', ?, ?, 'bf-x', '')", (year, year + 10_000_000))
        connection.execute(
            "INSERT INTO circuits VALUES ('api', 'open', 0, '', '', ?, ?, 'bf-x', '')", (year, year + 1_000_000)
        )
    began = time.time()
    start(calls, server, B, 2).wait().exits(0)
    assert max(times(server, B)) - began < 3


@pytest.mark.parametrize(
    ("table", "change"),
    [("circuits", "state = 'asking'"), ("circuits", "until = 9223372036854775807"), ("deferrals", "at = -9e17")],
)
def test_a_row_that_cannot_be_is_damage(calls: Project, server: Throttled, table: str, change: str) -> None:
    breaker(calls, failures=3, cooldown="1s")
    start(calls, server, A, 1).wait().exits(0)
    with closing(connect(calls.store, write=True)) as connection, connection:
        connection.execute("INSERT INTO deferrals VALUES ('api', 1, 2, 'bf-x', '')")
        connection.execute("INSERT INTO circuits VALUES ('api', 'open', 0, '', '', 1, 2, 'bf-x', '')")
        connection.execute(f"UPDATE {table} SET {change}")
    calls.bfill("store", "check").exits(4)
    assert f"table {table}" in start(calls, server, B, 1).wait().exits(4).err


def test_the_list_of_pools_and_the_explanation_of_a_date_say_what_holds(calls: Project, server: Throttled) -> None:
    breaker(calls, failures=3, cooldown="1h", retries=0)
    broken_for(server, 3)
    opened = start(calls, server, A, 8, "--workers", "1")
    until(lambda: states(calls) == [("open", 0)])
    (row,) = calls.rows("SELECT backfill_id FROM backfills")
    listed = calls.bfill("pools", "list").exits(0).out
    found = re.search(rf"circuit breaker opened by {row['backfill_id']}, until [\d: -]+ UTC \(3 × HTTPError", listed)
    assert found, listed
    (pool,) = [one for one in calls.bfill("pools", "list", "--json").data["pools"] if one["name"] == "api"]
    (hold,) = pool["holds"]
    assert (hold["by"], hold["why"][:15]) == (row["backfill_id"], "circuit breaker")
    told = "it waits for the circuit breaker of pool api, open, until"
    until(lambda: told in calls.bfill("explain", "2021-01-04", "--dag", "calls").out)
    opened.signal(signal.SIGTERM)
    opened.wait().exits(143)
    assert "circuit breaker opened by" in calls.bfill("pools", "list").out, "also when nobody runs"
