"""Answers that say "not now": HTTP 429, and 503 with Retry-After, whichever client brought them.

Owns the recognition, by shape: no client is imported, and none has to be installed. urllib and google.api_core say
`error.code`, aiohttp `error.status`, requests and httpx `error.response.status_code`; the headers stand on the error or
on its response. An error that a task raised `from` one of these counts as it. What follows from a refusal is decided in
`core/throttle.py`.

Source: RFC 6585 section 4 (429), RFC 9110 sections 10.2.3 (Retry-After: seconds, or a date) and 5.6.7 (its forms).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

TOO_MANY, UNAVAILABLE = 429, 503

LONGEST_S = 86_400.0
"""Seconds a system is waited for without asking it again, whatever it says: an answer may be wrong by a thousand."""

_CHAIN = 5
"""Errors that are looked at, from one to its cause."""

_SAID = re.compile(r"(?i)\bretry-after\s*[:=]\s*(\S.*)")


class Refusal(NamedTuple):
    """A system said wait. `delay_s` is how long, when it said so."""

    status: int
    delay_s: float | None


def refusal(error: BaseException, now: float) -> Refusal | None:
    """Return what an error says about waiting; None when it is no refusal.

    Args:
        now: Epoch seconds, for a Retry-After that is a date and an answer without a Date of its own.
    """
    for one in _causes(error):
        response = getattr(one, "response", None)
        for holder in (one, response):
            status = _status(holder)
            if status not in (TOO_MANY, UNAVAILABLE):
                continue
            header = _headers(holder) or _headers(one) or _headers(response)
            delay_s = None if header is None else retry_after(header("Retry-After"), header("Date"), now)
            if status == TOO_MANY or delay_s is not None:
                return Refusal(status, delay_s)
    return None


def retry_after(value: object, date: object, now: float) -> float | None:
    """Return the seconds a Retry-After asks for, from 0 to a day; None when it is neither a number nor a date.

    Args:
        date: The answer's Date: a Retry-After that is a date is meant by the clock of whoever sent it.
        now: Epoch seconds, without one.
    """
    if not isinstance(value, str):
        return None
    text = value.strip()
    if re.fullmatch(r"\d{1,300}(\.\d+)?", text, re.ASCII):
        return min(float(text), LONGEST_S)
    until = _moment(text)
    if until is None:
        return None
    sent = _moment(date)
    return min(max(0.0, until - (now if sent is None else sent)), LONGEST_S)


def said_in(line: str, now: float) -> float | None:
    """Return the seconds that a line such as `Retry-After: 30` asks for; None for any other."""
    found = _SAID.search(line)
    return retry_after(found[1], None, now) if found else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    for _ in range(_CHAIN):
        if one is None:
            return
        yield one
        one = one.__cause__


def _status(holder: object) -> int | None:
    """Return the status code something carries, under one of the names it has."""
    for name in ("status_code", "status", "code"):
        found = getattr(holder, name, None)
        if isinstance(found, int) and not isinstance(found, bool):
            return int(found)
    return None


def _headers(holder: object) -> Callable[[str], Any] | None:
    """Return a look-up of headers that minds no case, or None where there are none."""
    found = getattr(holder, "headers", None)
    try:
        pairs = {str(name).lower(): str(value) for name, value in found.items()} if found is not None else {}
    except (AttributeError, TypeError, ValueError):
        return None
    return (lambda name: pairs.get(name.lower())) if pairs else None


def _moment(text: object) -> float | None:
    """Return the epoch seconds of an HTTP date in any of its three forms; one without a zone (asctime) is UTC too."""
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        found = parsedate_to_datetime(text) if isinstance(text, str) else None
        return None if found is None else (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
