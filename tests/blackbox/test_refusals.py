"""A real server that says 429 or 503: nobody loses a try, and who asks the same system waits as well."""

from __future__ import annotations

import re
import time
from datetime import datetime
from email.utils import formatdate

import pytest

from blackbox.throttled_server import Throttled
from blackbox.world import Project


@pytest.fixture(autouse=True)
def pool(calls: Project) -> None:
    calls.write("bfill.toml", "[pools]\napi = 2\n")


def run(project: Project, days: int, *words: str) -> tuple[str, ...]:
    return "run", "--dag", "calls", "--start", "2024-01-01", "--limit", str(days), "--parallel", "8", *words


def refusing(server: Throttled, seconds: float, status: int, header: str) -> None:
    """Let the server refuse everybody for some seconds, from the first request on."""

    def answer(_path: str) -> tuple[int, dict[str, str]]:
        over = server.asked and time.time() >= server.asked[0].at + seconds
        return (200, {}) if over else (status, {"Retry-After": header})

    server.answer = answer


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_uses_no_try_and_the_pool_waits_as_long_as_it_was_told(
    calls: Project, server: Throttled, status: int
) -> None:
    refusing(server, 1.5, status, "2")
    calls.bfill(*run(calls, 6)).exits(0)
    refused = server.times(status)
    assert len(refused) == 2, "two slots: the others of the pool had no need to ask"
    assert min(server.times(200)) >= max(refused) - 0.1 + 2
    tries = calls.tries("calls", "call")
    assert sorted(map(len, tries.values())) == [1, 1, 1, 1, 2, 2]
    assert [one for one in tries.values() if len(one) == 2] == [["deferred", "success"]] * 2
    assert {row["outcome"] for row in calls.attempts("calls", "free")} == {"success"}
    assert max(row["started_at"] for row in calls.attempts("calls", "free")) < max(
        row["started_at"] for row in calls.attempts("calls", "call")
    )


def test_a_date_in_retry_after_is_a_moment(calls: Project, server: Throttled) -> None:
    moment = int(time.time()) + 6
    refusing(server, 1.0, 429, formatdate(moment, usegmt=True))
    calls.bfill(*run(calls, 2)).exits(0)
    assert min(server.times(200)) >= moment - 1.1, "the server's Date has whole seconds"


def test_without_a_time_it_asks_again_at_growing_distances(calls: Project, server: Throttled) -> None:
    server.answer = lambda _path: (200 if len(server.asked) == 2 else 429, {})
    calls.bfill(*run(calls, 1)).exits(0)
    first, second, third = server.times(429) + server.times(200)
    assert second - first >= 1
    assert third - second >= 2


def test_what_is_waited_for_is_told_and_a_limit_of_time_holds(calls: Project, server: Throttled) -> None:
    server.answer = lambda _path: (429, {"Retry-After": "300"})
    ran = calls.bfill(*run(calls, 4, "--max-duration", "2s", "--json")).exits(1)
    assert ran.data["state"] == "interrupted"
    assert re.search(
        r"waiting 2 tasks for pool api, which said wait, in \d+ s \(HTTPError: HTTP Error 429: Too Many Requests\)",
        ran.err,
    )
    assert len(server.asked) == 2


def test_a_system_that_says_0_for_ever_is_not_hammered(calls: Project, server: Throttled) -> None:
    """It was asked 300 times a second; now 20 times in the first minute, and once a minute then."""
    server.answer = lambda _path: (429, {"Retry-After": "0"})
    calls.bfill(*run(calls, 1, "--max-duration", "3s")).exits(1)
    assert 5 < len(server.asked) <= 13


def test_a_wait_of_hours_is_kept_and_uses_no_try(calls: Project, server: Throttled) -> None:
    """It used to be a failed try at once: without retries the date failed, and the pool was held all the same."""
    server.answer = lambda _path: (429, {"Retry-After": "7200"})
    ran = calls.bfill(*run(calls, 1, "--max-duration", "2s", "--json")).exits(1)
    assert (ran.data["state"], ran.data["failed"], ran.data["remaining"]) == ("interrupted", 0, 1)
    assert calls.tries("calls", "call") == {"2024-01-01": ["deferred"]}
    assert len(server.asked) == 1


def test_no_system_holds_its_pool_for_longer_than_a_day(calls: Project, server: Throttled) -> None:
    """An answer may be wrong by a thousand: milliseconds for seconds were a year for all processes of the store."""
    server.answer = lambda _path: (429, {"Retry-After": "86400000"})
    calls.bfill(*run(calls, 1, "--max-duration", "2s")).exits(1)
    (pool,) = (one for one in calls.bfill("pools", "list", "--json").exits(0).data["pools"] if one["name"] == "api")
    (hold,) = pool["holds"]
    left_s = datetime.fromisoformat(hold["until"]).timestamp() - time.time()
    assert 86_000 < left_s <= 86_400


def test_a_wait_is_kept_over_a_stop(calls: Project, server: Throttled) -> None:
    """The deferred task itself waits on after a restart: when it is due stands in the store."""
    refusing(server, 1.0, 429, "4")
    calls.bfill(*run(calls, 1, "--max-duration", "2s")).exits(1)
    calls.bfill("run").exits(0)
    assert min(server.times(200)) - server.asked[0].at >= 4


def test_a_command_says_not_now_with_an_exit_code_of_its_choice(project: Project) -> None:
    project.write(
        "dags/calls.py",
        """\
        with DAG("calls", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="call", bash_command='''
                test "$BFILL_TRY_NUMBER" = 2 && exit 0
                echo "Retry-After: 1" >&2; exit 75''', wait_on_exit_code=75, retries=0)
            BashOperator(task_id="plain", bash_command="exit 75", retries=0)
        """,
    )
    project.bfill(*run(project, 1)).exits(1)
    assert project.tries("calls", "call") == {"2024-01-01": ["deferred", "success"]}
    assert project.tries("calls", "plain") == {"2024-01-01": ["failed"]}
