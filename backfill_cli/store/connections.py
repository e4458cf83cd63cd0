"""One database connection, reduced to the few things the store asks of it.

Owns the shape every dialect must offer: rows, one row, run, many, insert; and the placeholders (`?`; a PostgreSQL
connection translates them here, in one place). Knows nothing about tables and turns no error into another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

Row = tuple[Any, ...]

CHUNK = 5_000
"""Rows an executemany gets at once: enough to be as fast as one call, little enough to keep memory flat."""

MANY, FEW = 64, 8
"""Rows or keys a statement takes at once. Starting one costs more than adding a row to it, and gives up the
interpreter's lock: 64 at once are three times as quick as 64 times one. A rest of fewer than 8 is one statement too;
so few sizes keep the prepared statements few."""


class Insert:
    """An INSERT of one row or many.

    Args:
        table, columns: Where to; the columns separated by `, `.
        then: What follows the rows, such as ON CONFLICT; may hold placeholders.
    """

    __slots__ = ("texts",)

    def __init__(self, table: str, columns: str, then: str = "") -> None:
        row = f"({', '.join('?' * len(columns.split(', ')))})"
        self.texts = {
            size: f"INSERT INTO {table} ({columns}) VALUES {', '.join([row] * size)} {then}".rstrip()
            for size in (MANY, *range(1, FEW + 1))
        }


class ByKeys:
    """A statement about the rows whose key is one of many.

    Args:
        text: With `{keys}` where the placeholders of the keys go, as its last ones.
    """

    __slots__ = ("texts",)

    def __init__(self, text: str) -> None:
        self.texts = {size: text.format(keys=", ".join("?" * size)) for size in (MANY, FEW)}

    def parts(self, keys: list[int]) -> Iterator[tuple[str, list[int]]]:
        """Yield the statement and its keys, as often as it takes.

        Filled up with a key that is there anyway: naming it twice changes nothing, and the statement is prepared once.
        """
        for start in range(0, len(keys), MANY):
            part = keys[start : start + MANY]
            size = FEW if len(part) <= FEW else MANY
            yield self.texts[size], part + part[:1] * (size - len(part))


def _as_is(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


class Connection:
    """A DBAPI connection in autocommit mode; transactions are begun and ended by `sql.py`.

    Args:
        path: The file behind it, if there is one.
    """

    __slots__ = ("_file", "_opened", "_path", "_raw", "_streams")

    def __init__(self, raw: Any, path: Path | None = None) -> None:
        self._raw = raw
        self._path = path
        self._file = None if path is None else _identity(path)
        self._opened = 0
        self._streams: dict[int, Any] = {}

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """Stream a query's rows; the query runs at once, the stream ends with the transaction."""
        self._opened += 1
        self._streams[self._opened] = self._raw.execute(sql, parameters)
        return self._stream(self._opened)

    def _stream(self, number: int) -> Iterator[Row]:
        cursor = self._streams.get(number)
        if cursor is None:
            raise RuntimeError("this stream ended with the `read` or `write` it belongs to")
        try:
            # Not `yield from`, which would close the cursor of a stream collected when the connection is long gone.
            for row in cursor:  # noqa: UP028
                yield row
        finally:
            self._streams.pop(number, None)

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a query that is known to have few."""
        rows: list[Row] = self._raw.execute(sql, parameters).fetchall()
        return rows

    def all_as_is(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a query, text that is no Unicode included: its bytes as `surrogateescape` writes them."""
        try:
            return self.all(sql, parameters)  # four times as quick, and nearly always enough
        except Exception:  # noqa: BLE001  (drivers disagree on which; whatever else it was happens again below)
            self._raw.text_factory = _as_is
        try:
            return self.all(sql, parameters)
        finally:
            self._raw.text_factory = str

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """Return a query's first row, or None."""
        row: Row | None = self._raw.execute(sql, parameters).fetchone()
        return row

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute one statement; how many rows it changed."""
        changed: int = self._raw.execute(sql, parameters).rowcount
        return changed

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Execute one statement for every row, in chunks; how many rows were changed."""
        changed = 0
        stream = iter(rows)
        while chunk := list(islice(stream, CHUNK)):
            changed += self._raw.executemany(sql, chunk).rowcount
        return changed

    def insert(self, what: Insert, rows: Iterable[Row], then: Row = ()) -> int:
        """Insert rows, many a statement; how many were written.

        Args:
            then: The parameters behind the rows, for the placeholders of `Insert.then`.
        """
        written = 0
        stream = iter(rows)
        while chunk := list(islice(stream, MANY)):
            start = 0
            while left := len(chunk) - start:
                size = MANY if left == MANY else min(left, FEW)
                values = (*chain.from_iterable(chunk[start : start + size]), *then)
                written += self._raw.execute(what.texts[size], values).rowcount
                start += size
        return written

    def is_adrift(self) -> bool:
        """Return whether the file was removed, moved or replaced since it was opened.

        What is written then goes to a file that nobody will find.
        """
        return self._path is not None and _identity(self._path) != self._file

    @property
    def in_transaction(self) -> bool:
        return bool(self._raw.in_transaction)

    @property
    def streams_opened(self) -> int:
        """How many streams were ever opened: a mark for `end_streams`."""
        return self._opened

    def end_streams(self, since: int = 0) -> None:
        """Close the streams opened after the mark.

        One left half read would keep its old snapshot open into the next transaction.
        """
        for number in [number for number in self._streams if number > since]:
            self._streams.pop(number).close()

    def copy_into(self, other: Connection) -> None:
        """Copy the whole database, page by page."""
        self._raw.backup(other._raw)

    def close(self) -> None:
        self.end_streams()
        self._raw.close()


def _identity(path: Path) -> tuple[int, int] | None:
    # Asked by name: opening the file here, and closing it, would drop SQLite's own locks on it.
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
