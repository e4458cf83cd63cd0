"""The audit chain as values: each entry carries the hash of the one before, so history cannot change unseen.

Owns what is hashed and how a chain is checked. The chain alone shows an edited, inserted, removed or reordered entry; a
cut tail, an older copy, or a chain written anew from some entry on shows against heads that were kept: in the file
beside the store (`core/heads.py`), or by a person (`audit verify --expect-head`). What entries say about dag_runs and
backfills is `core/testimony.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from backfill_cli.core.audits import Finding
from backfill_cli.core.histories import Values
from backfill_cli.core.records import AuditRow

GENESIS = "0" * 64
"""What the first entry names as the one before it."""


def canonical(value: Mapping[str, Any]) -> str:
    """Return JSON that is the same text for the same value: keys sorted, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def kept_text(text: str) -> str:
    """Return text with what is no Unicode written as an escape: what the store will keep of it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def entry_hash(row: AuditRow) -> str:
    """Return the SHA-256 of an entry, hexadecimal: over every field and the hash before, its own left out."""
    fields = {
        "seq": row.seq,
        "at": row.at,
        "actor": row.actor,
        "host": row.host,
        "action": row.action,
        "target": row.target,
        "reason": row.reason,
        "outcome": row.outcome,
        "details": dict(row.details),
        "previous": row.previous,
    }
    return sha256(canonical(fields).encode()).hexdigest()


def next_entry(
    head: tuple[int, str],
    *,
    at: int,
    actor: str,
    host: str,
    action: str,
    target: str,
    reason: str | None,
    outcome: str,
    details: Mapping[str, Any],
) -> AuditRow:
    """Return the entry that follows `head` (seq, hash), its own hash computed. `at` is epoch microseconds.

    Details become what JSON will give back, texts what a database can hold (an argument need not be Unicode): the hash
    must be that of the entry as it is read again.
    """
    seq, previous = head
    told = json.loads(canonical(details))
    actor, host, target = map(kept_text, (actor, host, target))
    reason = None if reason is None else kept_text(reason)
    row = AuditRow(seq + 1, at, actor, host, action, target, reason, outcome, told, previous or GENESIS, "")
    return replace(row, hash=entry_hash(row))


def head_text(head: tuple[int, str]) -> str:
    """Return a head as people keep it: `1042:9f3c81d2…`, the whole hash; "" for an empty chain."""
    seq, digest = head
    return f"{seq}:{digest}" if seq else ""


class ChainCheck:
    """A walk along a chain as it is stored, from its first entry to the first that does not hold.

    Attributes:
        checked: How many entries hold.
        head: (seq, hash) of the last of them.
        finding: What is wrong with the entry behind it; None when there is none.
    """

    def __init__(self) -> None:
        self.checked = 0
        self.head = (0, GENESIS)
        self.finding: Finding | None = None

    def over(self, stored: Iterable[Values]) -> Iterator[AuditRow]:
        """Yield the entries that hold; ends at the first that does not."""
        for values in stored:
            try:
                row = read_entry(values)
                self._refuse(row)
            except ValueError as error:
                self.finding = Finding("chain-broken", f"entry {values[0]} {error}", entry=values[0])
                return
            self.checked += 1
            self.head = (row.seq, row.hash)
            yield row

    def _refuse(self, row: AuditRow) -> None:
        seq, previous = self.head
        if row.seq != seq + 1:
            raise ValueError(f"follows entry {seq}: one is missing or out of order")
        if row.previous != previous:
            raise ValueError(f"does not continue entry {seq}")
        if row.hash != entry_hash(row):
            raise ValueError("was changed after it was written")


def read_entry(values: Values) -> AuditRow:
    """Return an entry from the values of its row.

    Raises:
        ValueError: It is none that bfill has written. The details have to be the very text: other spaces, or another
            way to write a character, would read as the same value and be a change nobody sees.
    """
    seq, at, actor, host, action, target, reason, outcome, details, previous, own = values
    texts = (actor, host, action, target, outcome, details, previous, own, "" if reason is None else reason)
    if type(seq) is not int or type(at) is not int or any(type(text) is not str for text in texts):
        raise ValueError("holds a value of a wrong type")
    try:
        told = json.loads(details)
    except (ValueError, RecursionError):
        raise ValueError("has details that are no JSON") from None
    if not isinstance(told, dict) or canonical(told) != details:
        raise ValueError("has details that bfill did not write")
    return AuditRow(seq, at, actor, host, action, target, reason, outcome, told, previous, own)
