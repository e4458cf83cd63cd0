"""The audit chain: every way to change an entry shows, and the first bad one is named."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from builders import START

from backfill_cli.core.auditing import GENESIS, ChainCheck, canonical, entry_hash, head_text, next_entry
from backfill_cli.core.records import AuditRow
from backfill_cli.core.states import BackfillState


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


def stored(row: AuditRow) -> tuple[Any, ...]:
    """The values of an entry's row, as the store keeps them."""
    values = tuple(getattr(row, field.name) for field in fields(AuditRow))
    return (*values[:8], canonical(row.details), *values[9:])


def check(rows: list[AuditRow]) -> ChainCheck:
    checking = ChainCheck()
    assert [row.seq for row in checking.over(map(stored, rows))] == [row.seq for row in rows[: checking.checked]]
    return checking


def test_a_chain_holds_and_its_head_is_the_last_entry() -> None:
    rows = make_chain()
    checked = check(rows)
    assert (checked.checked, checked.finding, checked.head) == (4, None, (4, rows[-1].hash))
    assert rows[0].previous == GENESIS
    assert [row.seq for row in rows] == [1, 2, 3, 4]


def test_an_empty_chain_holds() -> None:
    checked = check([])
    assert (checked.checked, checked.finding, checked.head) == (0, None, (0, GENESIS))
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
    checked = check(rows)
    assert (checked.checked, checked.head) == (2, (2, rows[1].hash))
    assert checked.finding is not None
    assert checked.finding.entry == rows[2].seq


def test_an_edited_entry_with_a_hash_that_fits_shows_at_the_next_one() -> None:
    rows = make_chain()
    edited = replace(rows[1], actor="eve")
    rows[1] = replace(edited, hash=entry_hash(edited))
    checked = check(rows)
    assert checked.checked == 2
    assert checked.finding is not None
    assert checked.finding.what == "entry 3 does not continue entry 2"


def test_removed_inserted_and_reordered_entries_show() -> None:
    rows = make_chain()
    for broken in ([rows[0], *rows[2:]], rows[1:], [rows[0], rows[2], rows[1], rows[3]], [rows[0], *rows]):
        assert check(broken).finding is not None


def test_a_cut_tail_shows_only_against_a_head_somebody_kept() -> None:
    """As the module says; which is why there is a head file, and `audit verify --expect-head`."""
    rows = make_chain()
    checked = check(rows[:-1])
    assert (checked.checked, checked.finding) == (3, None)
    assert head_text(checked.head) != head_text((rows[-1].seq, rows[-1].hash))


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
    again = replace(row, details=json.loads(json.dumps(dict(row.details))))
    assert check([again]).checked == 1


def test_what_is_no_unicode_is_hashed_as_the_store_will_keep_it() -> None:
    """An argument of a command can be any bytes; the store keeps an escape, and the entry has to hold as it is read."""
    odd = "\udcff"
    row = next_entry(
        (0, ""), at=1, actor="a", host="h", action="x", target="t", reason=odd, outcome="ok", details={"a": odd}
    )
    assert row.reason == "\\udcff"
    assert check([row]).checked == 1


WRONG = {
    "spaces": lambda text: text.replace(":", ": ", 1),
    "another way to write a character": lambda text: text.replace("\\u00e9", "\\u00E9"),
    "a key twice": lambda text: text.replace("{", '{"n":1,', 1),
    "no JSON": lambda text: text[1:],
    "no object": lambda text: f"[{text}]",
    "endless nesting": lambda text: "[" * 100_000,
    "no text": lambda text: 5,
}


@pytest.mark.parametrize("how", WRONG)
def test_details_have_to_be_the_very_text(how: str) -> None:
    """Text that reads as the same value would be a change that the hash does not see."""
    row = next_entry(
        (0, ""), at=1, actor="a", host="h", action="x", target="t", reason=None, outcome="ok", details={"n": "é"}
    )
    values = list(stored(row))
    assert list(ChainCheck().over([tuple(values)]))
    values[8] = WRONG[how](values[8])
    checking = ChainCheck()
    assert not list(checking.over([tuple(values)]))
    assert checking.finding is not None
    assert (checking.finding.code, checking.finding.entry) == ("chain-broken", 1)
