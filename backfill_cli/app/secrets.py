"""What this process must not show: learnt from settings and references, as early as they are known.

Owns who is told to `core/masking.py` and when: connections and `secret:` references of the settings when a service is
made, so that errors and screens are masked from then on; anything else the moment it is revealed. Refuses requests that
carry a secret in the open, since they would be stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from backfill_cli.core.masking import SECRETS
from backfill_cli.errors import InputError

if TYPE_CHECKING:
    from backfill_cli.core.options import BackfillOptions
    from backfill_cli.loader.settings import Settings


def learn(settings: Settings, environ: Mapping[str, str]) -> None:
    """Note what the settings make secret. A reference to a variable that is not set is not an error yet."""
    for url in settings.connections.values():
        SECRETS.add_url(url)
    hook = settings.on_event.text if settings.on_event is not None else ""
    if "://" in hook:  # the token of a webhook stands anywhere in its address
        SECRETS.add(hook)
    learn_references([*settings.connections.values(), *settings.variables.values(), hook], environ)


def learn_references(value: Any, environ: Mapping[str, str]) -> None:
    """Note what the `secret:` references in a JSON-like value, such as a conf, mean here and now."""
    for name in references(value):
        if environ.get(name):
            SECRETS.add(environ[name])


def revealing(environ: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that reads a `secret:` reference, and notes what it read; other text it returns as it is."""
    from backfill_cli.loader.settings import SECRET, resolve_secret

    def resolve(value: str) -> str:
        found = resolve_secret(value, environ)
        if value.startswith(SECRET):
            SECRETS.add(found)
        return found

    return resolve


def references(value: Any) -> Iterator[str]:
    """Yield the names of the environment variables that `secret:` references in a JSON-like value mean."""
    match value:
        case str() if value.startswith("secret:"):
            yield value.removeprefix("secret:")
        case Mapping():
            for one in value.values():
                yield from references(one)
        case list() | tuple():
            for one in value:
                yield from references(one)


def refuse_open_secrets(options: BackfillOptions, environ: Mapping[str, str]) -> None:
    """Refuse a request that holds the value of a secret where its reference should stand. Raises InputError."""
    learn_references(options.conf, environ)
    if SECRETS.holds(json.dumps(dict(options.conf or {}), ensure_ascii=False)):
        keys = [key for key, value in (options.conf or {}).items() if SECRETS.holds(json.dumps([key, value]))]
        key = SECRETS.text(keys[0]) if keys else "KEY"
        raise InputError(
            f"the conf key '{key}' holds the value of a secret, which would be stored",
            hint=f"write the reference: --conf {key}=secret:ENV_NAME reads the environment when a task runs",
            code="secret-in-conf",
        )
    if SECRETS.holds(" ".join(filter(None, (options.command, options.name)))):
        raise InputError(
            "the command holds the value of a secret, which would be stored",
            hint="put single quotes around it, so that the task's shell reads it: --command 'etl.sh \"$ENV_NAME\"'",
            code="secret-in-command",
        )
