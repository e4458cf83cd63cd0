"""Answers that say "not now", in the shapes of the clients that bring them, and what they mean for the others."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from email.message import Message
from http import HTTPStatus
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError

import pytest
from builders import DEFER, Play, day, make_dag, make_limits, make_task

from backfill_cli.core.deferrals import PATIENCE_S, Deferrals
from backfill_cli.core.holds import Holds, of_pool, of_task
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.refusals import LONGEST_S, refusal, retry_after, said_in
from backfill_cli.core.states import Outcome

NOW = 1_700_000_000.0
AT = int(NOW) * 1_000_000
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
A_MINUTE_ON = "Tue, 14 Nov 2023 22:14:20 GMT"


class Answer(Exception):
    """An error of a client, with what it carries."""

    def __init__(self, **carried: Any) -> None:
        super().__init__("no")
        self.__dict__.update(carried)


def urllib_error(code: int, headers: Mapping[str, str]) -> HTTPError:
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return HTTPError("http://there", code, "no", message, BytesIO())


CLIENTS = {
    "urllib": urllib_error,
    "requests": lambda code, headers: Answer(response=SimpleNamespace(status_code=code, headers=headers)),
    "httpx": lambda code, headers: Answer(response=SimpleNamespace(status_code=code, headers=headers), request=1),
    "aiohttp": lambda code, headers: Answer(status=code, headers=headers),
    "google": lambda code, headers: Answer(code=HTTPStatus(code), response=SimpleNamespace(headers=headers)),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_429_is_recognised_whoever_brings_it(client: str) -> None:
    make = CLIENTS[client]
    assert refusal(make(429, {"retry-after": "30"}), NOW) == (429, 30.0)
    assert refusal(make(429, {}), NOW) == (429, None)
    assert refusal(make(503, {"Retry-After": A_MINUTE_ON}), NOW) == (503, 60.0)
    assert refusal(make(503, {}), NOW) is None
    assert refusal(make(500, {"Retry-After": "30"}), NOW) is None


def test_an_error_that_was_raised_from_a_refusal_is_one() -> None:
    try:
        try:
            raise urllib_error(429, {"Retry-After": "2"})
        except HTTPError as error:
            raise RuntimeError("the API said no") from error
    except RuntimeError as raised:
        assert refusal(raised, NOW) == (429, 2.0)


@pytest.mark.parametrize(
    "error", [ValueError("429"), Answer(code="429"), Answer(status=True), Answer(headers=5, code=429)]
)
def test_other_errors_are_none_or_say_no_time(error: BaseException) -> None:
    found = refusal(error, NOW)
    assert found is None or found.delay_s is None


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("0", None, 0.0),
        (" 1.5 ", None, 1.5),
        (A_MINUTE_ON, None, 60.0),
        (A_MINUTE_ON, A_MINUTE_ON, 0.0),
        (DATE, A_MINUTE_ON, 0.0),
        ("86399", None, 86_399.0),
        ("99999999", None, LONGEST_S),
        ("9" * 30, None, LONGEST_S),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None, LONGEST_S),
        ("-5", None, None),
        ("soon", None, None),
        ("Tue, 99 Nov 2023 22:13:20 GMT", None, None),
        (None, None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_clock_of_the_sender(
    value: str | None, date: str | None, seconds: float | None
) -> None:
    assert retry_after(value, date, NOW) == seconds


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Apia"])
@pytest.mark.parametrize(
    "text", ["Tuesday, 14-Nov-23 22:14:20 GMT", "Tue Nov 14 22:14:20 2023", "Tue, 14 Nov 2023 22:14:20 -0000"]
)
def test_the_older_forms_of_an_http_date_are_utc_wherever_bfill_runs(
    text: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9110 section 5.6.7: who reads a date accepts all three forms; that of asctime has no zone, and is UTC."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert retry_after(text, None, NOW) == 60.0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_line_of_a_command_may_say_it() -> None:
    assert said_in("< Retry-After: 12", NOW) == 12.0
    assert said_in("try again later", NOW) is None


# what it means for the others


def report(at_s: float = 0, *, delay_s: float | None = None, number: int = 1, refused: bool = True) -> AttemptReport:
    at = AT + int(at_s * 1_000_000)
    return AttemptReport(day(1), "call", number, Outcome.DEFERRED, at, at, "429", delay_s=delay_s, is_refusal=refused)


def test_a_named_pool_waits_as_a_whole_and_of_the_default_pool_the_task_alone() -> None:
    holds = Holds()
    Deferrals(holds).deferred(report(delay_s=30), make_task("call", pool="api"))
    assert holds.on(of_pool("api")) is not None
    assert holds.on(of_task("call")) is None
    holds = Holds()
    Deferrals(holds).deferred(report(delay_s=30), make_task("call"))
    assert holds.on(of_pool("default_pool")) is None
    held = holds.on(of_task("call"))
    assert held is not None and held.until == AT + 30_000_000


def test_a_refusal_without_a_time_doubles_but_once_for_tries_side_by_side() -> None:
    deferrals, task = Deferrals(Holds()), make_task("call")
    delays = [deferrals.deferred(report(at), task).delay_s for at in (0, 0, 1, 1, 3, 10, 20, 40, 80, 160)]
    assert delays == [1, 1, 2, 2, 4, 8, 16, 32, 60, 60]


def test_a_weekend_of_refusals_is_counted_to_its_end() -> None:
    deferrals, task = Deferrals(Holds()), make_task("call")
    assert [deferrals.deferred(report(60 * n), task).delay_s for n in range(1_500)][-1] == 60


def test_a_system_that_says_0_for_ever_is_not_asked_for_ever() -> None:
    """Its word is kept for some rounds, and anew after a success; one that says a time of its own is waited for."""
    deferrals, task = Deferrals(Holds()), make_task("call")
    delays = [deferrals.deferred(report(10 * n, delay_s=0), task).delay_s for n in range(18)]
    assert delays[:8] == [0, 0, 0, 0, 0, 0.05, 0.1, 0.2]
    assert delays[-3:] == [51.2, 60, 60]
    deferrals.ended(replace(report(200), outcome=Outcome.SUCCESS), task)
    assert deferrals.deferred(report(210, delay_s=0), task).delay_s == 0
    deferrals = Deferrals(Holds())
    assert {deferrals.deferred(report(100 * n, delay_s=90), task).delay_s for n in range(30)} == {90}


def test_a_long_wait_that_was_asked_for_uses_no_try() -> None:
    """Patience is for a system that refuses again and again, not for one that says when it has room again."""
    deferrals, task = Deferrals(Holds()), make_task("call")
    first = deferrals.deferred(report(0, delay_s=2 * PATIENCE_S), task)
    assert (first.outcome, first.delay_s) == (Outcome.DEFERRED, 2 * PATIENCE_S)
    again = deferrals.deferred(report(2 * PATIENCE_S, delay_s=60), task)
    assert again.outcome is Outcome.RETRY


def test_patience_ends_with_a_failed_try_but_never_for_the_word_of_the_task_itself() -> None:
    deferrals, task = Deferrals(Holds()), make_task("call")
    assert deferrals.deferred(report(0, delay_s=60), task).outcome is Outcome.DEFERRED
    late = deferrals.deferred(report(PATIENCE_S, delay_s=60), task)
    assert (late.outcome, late.delay_s) == (Outcome.RETRY, None)
    own = deferrals.deferred(report(PATIENCE_S, delay_s=99_999, refused=False), task)
    assert (own.outcome, own.delay_s) == (Outcome.DEFERRED, 99_999)


def test_the_tasks_of_the_pool_wait_until_then_and_others_go_on() -> None:
    dag = make_dag(make_task("call", pool="api"), make_task("other", pool="api"), make_task("free"))
    play = Play(dag, limits=make_limits(1, api=1))
    play.turn()
    assert play.in_flight() == ["call", "free"]
    play.end("call", DEFER, delay_s=30.0)
    assert play.in_flight() == ["free"], "the other task of the pool asks the system that said wait"
    assert play.machine.waiting(play.now) == {
        "pool api, which said wait, in 30 s (it was deferred)": 1,
        "the next try": 1,
    }
    play.end("free")
    assert play.wake_at == play.now + 30_000_000
    play.wait()
    assert play.in_flight() == ["call"]


def test_a_deferred_task_of_the_default_pool_waits_on_all_dates_with_those_that_waited_before() -> None:
    dag = make_dag(make_task("call"), make_task("free"))
    play = Play(dag, [day(1), day(2)], limits=make_limits(2, capacity=2))
    play.turn()
    assert sorted(play.flying) == [(day(1), "call"), (day(1), "free")]
    play.end("call", DEFER, date=day(1), delay_s=30.0)
    assert sorted(play.flying) == [(day(1), "free"), (day(2), "free")]
    play.end("free", date=day(1))
    play.end("free", date=day(2))
    play.wait()
    assert sorted(play.flying) == [(day(1), "call"), (day(2), "call")]
