"""What is attested when, and what verification makes of it: stores of before, dates two backfills share, prunings."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from random import Random

import pytest
from promises import tampering

from blackbox.world import SALES, Project, connect

WEEK = ("--dag", "sales", "--start", "2024-03-01", "--end", "2024-03-07")


@dataclass(frozen=True)
class Verdict:
    """What `audit verify` said: (code, target) of what it found, codes of what is no alarm, dag_runs it checked."""

    findings: list[tuple[str, str]]
    problems: set[str]
    dag_runs: int

    @property
    def codes(self) -> set[str]:
        return {code for code, _ in self.findings}


def verdict(project: Project) -> Verdict:
    ran = project.bfill("audit", "verify", "--json")
    assert ran.code == (6 if ran.data["findings"] else 0), ran
    findings = [(one["code"], one["target"]) for one in ran.data["findings"]]
    return Verdict(findings, set(ran.problems), ran.data["dag_runs"])


def change(project: Project, sql: str, *values: object) -> None:
    with closing(connect(project.store, write=True)) as connection:
        assert connection.execute(sql, values).rowcount > 0
        connection.commit()


@pytest.fixture
def sales(project: Project) -> Project:
    project.write("dags/sales.py", SALES)
    return project


def forget_digests(project: Project) -> None:
    """Make the store one of schema 1 that has been brought up to date: entries and dag_runs without digests."""
    with tampering.writing(project.store) as connection:
        chain = tampering.entries(connection)
        for entry in chain:
            told = json.loads(entry["details"])
            for name in ("ledger", "backfill_digest", "attempts_digest"):
                told.pop(name, None)
            entry["details"] = json.dumps(told, sort_keys=True, separators=(",", ":"))
        tampering.chained(chain)
        tampering.put(connection, chain)
        connection.execute("UPDATE dag_runs SET digest = NULL")
        connection.execute("UPDATE dags SET digests = NULL, attested = NULL")
    project.store.with_name("bfill.db.heads").unlink()


def test_history_from_before_is_told_and_attested_with_the_next_command(sales: Project) -> None:
    sales.bfill("run", *WEEK, "-q").exits(0)
    forget_digests(sales)
    before = verdict(sales)
    assert not before.findings
    assert before.problems == {"heads-missing", "not-attested-yet"}
    assert before.dag_runs == 0
    sales.bfill("reset", "--dag", "sales", "--dates", "2024-03-02", "--yes").exits(0)
    after = verdict(sales)
    assert not after.findings
    assert after.dag_runs == 7, "those that the reset did not touch as well"
    change(sales, "UPDATE attempts SET reason = 'x' WHERE logical_date = 1709251200")
    assert verdict(sales).codes == {"run-changed"}


def test_from_the_first_ledger_on_to_have_no_digest_is_no_excuse(sales: Project) -> None:
    sales.bfill("run", *WEEK, "-q").exits(0)
    change(sales, "UPDATE dag_runs SET digest = NULL")
    assert "run-changed" in verdict(sales).codes


def test_dates_that_two_backfills_worked_on_belong_to_both_seals(sales: Project) -> None:
    """An older backfill goes on after a newer one took some of its dates: its tries there are still its tries."""
    sales.breaks("load", "2024-03-02", "2024-03-05")
    first = sales.bfill("run", *WEEK, "--json").exits(1).data["backfill_id"]
    sales.mends("load", "2024-03-02", "2024-03-05")
    sales.bfill("rerun-failed", "--dag", "sales", "--dates", "2024-03-02", "-q").exits(0)
    sales.bfill("run", *WEEK, "--reprocess", "success", "-q").exits(1)
    assert not verdict(sales).findings
    change(
        sales,
        "UPDATE attempts SET reason = 'x' WHERE logical_date = 1709337600 AND try_number = 1 AND backfill ="
        " (SELECT backfill FROM backfills WHERE backfill_id = ?)",
        first,
    )
    found = verdict(sales).findings
    assert found == [("run-changed", "sales"), ("attempts-changed", first)]


def test_a_change_before_a_rerun_is_not_attested_away(sales: Project) -> None:
    """The rerun attests the dag_run as it is then; the backfill that made the try says what it was."""
    first = sales.bfill("run", *WEEK, "--json").exits(0).data["backfill_id"]
    change(sales, "UPDATE attempts SET started_at = started_at - 1 WHERE logical_date = 1709251200")
    sales.bfill("run", "--dag", "sales", "--dates", "2024-03-01", "--reprocess", "success", "-q").exits(0)
    assert verdict(sales).findings == [("attempts-changed", first)]


def test_a_plan_put_in_the_place_of_another_is_not_missed(sales: Project) -> None:
    for _ in range(3):
        sales.bfill("plan", *WEEK, "-q").exits(0)
    assert not verdict(sales).findings
    change(sales, "DELETE FROM backfills")
    assert verdict(sales).codes >= {"backfill-missing", "row-nobodys"}


def test_an_empty_chain_with_history_is_found(sales: Project) -> None:
    sales.bfill("run", *WEEK, "-q").exits(0)
    sales.store.with_name("bfill.db.heads").unlink()
    change(sales, "DELETE FROM audit_events")
    assert {"backfill-unknown", "ledger-changed"} <= verdict(sales).codes


def test_a_store_without_its_key_is_no_proof(sales: Project) -> None:
    sales.bfill("run", *WEEK, "-q").exits(0)
    change(sales, "DELETE FROM meta WHERE name = 'digest_key'")
    assert verdict(sales).codes == {"key-lost"}
    refused = sales.bfill("run", *WEEK, "--reprocess", "success", "-q")
    assert refused.code == 4, refused


def test_pruning_leaves_a_history_that_holds(sales: Project) -> None:
    sales.breaks("load", "2024-03-02")
    sales.bfill("run", *WEEK, "-q").exits(1)
    sales.bfill("run", *WEEK, "--reprocess", "success", "-q").exits(1)
    before = len(sales.attempts("sales"))
    sales.bfill("store", "prune", "--older-than", "2100-01-01", "--yes").exits(0)
    assert len(sales.attempts("sales")) < before
    assert not verdict(sales).findings
    change(sales, "UPDATE attempts SET reason = 'x'")
    assert verdict(sales).findings


def test_what_is_not_unicode_on_the_command_line_is_no_false_alarm(sales: Project) -> None:
    sales.bfill("run", *WEEK, "--reason", "\udcff caf\xe9", "-q").exits(0)
    assert not verdict(sales).findings


NASTY = ["null", "[]", "{}", "0", '"x"', '{"before":1}', '{"before":null,"after":null,"runs":"x"}', '{"a":{}}']


def test_entries_that_say_nonsense_with_hashes_that_fit_break_nothing(sales: Project) -> None:
    """A store from elsewhere may hold any chain; reading it must not be able to crash bfill."""
    sales.bfill("run", *WEEK, "-q").exits(0)
    sales.bfill("reset", *WEEK, "--yes").exits(0)
    sales.store.with_name("bfill.db.heads").unlink()
    random = Random(5)
    whole = sales.store.read_bytes()
    names = ("ledger", "seals", "replaces", "attempts", "attempts_digest", "backfill_digest", "dag_id")
    for _ in range(60):
        sales.store.write_bytes(whole)
        with tampering.writing(sales.store) as connection:
            chain = tampering.entries(connection)
            entry = random.choice(chain)
            told = json.loads(entry["details"])
            told[random.choice(names)] = json.loads(random.choice(NASTY))
            entry["details"] = json.dumps(told, sort_keys=True, separators=(",", ":"))
            tampering.chained(chain)
            tampering.put(connection, chain)
        verdict(sales)


@pytest.mark.parametrize("backwards", [[], ["--run-backwards"]])
def test_a_plan_is_digested_on_its_way_as_it_will_be_read(sales: Project, backwards: list[str]) -> None:
    """Reading a million dates again would take seconds; so the text has to be the one that the store will write."""
    sales.breaks("load", "2024-03-02")
    sales.bfill("run", *WEEK, "-q").exits(1)
    sales.bfill("reset", "--dag", "sales", "--dates", "2024-03-04", "--yes").exits(0)
    sales.write("dags/sales.py", SALES.replace("loaded", "put into place"))
    words = ("plan", "--dag", "sales", "--start", "2024-02-27", "--end", "2024-03-09", *backwards)
    for more in ([], ["--reprocess", "failed"], ["--reprocess", "all"], ["--reprocess", "stale"]):
        planned = sales.bfill(*words, *more, "--json").exits(0).data
        assert planned["backfill_id"]
        assert not verdict(sales).findings, more
    change(sales, "UPDATE backfill_dates SET state = 'failed' WHERE state = 'success' AND action = 'skip'")
    assert "backfill-changed" in verdict(sales).codes
