"""What processes agree on about the systems behind pools, over every kind of store."""

from __future__ import annotations

from store_builders import NOW, claimed_backfill

from backfill_cli.core.agreements import Deferral
from backfill_cli.core.circuits import BreakerState, Circuit
from backfill_cli.core.ports import Store

TOLD = Deferral("api", NOW, NOW + 30_000_000, "bf-1", "HTTP 429")
OPEN = Circuit("api", BreakerState.OPEN, why="3 × HTTP 503", at=NOW, until=NOW + 30_000_000, by="bf-1")


def test_what_a_system_said_last_is_kept_a_pool(store: Store) -> None:
    store.write(lambda w: w.agreements().keep_deferral(TOLD))
    later = TOLD._replace(until=NOW + 60_000_000, reason="lone \ud800 half")
    store.write(lambda w: w.agreements().keep_deferral(later))
    store.write(lambda w: w.agreements().keep_deferral(TOLD._replace(pool="other")))
    (found,) = store.read(lambda r: r.agreements().deferrals(["api"]))
    assert found[:4] == later[:4]
    assert store.read(lambda r: r.agreements().deferrals([])) == []


def test_a_circuit_is_kept_until_it_is_clear(store: Store) -> None:
    store.write(lambda w: w.agreements().keep_circuit(OPEN))
    counting = Circuit("other", failures=2, signature="HTTP #", at=NOW, by="bf-1")
    store.write(lambda w: w.agreements().keep_circuit(counting))
    assert store.read(lambda r: r.agreements().circuits(["other", "api", "none"])) == [OPEN, counting]
    store.write(lambda w: w.agreements().keep_circuit(Circuit("api", at=NOW)))
    assert store.read(lambda r: r.agreements().circuits(["api"])) == []


def test_a_prober_that_has_died_has_no_claim(store: Store) -> None:
    claimed_backfill(store)
    probing = OPEN._replace(state=BreakerState.HALF_OPEN, prober="own-1")
    store.write(lambda w: w.agreements().keep_circuit(probing))
    assert store.read(lambda r: r.agreements().circuits(["api"])) == [probing]
    store.release_owner("own-1")
    assert store.read(lambda r: r.agreements().circuits(["api"])) == [probing._replace(prober="")]
