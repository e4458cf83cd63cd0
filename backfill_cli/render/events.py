"""`--events`: what happens in a backfill as NDJSON, one object a line, written as it is committed.

Owns the records of `bfill-events/1`. The first line of a stream has `schema`; every line has `event` and `at`, an
instant in ISO 8601 UTC. Lines come in the order of their commits; `at` is when a thing happened. A reader that meets an
event or a key it does not know passes it by: they may be added to.

`backfill_started` · `run_opened` · `attempt_started` · `attempt_ended` · `task_settled` (skipped or failed from
upstream, without a try) · `run_finished` · `chunk_started` and `chunk_ended` (`kind` tells a chunk from a pilot and
from what follows one) · `stopping` · `run_blocked` (at the end, by date) · `backfill_finished`, or `backfill_aborted`
where an error ended it. A scheduler's stream is `scheduler_events.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from json import JSONEncoder
from typing import Any

from backfill_cli import clock
from backfill_cli.core.instants import iso, iso_us, run_id
from backfill_cli.core.listening import PaceChange, ProgressCounts, RunStart, WaveReport
from backfill_cli.core.masking import SECRETS
from backfill_cli.core.records import AttemptRow, Batch, RunRow
from backfill_cli.core.results import BackfillResult
from backfill_cli.core.states import Outcome, TaskState
from backfill_cli.core.steering import Steered
from backfill_cli.core.wave_tallies import WaveView
from backfill_cli.errors import BfillError

SCHEMA = "bfill-events/1"

Event = dict[str, Any]

_encode = JSONEncoder(ensure_ascii=True, allow_nan=False, default=str).encode
_LONG = ("results", "failures", "reexecuted", "chunks")
"""Keys of a result that grow with its dates: the stream has told them already."""

_MOST_BLOCKED = 100
"""Blocked dates that are told one by one; `blocked` in the totals is the number of all."""

_WITHOUT_A_TRY = (TaskState.SKIPPED, TaskState.UPSTREAM_FAILED)


class EventListener:
    """Writes events, a batch of them at a time.

    Args:
        write: Takes whole lines and sees to it that they leave. It never raises: a reader that has gone must not end a
            backfill.
        of_many: The stream tells of several backfills: somebody else has begun it, and each event names its own.
    """

    def __init__(self, write: Callable[[str], None], *, of_many: bool = False) -> None:
        self._write = write
        self._is_first = not of_many
        self._of_many = of_many
        self._which: Event = {}
        self._started: set[tuple[int, str, int]] = set()

    def on_start(self, start: RunStart) -> None:
        if self._of_many:
            self._which = {"backfill_id": start.backfill_id, "dag_id": start.dag_id}
        self._say(
            {
                "event": "backfill_started",
                "at": iso_us(start.started_at),
                "backfill_id": start.backfill_id,
                "dag_id": start.dag_id,
                "timezone": start.timezone,
                "start": iso(start.first),
                "end": iso(start.last),
                "total_dates": start.total,
                "parallel": start.parallel,
                "task_ids": list(start.task_ids),
                "max_tries": dict(start.max_tries),
            }
        )

    def on_batch(self, batch: Batch, counts: ProgressCounts, at: int) -> None:
        # A batch holds what came together, by kind; within it, things are told in the order they happened.
        self._say(*(event for _, event in sorted(self._events(batch, at), key=_moment)))

    def on_waiting(self, waiting: Mapping[str, int], next_retry_at: int | None) -> None:
        """Waiting is no event: nothing has happened."""

    def on_wave(self, report: WaveReport) -> None:
        told = WaveView(report.wave, report.tally).data()
        told |= {"of": report.wave.of} if report.ended else {"of": report.wave.of, "state": "running"}
        name = "chunk_ended" if report.ended else "chunk_started"
        reason = {"reason": report.reason or None} if report.ended else {}
        self._say({"event": name, "at": iso_us(report.at), **told, **reason})

    def on_pace(self, change: PaceChange) -> None:
        self._say({"event": change.what, "at": iso_us(change.at), **change.details, "reason": change.reason})

    def on_stopping(self, signal: int | None, running: int, reason: str) -> None:
        now = iso_us(clock.now_us())
        self._say({"event": "stopping", "at": now, "signal": signal, "running_tasks": running, "reason": reason})

    def on_steered(self, news: Steered) -> None:
        self._say(
            {
                "event": "steered",
                "at": iso_us(news.at),
                "action": news.action,
                "actor": news.actor,
                "reason": news.reason,
                "answer": news.text,
                "state": "paused" if news.is_paused else "running",
                "parallel": news.parallel,
                "total_dates": news.total,
                "dates": [iso(date) for date in news.dates],
            }
        )

    def on_end(self) -> None:
        """The last event needs the result: `finished` writes it."""

    def finished(self, result: BackfillResult) -> None:
        """Write the dates that are blocked, the first of them, and the totals: the keys of `run --json`."""
        data = {key: value for key, value in result.data().items() if key not in _LONG}
        at = result.ended_at or clock.now_us()
        finished = {"event": "backfill_finished", "at": iso_us(at), "exit_code": result.exit_code, **data}
        which = {"backfill_id": result.backfill_id, "dag_id": result.dag_id} if self._of_many else {}
        self._say(*({**one, **which} for one in islice(_blocked(result, at), _MOST_BLOCKED)), finished)

    def aborted(self, error: BfillError) -> None:
        """Write the error that came in place of a result."""
        now = iso_us(clock.now_us())
        self._say({"event": "backfill_aborted", "at": now, "exit_code": error.exit_code, "error": error_data(error)})

    def _events(self, batch: Batch, at: int) -> Iterator[tuple[int, Event]]:
        """Each event with its moment, epoch microseconds; of one moment: opened, tried, settled, finished."""
        for run in batch.opened:
            opened = {"data_interval_end": iso(run.data_interval_end), "run_id": run_id(run.run_type, run.logical_date)}
            opened |= _batch_of(run)
            yield _event("run_opened", run.started_at or at, run.logical_date, opened)
        retry_at = {(row.logical_date, row.task_id): row.retry_at for row in batch.instances if row.retry_at}
        tried = set()
        for one in batch.attempts:
            tried.add((one.logical_date, one.task_id))
            yield from self._attempt(one, retry_at.get((one.logical_date, one.task_id)))
        for row in batch.instances:
            key = row.logical_date, row.task_id, row.try_number
            if row.state is TaskState.RUNNING and key not in self._started:
                self._started.add(key)
                begun = {"task_id": row.task_id, "try_number": row.try_number}
                yield _event("attempt_started", row.started_at or at, row.logical_date, begun)
            elif row.state in _WITHOUT_A_TRY and key[:2] not in tried:
                settled = {"task_id": row.task_id, "state": row.state, "reason": row.reason}
                yield _event("task_settled", row.ended_at or at, row.logical_date, settled)
        yield from (_run_finished(run, at) for run in batch.runs if run.state.is_terminal)

    def _attempt(self, one: AttemptRow, retry_at: int | None) -> Iterator[tuple[int, Event]]:
        """The end of a try; and its start, where both met in one batch. A late report was begun long ago."""
        key = one.logical_date, one.task_id, one.try_number
        which = {"task_id": one.task_id, "try_number": one.try_number}
        if key not in self._started and one.outcome is not Outcome.LATE:
            yield _event("attempt_started", one.started_at, one.logical_date, which)
        self._started.discard(key)
        ended = {
            **which,
            "outcome": one.outcome,
            "reason": one.reason,
            "duration_s": _took(one.started_at, one.ended_at),
        }
        if retry_at:
            ended["retry_at"] = iso_us(retry_at)
        yield _event("attempt_ended", one.ended_at, one.logical_date, ended)

    def _say(self, *events: Event) -> None:
        if events and self._is_first:
            self._is_first = False
            events = ({"schema": SCHEMA, **events[0]}, *events[1:])
        if events:
            which = self._which
            self._write("".join(_encode(SECRETS.value({**event, **which})) + "\n" for event in events))


def error_data(error: BfillError) -> Event:
    """Return an error as events tell it."""
    return {"kind": error.kind, "code": error.code, "message": error.message, "hint": error.hint}


def _run_finished(run: RunRow, at: int) -> tuple[int, Event]:
    finished = {
        "run_id": run_id(run.run_type, run.logical_date),
        "state": run.state,
        "reason": run.reason,
        "duration_s": _took(run.started_at, run.ended_at),
        **_batch_of(run),
    }
    return _event("run_finished", run.ended_at or at, run.logical_date, finished)


def _blocked(result: BackfillResult, at: int) -> Iterator[Event]:
    for one in result.results if result.blocked else ():
        if one.state == "blocked":
            told = {"run_id": one.run_id, "reason": one.reason}
            yield {"event": "run_blocked", "at": iso_us(at), "logical_date": one.logical_date.isoformat(), **told}


def _batch_of(run: RunRow) -> Event:
    """The first date of the batch a date ran in, which has the tries; nothing for one that ran alone."""
    return {} if run.batch is None else {"batch": iso(run.leader)}


def _event(event: str, at: int, logical_date: int, more: Event) -> tuple[int, Event]:
    return at, {"event": event, "at": iso_us(at), "logical_date": iso(logical_date), **more}


def _took(started_at: int | None, ended_at: int | None) -> float | None:
    return None if started_at is None or ended_at is None else round((ended_at - started_at) / 1_000_000, 6)


def _moment(told: tuple[int, Event]) -> int:
    return told[0]
