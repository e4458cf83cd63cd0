"""The secrets this process has seen, and texts in which none of them stands any more.

Owns the registry (`SECRETS`, one a process) and what is done with it: `***` in the place of every secret, in a whole
text or in a stream that arrives in pieces. Who learns a secret adds it (`app/secrets.py`, at the moment a `secret:`
reference is read); who writes something for somebody else passes it through. How a secret may be written is
`core/disguises.py`. Without secrets nothing is looked at.

Source: apache/airflow, `[logging] min_length_masked_secret` (5), below which a mask would hit ordinary words and tell
the secret by where it stands; actions/runner, which masks each line of a secret and its base64.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from backfill_cli.core.disguises import Shape

MASK = "***"
_MASK = MASK.encode()

SHORTEST = 5
"""Characters from which on a secret is masked; `plan` warns of shorter ones."""

_LINE_LEAST = 8
"""Characters from which on a line of a secret of several lines is a secret of its own."""

_WORDS = frozenset({"false", "default", "undefined", "localhost", "127.0.0.1"})
"""Values that a reference may have and that are no secrets: half a log would be stars."""

LOOKS_SECRET = re.compile(r"passw|secret|token|api_?key|credential|private", re.IGNORECASE)
"""Names whose values are secret: keys of a conf, of a URL's query, of a JSON document behind a reference."""


def is_maskable(secret: str) -> bool:
    """Return whether a secret is one that can be told from ordinary text."""
    return len(secret.strip()) >= SHORTEST and secret.strip().lower() not in _WORDS


class _Net(NamedTuple):
    """All shapes of the secrets known when it was made, and by the one or two bytes they may begin with."""

    known: int
    shapes: tuple[Shape, ...]
    longest: int
    by_start: Mapping[bytes, list[Shape]]


class Secrets:
    """A set of secrets that only grows; safe to use from several threads without a lock."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}
        self._net = _Net(0, (), 0, {})

    def __bool__(self) -> bool:
        return bool(self._known)

    def add(self, secret: str) -> None:
        """Remember a secret: what it holds of passwords and lines as well. One too short to be told apart is not."""
        secret = secret.strip()
        if secret in self._known:
            return
        for one in (secret, *parts_of(secret)):
            lines = one.splitlines()
            found = (one, *(line for line in lines if len(line.strip()) >= _LINE_LEAST)) if len(lines) > 1 else (one,)
            self._known.update((text.strip(), None) for text in found if is_maskable(text))

    def add_url(self, url: str) -> None:
        """Remember a URL that stands in the open, and its password, if it has one; without one it is no secret."""
        if any(_parts_of_url(url)):
            self.add(url)

    def clear(self) -> None:
        """Forget all; for tests."""
        self.__init__()  # type: ignore[misc]

    def holds(self, text: str) -> bool:
        """Return whether a secret stands in the text."""
        return bool(self._known) and bool(_spans(self._current(), _encoded(text)))

    def text(self, text: str) -> str:
        """Return the text with `***` in the place of every secret."""
        if not self._known:
            return text
        raw = _encoded(text)
        masked = _masked(self._current(), raw)
        return text if masked is raw else masked.decode("utf-8", "surrogatepass")

    def value(self, value: Any) -> Any:
        """Return a JSON-like value, or one with iterators in it, with every text in it masked, keys included."""
        if not self._known:
            return value
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.value(key): self.value(one) for key, one in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.value(one) for one in value]
            case Iterator():
                return map(self.value, value)
            case _:
                return value

    def stream(self) -> MaskedStream:
        """Return a filter for bytes that arrive in pieces."""
        return MaskedStream(self)

    def _current(self) -> _Net:
        # Lock-free: what is known only grows, so a net of as many secrets is a net of the same ones.
        net = self._net
        if net.known != len(self._known):
            from backfill_cli.core.disguises import shapes_of

            known = tuple(self._known)
            shapes = tuple(shape for secret in known for shape in shapes_of(secret))
            by_start: dict[bytes, list[Shape]] = {}
            for shape in shapes:
                for start in shape.starts:
                    by_start.setdefault(start, []).append(shape)
            net = self._net = _Net(len(known), shapes, max(one.longest for one in shapes), by_start)
        return net


class MaskedStream:
    """Masks one stream of bytes, also where a secret comes in several pieces.

    What may be the beginning of a secret is held back until the next bytes tell, or until `flush`; never more than the
    longest secret in its longest notation.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take bytes and return those that may be shown now."""
        if not self._secrets:
            return data
        net = self._secrets._current()
        data, self._held = self._held + data, b""
        cut = _first_beginning(net, data, 0)
        shown = [span for span in _merged(_spans(net, data)) if span[0] < cut]
        if shown and shown[-1][1] > cut:  # a whole secret ends with what may be the beginning of another
            cut = _first_beginning(net, data, shown[-1][1])
        self._held = data[cut:]
        return _replaced(data[:cut], shown)

    def flush(self) -> bytes:
        """Return what was held back: nothing follows any more."""
        held, self._held = self._held, b""
        return _masked(self._secrets._current(), held) if held else b""


SECRETS = Secrets()
"""What this process has seen: one for all of it, because all of it writes to the same terminal."""


def parts_of(secret: str) -> Iterator[str]:
    """Yield what is secret inside a secret: passwords of a URL, values of a JSON object by the look of their keys."""
    if "://" in secret:
        yield from _parts_of_url(secret)
    elif secret.startswith("{"):
        import json

        with suppress(ValueError, RecursionError):
            yield from _leaves(json.loads(secret))


def _parts_of_url(url: str) -> Iterator[str]:
    from urllib.parse import parse_qsl, unquote, unquote_plus

    _, _, rest = url.partition("://")
    address, _, query = rest.partition("?")
    user, at, _ = address.rpartition("@")
    if at and ":" in user:
        password = user.partition(":")[2]
        yield from dict.fromkeys((password, unquote(password), unquote_plus(password)))
    for key, value in parse_qsl(query):
        if LOOKS_SECRET.search(key):
            yield value


def _leaves(value: Any, *, secret: bool = False) -> Iterator[str]:
    if isinstance(value, str) and secret:
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, secret=secret or bool(LOOKS_SECRET.search(key)))
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, secret=secret)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _spans(net: _Net, data: bytes) -> list[tuple[int, int]]:
    """Return where secrets stand, in no order."""
    here = [shape for shape in net.shapes if shape.core in data]
    return [span for shape in here for span in shape.spans(data)]


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the spans in order, overlapping ones as one: two secrets that share a part leave nothing of either."""
    begin = end = -1
    for first, last in sorted(spans):
        if first >= end:
            if end > begin:
                yield begin, end
            begin, end = first, last
        else:
            end = max(end, last)
    if end > begin:
        yield begin, end


def _masked(net: _Net, data: bytes) -> bytes:
    """Return the data masked: the same object where nothing is."""
    return _replaced(data, list(_merged(_spans(net, data))))


def _replaced(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    if not spans:
        return data
    parts: list[bytes] = []
    at = 0
    for begin, end in spans:
        parts += data[at:begin], _MASK
        at = end
    return b"".join((*parts, data[at:]))


def _first_beginning(net: _Net, data: bytes, least: int) -> int:
    """Return the first place, not before `least`, from which on all may be the beginning of a secret; else the end."""
    end, by_start = len(data), net.by_start
    for at in range(max(least, end - net.longest + 1), end):
        # Nearly every place is turned down by this look-up: only here is a whole tail compared.
        for shape in by_start.get(data[at : at + 2], ()):
            if shape.begins(data, at):
                return at
    return end
