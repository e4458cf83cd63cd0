"""What a backfill is asked: one frozen value that the command line and Python fill alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

LARGEST = 2**31 - 1
"""Of every number of dates, runs or workers: more than anybody means, and what a store keeps without a thought."""


class Unsaid(int):
    """A default that is told from the same number said by somebody: what a stored backfill says goes before it."""


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """One backfill as it is asked for; the command line and Python fill the same fields.

    Args:
        dag_id: Every form of `--dag` (contract section 2). Or give `dag`.
        dag: A DAG object made in Python, in place of `dag_id`.
        command, schedule, name: A one-task DAG made on the spot (`--command`).
        start_date, end_date: Both included. A date means the whole day in the DAG's zone, a naive datetime is wall
            time there, an aware one is exact.
        last: `30d`, `2w`: whole days up to today; `6h`, `90m`: back from now.
        dates: Single dates or instants in place of a range.
        backfill_id: A planned or interrupted backfill to run, or one whose failures to run again.
        max_parallel_runs: dag_runs open together; unless it is said, a stored backfill keeps its own.
        reprocess: Any of failed, success, completed, stale, all; empty creates and resumes only.
        reset_dag_run: Clear task instances and XComs of every date first.
        rerun_failed: Run again what failed, and what was blocked behind it.
        whole_run: With rerun_failed: every task of those dates, not the failed ones alone.
        conf: Values for `dag_run.conf`; None keeps what an existing dag_run has.
        tasks: Only these tasks: `load`, `+load` (and what is before), `load+` (and behind), globs. A dag_run that has
            tasks left is then `partial`, and goes on with the next run.
        limit: At most so many dates, the first in the order of the run.
        max_runs: Refuse to run more dates than this; None takes the setting (10,000).
        executor: Where tasks run that choose nothing themselves: `thread` (default), `process`,
            `package.module:factory`.
        orphans: What becomes of processes that a killed bfill left running, before their tries run again: `end`
            (SIGTERM, SIGKILL after 5 s), `wait`, or `leave`: run beside them.
        fail_fast: Start nothing new once a date has failed.
        max_failures: The same once so many have: 5, or "10%" of the dates to do. What runs then ends by itself, and
            the same request goes on with the rest.
        max_duration: The same once the run has lasted so long.
        scheduled: A scheduler asks, and no person: its dates are of run_type `scheduled`.
        deadline: The same at a moment: an aware datetime, or a date or naive datetime in the DAG's zone.
        chunk: Run in chunks, one after another: "7d" (whole days in the DAG's zone), 30 (dates), or "auto".
        chunk_failures: What a chunk with failed or blocked dates means for the next: "stop" (default), "skip", "10%".
        pilot: Run so many dates first, the first, the last, the middle …, then stop; the same backfill goes on.
        ramp: Behind the pilot, in place of a stop, go on in waves that grow as long as they are healthy.
        min_parallel_runs: Find out how many dates at once the systems around it bear, from so many on and up to
            max_parallel_runs: more after successes, fewer after failures, HTTP 429 and what the next two say.
        target_latency: Half of the tries shall take no longer than this.
        probe: A command, or an http:// address, asked every few seconds: not well is too much.
        between: Start tasks in these hours of the DAG's zone only: ("22:00-06:00",), ("mon-fri 18:00-08:00",).
        on_conflict: When a living process holds some of the dates: `fail` (default), `wait` until it has finished them,
            `skip` them and run the rest, or `cancel-other` (with `yes`), and then run.
    """

    dag_id: str | None = None
    dag: object | None = None
    command: str | None = None
    schedule: str | None = None
    name: str | None = None
    timezone: str | None = None
    start_date: date | datetime | None = None
    end_date: date | datetime | None = None
    last: str | None = None
    dates: tuple[date | datetime, ...] = ()
    backfill_id: str | None = None
    max_parallel_runs: int = Unsaid(1)
    reprocess: frozenset[str] = frozenset()
    reset_dag_run: bool = False
    rerun_failed: bool = False
    whole_run: bool = False
    dry_run: bool = False
    conf: Mapping[str, Any] | None = None
    reason: str | None = None
    run_backwards: bool = False
    ignore_first_depends_on_past: bool = False
    include_incomplete: bool = False
    ignore_dag_bounds: bool = False
    tasks: tuple[str, ...] = ()
    limit: int | None = None
    max_runs: int | None = None
    workers: int | None = None
    executor: str | None = None
    orphans: str = "end"
    on_conflict: str = "fail"
    strict_templates: bool = False
    fail_fast: bool = False
    max_failures: int | str | None = None
    max_duration: timedelta | None = None
    deadline: date | datetime | None = None
    chunk: str | int | None = None
    chunk_failures: str | None = None
    pilot: int | None = None
    ramp: bool = False
    between: tuple[str, ...] = ()
    min_parallel_runs: int | None = None
    target_latency: timedelta | None = None
    probe: str | None = None
    yes: bool = False
    scheduled: bool = False
