"""What of a reason is its cause, and what only a value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.signatures import signature

ALIKE = [
    ("No such file: 'inbox/2024-03-05.csv'", "No such file: 'inbox/2024-03-06.csv'"),
    ("no file inbox/2024-03-05.csv", "no file inbox/2024-03-06.csv"),
    ("cannot open /data/a.csv, gone", "cannot open /var/tmp/x/b.csv, gone"),
    (r"cannot open C:\data\1.csv", r"cannot open C:\data\2.csv"),
    ("bad row 17", "bad row 1,803"),
    ("took 30.2 s", "took 9 s"),
    ("job 550e8400-e29b-41d4-a716-446655440000 died", "job 123e4567-e89b-12d3-a456-426614174000 died"),
    ("no commit 3f2a9c1e77", "no commit 990c07e"),
    ("at 0x7f21b2fa2fc0", "at 0x1"),
    ("late for 2024-01-01", "late for 2024-01-02T10:00:00.5+01:00"),
    ("worker-3 is gone", "worker-12 is gone"),
    ("unknown region 'eu west'", 'unknown region "us"'),
    ("GET https://api-1.example.com/v1/2024-01-01?k=1 failed", "GET https://api-2.example.com/v1 failed"),
    ("HTTP 503 after 3 tries", "HTTP 503 after 4 tries"),
]

APART = [
    ("HTTP 503 from warehouse", "HTTP 404 from warehouse"),
    ("exit status 1", "exit status 2"),
    ("killed by signal 9", "killed by signal 15"),
    ("[Errno 13] x", "[Errno 2] x"),
    ("ORA-01017: no", "ORA-00942: no"),
    ("KeyError: 'region'", "KeyError: 'amount'"),
    ("name 'pd' is not defined", "name 'np' is not defined"),
    ('column "price" does not exist', 'column "day" does not exist'),
    ("GET https://a.example.com/x failed", "GET https://b.example.com/x failed"),
    ("disk full", "disk gone"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_what_differs_in_values_alone_has_one_signature(one: str, other: str) -> None:
    # two kinds of quotes are one kind of placeholder
    assert signature(one) == signature(other)
    assert signature(one) != one


@pytest.mark.parametrize(("one", "other"), APART)
def test_what_names_a_cause_is_kept(one: str, other: str) -> None:
    assert signature(one) != signature(other)


def test_an_apostrophe_opens_no_quotation() -> None:
    assert signature("can't connect, don't know why") == "can't connect, don't know why"


VALUES = [
    st.integers(0, 10**9).map(str),
    st.dates().map(str),
    st.datetimes().map(lambda at: at.isoformat(timespec="seconds") + "Z"),
    st.uuids().map(str),
    st.integers(0, 2**64).map(hex),
    st.text(alphabet="ab c17-", max_size=8).map(lambda text: f"'{text}'"),
    st.from_regex(r"/[a-z0-9]{1,5}/[a-z0-9]{1,5}\.csv", fullmatch=True),
]


@given(
    st.lists(st.sampled_from(["no", "such", "row", "after", "file", "in", "gone:"]), min_size=2, max_size=6), st.data()
)
def test_one_sentence_has_one_signature_whatever_its_values(words: list[str], data: st.DataObject) -> None:
    """Each value in a gap between words is drawn twice, of one kind."""
    kinds = [data.draw(st.sampled_from(VALUES)) for _ in words]
    one, other = (" ".join(f"{word} {data.draw(kind)}" for word, kind in zip(words, kinds, strict=True)) for _ in "ab")
    assert signature(one) == signature(other)


@pytest.mark.parametrize("unit", ["'", "/a", "a", "1-", "f1", "(", "0x", "://", "HTTP "])
def test_a_long_reason_costs_little(unit: str) -> None:
    """Reasons come from anywhere: none may make the pattern try for ever."""
    assert len(signature(unit * 100_000)) <= 10_000
