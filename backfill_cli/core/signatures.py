"""What failures with different texts have in common: a reason without the values that change from date to date.

Owns `signature`, by which failures are grouped. Values go: numbers, dates, ids, paths, what stands in quotes. What
names a cause stays, though it looks like a value: `HTTP 503`, `exit status 2`, `[Errno 13]`, `KeyError: 'region'`. Two
causes in one group would hide one of them; one cause in two groups costs a line.

Source: getsentry/sentry, `grouping/parameterization.py`: one pattern, a placeholder for each kind of value.
"""

from __future__ import annotations

import re

_LONGEST = 500
"""Characters that are compared: a cause is told at the beginning, and the rest is a dump."""

_CODE = r"(?i:\b(?:HTTP(?:/[\d.]+)?|status(?: code)?|exit(?: code| status)?|code|errno|error|signal|SQLSTATE)|ORA)"
_NAMING = r"(?:KeyError:|name|attribute|named|argument|column|relation|table|function|module|type|field|key|task)"
_HEX = r"(?=[0-9a-fA-F]*\d)(?=[0-9a-fA-F]*[a-fA-F])"

_VALUE = re.compile(
    "|".join(
        (
            # What is kept comes first: of several alternatives the first that fits is taken.
            rf"(?P<kept>{_CODE}[ :=#(\[-]*-?\d+\b|\b{_NAMING} (?P<quote>['\"`])[A-Za-z_][A-Za-z_.]*(?P=quote))",
            r"(?P<id>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b)",
            r"(?P<date>(?<!\d)\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?(?!\d))",
            r"(?P<quoted>(?<!\w)(?:'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`)(?!\w)|“[^”\n]*”|«[^»\n]*»)",
            r"(?P<url>\b[a-z][a-z0-9+.-]*://(?P<host>[^\s/:?#]*)[^\s,;)\]]*)",
            r"(?P<path>(?<![\w<])(?:[A-Za-z]:\\|~?\.{0,2}/)[^\s'\":,;)\]]+|\b\w[\w.-]*/[\w./-]*\w)",
            rf"(?P<hex>\b0[xX][0-9a-fA-F]+\b|\b{_HEX}[0-9a-fA-F]{{7,}}\b)",
            r"(?P<number>\d+(?:[.,_:]\d+)*)",
        )
    )
)


def signature(reason: str) -> str:
    """Return the reason with a placeholder in the place of each value: the same text for what failed alike.

    >>> signature("No such file or directory: 'inbox/2024-03-05.csv'")
    'No such file or directory: <quoted>'
    >>> signature("HTTP 503 from warehouse-7 after 30.2 s")
    'HTTP 503 from warehouse-<number> after <number> s'
    """
    return _VALUE.sub(_placeholder, reason[:_LONGEST])


def _placeholder(found: re.Match[str]) -> str:
    if found["kept"] is not None:
        return found[0]
    if found["url"] is not None:  # who was asked is part of the cause, what for is not
        return "<url " + re.sub(r"\d+", "#", found["host"]) + ">"
    return f"<{found.lastgroup}>"
