"""How many dag_runs are in which state, without counting history.

Owns `run_counts`: a row for each DAG, state and stretch of about twelve days (2^20 seconds), changed in the transaction
that changes the dag_runs. A count over any range adds the whole stretches inside it and looks at single runs only at
its two ends; a million five-minute runs are some 290 stretches. The same rows say where to look for the latest success
before a date, however many failures lie between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from backfill_cli.core.states import RunState
from backfill_cli.store.connections import Connection, Insert
from backfill_cli.store.rows import DATE, RUN_COUNT

STRETCH = 1 << 20
"""Seconds; part of the stored format."""

_CHANGES = Insert(
    "run_counts",
    "dag, bucket, state, runs",
    "ON CONFLICT (dag, bucket, state) DO UPDATE SET runs = run_counts.runs + excluded.runs",
)


def count_runs(connection: Connection, dag: int, first: int, last: int) -> dict[RunState, int]:
    """Return the dag_runs of a range by state; bounds are logical dates, both included, epoch seconds."""
    total: Counter[RunState] = Counter()
    # Whole stretches lie strictly between the one before `first` ends and the one that holds `last` + 1 begins.
    whole_from, whole_to = -(-first // STRETCH), (last + 1) // STRETCH
    if whole_from >= whole_to:
        total.update(dict(_scan(connection, dag, first, last)))
    else:
        total.update(dict(_scan(connection, dag, first, whole_from * STRETCH - 1)))
        total.update(dict(_whole(connection, dag, whole_from, whole_to - 1)))
        total.update(dict(_scan(connection, dag, whole_to * STRETCH, last)))
    return {state: total[state] for state in RunState if total[state]}


def stretches_before(connection: Connection, dag: int, date: int, state: RunState) -> Iterator[tuple[int, int]]:
    """Yield the bounds, latest first, of the stretches up to `date` that hold runs of that state; `date` excluded."""
    below = date
    while True:
        row = connection.one(
            "SELECT bucket * 1048576 FROM run_counts WHERE dag = ? AND state = ? AND runs > 0 AND bucket <= ? "
            "ORDER BY bucket DESC LIMIT 1",
            (dag, state.value, (below - 1) // STRETCH),
        )
        if row is None:
            return
        start = DATE.record(row)
        yield start, min(date, start + STRETCH) - 1
        below = start


def note_changes(connection: Connection, dag: int, changes: Iterable[tuple[int, str | None, str | None]]) -> None:
    """Carry state changes into the counts.

    Args:
        changes: (logical date, state before or None for a new run, state after or None for one that goes), one a run.
    """
    delta: Counter[tuple[int, str]] = Counter()
    for date, before, after in changes:
        if before == after:
            continue
        bucket = date // STRETCH
        if before is not None:
            delta[bucket, before] -= 1
        if after is not None:
            delta[bucket, after] += 1
    connection.insert(_CHANGES, ((dag, bucket, state, runs) for (bucket, state), runs in delta.items() if runs))


def _scan(connection: Connection, dag: int, first: int, last: int) -> Iterator[tuple[RunState, int]]:
    return RUN_COUNT.records(
        connection.rows(
            "SELECT state, count(*) FROM dag_runs WHERE dag = ? AND logical_date BETWEEN ? AND ? GROUP BY state",
            (dag, first, last),
        )
    )


def _whole(connection: Connection, dag: int, first: int, last: int) -> Iterator[tuple[RunState, int]]:
    return RUN_COUNT.records(
        connection.rows(
            "SELECT state, sum(runs) FROM run_counts WHERE dag = ? AND bucket BETWEEN ? AND ? GROUP BY state",
            (dag, first, last),
        )
    )
