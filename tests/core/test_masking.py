"""Secrets in texts and streams: found in every usual notation, in any pieces, and nothing else touched (promise 13)."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import shlex
import subprocess
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from backfill_cli.core.masking import MASK, Secrets, is_maskable

NOTATIONS = {
    "literal": str,
    "shell": shlex.quote,
    "percent": lambda text: quote(text, safe=""),
    "percent, as addresses": quote,
    "form": quote_plus,
    "json": json.dumps,
    "json, not ascii": lambda text: json.dumps(text, ensure_ascii=False),
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "html": html.escape,
    "xml attribute": quoteattr,
    "sql": lambda text: text.replace("'", "''"),
    "csv": lambda text: _csv(text),  # noqa: PLW0108  (defined below)
    "double quotes": lambda text: "".join("\\" + one if one in '$`"\\' else one for one in text),
    "one line": lambda text: " ".join(text.split()),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "logged bytes": lambda text: text.encode("ascii", "backslashreplace").decode(),
}

# What passwords and keys are made of: anything printable, some of it rare, and line ends.
secrets = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.sampled_from("\n\té€Ж日😀'\"\\$`&<>"),
    min_size=5,
    max_size=40,
)
around = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


def _csv(text: str) -> str:
    file = io.StringIO()
    csv.writer(file).writerow([text])
    return file.getvalue()


def knowing(*known: str) -> Secrets:
    made = Secrets()
    for one in known:
        made.add(one)
    return made


@pytest.mark.parametrize("notation", NOTATIONS)
@given(secret=secrets)
@example(secret='it\'s $5.00 & "more"\\n')
@example(secret="two \n lines")
@example(secret="-----BEGIN KEY-----\nAbCd+/=efgh\n-----END KEY-----")
def test_a_secret_is_found_in_every_usual_notation(notation: str, secret: str) -> None:
    secret = secret.strip()
    assume(is_maskable(secret) and secret not in "before  behind")
    written = NOTATIONS[notation](secret)
    masked = knowing(secret).text(f"before {written} behind")
    assert masked.startswith("before ")
    assert masked.endswith(" behind")
    assert secret not in masked
    assert written not in masked
    # All that is left beside the mask are the quotes it stood in.
    assert len(masked.replace(MASK, "")) <= len("before  behind") + 6, masked


@pytest.mark.parametrize("printf", ["printf %q", "set -x; true"])
def test_a_secret_is_found_as_bash_writes_it(printf: str) -> None:
    for secret in ("it's $5.00", "tab\there and", "two\nlines of it", 'quo"te\\slash', "günther geheim", "tail!!ing~"):
        ran = subprocess.run(["bash", "-c", f'{printf} "$1"', "-", secret], capture_output=True, text=True, check=True)
        masked = knowing(secret).text(ran.stdout + ran.stderr)
        assert MASK in masked
        assert not any(word in masked for word in secret.split() if len(word) > 2), (secret, masked)


@given(secret=st.text(min_size=8, max_size=30), user=st.text(max_size=5), behind=st.text(max_size=5))
def test_a_secret_is_found_in_the_base64_of_something_longer(secret: str, user: str, behind: str) -> None:
    secret = secret.strip()
    assume(is_maskable(secret) and len(secret) >= 8)
    assume(not any("\ud800" <= char <= "\udfff" for char in user + secret + behind))
    header = base64.b64encode(f"{user}:{secret}{behind}".encode()).decode()
    masked = knowing(secret).text(f"Authorization: Basic {header}")
    assert MASK in masked
    left = masked.removeprefix("Authorization: Basic ").replace(MASK, "")
    assert len(left) <= len(header) - len(secret.encode()) * 8 // 6 + 2


@given(
    known=st.lists(secrets, min_size=1, max_size=4),
    pieces=st.lists(around | st.integers(0, 3), max_size=12),
    data=st.data(),
)
def test_a_stream_in_any_pieces_is_masked_as_in_one(
    known: list[str], pieces: list[str | int], data: st.DataObject
) -> None:
    made = knowing(*known)
    text = "".join(known[one % len(known)] if isinstance(one, int) else one for one in pieces)
    raw = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    stream = made.stream()
    shown = b"".join(stream.feed(raw[a:b]) for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)) + stream.flush()
    for one in known:
        if is_maskable(one):
            assert one.strip().encode() not in shown
    if MASK not in text:
        assert shown.replace(b"***", b"") == made.text(text).replace("***", "").encode() or MASK in made.text(text)


@given(known=st.lists(secrets, max_size=3), text=around)
def test_text_without_a_secret_is_left_alone(known: list[str], text: str) -> None:
    made = knowing(*known)
    assume(not made.holds(text))
    assert made.text(text) is text
    stream = made.stream()
    assert b"".join(stream.feed(bytes([one])) for one in text.encode()) + stream.flush() == text.encode()


def test_every_single_cut_of_a_secret_is_held_back() -> None:
    secret = "s3cr3t-s3cr4t"
    for cut in range(len(secret) + 1):
        stream = knowing(secret).stream()
        first = stream.feed(f"a {secret[:cut]}".encode())
        assert first == (b"a " if cut < len(secret) else b"a ***")
        assert first + stream.feed(f"{secret[cut:]} b".encode()) + stream.flush() == b"a *** b"


def test_what_turned_out_to_be_no_secret_is_shown_whole_and_at_once() -> None:
    stream = knowing("abcabcd").stream()
    assert stream.feed(b"abcab") == b""
    assert stream.feed(b"x") == b"abcabx"
    assert stream.feed(b"abc") == b""
    assert stream.flush() == b"abc"


def test_what_is_held_back_is_bounded_by_the_longest_secret() -> None:
    stream = knowing("a" * 50).stream()
    shown = b"".join(stream.feed(b"a" * 7) for _ in range(1_000))
    assert len(stream.flush()) <= 50
    assert set(shown) <= set(b"*")


def test_overlapping_secrets_leave_nothing_of_either() -> None:
    made = knowing("abcdefgh", "efghijkl")
    assert made.text("-abcdefghijkl-") == "-***-"
    assert made.text("-abcdefgh-efghijkl-") == "-***-***-"


def test_a_secret_within_a_secret_does_not_end_the_mask_early() -> None:
    stream = knowing("hunter", "hunter-and-gatherer").stream()
    assert stream.feed(b"hunter") + stream.feed(b"-and-gatherer ") == b"*** "


def test_a_url_hides_its_password_as_written_and_decoded() -> None:
    made = knowing("postgresql+psycopg://etl:p%40ss%2Fword@db.example.com/sales?sslpassword=other-one")
    for text in ("p%40ss%2Fword", "p@ss/word", "other-one", "password authentication failed: p@ss/word"):
        assert made.holds(text), text
    assert made.text("connected to db.example.com as etl") == "connected to db.example.com as etl"


def test_a_url_in_the_open_is_secret_when_it_holds_a_secret() -> None:
    made = Secrets()
    made.add_url("sqlite:////data/warehouse.db")
    assert not made
    made.add_url("postgresql://etl:hunter22@db/sales")
    assert made.text("postgresql://etl:hunter22@db/sales") == MASK
    assert made.text("hunter22") == MASK


def test_a_key_file_hides_what_its_keys_call_secret() -> None:
    made = knowing(
        json.dumps(
            {"project_id": "my-project", "private_key": "line one of it\nline two of it", "a": {"token": "tok-1234"}}
        )
    )
    assert made.text("my-project") == "my-project"
    assert made.text("tok-1234, line two of it") == "***, ***"


@pytest.mark.parametrize("short", ["", "a", "1234", "  ab  ", "true", "False", "localhost"])
def test_what_cannot_be_told_from_ordinary_text_is_not_masked(short: str) -> None:
    made = knowing(short)
    assert not made
    assert made.text(f"x {short} y") == f"x {short} y"


def test_values_are_masked_inside_with_their_keys() -> None:
    made = knowing("hunter22")
    found = made.value({"a hunter22": ["hunter22", 3, None, {"b": "no hunter22"}], "rows": iter(["hunter22"])})
    assert list(found.pop("rows")) == [MASK]
    assert found == {"a ***": [MASK, 3, None, {"b": "no ***"}]}


def test_bytes_that_are_no_utf8_are_kept_and_secrets_of_such_found() -> None:
    secret = b"ge\xe4heim-1".decode("utf-8", "surrogateescape")
    stream = knowing(secret).stream()
    assert stream.feed(b"\xff ge\xe4heim-1 \xfe") + stream.flush() == b"\xff *** \xfe"
    assert knowing(secret).text(f"x {secret}") == "x ***"
