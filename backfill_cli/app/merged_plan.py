"""What a plan says of merged intervals: how many runs its dates make, and what its author may not have meant.

Owns the walk over a plan's dates that finds their batches, as the run would make them (`app/merged_feed.py`), and three
warnings. Which dates make a batch is `core/merging.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from backfill_cli.app.history import history
from backfill_cli.app.merged_feed import candidate
from backfill_cli.app.warnings import templates_of
from backfill_cli.core.merging import CHUNK, Candidate, MergeTally, merge_of, tally_batches
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import Action, PlanRow, RunRow
from backfill_cli.core.waves import Cutter
from backfill_cli.core.work import PythonWork

if TYPE_CHECKING:
    from backfill_cli.app.plan import Prepared
    from backfill_cli.core.graph import Dag, Task
    from backfill_cli.core.ports import Store

_FIRST_DAY = frozenset(
    {"ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz", "local_ds", "local_ds_nodash", "local_ts"}
    | {"logical_date", "execution_date", "data_interval_start"}
)
_WHOLE = frozenset({"data_interval_end", "logical_dates", "next_ds", "next_ds_nodash", "next_execution_date"})
_ANYTHING = frozenset({"context", "**", "dag_run"})
"""Parameters of a Python task through which it may ask for the end: nobody looks into its code."""
_TEMPLATE = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
_VARIABLES = {
    "BFILL_DS": "ds",
    "BFILL_TS": "ts",
    "BFILL_LOGICAL_DATE": "logical_date",
    "BFILL_DATA_INTERVAL_START": "data_interval_start",
    "BFILL_DATA_INTERVAL_END": "data_interval_end",
    "BFILL_LOGICAL_DATES": "logical_dates",
    "BFILL_LOGICAL_DATES_COUNT": "logical_dates",
}


def tally_of(prepared: Prepared, store: Store, to_run: int) -> MergeTally | None:
    """Return what the batches of a plan come to; None for a DAG that never merges. A second walk over its dates."""
    merge = merge_of(prepared.dag.batch_intervals, prepared.shape)
    if merge is None or not to_run:
        return None
    selection, shape, timezone = prepared.selection, prepared.shape, prepared.dag.timezone
    runs = history(store, prepared.dag.dag_id, selection.first, selection.last, backwards=selection.backwards)
    past = _Watch(prepared, runs)
    out = prepared.policy.left_out  # these keep their places among the waves
    cutter = None if shape is None else Cutter(shape, to_run + len(out), timezone)

    def dates() -> Iterator[tuple[int, Candidate]]:
        for row in prepared.rows(past):
            if row.action is not Action.SKIP or row.logical_date in out:
                wave = 1 if cutter is None else cutter.take(row.logical_date)
                if row.action is not Action.SKIP:
                    yield wave, past.candidate(row)

    return tally_batches(dates(), merge, timezone, parallel=prepared.parallel)


class _Watch:
    """Keeps the latest dag_runs that passed by while a plan was merged with them: each row is asked about at once."""

    def __init__(self, prepared: Prepared, past: Iterable[RunRow]) -> None:
        self._past = past
        self._conf = prepared.conf_text
        self._seen: dict[int, RunRow] = {}

    def __iter__(self) -> Iterator[RunRow]:
        for run in self._past:
            if len(self._seen) > 1:  # the merge looks one ahead
                del self._seen[next(iter(self._seen))]
            self._seen[run.logical_date] = run
            yield run

    def candidate(self, row: PlanRow) -> Candidate:
        run = self._seen.get(row.logical_date)
        keeps = run is not None and not (self._conf is not None and row.action in (Action.RERUN, Action.RESET))
        return candidate(row, run, run.conf if run is not None and keeps else self._conf or "{}")


def merge_warnings(prepared: Prepared, batches: MergeTally) -> Iterator[Problem]:
    """Yield what a person should know before dates run as one, or do not although the DAG says so."""
    shape = prepared.shape
    if batches.largest > 1:
        yield from _first_days(prepared.part)
    if prepared.dag.batch_intervals != CHUNK or prepared.options.rerun_failed:
        return
    if shape is None or shape.chunk is None:
        if batches.largest == 1 < batches.dates:
            yield Problem(
                "nothing-merged",
                "batch_intervals=True runs the dates of a chunk as one; without --chunk each runs by itself",
                "add --chunk 7d, or write batch_intervals='7d' in the DAG file",
            )
    elif prepared.parallel > 1 and 1 < batches.runs == batches.lanes:
        yield Problem(
            "one-at-a-time",
            f"--parallel {prepared.parallel} has one run at a time: a chunk is one, and they run one after another",
            "batch_intervals='7d' in the DAG file, without --chunk, makes runs of a week that go on beside each other",
        )


def _first_days(dag: Dag) -> Iterator[Problem]:
    """`batch-uses-ds`: of a batch `ds` is the first date, and a task that asks for no more may do that one alone."""
    found = [task.task_id for task in dag.tasks.values() if _sees_the_first_alone(task)]
    if found:
        yield Problem(
            "batch-uses-ds",
            f"{', '.join(found)}: where dates run as one, ds and its kin are the first; nothing here asks for the end",
            "use data_interval_start and data_interval_end, or logical_dates; in a shell $BFILL_LOGICAL_DATES",
        )


def _sees_the_first_alone(task: Task) -> bool:
    used = set(task.work.macros) if isinstance(task.work, PythonWork) else set()
    if used & _ANYTHING:
        return False
    for text, _ in templates_of(task):
        used.update(_VARIABLES[word] for word in _WORD.findall(text) if word in _VARIABLES)
        used.update(word for part in _TEMPLATE.findall(text) for word in _WORD.findall(part))
    return bool(used & _FIRST_DAY) and not used & _WHOLE
