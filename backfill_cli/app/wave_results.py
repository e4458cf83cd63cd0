"""What the waves of a backfill add to its result: how each of them stands, and what the pilot has shown."""

from __future__ import annotations

from dataclasses import replace

from backfill_cli.app.wave_walk import places_of, rows_to_do, waves_of
from backfill_cli.app.waves import WaveFeed
from backfill_cli.core.merging import Candidate, Merge, MergeTally, merge_of, tally_batches
from backfill_cli.core.pilots import PilotReport, pilot_report
from backfill_cli.core.ports import Reader, Store
from backfill_cli.core.records import Action, BackfillRow
from backfill_cli.core.results import BackfillResult
from backfill_cli.core.waves import PILOT, Cutter


def with_waves(
    result: BackfillResult,
    store: Store,
    row: BackfillRow,
    feed: WaveFeed,
    *,
    batch_intervals: str | None,
    parallel: int,
) -> BackfillResult:
    """Return the result of a run with its waves; one that stopped behind its pilot tells what that has shown.

    Args:
        batch_intervals: Whether its DAG merges dates, as that keeps it.
        parallel: Runs open together.
    """
    merge = merge_of(batch_intervals, feed.shape)

    def read(reader: Reader) -> BackfillResult:
        chunks = tuple(waves_of(reader, row, feed.shape))
        shown = _pilot(reader, row, feed, merge, parallel) if feed.stopped_at_pilot else None
        return replace(result, chunks=chunks, pilot=shown)

    made = store.read(read)
    as_asked = feed.is_as_asked and result.stopped_by is None
    next_command = result.next_command
    if feed.stopped and not as_asked and result.failed > result.repaired:
        next_command = f"bfill rerun-failed {row.backfill_id} && bfill run {row.backfill_id}"
    return replace(made, stopped_as_asked=as_asked, next_command=next_command)


def _pilot(reader: Reader, row: BackfillRow, feed: WaveFeed, merge: Merge | None, parallel: int) -> PilotReport:
    found = (one for date in feed.pilot for one in rows_to_do(reader, row, only=date))
    rows = [one for one in found if one.action is not Action.SKIP]
    instances = [one for date in feed.pilot for one in reader.instances(row.dag_id, date, date)]
    left = row.total - row.skipped - len(rows)
    merged = None if merge is None else _merged(reader, row, feed, merge, parallel)
    return pilot_report(rows, instances, left=left, parallel=parallel, merged=merged)


def _merged(reader: Reader, row: BackfillRow, feed: WaveFeed, merge: Merge, parallel: int) -> MergeTally:
    """Return what the dates behind the pilot come to as batches; a walk over them."""
    timezone = str(row.request["timezone"])
    cutter = Cutter(feed.shape, places_of(reader, row), timezone)
    waves = ((cutter.take(one.logical_date), one) for one in rows_to_do(reader, row))
    left = (
        (wave, Candidate(one.logical_date, one.data_interval_end, batch=one.batch))
        for wave, one in waves
        if wave != PILOT and one.action is not Action.SKIP and one.outcome is None
    )
    return tally_batches(left, merge, timezone, parallel=parallel)
