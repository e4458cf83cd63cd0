"""What the waves of a backfill add to its result: how each of them stands, and what the pilot has shown."""

from __future__ import annotations

from dataclasses import replace

from backfill_cli.app.wave_walk import rows_to_do, waves_of
from backfill_cli.app.waves import WaveFeed
from backfill_cli.core.pilots import PilotReport, pilot_report
from backfill_cli.core.ports import Reader, Store
from backfill_cli.core.records import Action, BackfillRow
from backfill_cli.core.results import BackfillResult


def with_waves(
    result: BackfillResult, store: Store, row: BackfillRow, feed: WaveFeed, *, parallel: int
) -> BackfillResult:
    """Return the result of a run with its waves; one that stopped behind its pilot tells what that has shown."""

    def read(reader: Reader) -> BackfillResult:
        chunks = tuple(waves_of(reader, row, feed.shape))
        shown = _pilot(reader, row, feed, parallel) if feed.stopped_at_pilot else None
        return replace(result, chunks=chunks, pilot=shown)

    made = store.read(read)
    as_asked = feed.is_as_asked and result.stopped_by is None
    next_command = result.next_command
    if feed.stopped and not as_asked and result.failed > result.repaired:
        next_command = f"bfill rerun-failed {row.backfill_id} && bfill run {row.backfill_id}"
    return replace(made, stopped_as_asked=as_asked, next_command=next_command)


def _pilot(reader: Reader, row: BackfillRow, feed: WaveFeed, parallel: int) -> PilotReport:
    found = (one for date in feed.pilot for one in rows_to_do(reader, row, only=date))
    rows = [one for one in found if one.action is not Action.SKIP]
    instances = [one for date in feed.pilot for one in reader.instances(row.dag_id, date, date)]
    left = row.total - row.skipped - len(rows)
    return pilot_report(rows, instances, left=left, parallel=parallel)
