"""The audit chain as values: each entry carries the hash of the one before, so history cannot change unseen.

Owns what is hashed and how a chain is checked. The chain shows an edited, inserted, removed or reordered entry; a cut
tail, or a whole chain written anew, shows only against a head that somebody kept (`audit verify --expect-head`). An
entry that closes a backfill holds a digest over the attempts it made, which ties the ledger's history to the chain.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from backfill_cli.core.records import AttemptRow, AuditRow

GENESIS = "0" * 64
"""What the first entry names as the one before it."""


def canonical(value: Mapping[str, Any]) -> str:
    """Return JSON that is the same text for the same value: keys sorted, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


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

    The details become what JSON will give back: the hash must be that of the entry as it is read again.
    """
    seq, previous = head
    told = json.loads(canonical(details))
    row = AuditRow(seq + 1, at, actor, host, action, target, reason, outcome, told, previous or GENESIS, "")
    return replace(row, hash=entry_hash(row))


def head_text(head: tuple[int, str]) -> str:
    """Return a head as people keep it: `1042:9f3c81d2…`, the whole hash; "" for an empty chain."""
    seq, digest = head
    return f"{seq}:{digest}" if seq else ""


def check_chain(rows: Iterable[AuditRow]) -> tuple[int, AuditRow | None, str, tuple[int, str]]:
    """Walk a chain from its first entry.

    Returns:
        How many entries hold, the first that does not (or None), what is wrong with it, and the head of those that do.
    """
    checked, head = 0, (0, GENESIS)
    for row in rows:
        if row.seq != head[0] + 1:
            return checked, row, f"entry {row.seq} follows entry {head[0]}: one is missing or out of order", head
        if row.previous != head[1]:
            return checked, row, f"entry {row.seq} does not continue entry {head[0]}", head
        if row.hash != entry_hash(row):
            return checked, row, f"entry {row.seq} was changed after it was written", head
        checked, head = checked + 1, (row.seq, row.hash)
    return checked, None, "", head


class AttemptsDigest:
    """A digest over attempts, which are taken in one by one; `details()` is what a closing entry says of them."""

    __slots__ = ("_count", "_digest")

    def __init__(self) -> None:
        self._count = 0
        self._digest = sha256()

    def add(self, row: AttemptRow) -> None:
        """Take in the next attempt; their order counts."""
        self._count += 1
        # Text as text, all else as it prints: an absent reason is not the reason "None".
        self._digest.update(repr(tuple(str(one) if isinstance(one, str) else one for one in row)).encode())

    def details(self) -> dict[str, Any]:
        """Return how many attempts there were and the digest over all they say."""
        return {"attempts": self._count, "attempts_digest": self._digest.hexdigest()}


def attempts_digest(rows: Iterable[AttemptRow]) -> dict[str, Any]:
    """Return how many attempts there are and a digest over all they say, in their order."""
    digest = AttemptsDigest()
    for row in rows:
        digest.add(row)
    return digest.details()
