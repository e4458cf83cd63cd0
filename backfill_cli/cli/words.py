"""Words that flags take from a fixed list: states for `--where`, checked with near names."""

from __future__ import annotations

from collections.abc import Iterable

from backfill_cli.core.states import BackfillState, RunState, TaskState
from backfill_cli.errors import UsageProblem

STATES = tuple(
    dict.fromkeys(
        [
            *[*RunState, *TaskState, "blocked", "interrupted", "cleared", "partial", "missing", "stale", "remaining"],
            *BackfillState,
        ]
    )
)


def states(flag: str, given: Iterable[str]) -> frozenset[str]:
    """Return the states of repeated or comma-separated flags. Raises UsageProblem for a word that is no state."""
    found = {word.strip() for text in given for word in text.split(",")}
    for word in sorted(found):
        if word not in STATES:
            from backfill_cli.core.graph import near_hint

            known = [str(state) for state in STATES]
            hint = near_hint(word, known, otherwise=f"states: {', '.join(known)}")
            raise UsageProblem(f"{flag} '{word}' is no state", hint=hint, code="bad-value")
    return frozenset(found)
