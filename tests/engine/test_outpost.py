"""The outbox in a process of its own: the same promises, over a line, and what a killed one costs."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest
from engine.helpers import is_alive, wait_until
from engine.webhook_server import closed_port, serving

from backfill_cli.engine import delivering as module
from backfill_cli.engine.couriers import HookCommand, Webhook
from backfill_cli.engine.outpost import Outpost

SOON = 8.0

# Here a server's threads are about, which no scheduler has: newer Pythons warn of a fork beside them.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def lines(*names: str) -> str:
    return "".join(json.dumps({"event": name}) + "\n" for name in names)


def test_events_arrive_in_their_order_from_another_process(tmp_path: Path) -> None:
    outpost = Outpost(HookCommand('echo "$BFILL_EVENT $PPID" >> got', tmp_path))
    names = [f"e{number}" for number in range(50)]
    for name in names:
        outpost.put(lines(name))
    assert outpost.close(SOON) is None
    got = [line.split() for line in (tmp_path / "got").read_text().splitlines()]
    assert [name for name, _ in got] == names
    assert {pid for _, pid in got} == {str(outpost._pid)}
    assert not is_alive(outpost._pid)


def test_whoever_puts_events_in_never_waits_and_what_waits_is_bounded() -> None:
    """Also when its process is stopped and takes nothing off the line."""
    with serving() as inbox:
        outpost = Outpost(Webhook(inbox.url), most=5_000)
        os.kill(outpost._pid, signal.SIGSTOP)
        begun = time.monotonic()
        for number in range(6_000):
            outpost.put(json.dumps({"event": f"e{number}", "filled": "x" * 500}) + "\n")
        assert time.monotonic() - begun < 2.0
        assert outpost.waiting == 5_000
        os.kill(outpost._pid, signal.SIGCONT)
        wait_until(lambda: outpost.settle(0.1) or len(inbox.events) > 100)
        lost = outpost.close(1.0)
    assert lost is not None
    assert (lost.of, lost.first_error) == (6_000, "more than 5,000 events were waiting")
    assert [one["event"] for one in inbox.events][:100] == [f"e{number}" for number in range(100)]
    assert 1_000 <= lost.lost <= 6_000 - len(inbox.events) + 1


def test_somebody_who_is_away_for_a_moment_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 30.0)
    monkeypatch.setattr("backfill_cli.engine.outbox.AGAIN_S", 0.1)
    with serving(lambda number: 503 if number < 12 else 204) as inbox:
        outpost = Outpost(Webhook(inbox.url))
        outpost.put(lines("a", "b", "c"))
        wait_until(lambda: outpost.settle(0.05) or outpost.failing)
        assert outpost.failing == "HTTP 503 Service Unavailable"
        assert outpost.settle(20.0)
        assert outpost.failing == ""
        assert outpost.close(SOON) is None
    assert inbox.names == ["a", "b", "c"]


def test_a_dead_target_costs_the_end_no_patience() -> None:
    outpost = Outpost(Webhook(f"http://127.0.0.1:{closed_port()}"))
    outpost.put(lines("a", "b", "c"))
    begun = time.monotonic()
    lost = outpost.close(SOON)
    assert time.monotonic() - begun < 4.0
    assert lost == (3, 3, "Connection refused")


def test_a_killed_one_is_replaced_and_what_it_had_is_counted(tmp_path: Path) -> None:
    outpost = Outpost(HookCommand("cat >> got; sleep 0.3", tmp_path))
    outpost.put(lines("a", "b"))
    wait_until((tmp_path / "got").exists)
    os.kill(outpost._pid, signal.SIGKILL)
    wait_until(lambda: outpost.look() is None and outpost.is_gone)
    outpost.put(lines("c"))
    lost = outpost.close(SOON)
    assert lost == (2, 3, "the process that delivers them ended with signal 9")
    assert json.loads((tmp_path / "got").read_text().splitlines()[-1]) == {"event": "c"}


def test_a_machine_that_has_no_room_for_a_process_fails_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", full)
        outpost = Outpost(HookCommand("cat >> got", tmp_path))
        outpost.put(lines("a"))
    outpost.put(lines("b"))
    assert outpost.close(SOON) == (1, 2, "nobody is there to deliver it")
    assert (tmp_path / "got").read_text() == lines("b")


def test_signals_do_not_end_it_and_its_commands_do_not_ignore_them(tmp_path: Path) -> None:
    outpost = Outpost(HookCommand("trap 'exit 3' TERM; kill -TERM $$; exit 0", tmp_path))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(outpost._pid, number)
    outpost.put(lines("a"))
    assert outpost.close(SOON) == (1, 1, "exit code 3")


def test_it_leaves_when_its_parent_has_vanished_whatever_else_that_has_started(tmp_path: Path) -> None:
    """SIGKILL: what was on its way arrives. A child of the parent, which lives on, does not hold the line open."""
    code = """
    import os, signal, time
    from pathlib import Path
    from backfill_cli.engine.couriers import HookCommand
    from backfill_cli.engine.outpost import Outpost

    outpost = Outpost(HookCommand("cat >> got; sleep 0.2", Path.cwd()))
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    outpost.put('{"event": "a"}\\n{"event": "b"}\\n')
    print(outpost._pid, flush=True)
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    ran = subprocess.Popen([sys.executable, "-c", dedent(code)], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert ran.stdout is not None
    pid = int(ran.stdout.readline())
    assert ran.wait() == -signal.SIGKILL
    wait_until(lambda: not is_alive(pid))
    ran.stdout.close()
    assert [json.loads(line)["event"] for line in (tmp_path / "got").read_text().splitlines()] == ["a", "b"]


def test_it_holds_open_nothing_of_its_parent() -> None:
    ours, theirs = os.pipe()
    with serving() as inbox:
        outpost = Outpost(Webhook(inbox.url))
        os.close(theirs)
        readable, _, _ = select.select([ours], [], [], SOON)
        assert readable, "its copy of the other end is open"
        os.close(ours)
        outpost.put(lines("a"))
        assert outpost.close(SOON) is None
