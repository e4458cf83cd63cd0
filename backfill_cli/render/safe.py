"""Text from users, tasks and data, made harmless for a terminal, and with secrets masked.

Owns `safe_text`, through which every string passes before a screen, an error or a progress line shows it. It imports
nothing heavy: errors must print quickly and without Rich.
"""

from __future__ import annotations

from backfill_cli.core.harmless import harmless
from backfill_cli.core.masking import SECRETS


def safe_text(text: object, *, keep: str = "") -> str:
    """Return `str(text)` on one line, secrets masked, what could drive a terminal written as an escape.

    Args:
        text: Anything; an object whose `__str__` fails is the caller's bug.
        keep: Control characters to leave as they are (a log keeps its tabs).
    """
    return harmless(SECRETS.text(str(text)), keep=keep)
