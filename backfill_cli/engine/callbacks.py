"""Callbacks of a DAG: what its author asked to be called when a dag_run has ended.

Owns the calling: after the commit of the end, one at a time and in order, in a thread of its own, so that a slow
webhook holds no task. A callback that raises is noted in the dag_run's log and changes nothing. One whose process dies
between the commit and the call is not made up for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from backfill_cli.core.context import Context, RunFacts, running_in
from backfill_cli.core.graph import NO_CALLBACKS, Callback, Dag
from backfill_cli.core.instants import run_id
from backfill_cli.core.records import Batch, RunRow
from backfill_cli.core.states import RunState
from backfill_cli.engine.attempt import Bench
from backfill_cli.engine.logs import AttemptLog, speaking
from backfill_cli.errors import BfillError

LOG_NAME = "dag.callbacks.log"

LOOK_EVERY_S = 0.1
"""Seconds between two looks whether somebody wants to leave, while callbacks are waited for."""


class DagCallbacks:
    """Calls a DAG's callbacks for the dag_runs that end; costs nothing for a DAG without any."""

    def __init__(self, dag: Dag, bench: Bench, logs: str) -> None:
        self._dag = dag
        self._bench = bench
        self._logs = logs
        self._thread: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    def after(self, batch: Batch) -> None:
        """Call what the ends in a committed batch ask for; returns at once."""
        if not batch.outcomes or self._dag.callbacks == NO_CALLBACKS:
            return
        rows = {row.logical_date: row for row in (*batch.opened, *batch.runs)}
        for outcome in batch.outcomes:
            row = rows[outcome.logical_date]
            if row.leader != row.logical_date:
                continue  # of a batch: it ends once, with its first date
            calls = self._dag.callbacks
            by_state = {RunState.SUCCESS: calls.on_success, RunState.FAILED: calls.on_failure}
            chosen = by_state.get(row.state, ())  # a part of the DAG is done: the dag_run has not ended
            if chosen:
                self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="bfill-callbacks")
                together = [row] if row.batch is None else [one for one in rows.values() if one.leader == row.leader]
                self._last = self._thread.submit(self._call, chosen, sorted(together))

    def finish(self, give_up: Callable[[], bool]) -> None:
        """Return when all that was asked for has been called, or when `give_up`, asked now and then, says so."""
        if self._thread is None or self._last is None:
            return
        while not wait([self._last], LOOK_EVERY_S).done and not give_up():
            pass
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _call(self, callbacks: Iterable[Callback], runs: Sequence[RunRow]) -> None:
        """Call them for a dag_run, or for all those of a batch at once."""
        row = runs[0]
        name = run_id(row.run_type, row.logical_date)
        log = AttemptLog(f"{self._logs}/{self._dag.dag_id}/{name}/{LOG_NAME}")
        with speaking(log):
            try:
                context = Context(self._facts(runs, name)).also(state=str(row.state), reason=row.reason)
            except BfillError as error:
                log.line(f"no callback was called: {error}")
                return
            with running_in(context):
                for callback in callbacks:
                    try:
                        callback(context)
                    except Exception as error:  # noqa: BLE001  (whatever it raises, the dag_run has ended)
                        log.line(f"callback {getattr(callback, '__name__', callback)} failed: {error!r}")

    def _facts(self, runs: Sequence[RunRow], name: str) -> RunFacts:
        dag, row = self._dag, runs[0]
        conf: Mapping[str, Any] = json.loads(row.conf)
        return RunFacts(
            dag_id=dag.dag_id,
            timezone=dag.timezone,
            schedule=dag.schedule,
            logical_date=row.logical_date,
            data_interval_end=runs[-1].data_interval_end,
            run_id=name,
            run_type=row.run_type,
            conf=self._bench.reveal(conf) if conf else conf,
            params=dag.params,
            variables=self._bench.variables,
            connections=self._bench.connections,
            dag_start=dag.start_date,
            logical_dates=tuple(one.logical_date for one in runs) if len(runs) > 1 else (),
        )
