"""Text from users, tasks and data, made harmless for a terminal, and with secrets masked.

Owns `safe_text`, through which every string passes before a screen, an error or a progress line shows it. It imports
nothing heavy: errors must print quickly and without Rich.
"""

from __future__ import annotations

import re

from backfill_cli.core.masking import SECRETS

# C0 and C1 controls (ESC starts a sequence, CR overwrites the line, BEL rings), DEL, the two Unicode line ends, marks
# that turn the direction of text (they can make `rm` read as something else), and halves of surrogate pairs, which no
# encoding can write.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char)
    if named:
        return named
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"


def safe_text(text: object, *, keep: str = "") -> str:
    """Return `str(text)` on one line, every character that could drive a terminal written as an escape.

    Args:
        text: Anything; an object whose `__str__` fails is the caller's bug.
        keep: Control characters to leave as they are (a log keeps its tabs).
    """
    raw = SECRETS.text(str(text))
    if not _UNSAFE.search(raw):
        return raw
    return _UNSAFE.sub(lambda match: match.group() if match.group() in keep else _escape(match), raw)
