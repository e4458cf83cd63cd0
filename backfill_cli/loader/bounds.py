"""A DAG's zone and bounds: from what authors write to an IANA name and epoch seconds.

Owns contract section 1's rule for naive dates in DAG files. The arithmetic of zones is `core/zones.py`'s.
"""

from __future__ import annotations

import math
from datetime import date, datetime, tzinfo
from typing import Any

from backfill_cli.core.zones import check_zone, clock_of, resolve_wall
from backfill_cli.errors import DefinitionError
from backfill_cli.loader.options import Owner


def zone_of(owner: Owner, timezone: Any, start_date: Any, default: str) -> str:
    """Return the IANA name of a DAG's zone: as given, else that of an aware start_date (as in Airflow), else `default`.

    Raises:
        ScheduleError: There is no such zone.
        DefinitionError: A tzinfo without a name, such as a fixed offset.
    """
    given = timezone
    if given is None:
        aware = start_date.tzinfo if isinstance(start_date, datetime) else None
        given = _name_of(aware) if aware is not None else None
        given = default if given is None else given
    name = given if isinstance(given, str) else _name_of(given)
    if name is None:
        raise DefinitionError(
            f"{owner.label}: timezone={timezone!r} has no name to step through clock changes by",
            hint="use an IANA name such as 'Europe/Paris' or 'UTC'",
            code="unknown-zone",
            where=owner.where,
        )
    return check_zone(name).key


def bound(owner: Owner, name: str, value: Any, zone: str) -> int | None:
    """Return a start_date or end_date as an epoch second, None for None.

    A naive value is wall time in `zone`: a nonexistent one moves forward, an ambiguous one is its first occurrence as
    start and its second as end. A date is its midnight as start, its last second as end. Fractions round inwards.

    Raises:
        DefinitionError: The value is no date, no datetime and no ISO text of one.
    """
    is_end = name == "end_date"
    if isinstance(value, str):
        value = _parse(owner, name, value)
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            return math.floor(value.timestamp()) if is_end else math.ceil(value.timestamp())
        whole = resolve_wall(value, zone, second=is_end)
        return whole if is_end or not value.microsecond else whole + 1
    if isinstance(value, date):
        first, end = clock_of(zone).day_bounds(value)
        return end - 1 if is_end else first
    raise DefinitionError(
        f"{owner.label}: {name}={value!r} is not a date",
        hint=f"write {name}=datetime(2024, 1, 31)",
        code="bad-date",
        where=owner.where,
    )


def _parse(owner: Owner, name: str, text: str) -> date | datetime:
    try:
        return date.fromisoformat(text) if len(text) == len("2024-01-31") else datetime.fromisoformat(text)
    except ValueError:
        raise DefinitionError(
            f"{owner.label}: {name}='{text}' is not a date",
            hint="write it as 2024-01-31 or 2024-01-31T06:00:00",
            code="bad-date",
            where=owner.where,
        ) from None


def _name_of(zone: Any) -> str | None:
    """The name of a ZoneInfo (`key`), of a pendulum zone (`name`), or of UTC in whatever form."""
    if not isinstance(zone, tzinfo):
        return None
    name = getattr(zone, "key", None) or getattr(zone, "name", None)
    if isinstance(name, str) and name and name[0] not in "+-":
        return name
    return "UTC" if zone.utcoffset(datetime(2000, 1, 1)) == zone.utcoffset(None) and str(zone) == "UTC" else None  # noqa: DTZ001
