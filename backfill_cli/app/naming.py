"""Logical dates as somebody would type them, and the request that names them: for the commands that are offered."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from backfill_cli.core.instants import instant
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.when import seconds_meant
from backfill_cli.core.zones import clock_of

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag

_OF_THE_DAG = ("dag_id", "dag", "command", "schedule", "name", "timezone")


def naming(options: BackfillOptions, dag: Dag, first: int, last: int | None = None) -> BackfillOptions:
    """Return a request for other dates of the DAG as it was asked for: one, or all up to `last`, epoch seconds."""
    asked = replace(BackfillOptions(), **{name: getattr(options, name) for name in _OF_THE_DAG})
    if last is None or last == first:
        return replace(asked, dates=(typed(first, dag),))
    return replace(asked, start_date=typed(first, dag), end_date=typed(last, dag))


def typed(logical_date: int, dag: Dag) -> date | datetime:
    """Return a logical date as one types it: the day where it has no other, else wall time in the DAG's zone."""
    clock = clock_of(dag.timezone)
    day = clock.date_at(logical_date)
    first, end = clock.day_bounds(day)
    alone = logical_date == first if dag.schedule.kind == "none" else dag.schedule.count(first, end - 1) == 1
    if alone:
        return day
    wall = clock.wall_at(logical_date)
    # An hour that comes twice needs its offset.
    return wall if seconds_meant(wall, clock) == (logical_date,) else instant(logical_date).astimezone(clock.zone)
