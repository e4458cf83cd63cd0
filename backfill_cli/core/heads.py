"""Heads of the audit chain that were kept outside of it: one line each, `seq:hash instant`.

Owns the line, and what a chain must look like to have had these heads. It must contain every one of them: an entry that
reads otherwise was changed and the chain written anew behind it, and a chain that ends before one has lost its tail, or
is an older copy. The chain may go on behind the last head: a process can be killed between its commit and the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from backfill_cli.core.audits import Finding
from backfill_cli.core.instants import iso_us
from backfill_cli.core.records import AuditRow

_LINE = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64}) [0-9T:.+-]{19,40}", re.ASCII)
_HEAD = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{8,64})", re.ASCII | re.IGNORECASE)


class Head(NamedTuple):
    """An entry by its number and its hash, or how that begins."""

    seq: int
    hash: str


def head_line(row: AuditRow) -> str:
    """Return the line that keeps an entry."""
    return f"{row.seq}:{row.hash} {iso_us(row.at)}\n"


def read_heads(lines: Iterable[str]) -> list[Head]:
    """Return the heads of a file. A line that is none is passed over: a power cut may leave half of one."""
    return [Head(int(found[1]), found[2]) for found in map(_LINE.fullmatch, map(str.strip, lines)) if found]


def parse_head(text: str) -> Head | None:
    """Return a head as a person kept it: `1042:9f3c81d2`, at least eight digits of the hash; None for other text."""
    found = _HEAD.fullmatch(text.strip())
    return Head(int(found[1]), found[2].lower()) if found else None


class HeadCheck:
    """A comparison of kept heads with the entries of a chain as they pass by.

    Args:
        heads: What was kept, in any order.
        keeper: Who kept them, for the finding: "the head file beside the store".
    """

    def __init__(self, heads: Sequence[Head], keeper: str) -> None:
        self._keeper = keeper
        self._hashes: dict[int, set[str]] = {}
        for head in heads:
            self._hashes.setdefault(head.seq, set()).add(head.hash)
        self.last = max(self._hashes, default=0)
        self.finding: Finding | None = None

    def look(self, row: AuditRow) -> None:
        """Compare the next entry; the first that differs is the finding."""
        if self.finding is None and not all(row.hash.startswith(one) for one in self._hashes.pop(row.seq, ())):
            what = f"entry {row.seq} is not the one that {self._keeper} kept: the chain was written anew from there on"
            self.finding = Finding("chain-other", what, entry=row.seq)

    def end(self, seq: int) -> Finding | None:
        """Return the finding at the end of a chain whose last entry is `seq`."""
        if self.finding is None and self.last > seq:
            what = (
                f"the chain ends at entry {seq}, and {self._keeper} kept entry {self.last}: its tail was cut off, or "
                "an older copy of the store was put in its place"
            )
            self.finding = Finding("chain-short", what, entry=seq + 1)
        return self.finding
