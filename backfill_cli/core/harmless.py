"""Text from users, tasks and data that can no longer drive what shows it: a terminal, or the log viewer of a CI system.

Owns which characters are dangerous and how they are written instead: as the escapes that Python and JSON use, so that
one sees what was there. What stands in a file (a task's log) keeps its bytes; they are made harmless when shown.

Source: ECMA-48 (C0, C1); UAX #9 (bidi controls) and trojansource.codes; Unicode's Default_Ignorable_Code_Point, without
variation selectors, which emoji need; actions/runner, ActionCommand.cs: `::command::` after blanks at the start of a
line, `##[command]` anywhere in one; Azure Pipelines `##vso[`, TeamCity `##teamcity[`.
"""

from __future__ import annotations

import re

_CHARACTERS = (
    # ESC starts a sequence, CR overwrites the line, BEL rings; C1 does the same in one byte on some terminals.
    "\\x00-\\x1f\\x7f-\\x9f"
    # Marks that turn the direction of text: `rm` can be made to read as something else. Line ends of Unicode.
    "\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f"
    # What takes no room: it makes two names look alike.
    "\\u00ad\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb"
    "\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff"
    # Halves of surrogate pairs, which no encoding can write.
    "\\ud800-\\udfff"
)
_UNSAFE = re.compile(f"[{_CHARACTERS}]|#(?=#[a-z]*\\[)|(?<![^\\n])[^\\S\\n]*:(?=:[^\\n]*::)")


def harmless(text: str, *, keep: str = "") -> str:
    """Return the text on one line, everything that could drive a terminal or a CI system written as an escape.

    Args:
        keep: Control characters to leave as they are (a log keeps its tabs).
    """
    if not _UNSAFE.search(text):
        return text
    return _UNSAFE.sub(lambda match: _escaped(match.group(), keep), text)


def _escaped(found: str, keep: str) -> str:
    if len(found) > 1:  # blanks, and the colon behind them
        return harmless(found[:-1], keep=keep) + "\\x3a"
    if found in keep:
        return found
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(found)
    if named:
        return named
    code = ord(found)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
