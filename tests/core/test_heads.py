"""Heads kept outside of the chain: what a line says, and what a chain must hold to have had it."""

from __future__ import annotations

import pytest
from core.test_auditing import make_chain
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.heads import Head, HeadCheck, head_line, parse_head, read_heads


def kept(length: int) -> list[Head]:
    return read_heads([head_line(row) for row in make_chain(length)])


def compare(heads: list[Head], length: int) -> HeadCheck:
    check = HeadCheck(heads, "the file")
    for row in make_chain(length):
        check.look(row)
    check.end(length)
    return check


def test_a_line_is_read_as_it_was_written() -> None:
    rows = make_chain(3)
    assert kept(3) == [(row.seq, row.hash) for row in rows]


@given(st.text(max_size=40))
def test_a_line_that_is_none_is_passed_over(noise: str) -> None:
    """A power cut leaves half a line, or zeros where one was to be."""
    whole = head_line(make_chain(1)[0])
    for line in (whole[: len(whole) // 2], "\0" * 90, f"x{whole}", noise):
        assert read_heads([line, whole]) == kept(1)


def test_a_chain_that_holds_every_head_is_the_one_they_were_kept_of() -> None:
    assert compare(kept(4), 4).finding is None
    assert compare(kept(4)[1:3], 4).finding is None, "some lines are missing, which is no alarm"
    assert compare(kept(3), 4).finding is None, "the chain may go on behind the last head"
    assert compare([], 4).finding is None


def test_a_chain_that_ends_before_a_head_has_lost_its_tail() -> None:
    finding = compare(kept(4), 2).finding
    assert finding is not None
    assert (finding.code, finding.entry) == ("chain-short", 3)
    assert "entry 4" in finding.what


def test_the_first_entry_that_is_another_is_named() -> None:
    heads = kept(4)
    heads[1] = Head(2, "0" * 64)
    heads[2] = Head(3, "1" * 64)
    finding = compare(heads, 4).finding
    assert finding is not None
    assert (finding.code, finding.entry) == ("chain-other", 2)


def test_two_heads_of_one_entry_cannot_both_be_right() -> None:
    """A store that was begun anew goes on with the file of the one before: both wrote an entry 1."""
    assert compare([*kept(2), Head(1, "f" * 64)], 2).finding is not None


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("1042:9f3c81d2", Head(1042, "9f3c81d2")),
        (" 1042:9F3C81D2E0 \n", Head(1042, "9f3c81d2e0")),
        ("1042:9f3c81d", None),
        ("0:9f3c81d2", None),
        ("-1:9f3c81d2", None),
        ("1042", None),
        ("1042:" + "0" * 65, None),
        ("१:9f3c81d2", None),
    ],
)
def test_a_head_as_a_person_kept_it(text: str, head: Head | None) -> None:
    assert parse_head(text) == head
