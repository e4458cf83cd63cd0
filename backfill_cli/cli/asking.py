"""Questions to a person: yes or no, or which of several. Asked on stderr, and only on a terminal.

Owns when a question may be asked at all: without a terminal the callers get None and refuse instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from backfill_cli.cli.streams import is_terminal
from backfill_cli.errors import UsageProblem

if TYPE_CHECKING:
    from backfill_cli.cli.shared import Shared
    from backfill_cli.core.records import BackfillRow


def confirmer(shared: Shared) -> Callable[[str], bool] | None:
    """Return a function that asks and says whether the answer was yes; None where nobody can answer."""
    return _confirm if _can_ask(shared) else None


def chooser(shared: Shared) -> Callable[[list[BackfillRow]], BackfillRow] | None:
    """Return a function that lets a person choose a backfill; None where nobody can answer."""
    return _choose if _can_ask(shared) else None


def _can_ask(shared: Shared) -> bool:
    return not shared.quiet and sys.stdin is not None and is_terminal(sys.stdin) and is_terminal(sys.stderr)


def _ask(prompt: str) -> str:
    from backfill_cli.render.safe import safe_text

    sys.stderr.write("\n".join(map(safe_text, prompt.split("\n"))))
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _confirm(question: str) -> bool:
    return _ask(f"{question} [y/N] ").lower() in ("y", "yes")


def _choose(rows: list[BackfillRow]) -> BackfillRow:
    lines = [
        f"  {number}  {row.backfill_id}  {row.dag_id}  {row.state}  {row.remaining:,} of {row.total:,} dates to do"
        for number, row in enumerate(rows, 1)
    ]
    answer = _ask("several backfills can go on:\n" + "\n".join(lines) + f"\nwhich one? [1-{len(rows)}] ")
    if answer.isdecimal() and 1 <= int(answer) <= len(rows):
        return rows[int(answer) - 1]
    for row in rows:
        if row.backfill_id == answer:
            return row
    raise UsageProblem(
        f"'{answer}' is none of them" if answer else "nothing chosen",
        hint=f"bfill run {rows[0].backfill_id}",
        code="ambiguous-backfill",
    )
