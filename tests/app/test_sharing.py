"""app/sharing.py beside a process that is played: leases in the store are all that processes know of each other."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from backfill_cli import DAG, BackfillOptions, BackfillService, task
from backfill_cli.core.leases import BACKFILL, SCHEDULED, Lease
from backfill_cli.core.ports import Store
from backfill_cli.loader.settings import load_settings
from backfill_cli.store import open_store

OTHER = "other-process"
LONGEST_S = 10.0


@pytest.fixture
def world(tmp_path: Path) -> Any:
    """A service over a store with a pool of two slots, and the store as another process has it open."""
    settings = load_settings(tmp_path, {})
    service = BackfillService(settings=settings)
    service.set_pool("api", 2)
    store = open_store(settings.store, write=True)
    store.hold_owner(OTHER)
    store.write(lambda w: w.add_owner(OTHER, pid=os.getpid(), host=os.uname().nodename, at=time.time_ns() // 1000))
    yield service, store, settings
    store.write(lambda w: w.drop_owner(OTHER))
    store.release_owner(OTHER)
    store.close()


def calls(gate: threading.Event) -> Any:
    with DAG("calls", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=8) as dag:

        @task(pool="api")
        def call() -> None:
            gate.wait(LONGEST_S)
            time.sleep(0.4)

        call()
    return dag


def backfill(service: BackfillService, gate: threading.Event, days: int = 8) -> threading.Thread:
    options = BackfillOptions(
        dag=calls(gate), start_date=datetime(2024, 1, 1), end_date=datetime(2024, 1, days), max_parallel_runs=4
    )
    thread = threading.Thread(target=lambda: service.backfill(options), daemon=True)
    thread.start()
    return thread


def theirs(store: Store) -> dict[str, Lease]:
    return {one.pool: one for one in store.read(lambda r: r.leases()) if one.owner != OTHER}


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + LONGEST_S
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found


@pytest.mark.parametrize(("rank", "left"), [(SCHEDULED, 0), (BACKFILL, 1)])
def test_a_backfill_gives_way_to_what_is_due_and_shares_with_its_like(world: Any, rank: int, left: int) -> None:
    """As its tasks end: what runs is not stopped, and nothing new starts in slots that are not its own any more."""
    service, store, _ = world
    gate = threading.Event()
    thread = backfill(service, gate)
    until(lambda: (one := theirs(store).get("api")) and one.used == 2)
    wants = Lease("api", OTHER, wanted=2, least=1, waiting=2, rank=rank)
    store.write(lambda w: w.set_leases([wants]))
    time.sleep(1.0)
    assert theirs(store)["api"].slots == 2, "its tasks still run"
    gate.set()
    until(lambda: (one := theirs(store).get("api")) and one.slots == left)
    if left == 0:
        time.sleep(0.6)
        assert (theirs(store)["api"].used, theirs(store)["api"].waiting > 0) == (0, True)
        store.write(lambda w: w.set_leases([wants._replace(wanted=0)]))
    thread.join(LONGEST_S)
    assert not thread.is_alive()
    assert theirs(store) == {}


def test_whoever_says_so_lets_scheduled_runs_share_like_any_other(world: Any) -> None:
    from backfill_cli.core.leases import rank_of

    _, _, settings = world
    assert settings.scheduled_first
    assert rank_of(scheduled=True, scheduled_first=True) < rank_of(scheduled=False, scheduled_first=True)
    assert rank_of(scheduled=True, scheduled_first=False) == rank_of(scheduled=False, scheduled_first=False)
    assert not replace(settings, scheduled_first=False).scheduled_first


def test_the_environment_may_say_it_too(tmp_path: Path) -> None:
    assert not load_settings(tmp_path, {"BFILL_SCHEDULED_FIRST": "false"}).scheduled_first
