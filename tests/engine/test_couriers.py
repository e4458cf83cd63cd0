"""One delivery: a POST to a real server, or a real command, with its time limit and what is said when it fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Timer

import pytest
from engine.helpers import is_alive, wait_until
from engine.webhook_server import closed_port, serving

from backfill_cli.engine import couriers
from backfill_cli.engine.couriers import Busy, HookCommand, Undelivered, Webhook, courier_for

TEXT = '{"event": "run_finished", "logical_date": "2024-01-01T00:00:00+00:00"}'


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield


def send(target: str, folder: Path, *, hurry: Event | None = None) -> None:
    courier_for(target, folder).deliver("run_finished", TEXT, hurry or Event())


def test_a_webhook_gets_the_event_as_json(tmp_path: Path) -> None:
    with serving() as inbox:
        send(f"{inbox.url}/hooks/T0?x=1", tmp_path)
    assert inbox.events == [{"event": "run_finished", "logical_date": "2024-01-01T00:00:00+00:00"}]
    assert inbox.headers[0]["Content-Type"] == "application/json"
    assert inbox.paths == ["/hooks/T0?x=1"]
    assert "Authorization" not in inbox.headers[0]


def test_credentials_in_a_url_become_a_header_and_are_never_shown(tmp_path: Path) -> None:
    with serving(lambda _number: 403) as inbox:
        url = inbox.url.replace("//", "//ann:s%40crt@") + "/services/T0K3N"
        courier = courier_for(url, tmp_path)
        with pytest.raises(Undelivered, match=r"^HTTP 403 Forbidden$"):
            courier.deliver("run_finished", TEXT, Event())
    assert inbox.headers[0]["Authorization"] == "Basic YW5uOnNAY3J0"
    assert courier.name == f"{inbox.url}/…"


def test_a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not(tmp_path: Path) -> None:
    with serving(lambda number: (500, 429, 200)[number]) as inbox:
        send(inbox.url, tmp_path)
    assert inbox.statuses == [500, 429, 200]
    with serving(lambda _number: 400) as inbox, pytest.raises(Undelivered, match="HTTP 400"):
        send(inbox.url, tmp_path)
    assert len(inbox.events) == 1


def test_a_webhook_that_stays_down_costs_the_next_event_one_try(tmp_path: Path) -> None:
    """Else a dead server would cost seconds an event, and the queue would run over."""
    answers = [500] * couriers.TRIES + [500, 200, 500, 200]
    with serving(lambda number: answers[number]) as inbox:
        courier = courier_for(inbox.url, tmp_path)
        for _ in range(2):
            with pytest.raises(Busy):
                courier.deliver("run_finished", TEXT, Event())
        assert len(inbox.events) == couriers.TRIES + 1
        courier.deliver("run_finished", TEXT, Event())
        courier.deliver("run_finished", TEXT, Event())  # it is back: again with a second try
    assert inbox.statuses == answers


def test_nothing_is_tried_twice_in_a_hurry(tmp_path: Path) -> None:
    hurry = Event()
    hurry.set()
    with serving(lambda _number: 503) as inbox, pytest.raises(Busy, match="HTTP 503"):
        send(inbox.url, tmp_path, hurry=hurry)
    assert len(inbox.events) == 1


def test_a_closed_port_and_an_unknown_host_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "TRIES", 1)
    with pytest.raises(Busy, match="Connection refused"):
        send(f"http://127.0.0.1:{closed_port()}/", tmp_path)
    with pytest.raises(Busy):
        send("http://no-such-host.invalid/", tmp_path)


def test_a_server_that_does_not_answer_costs_its_time_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "TRIES", 1)
    monkeypatch.setattr(couriers, "ANSWER_S", 0.1)
    begun = time.monotonic()
    with serving(delay_s=1.0) as inbox, pytest.raises(Busy, match=r"no answer in 0\.1 s"):
        send(inbox.url, tmp_path)
    assert time.monotonic() - begun < 2.0


@pytest.mark.parametrize("location", ["https://127.0.0.1:1/", "file:///etc/passwd", "/elsewhere"])
def test_a_redirect_is_not_followed(tmp_path: Path, location: str) -> None:
    """As a GET the event would be lost, and another scheme is not what was asked for."""
    with serving(lambda _number: 302, location=location) as inbox, pytest.raises(Undelivered, match="redirect"):
        send(inbox.url, tmp_path)
    assert len(inbox.events) == 1


def test_a_command_gets_the_event_on_stdin_and_its_type_in_the_environment(tmp_path: Path) -> None:
    send("cat > got; echo $BFILL_EVENT > type", tmp_path)
    assert (tmp_path / "got").read_text() == TEXT + "\n"
    assert (tmp_path / "type").read_text() == "run_finished\n"


def test_a_command_may_leave_its_stdin_alone(tmp_path: Path) -> None:
    HookCommand("exec <&-; exit 0", tmp_path).deliver("x", '{"a": "' + "y" * 300_000 + '"}', Event())


def test_a_command_that_fails_is_told_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(Undelivered, match=r"^exit code 7: no such channel$"):
        send("echo sending; echo no such channel >&2; exit 7", tmp_path)
    with pytest.raises(Undelivered, match="signal 15"):
        send("kill $$", tmp_path)
    with pytest.raises(Undelivered, match="cannot be started: No such file"):
        send("true", tmp_path / "nowhere")


def test_a_command_that_floods_is_read_and_kept_small(tmp_path: Path) -> None:
    with pytest.raises(Undelivered) as found:
        send("yes | head -c 20000000; echo; printf '%0500d' 0; exit 1", tmp_path)
    assert str(found.value) == "exit code 1: " + "0" * 200


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "COMMAND_S", 0.3)
    begun = time.monotonic()
    with pytest.raises(Undelivered, match=r"not ended after 0\.3 s and was killed"):
        send("trap '' TERM INT; sleep 60 & echo $! > child; sleep 60", tmp_path)
    assert time.monotonic() - begun < 5.0
    wait_until(lambda: not is_alive(int((tmp_path / "child").read_text())))


def test_what_a_command_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    begun = time.monotonic()
    send("sleep 60 & echo $! > child", tmp_path)
    assert time.monotonic() - begun < 5.0
    wait_until(lambda: not is_alive(int((tmp_path / "child").read_text())))


def test_a_command_can_be_given_up(tmp_path: Path) -> None:
    courier, hurry = HookCommand("sleep 60", tmp_path), Event()

    def give_up() -> None:
        hurry.set()
        courier.end()

    timer = Timer(0.1, give_up)
    timer.start()
    with pytest.raises(Undelivered, match="still at work"):
        courier.deliver("run_finished", TEXT, hurry)
    timer.join()
    courier.end()  # nothing is under way any more


def test_which_targets_are_urls() -> None:
    assert isinstance(courier_for("HTTPS://example.com/x", Path()), Webhook)
    assert isinstance(courier_for("./notify.sh https://example.com", Path()), HookCommand)
