"""`on_event`: where events are to go, from the text of the setting or the flag to a URL or a command.

Owns what such a text may be. It may hold a token, so no message here shows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from backfill_cli.core.links import scheme_of
from backfill_cli.errors import InputError
from backfill_cli.loader.settings import SECRET, resolve_secret

TAKES = "an http(s) URL, secret:ENV_NAME for one, or a shell command"

_URL = re.compile(r"\w+://[^/?#\s]+\S*")


class EventTarget(NamedTuple):
    """An http(s) URL, `secret:ENV_NAME` for one, or a shell command, which runs in `folder`."""

    text: str
    folder: Path


def event_target(value: Any, folder: Path) -> EventTarget | None:
    """Return where events go; None for an empty text, which is how a flag says "nowhere".

    Raises:
        ValueError: It is neither a command nor an http(s) URL; the message says what it is.
    """
    if not isinstance(value, str):
        raise ValueError(f"a {type(value).__name__} in its place")
    text = value.strip()
    scheme = scheme_of(text)
    if scheme and scheme not in ("http", "https"):
        raise ValueError(f"a URL that begins with {scheme}://")
    if scheme and not _URL.fullmatch(text):
        raise ValueError("a URL without a host or with a blank in it")
    return EventTarget(text, folder) if text else None


def revealed(target: EventTarget, environ: Mapping[str, str]) -> EventTarget:
    """Return the target with a `secret:` reference read from the environment.

    Raises:
        InputError: The environment has no such variable, or it holds no http(s) URL: a secret is not run as a command.
    """
    if not target.text.startswith(SECRET):
        return target
    url = resolve_secret(target.text, environ).strip()
    if scheme_of(url) not in ("http", "https") or not _URL.fullmatch(url):
        raise InputError(
            f"on_event is '{target.text}', and that variable holds no http(s) URL",
            hint='put the address there; a command is written as it is: on_event = "./notify.sh"',
            code="bad-setting",
        )
    return EventTarget(url, target.folder)
