"""From bundles of flags to `BackfillOptions`, and from what was typed to the values in it.

Owns the one place where strings become dates, lengths of time and mappings; whether they fit a DAG and its schedule is
for the use cases to say. The flags themselves stand by their ideas in `shared.py`, `selecting.py`, `running.py`,
`shaping.py` and `pacing.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backfill_cli.errors import UsageProblem

if TYPE_CHECKING:
    from datetime import timedelta

    from backfill_cli.cli.running import Redoing, Running
    from backfill_cli.cli.selecting import Range
    from backfill_cli.cli.shared import Shared
    from backfill_cli.core.options import BackfillOptions
    from backfill_cli.core.when import When


def backfill_options(
    shared: Shared,
    selection: Range,
    running: Running | None = None,
    redoing: Redoing | None = None,
    *,
    backfill_id: str | None = None,
    **more: Any,
) -> BackfillOptions:
    """Return the options a use case is called with.

    Raises:
        UsageProblem: Flags that exclude each other, a date or number that is none.
        InputError: A --conf that cannot be one.
    """
    from backfill_cli.cli.conf import parse_conf
    from backfill_cli.core.options import BackfillOptions

    given = selection.options(backfill_id)
    given |= {"conf": parse_conf(shared.conf or ()), "reason": shared.reason, "yes": shared.yes}
    for bundle in (running, redoing):
        given |= {} if bundle is None else bundle.options()
    return BackfillOptions(**(given | more))


def at_least_one(flag: str, value: int | None) -> int | None:
    """Return the number. Raises UsageProblem below 1, and above what the store keeps of any number."""
    from backfill_cli.core.options import LARGEST

    if value is not None and value < 1:
        raise UsageProblem(f"{flag} {value} is less than 1", hint=f"give {flag} 1 or more", code="bad-value")
    if value is not None and value > LARGEST:
        raise UsageProblem(f"{flag} {value} is too large", hint=f"give {flag} {LARGEST} or less", code="bad-value")
    return value


def duration(flag: str, text: str | None) -> timedelta | None:
    """Return the length of time. Raises UsageProblem for a text that is none."""
    if text is None:
        return None
    from backfill_cli.core.durations import parse_duration

    found = parse_duration(text)
    if found is None:
        raise UsageProblem(
            f"{flag} '{text}' is no duration", hint=f"write {flag} 90m, 2h, 1h30m or 1d", code="bad-value"
        )
    return found


def when(flag: str, text: str | None) -> When | None:
    """Return the date or moment. Raises UsageProblem for a text that is none."""
    if text is None:
        return None
    from backfill_cli.core.when import parse_when

    try:
        return parse_when(text)
    except UsageProblem as error:
        raise UsageProblem(f"{flag}: {error.message}", hint=error.hint, code=error.code) from None
