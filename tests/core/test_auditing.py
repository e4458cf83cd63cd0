"""The audit chain: every way to change history shows, and a digest ties the attempts to it."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from builders import FIRST, START

from backfill_cli.core.auditing import GENESIS, attempts_digest, check_chain, entry_hash, head_text, next_entry
from backfill_cli.core.records import AttemptRow, AuditRow
from backfill_cli.core.states import BackfillState, Outcome


def make_chain(length: int = 4) -> list[AuditRow]:
    rows: list[AuditRow] = []
    head = (0, "")
    for number in range(length):
        row = next_entry(
            head,
            at=START + number,
            actor="ann (1000)",
            host="box",
            action="run",
            target="bf-1",
            reason=None,
            outcome="success",
            details={"n": number},
        )
        rows.append(row)
        head = (row.seq, row.hash)
    return rows


def test_a_chain_holds_and_its_head_is_the_last_entry() -> None:
    rows = make_chain()
    assert check_chain(rows) == (4, None, "", (4, rows[-1].hash))
    assert rows[0].previous == GENESIS
    assert [row.seq for row in rows] == [1, 2, 3, 4]


def test_an_empty_chain_holds() -> None:
    assert check_chain([]) == (0, None, "", (0, GENESIS))
    assert head_text((0, "")) == ""


def test_a_head_is_kept_as_number_and_whole_hash() -> None:
    row = make_chain(1)[0]
    assert head_text((row.seq, row.hash)) == f"1:{row.hash}"


CHANGES: dict[str, Any] = {
    "seq": 9,
    "at": 1,
    "actor": "eve",
    "host": "other",
    "action": "reset",
    "target": "bf-2",
    "reason": "because",
    "outcome": "failed",
    "details": {"n": 7},
    "previous": GENESIS,
    "hash": "0" * 64,
}


def test_every_field_is_tried() -> None:
    assert CHANGES.keys() == {field.name for field in fields(AuditRow)}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_to_any_field_shows_at_that_entry(name: str) -> None:
    rows = make_chain()
    rows[2] = replace(rows[2], **{name: CHANGES[name]})
    checked, wrong, why, head = check_chain(rows)
    assert (checked, wrong, head) == (2, rows[2], (2, rows[1].hash))
    assert why


def test_an_edited_entry_with_a_hash_that_fits_shows_at_the_next_one() -> None:
    rows = make_chain()
    edited = replace(rows[1], actor="eve")
    rows[1] = replace(edited, hash=entry_hash(edited))
    checked, wrong, why, _ = check_chain(rows)
    assert (checked, wrong, why) == (2, rows[2], "entry 3 does not continue entry 2")


def test_removed_inserted_and_reordered_entries_show() -> None:
    rows = make_chain()
    for broken in ([rows[0], *rows[2:]], rows[1:], [rows[0], rows[2], rows[1], rows[3]], [rows[0], *rows]):
        assert check_chain(broken)[1] is not None


def test_a_cut_tail_shows_only_against_a_head_somebody_kept() -> None:
    """As the module says; which is why `audit verify --expect-head` exists."""
    rows = make_chain()
    checked, wrong, _, head = check_chain(rows[:-1])
    assert (checked, wrong) == (3, None)
    assert head_text(head) != head_text((rows[-1].seq, rows[-1].hash))


@pytest.mark.parametrize(
    "details",
    [
        {"dates": (1, 2)},
        {"by_day": {10: "a", 9: "b"}},
        {"state": BackfillState.SUCCESS},
        {"nested": {"b": 1, "a": [None, 1.5, "é"]}},
    ],
)
def test_an_entry_read_back_from_json_has_the_hash_it_was_written_with(details: dict[str, Any]) -> None:
    """Tuples become lists and keys become text on the way through the store; the hash must not move."""
    row = next_entry(
        (0, ""), at=1, actor="a", host="h", action="x", target="t", reason=None, outcome="ok", details=details
    )
    stored = replace(row, details=json.loads(json.dumps(dict(row.details))))
    assert check_chain([stored])[:2] == (1, None)


def make_attempt(**changes: Any) -> AttemptRow:
    values: dict[str, Any] = {"reason": None, "version": "v1", "backfill_id": "bf-1", **changes}
    return AttemptRow(FIRST, "a", 1, START, START, Outcome.SUCCESS, **values)


def test_the_digest_covers_every_attempt_every_word_and_their_order() -> None:
    one, other = make_attempt(), make_attempt(reason="boom")
    digests = [attempts_digest(rows) for rows in ([], [one], [other], [one, other], [other, one])]
    assert [found["attempts"] for found in digests] == [0, 1, 1, 2, 2]
    assert len({found["attempts_digest"] for found in digests}) == 5
    assert attempts_digest(iter([one, other])) == digests[3]


def test_no_reason_is_not_the_reason_none() -> None:
    assert attempts_digest([make_attempt()]) != attempts_digest([make_attempt(reason="None")])


def test_an_outcome_read_back_as_a_plain_word_has_the_same_digest() -> None:
    plain = make_attempt()._replace(outcome="success")  # type: ignore[arg-type]
    assert attempts_digest([make_attempt()]) == attempts_digest([plain])
