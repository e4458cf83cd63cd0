"""Web addresses in texts: which text is one, and how much of it may be shown.

Owns `shown_link`. What follows the host is never shown: a webhook's token stands as often in its path as in front of
the host, and nobody needs either to recognise an address of his own.
"""

from __future__ import annotations

import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def scheme_of(text: str) -> str:
    """Return the scheme of a text that begins as a URL does, in lower case; empty for any other text."""
    found = _SCHEME.match(text)
    return found[0][:-3].lower() if found else ""


def shown_link(url: str) -> str:
    """Return `https://hooks.example.com/…`: scheme, host and port of a URL, without user, password, path and query."""
    from urllib.parse import urlsplit

    scheme = scheme_of(url)
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        port = f":{parts.port}" if parts.port is not None else ""
        rest = bool(parts.path.strip("/") or parts.query or parts.fragment)
    except ValueError:
        host, port, rest = "", "", True
    return f"{scheme}://{host}{port}{'/…' if rest else ''}"
