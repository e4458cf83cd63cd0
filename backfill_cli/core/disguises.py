"""A secret as programs write it: literally, and in the notations that texts go through on their way to a log.

Owns what counts as the same secret: quoted for a shell (`set -x`, `printf %q`), percent-encoded, as JSON or Python
writes a string, escaped for HTML, XML, SQL and CSV, mixed as one likes, with its white space collapsed; and its base64,
on its own or in the middle of something longer (`user:password` in a header). Letters and digits stay what they are in
all but the last, so they are what one looks for first. Not known: hex, hashes, other cases, a secret written backwards
or in pieces. Whoever wants to show a secret finds a way; this is against accidents.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import cached_property
from html import escape
from itertools import groupby

_BASE64_LEAST = 8
"""Bytes from which on base64 is looked for: that of fewer is found in other people's words."""

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\a": "\\a", "\v": "\\v", "\x1b": "\\e"}
_QUOTES = {"'": ("'\\''", "'\"'\"'", "''", "&apos;", "&#39;"), '"': ('""', "&#34;"), "\\": ("\\\\\\\\",)}


class Shape:
    """One sequence of pieces, each of which may be written in several ways.

    Args:
        pieces: The ways to write each piece, in bytes, the longest first; none is empty.
    """

    def __init__(self, pieces: list[tuple[bytes, ...]]) -> None:
        self.pieces = pieces
        self.longest = sum(len(ways[0]) for ways in pieces)
        self.core = max((ways[0] for ways in pieces if len(ways) == 1), key=len, default=b"")
        """Bytes that stand in every way of writing it: where they are missing, nothing else need be looked for."""
        self.starts = frozenset(_starts(pieces))
        """The one or two bytes it may begin with: the first, and the first two."""

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        parts = (b"(?:" + b"|".join(map(re.escape, ways)) + b")" for ways in self.pieces)
        return re.compile(b"".join(parts))

    def spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield where it stands."""
        return (match.span() for match in self._pattern.finditer(data))

    def begins(self, data: bytes, at: int) -> bool:
        """Return whether what stands from `at` to the end may be its beginning, and what is missing may follow."""
        end = len(data)
        reached = {at}
        for ways in self.pieces:
            if end in reached:
                return True
            following = set()
            for place in reached:
                for way in ways:
                    if data.startswith(way, place):
                        following.add(place + len(way))
                    elif end - place < len(way) and way.startswith(data[place:]):
                        return True
            if not following:
                return False
            reached = following
        return False


def shapes_of(secret: str) -> Iterator[Shape]:
    """Yield every shape of a secret; it must not be empty."""
    yield Shape([_ways(part) for part in _parts(secret)])
    raw = _bytes(secret)
    if len(raw) >= _BASE64_LEAST:
        yield from (Shape([(text,)]) for text in dict.fromkeys(_base64(raw)))


def _starts(pieces: list[tuple[bytes, ...]]) -> Iterator[bytes]:
    for way in pieces[0]:
        yield way[:1]
        if len(way) > 1:
            yield way[:2]
        else:
            yield from (way + following[:1] for following in pieces[1])


def _parts(secret: str) -> Iterator[str]:
    """Yield runs of letters and digits, runs of white space, and every other character on its own."""
    for kind, run in groupby(secret, key=_kind):
        text = "".join(run)
        yield from text if kind == "other" else (text,)


def _kind(char: str) -> str:
    if char.isascii() and char.isalnum():
        return "word"
    return "space" if char.isspace() else "other"


def _ways(part: str) -> tuple[bytes, ...]:
    if _kind(part[0]) == "word":
        return (part.encode(),)
    found = {_bytes(part), part.encode(errors="backslashreplace")}
    found |= {"".join(map(style, part)).encode("utf-8", "surrogatepass") for style in _STYLES}
    found |= {way.encode() for way in _QUOTES.get(part, ())}
    if part.isspace():
        found |= {b" ", b"+" * len(part), part.replace("\n", "\r\n").encode()}
        # A blank may stay one, or become the + of a form, where what is beside it is escaped.
        found |= {
            "".join(blank if one == " " else style(one) for one in part).encode() for style in _STYLES for blank in " +"
        }
        found |= {b"' '", b"' ", b" '"}  # several words where a shell splits it: `set -x` quotes each as it needs
    return tuple(sorted(found, key=lambda way: (-len(way), way)))


def _bytes(text: str) -> bytes:
    """Return the bytes behind a text; from an environment, those may be no UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a pair that came from elsewhere
        return text.encode("utf-8", "surrogatepass")


def _each_byte(form: str) -> Callable[[str], str]:
    return lambda char: "".join(form.format(byte) for byte in _bytes(char))


def _utf16(char: str) -> str:
    raw = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{raw[at]:02x}{raw[at + 1]:02x}" for at in range(0, len(raw), 2))


# Each a function of one character; upper and lower case of hex digits are both in use.
_STYLES: tuple[Callable[[str], str], ...] = (
    lambda char: "\\" + char,
    lambda char: _NAMED.get(char, char),
    _each_byte("%{:02X}"),
    _each_byte("%{:02x}"),
    _each_byte("\\x{:02x}"),
    _each_byte("\\x{:02X}"),
    _each_byte("\\{:03o}"),
    _utf16,
    lambda char: _utf16(char).upper().replace("\\U", "\\u"),
    lambda char: char.encode("unicode_escape").decode(),
    lambda char: escape(char, quote=True),
    lambda char: f"&#{ord(char)};",
)


def _base64(raw: bytes) -> Iterator[bytes]:
    """Yield what base64 makes of it at each of the three offsets, without what its neighbours decide as well."""
    for offset in range(3):
        text = b64encode(bytes(offset) + raw)
        certain = text[(0, 2, 3)[offset] : (offset + len(raw)) * 8 // 6]
        yield certain
        yield certain.translate(bytes.maketrans(b"+/", b"-_"))
